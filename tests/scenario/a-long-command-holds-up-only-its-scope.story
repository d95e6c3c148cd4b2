# A command that takes seconds runs beside the others: its scope waits for it, every other scope goes on.
serve rules
a connects room/one as ann
b connects room/one as ben
a sub items
a expect snap-end items
c connects room/two as cid
a mut t1 items insert i1 text=before
a awaits committed t1
a call k1 think n=10000000
b mut t1 items insert i2 text=behind
20 times c mut u$n items insert k$n text=beside
20 times c expect committed u$n
a expect silence
b expect silence

# Who comes now waits too; who leaves may leave.
d connects room/one as dan
d drops
a expect d items insert thought rank=10000000 seq->s
a expect uptodate seq=$s
a expect committed k1 seq=$s result=10000000
a expect d items insert i2 text=behind seq=$s+1
a expect uptodate seq=$s+1
b expect committed t1 seq=$s+1

# It is known for good, as any other.
a reconnects
a call k1 think n=10000000
a awaits committed k1 seq=$s result=10000000
