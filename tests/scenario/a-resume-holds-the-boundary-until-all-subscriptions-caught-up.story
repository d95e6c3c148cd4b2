# A client has one cursor for all its subscriptions. Coming back, none may move it past what another still misses.
serve board
w connects board/one as wim
w mut t1 tasks insert k1 title=one status=open score=1 updated_at=1
w expect committed t1 seq->s1
w mut t2 notes insert n1 body=one
w expect committed t2 seq->s2
w mut t3 tasks update k1 score=2
w expect committed t3 seq->s3

a connects board/one as ann
a sub notes since $s2
a expect uptodate notes seq=$s2
a sub tasks since $s1
a expect d tasks update k1 score=2 seq=$s3
a expect uptodate tasks seq=$s1

# What happens before the burst is over is shown, but does not move the cursor.
w mut t4 notes insert n2 body=two
w expect committed t4 seq->s4
a expect d notes insert n2 seq=$s4
a expect uptodate seq=$s1

# The first frame that is not a sub ends the burst.
a fetch f1 nothing
a expect uptodate seq=$s4
a expect page f1 rows=0 seq=$s4
w mut t5 tasks update k1 score=3
w expect committed t5 seq->s5
a expect d tasks update k1 score=3 seq=$s5
a expect uptodate seq=$s5

# One cursor that is none counts as the lowest: the other's boundary waits for that snapshot too.
b connects board/one as ben
b sub notes since $s4
b expect uptodate notes seq=$s4
b sub tasks since lost
b expect reset tasks
b expect snap tasks k1 score=3
b expect snap-end tasks seq=0
b fetch f1 nothing
b expect uptodate seq=$s5
b expect page f1 rows=0 seq=$s5

# A burst of first subscriptions needs none of this.
c connects board/one as cleo
c sub notes
c expect snap notes n1
c expect snap notes n2
c expect snap-end notes seq=$s5
c sub tasks
c expect snap tasks k1
c expect snap-end tasks seq=$s5
