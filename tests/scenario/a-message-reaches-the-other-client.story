# What one writes, the other sees, with what the server decided: author and time.
serve chat
a connects room/lobby as ann
b connects room/lobby as ben
a sub messages
a expect snap-end messages seq=0
b sub messages
b expect snap-end messages seq=0
a mut t1 messages insert m1 text=hello
a expect d messages insert m1 id=m1 text=hello author=ann edited_at=nil created_at>1700000000000 seq->s1
a expect uptodate seq=$s1
a expect committed t1 seq=$s1
b expect d messages insert m1 id=m1 text=hello author=ann edited_at=nil created_at>1700000000000 seq=$s1
b expect uptodate seq=$s1

# And back. An edit and a delete travel the same way, each at the next position.
b mut t2 messages insert m2 text="hello, ann"
b expect d messages insert m2 author=ben seq=$s1+1
b expect uptodate seq=$s1+1
b expect committed t2 seq=$s1+1
a expect d messages insert m2 text="hello, ann" author=ben seq=$s1+1
a expect uptodate seq=$s1+1
a mut t3 messages update m1 text="hello, all"
a awaits committed t3 seq=$s1+2
b expect d messages update m1 text="hello, all" author=ann edited_at>1700000000000 seq=$s1+2
b expect uptodate seq=$s1+2
a mut t4 messages delete m1
a awaits committed t4 seq=$s1+3
b expect d messages delete m1 seq=$s1+3
b expect uptodate seq=$s1+3

# Another scope of the same kind is another world.
c connects room/kitchen as cleo
c sub messages
c expect snap-end messages seq=0
