# Whoever comes back and says nothing more is brought up to date all the same: a burst of subscriptions ends with time.
serve board
w connects board/one as wim
w mut t1 notes insert n1 body=one
w expect committed t1 seq->s1
w mut t2 notes insert n2 body=two
w expect committed t2 seq->s2
w drops

a connects board/one as ann
a sub notes since $s1
a expect d notes insert n2 body=two seq=$s2
a expect uptodate notes seq=$s1
a expect uptodate seq=$s2
