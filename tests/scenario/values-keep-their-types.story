# Numbers stay numbers, text stays text, bytes stay bytes, on every way: live, snapshot and after a restart.
serve board
a connects board/one as ann
a sub notes
a expect snap-end notes
a mut t1 notes insert n1 body="5" rank=2.5 num=-7 data=hex:00ff00
a expect d notes insert n1 id=n1 body="5" rank=2.5 num=-7 data=hex:00ff00
a expect uptodate
a expect committed t1
a mut t2 notes insert n2 body="" rank=3 num=true data=hex:
a expect d notes insert n2 body="" rank=3 num=1 data=hex:
a expect uptodate
a expect committed t2
a mut t3 notes insert n3 num=4294967296
a expect d notes insert n3 body=nil rank=nil num=4294967296.0 data=nil
a expect uptodate
a expect committed t3
stop
a expect close 1001
start
a reconnects
a sub notes
a expect snap notes n1 id=n1 body="5" rank=2.5 num=-7 data=hex:00ff00
a expect snap notes n2 body="" rank=3 num=1 data=hex:
a expect snap notes n3 body=nil rank=nil num=4294967296.0 data=nil
a expect snap-end notes
