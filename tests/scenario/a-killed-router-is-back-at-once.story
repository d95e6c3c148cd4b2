# Sockets end with the process that owns them. What was confirmed is there, and the clients come back.
serve chat
a connects room/lobby as ann
a mut t1 messages insert m1 text=hello
a expect committed t1 seq->s1
kill router
a expect close 1006
a reconnects
a sub messages since $s1
a mut t1 messages insert m1 text=hello
a expect uptodate messages seq=$s1
a awaits committed t1 seq=$s1
b connects room/lobby as ben
b sub messages
b expect snap messages m1 text=hello
b expect snap-end messages seq=$s1
