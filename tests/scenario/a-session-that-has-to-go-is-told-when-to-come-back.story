# Before the socket closes, skerry.v1 says when it is worth trying again. The base contract has only the close.
serve chat
a connects room/one as ann offering skerry.v1
a awaits hello
b connects room/one as ben
b expect nothing
kill worker
a expect gone code=UNAVAILABLE retryMs=250
a expect close 1012
b expect close 1012

a reconnects
a awaits hello
stop
a expect gone code=UNAVAILABLE retryMs=2000
a expect close 1001
start
a reconnects
a awaits hello
