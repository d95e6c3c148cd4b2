# A subscription that cannot be served is refused with a reset and nothing more, and does not disturb the others.
serve board
a connects board/one as ann
a sub notes
a expect snap-end notes
a sub nothing as x
a expect reset x
a sub sqlite_master as x
a expect reset x
a sub _sync_log as x
a expect reset x
a sends {"t": "sub", "subId": "p", "collection": "notes", "where": {"type": "func", "name": "eq", "args": [{"type": "ref", "path": ["nothing"]}, {"type": "val", "value": 1}]}}
a expect reset p
a sends {"t": "sub", "subId": "p", "collection": "notes", "where": 5}
a expect reset p
a sends {"t": "sub", "subId": "p", "collection": "notes", "limit": -1}
a expect reset p
a mut t1 notes insert n1 body=x
a expect d notes insert n1
a expect uptodate
a expect committed t1

# A refusal takes away an older subscription of that name.
a sub nothing as notes
a expect reset notes
a mut t2 notes insert n2 body=y
a expect committed t2

# There is room for 256 of them. One that replaces another does not count twice.
256 times a sub notes as s$n
a awaits snap-end s256
a sub notes as one-more
a expect reset one-more
a sub notes as s1
a expect snap s1 n1
a expect snap s1 n2
a expect snap-end s1
a unsub s2
a sub notes as one-more
a expect snap one-more n1
a expect snap one-more n2
a expect snap-end one-more
