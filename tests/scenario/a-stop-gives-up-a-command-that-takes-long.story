# A server that is told to stop does not wait for a command that takes long. It was not decided: it can be sent again.
serve rules
a connects room/one as ann
a mut t1 items insert i1 text=one
a expect committed t1 seq->s
a call k1 loop
c connects room/two as cid
c mut t1 items insert i1 text=one
c expect committed t1
a drops
c drops
stop
start
a reconnects
a call k1 count
a expect committed k1 seq=$s+1 result=1
