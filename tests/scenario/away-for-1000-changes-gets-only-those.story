# Whoever was away catches up on what changed meanwhile, each key once, and then sees what happens live.
serve board
a connects board/one as ann
w connects board/one as wim
w call t0 seed from=0 n=3000
w expect committed t0 seq->s result=3000
a sub tasks
a awaits snap-end tasks seq=$s
a drops

500 times w mut t$n tasks update seed-$n:8 score=1000
500 times w expect committed t$n seq=$s+$n
500 times w mut u$n tasks insert new-$n title=new status=open score=1 updated_at=1
500 times w expect committed u$n
w mut v1 tasks delete seed-00000001
w expect committed v1 seq->last
w mut v2 notes insert n1 body="no concern of tasks"
w expect committed v2 seq->head

a reconnects
a sub tasks since $s
499 times a expect d tasks update seed-$n+1:8 score=1000
500 times a expect d tasks insert new-$n title=new
a expect d tasks delete seed-00000001 seq=$last
a expect uptodate tasks seq=$s

# The boundary stays where it was until the burst of subscriptions is over, as the first other frame says.
a fetch f1 nothing
a expect uptodate seq=$head
a expect page f1 rows=0 seq=$head

w mut v3 tasks update seed-00000002 score=7
w expect committed v3 seq=$head+1
a expect d tasks update seed-00000002 score=7 seq=$head+1
a expect uptodate seq=$head+1
