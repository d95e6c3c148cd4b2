# A slow reader gets 100,000 rows. What happens meanwhile does not mix with them, and does not wait for them either.
serve board
w connects board/one as wim
w call t1 seed from=0 n=20000
w call t2 seed from=20000 n=20000
w call t3 seed from=40000 n=20000
w call t4 seed from=60000 n=20000
w call t5 seed from=80000 n=20000
4 times w expect committed t$n
w expect committed t5 seq->s

# Its socket takes far less than the snapshot, so the snapshot stands still until the client reads on.
a connects board/one as ann narrowly
a sub notes
a expect snap-end notes seq=$s
a sub tasks
a expect snap tasks seed-00000000 score=0 seq=$s
w mut u1 tasks update seed-00000000 score=1000
w mut u2 tasks update seed-00099999 score=1000
w mut u3 tasks delete seed-00000001
w mut u4 notes insert n1 body=x
4 times w expect committed u$n seq=$s+$n
b connects board/one as ben
b sub notes
b expect snap notes n1
b expect snap-end notes seq=$s+4
a mut u5 tasks insert aaa title=last status=open score=1 updated_at=1
a fetch f1 nothing
b fetch f1 nothing
b awaits page f1

99999 times a expect snap tasks seed-$n:8 seq=$s
a expect snap-end tasks seq=$s

# Now what the rows of the snapshot may have missed, then what waited.
a awaits d tasks update seed-00000000 score=1000 seq=$s+1
a awaits d tasks update seed-00099999 score=1000 seq=$s+2
a awaits d tasks delete seed-00000001 seq=$s+3
a awaits d tasks insert aaa seq=$s+5
a awaits uptodate seq=$s+5
a awaits committed u5 seq=$s+5
a awaits page f1
