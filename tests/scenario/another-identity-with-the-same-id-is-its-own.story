# Transaction ids belong to who sent them.
serve chat
a connects room/lobby as ann
b connects room/lobby as ben
a mut t1 messages insert m1 text=mine
a expect committed t1 seq->s
b mut t1 messages insert m2 text=mine-too
b expect committed t1 seq=$s+1
b sub messages
b expect snap messages m1 text=mine author=ann
b expect snap messages m2 text=mine-too author=ben
b expect snap-end messages seq=$s+1
a mut t1 messages insert m3 text=never
a expect committed t1 seq=$s
b mut t1 messages insert m3 text=never
b expect committed t1 seq=$s+1
