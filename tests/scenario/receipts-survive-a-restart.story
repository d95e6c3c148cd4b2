# A transaction that was answered before the server stopped is answered the same after it: nothing runs twice.
serve board
a connects board/one as ann
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a expect committed t1 seq->s
a call t2 touch n=1
a expect committed t2 seq=$s+1 result=1
a mut t3 tasks insert k1 title=again status=open score=1 updated_at=1
a expect rejected t3 code=CONSTRAINT message->why
stop
a expect close 1001
start
a reconnects
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a expect committed t1 seq=$s
a call t2 touch n=1
a expect committed t2 seq=$s+1 result=1

# And when nothing had the time to say goodbye.
kill supervisor
a expect close 1006
start
a reconnects
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
a call t2 touch n=1
a mut t3 tasks insert k1 title=again status=open score=1 updated_at=1
a expect committed t1 seq=$s
a expect committed t2 seq=$s+1 result=1
a expect rejected t3 code=CONSTRAINT message=$why
a sub tasks
a expect snap tasks k1 title=one score=2
a expect snap-end tasks seq=$s+2
