# What is no seq at all counts as a cursor from elsewhere, never as a mistake to be ignored.
serve board
w connects board/one as wim
w mut t1 notes insert n1 body=x
w expect committed t1 seq->head
a connects board/one as ann
a sub notes as text since soon
a expect reset text
a expect snap text n1
a expect snap-end text
a sub notes as negative since -1
a expect reset negative
a expect snap negative n1
a expect snap-end negative
a sub notes as huge since 99999999999999999999999999
a expect reset huge
a expect snap huge n1
a expect snap-end huge
a sends {"t": "sub", "subId": "number", "collection": "notes", "since": 5}
a expect reset number
a expect snap number n1
a expect snap-end number
a fetch f1 nothing
a expect uptodate seq=$head
a expect page f1 rows=0 seq=$head

# "0" is not unreadable: it asks for a first snapshot. So does nil.
b connects board/one as ben
b sub notes since 0
b expect snap notes n1 seq=$head
b expect snap-end notes seq=$head
b sends {"t": "sub", "subId": "nil", "collection": "notes", "since": null, "where": null, "orderBy": null, "limit": null}
b expect snap nil n1
b expect snap-end nil seq=$head
