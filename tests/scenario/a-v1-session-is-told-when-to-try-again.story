# The disk is full. Nothing is decided: who speaks skerry.v1 is told to keep it and when to try again, and keeps the
# connection; who speaks the base contract is closed, and comes back. Nobody else notices.
serve rules on a small disk
a connects room/one as ann offering skerry.v1
a awaits hello
a sub items
a expect snap-end items
b connects room/one as ben
b sub items
b expect snap-end items
c connects room/one as cat
a mut t1 items insert i1 text=one rank=1
a awaits committed t1 seq->s1
b awaits uptodate seq=$s1

disk full
a mut t2 items insert i2 text=two
a expect rejected t2 code=STORAGE_FULL retryMs=1000
c mut t1 items insert i3 text=three
c expect close 1013
d connects room/one as dan offering skerry.v1
d awaits hello head=$s1
d sub items
d expect snap items i1 text=one
d expect snap-end items seq=$s1
b expect nothing

# A scope that has no file yet cannot get one; it can be looked into.
e connects room/two as eve offering skerry.v1
e awaits hello head=0
e sub items
e expect snap-end items seq=0
e mut t1 items insert i1 text=one
e expect rejected t1 code=STORAGE_FULL retryMs=1000

# There is space again. What was sent behind the one that was put off does not overtake it: the update would find no row.
disk free
a mut t3 items update i2 text=deux
a expect rejected t3 code=STORAGE_FULL retryMs=1000
a mut t2 items insert i2 text=two
a awaits committed t2 seq=$s1+1
a mut t3 items update i2 text=deux
a expect d items update i2 text=deux
a expect uptodate seq=$s1+2
a expect committed t3 seq=$s1+2
b awaits uptodate seq=$s1+2
d awaits uptodate seq=$s1+2
e mut t1 items insert i1 text=one
e awaits committed t1

# The base contract sends it again by itself, and it happens once.
c reconnects
c mut t1 items insert i3 text=three
c expect committed t1 seq=$s1+3
c mut t1 items insert i3 text=three
c expect committed t1 seq=$s1+3
a expect d items insert i3 owner=cat seq=$s1+3
a expect uptodate seq=$s1+3
b awaits uptodate seq=$s1+3
d awaits uptodate seq=$s1+3
