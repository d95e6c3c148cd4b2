# An app allows 200 frames a second of one session, and 400 at once. Whoever sends more waits; nothing is lost, in order.
serve chat
a connects room/lobby as ann
b connects room/lobby as ben
700 times a mut t$n messages insert m$n:3 text=hello
b mut t1 messages insert other text="meanwhile"
b expect committed t1
700 times a expect committed t$n
b sub messages
700 times b expect snap messages m$n:3
b expect snap messages other
b expect snap-end messages
