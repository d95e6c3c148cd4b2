# A cursor that this server never gave away, perhaps of a data folder that was lost: what the client holds is worthless.
serve board
w connects board/one as wim
w mut t1 notes 2 times insert n$n body=x
w expect committed t1 seq->head
a connects board/one as ann
a sub notes since $head+1
a expect reset notes
a expect snap notes n1 body=x
a expect snap notes n2 body=x
a expect snap-end notes
a fetch f1 nothing
a awaits page f1 seq=$head
w mut t2 notes insert n3 body=y
w expect committed t2
a expect d notes insert n3 seq=$head+1
a expect uptodate seq=$head+1

# Below the floor: a cursor of an earlier life of the scope. Every scope starts far above it.
b connects board/one as ben
b sub notes since 1
b expect reset notes
3 times b expect snap notes n$n
b expect snap-end notes
b fetch f1 nothing
b awaits page f1 seq=$head+1

# A scope in which nothing happened yet has the head 0, and is empty.
c connects board/two as cleo
c sub notes since 5
c expect reset notes
c expect snap-end notes
c fetch f1 nothing
c awaits page f1 seq=0
