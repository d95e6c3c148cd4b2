# A command that takes long runs beside the others: its scope waits for it, another scope goes on, were it on the same shard
# as `one` and `two` are.
serve rules
a connects room/one as ann
b connects room/one as ben
a sub items
a expect snap-end items
c connects room/two as cid
c mut t1 items insert i1 text=made
c expect committed t1
a call k1 think n=3000000
b mut t1 items insert i2 text=behind
c mut t2 items insert i2 text=beside
c expect committed t2
c mut t3 items insert i3 text=beside
c expect committed t3
c mut t4 items insert i4 text=beside
c expect committed t4
a expect silence
b expect silence

# Who comes now waits too; who leaves may leave.
d connects room/one as dan
d drops
a expect d items insert thought rank=3000000 seq->s
a expect uptodate seq=$s
a expect committed k1 seq=$s result=3000000
a expect d items insert i2 text=behind seq=$s+1
a expect uptodate seq=$s+1
b expect committed t1 seq=$s+1

# It is known for good, as any other.
a reconnects
a call k1 think n=3000000
a awaits committed k1 seq=$s result=3000000
