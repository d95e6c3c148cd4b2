# A scope is empty until the first write makes it. Then whoever was there before sees what its migrations wrote, too.
serve seeded
a connects room/one as ann
a sub items
a expect snap-end items seq=0

w connects room/one as wim
w mut t1 items insert k1 text=mine
w expect committed t1 seq->s
a expect d items insert rules text="be kind"
a expect d items insert welcome text=hello
a expect d items insert k1 text=mine seq=$s
a expect uptodate seq=$s

b connects room/one as ben
b sub items
b expect snap items k1
b expect snap items rules
b expect snap items welcome
b expect snap-end items seq=$s

# They are rows like all others: a client that was away hears of their end.
a drops
w mut t2 items delete rules
w expect committed t2 seq->t
a reconnects
a sub items since $s
a expect d items delete rules seq=$t
a expect uptodate items seq=$s
a fetch f1 items
a expect uptodate seq=$t
a expect page f1 rows=0 seq=$t
b expect d items delete rules seq=$t
b expect uptodate seq=$t
