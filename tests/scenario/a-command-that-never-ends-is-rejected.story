# A command has ten seconds. One that wants more is rejected, once and for all, and leaves nothing behind.
serve rules
a connects room/one as ann
a mut t1 items insert i1 text=one
a expect committed t1 seq->s
a call k1 loop
c connects room/three as cid
c mut t1 items insert i1 text=one
c expect committed t1
a expect silence
a expect rejected k1 code=LIMIT_EXCEEDED message="took longer than 10 s"
a mut t2 items insert i2 text=two
a expect committed t2 seq=$s+2
a call k1 loop
a expect rejected k1 code=LIMIT_EXCEEDED message="took longer than 10 s"
a call k2 count
a expect committed k2 result=2
