# A repeat is answered like the first: the same position, and no second effect; on the same socket, on another one, and
# when both are on their way at once.
serve board
a connects board/one as ann
a sub tasks
a expect snap-end tasks
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a expect d tasks insert k1 seq->s
a expect uptodate seq=$s
a expect committed t1 seq=$s
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a expect committed t1 seq=$s
a2 connects board/one as ann
a2 mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a2 expect committed t1 seq=$s

# A command that would add up, sent twice in a row without waiting.
2 times a call t2 touch n=1
a expect d tasks update k1 score=2 seq=$s+1
a expect uptodate seq=$s+1
2 times a expect committed t2 seq=$s+1 result=1

# A rejection is an outcome too: the repeat gets the same one, although it would succeed by now.
a mut t3 tasks insert k1 title=again status=open score=1 updated_at=1
a expect rejected t3 code=CONSTRAINT message->why
a mut t4 tasks delete k1
a awaits committed t4
a mut t3 tasks insert k1 title=again status=open score=1 updated_at=1
a expect rejected t3 code=CONSTRAINT message=$why

# A call under the id of a mut is that mut.
a call t4 touch n=1
a awaits committed t4 seq=$s+3 result=-
