# Every way in which the rules say no has a code of its own, and a rejection moves nothing.
serve rules
token keeper --sub kim --claim role=keeper --ttl 1h
a connects room/one as ann
a sub items
a expect snap-end items
a mut t1 items insert i1 text=one rank=1
a awaits committed t1 seq->s

# Without a name nobody writes. This is the token of a nobody, signed with the example's key, until the year 2100.
g connects room/one with token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUtZG8tbm90LWRlcGxveSJ9.eyJhdWQiOiJydWxlcyIsImV4cCI6NDEwMjQ0NDgwMH0.OZ3y2QG8hShcRbtoqe0gM_cem0hi_wrGpB1MmNk28cs
g mut t1 items insert i2 text=two
g expect rejected t1 code=FORBIDDEN

a mut v1 items 129 times insert j$n text=x
a expect rejected v1 code=LIMIT_EXCEEDED
a mut v2 items insert "" text=x
a expect rejected v2 code=VALIDATION
a mut v3 items insert i2 id=i3 text=x
a expect rejected v3 code=VALIDATION
a mut v4 items insert i2 text=x colour=red
a expect rejected v4 code=VALIDATION
a mut v5 items update i1 id=i9
a expect rejected v5 code=VALIDATION
a sends {"t": "mut", "txId": "v6", "collection": "items", "ops": [{"type": "insert", "key": "i2", "cols": {"text": ["x"]}}]}
a expect rejected v6 code=VALIDATION
a sends {"t": "mut", "txId": "v7", "collection": "items", "ops": [{"type": "insert", "key": "i2", "cols": {"text": {"x": 1}}}]}
a expect rejected v7 code=VALIDATION

# Default deny: what has no rule is refused, a collection that nobody defined too.
a mut n1 items delete i1
a expect rejected n1 code=- message="no mutation handler for 'items:delete'"
a mut n2 others insert o1 text=x
a expect rejected n2 code=- message="no mutation handler for 'others:insert'"

# The row of another.
b connects room/one as ben
b mut t1 items update i1 text=mine
b expect rejected t1 code=FORBIDDEN

# What the tables say, in SQLite's words.
a mut c1 items insert i1 text=again
a expect rejected c1 code=CONSTRAINT message="UNIQUE constraint failed: items.id"
a mut c2 items insert i2 text=two rank=1
a expect rejected c2 code=CONSTRAINT message="UNIQUE constraint failed: items.rank"
a mut c3 items insert i2 rank=2
a expect rejected c3 code=CONSTRAINT message="NOT NULL constraint failed: items.text"
a mut c4 items update i1 text=""
a expect rejected c4 code=CONSTRAINT

# One bad operation takes the whole transaction with it.
a mut c5 items insert i2 text=two and insert i1 text=again
a expect rejected c5 code=CONSTRAINT

a call k1 nothing
a expect rejected k1 code=UNKNOWN_COMMAND
a call k2 rename id=i1 to=uno
a expect rejected k2 code=FORBIDDEN
k connects room/one with token=$keeper
k call k3 rename id=i1
k expect rejected k3 code=VALIDATION
k call k4 rename id=i1 to=uno by=me
k expect rejected k4 code=VALIDATION
k call k5 rename id=i1 to=5
k expect rejected k5 code=VALIDATION
k call k6 overflow
k expect rejected k6 code=EXECUTE_FAILED message="mutation failed"

# Nothing but the last one has changed anything.
k call k7 rename id=i1 to=uno
k expect committed k7 seq->last result=1
a expect d items update i1 text=uno seq=$last
a expect uptodate seq=$last
a call k8 count
a expect committed k8 result=1
