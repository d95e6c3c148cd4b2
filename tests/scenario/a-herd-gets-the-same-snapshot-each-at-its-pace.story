# Three slow readers ask for the same 80,000 rows at once. They share what is read for it, and each ends with what the
# table holds, however far it had come when that was written to.
serve board
w connects board/one as wim
w call t1 seed from=0 n=20000
w call t2 seed from=20000 n=20000
w call t3 seed from=40000 n=20000
w call t4 seed from=60000 n=20000
3 times w expect committed t$n
w expect committed t4 seq->s
a connects board/one as ann narrowly
b connects board/one as ben narrowly
c connects board/one as cat narrowly
a sub tasks
b sub tasks
c sub tasks
a expect snap tasks seed-00000000 score=0 seq=$s
b expect snap tasks seed-00000000 score=0 seq=$s
c expect snap tasks seed-00000000 score=0 seq=$s

# One is behind, one in front, when rows change that all have, and rows that none has.
4000 times a expect snap tasks seed-$n:8 seq=$s
20000 times b expect snap tasks seed-$n:8 seq=$s
w mut u1 tasks update seed-00000001 score=1000
w mut u2 tasks delete seed-00079998
w mut u3 tasks update seed-00079999 score=1000
3 times w expect committed u$n seq=$s+$n

79997 times c expect snap tasks seed-$n:8 seq=$s
c expect snap tasks seed-00079999 score=1000 seq=$s
c expect snap-end tasks seq=$s
c expect d tasks update seed-00000001 score=1000 seq=$s+1
c expect d tasks delete seed-00079998 seq=$s+2
c expect d tasks update seed-00079999 score=1000 seq=$s+3
c expect uptodate seq=$s+3

b awaits snap tasks seed-00079997 seq=$s
b expect snap tasks seed-00079999 score=1000 seq=$s
b expect snap-end tasks seq=$s
b awaits uptodate seq=$s+3
a awaits snap tasks seed-00079997 seq=$s
a expect snap tasks seed-00079999 score=1000 seq=$s
a expect snap-end tasks seq=$s
a awaits uptodate seq=$s+3
