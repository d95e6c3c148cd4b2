# Who asks for skerry.v1 is told first where the scope stands and what the server allows; the others never see any of it.
serve rules
a connects room/one as ann offering skerry.v1
a expect hello head=0 floor=0 schema=1 receipts=2592000 frame=1048576 ops=128 subs=256 depth=64 frames_per_second=200
a sub items
a expect snap-end items
a mut t1 items insert i1 text=one rank=1
a expect d items insert i1 seq->s1
a expect uptodate seq=$s1
a expect committed t1 seq=$s1

# The head is the scope's, the floor that of its collections: from there on a cursor can be resumed.
b connects room/one as ben offering superchat,skerry.v1
b expect hello head=$s1 floor->floor
b sub items since $floor
b expect d items insert i1
b expect uptodate items seq=$floor

# A rejection tells its own position, also when it is repeated.
b mut t2 items update i1 text=mine
b expect uptodate seq->s2
b expect rejected t2 code=FORBIDDEN seq=$s2
b mut t2 items update i1 text=mine
b expect rejected t2 code=FORBIDDEN seq=$s2

# No subprotocol, or only unknown ones: the base contract, and nothing of the other.
c connects room/one as cat
c sub items
c expect snap items i1
c expect snap-end items
c mut t3 items update i1 text=mine
c expect rejected t3 code=FORBIDDEN
d connects room/one as dan offering skerry.v9,skerry.v1.json
d expect nothing

# It comes again on each new connection, before anything that was waiting.
a reconnects
a expect hello head>$s2
a sub items since $s1
a expect uptodate items seq=$s1
a unsub items
a expect uptodate seq>$s2
