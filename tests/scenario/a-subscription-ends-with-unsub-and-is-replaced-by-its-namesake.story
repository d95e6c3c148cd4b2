# The same collection twice on one session is twice shown; a name names one subscription.
serve board
a connects board/one as ann
a sub notes as one
a expect snap-end one
a sub notes as two
a expect snap-end two
a mut t1 notes insert n1 body=x
a expect d one insert n1 seq->s
a expect d two insert n1 seq=$s
a expect uptodate seq=$s
a expect committed t1 seq=$s
a unsub one
a mut t2 notes update n1 body=y
a expect d two update n1 body=y
a expect uptodate
a expect committed t2
a sub tasks as two
a expect snap-end two seq=$s+1
a mut t3 notes update n1 body=z
a expect committed t3 seq=$s+2
a unsub nobody
