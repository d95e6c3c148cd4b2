# A client comes back with a transaction that was never answered: it hears of it only when it has all that came before.
serve board
a connects board/one as ann
a mut t1 notes insert n1 body=one
a expect committed t1 seq->s1
a mut t2 tasks insert k1 title=one status=open score=1 updated_at=1
a expect committed t2 seq->s2
a drops

# t2 is answered from its receipt, behind the resume's one boundary. How the two subscriptions interleave is the server's
# choice; an answer that came too early would be skipped here, and waited for in vain below.
a reconnects
a sub notes since $s1
a sub tasks since $s1
a mut t2 tasks insert k1 title=one status=open score=1 updated_at=1
a awaits uptodate notes seq=$s1
a awaits uptodate tasks seq=$s1
a expect uptodate seq=$s2
a expect committed t2 seq=$s2

# The same with a new transaction: its own change is shown before it is confirmed.
a drops
a reconnects
a sub notes since $s1
a sub tasks since $s1
a mut t3 notes insert n2 body=two
a awaits d notes insert n2 seq=$s2+1
a awaits committed t3 seq=$s2+1
