# A scope's id may hold any characters, percent-encoded; two spellings of one name are one scope.
serve chat
a connects room/caf%C3%A9%2F%E2%82%AC%20%3F as ann
b connects room/caf%c3%a9%2f%e2%82%ac%20%3F as ben
a mut t1 messages insert m1 text=hello
a expect committed t1
b sub messages
b expect snap messages m1
b expect snap-end messages
c connects room/caf%C3%A9 as cleo
c sub messages
c expect snap-end messages seq=0
d connects room/%2e%2e as dan
d mut t1 messages insert m1 text="not a path"
d expect committed t1
files 2
e refused 404 room/ as eve
e refused 404 nothing/lobby as eve
