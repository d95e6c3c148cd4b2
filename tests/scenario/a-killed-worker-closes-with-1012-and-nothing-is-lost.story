# The router outlives the worker. It sends its clients away with a code that makes them come back.
serve chat
a connects room/lobby as ann
b connects room/lobby as ben
a sub messages
a expect snap-end messages
a mut t1 messages insert m1 text=hello
a awaits committed t1 seq->s1
kill worker
a expect close 1012
b expect close 1012

a reconnects
a sub messages since $s1
a mut t1 messages insert m1 text=hello
a mut t2 messages insert m2 text="still there?"
a awaits uptodate messages seq=$s1
a awaits committed t1 seq=$s1
a awaits committed t2 seq=$s1+1
b reconnects
b sub messages
b expect snap messages m1 text=hello author=ann
b expect snap messages m2 text="still there?" author=ann
b expect snap-end messages seq=$s1+1
