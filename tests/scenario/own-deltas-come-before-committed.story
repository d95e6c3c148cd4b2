# Who sent a transaction has seen all of its changes when it is confirmed; who subscribed to nothing just gets the answer.
serve board
a connects board/one as ann
b connects board/one as ben
a sub tasks
a expect snap-end tasks
a mut t1 tasks insert k1 title=one status=open score=1 updated_at=1 and insert k2 title=two status=open score=2 updated_at=2 and delete k1
a expect d tasks insert k2 title=two status=open score=2 updated_at=2 seq->s
a expect d tasks delete k1 seq=$s+1
a expect uptodate seq=$s+1
a expect committed t1 seq=$s+1
b mut t2 tasks insert k3 title=three status=open score=3 updated_at=3
b expect committed t2 seq=$s+2
a expect d tasks insert k3 seq=$s+2
a expect uptodate seq=$s+2

# A command's result comes with its confirmation, after its changes.
a call t3 touch n=2
a expect d tasks update k2 score=3 seq=$s+3
a expect d tasks update k3 score=4 seq=$s+4
a expect uptodate seq=$s+4
a expect committed t3 seq=$s+4 result=2

# A transaction in a collection that the session does not watch.
a mut t4 notes insert n1 body=x
a expect committed t4 seq=$s+5
