# A client that only listens sends nothing behind its subs. After 2 s the server knows, and lets its cursor go on.
serve board
w connects board/one as wim
w mut t1 notes insert n1 body=one
w expect committed t1 seq->s1
w mut t2 notes insert n2 body=two
w expect committed t2 seq->s2
a connects board/one as ann
a sub notes since $s1
a sub tasks since $s1
a expect d notes insert n2 seq=$s2
a expect uptodate notes seq=$s1
a expect uptodate tasks seq=$s1
a expect uptodate seq=$s2

# A subscription that is refused, or given up, holds nobody up.
b connects board/one as ben
b sub nothing as x since $s1
b expect reset x
b sub notes since $s2
b expect uptodate notes
b sub tasks since $s1
b unsub tasks
b awaits uptodate seq=$s2
