# What one turn did to a row is shown once: how it stands now, with the operation and the position of its latest change.
serve board
a connects board/one as ann
a sub notes
a expect snap-end notes
a mut t1 notes insert n1 body=draft and update n1 body=better and update n1 body=final
a expect d notes update n1 body=final seq->s
a expect uptodate seq=$s
a expect committed t1 seq=$s
a mut t2 notes delete n1 and insert n1 body=again and insert n2 body=gone and delete n2
a expect d notes insert n1 body=again seq=$s+2
a expect d notes delete n2 seq=$s+4
a expect uptodate seq=$s+4
a expect committed t2 seq=$s+4
