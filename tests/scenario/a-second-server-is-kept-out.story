# Two servers on one data folder would be two writers; on one port, one of them would not be heard.
serve chat
a connects room/lobby as ann
a mut t1 messages insert m1 text=hello
a expect committed t1
rival data
rival port
a mut t2 messages insert m2 text="still here"
a expect committed t2

# The lock dies with its owner, however that ends.
kill supervisor
start
a expect close 1006
a reconnects
a sub messages
a expect snap messages m1
a expect snap messages m2
a expect snap-end messages
