# With --dev the server watches the app's files. A change that holds is served; clients are sent away and come back.
serve chat
a connects room/lobby as ann
b connects room/lobby as ben
a mut t1 messages insert m1 text=hello
a expect committed t1 seq->s
b mut t1 messages update m1 text=mine
b expect rejected t1 code=FORBIDDEN
edit app.json old.author claim('sub')
a expect close 1001
b expect close 1001
b reconnects
b mut t2 messages update m1 text=mine
b expect committed t2
a reconnects
a sub messages
a expect snap messages m1 text=mine author=ann
a expect snap-end messages

# One that does not hold changes nothing.
edit app.json authorize authorise
log app_not_reloaded
a mut t2 messages update m1 text="mine again"
a awaits committed t2
edit app.json authorise authorize
a expect close 1001
b expect close 1001
