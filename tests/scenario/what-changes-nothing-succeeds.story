# An update or delete of no row asks no rule and is confirmed at a position of its own. So is an update without columns.
serve rules
token keeper --sub kim --claim role=keeper --ttl 1h
a connects room/one as ann
a sub items
a expect snap-end items
a mut t1 items insert i1 text=one
a awaits committed t1 seq->s
b connects room/one as ben
b mut t1 items update nothing text=x
b expect committed t1 seq=$s+1
b mut t2 items update i1
b expect committed t2 seq=$s+2

# What `set` decides is ignored when a client sends it, not refused. Without a value for a column, it is nil.
a mut t2 items insert i2 owner=ben text=two
a expect d items insert i2 owner=ann text=two rank=nil seq=$s+3
a expect uptodate seq=$s+3
a expect committed t2 seq=$s+3

# A result of one row with one column is its value; of no row, an empty list; of more columns, its rows.
a call c1 count
a expect committed c1 seq=$s+4 result=2
k connects room/one with token=$keeper
k call c2 rename id=nothing to=x
k expect committed c2 seq=$s+5 result=0
k call c3 rename id=i1 to=uno
k expect committed c3 seq=$s+6 result=1
a expect d items update i1 text=uno
a expect uptodate seq=$s+6
