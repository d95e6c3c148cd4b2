# Whatever is no frame of the contract is dropped and counted; the client's next frame is answered as if nothing were.
serve board
a connects board/one as ann
a sub notes
a expect snap-end notes
a sends hex c1
a sends hex 00
a sends hex 81a174
a sends hex 80c0
a sends hex dfffffffff
a sends hex 81a174ddffffffff
a sends {"t": "hello"}
a sends {"t": 5}
a sends {"subId": "x", "collection": "notes"}
a sends {"t": "sub", "collection": "notes"}
a sends {"t": "sub", "subId": "", "collection": "notes"}
a sends {"t": "sub", "subId": "x"}
a sends {"t": "mut", "txId": "t1", "collection": "notes", "ops": []}
a sends {"t": "mut", "txId": "t1", "collection": "notes", "ops": {}}
a sends {"t": "mut", "txId": "t1", "collection": "notes", "ops": [{"type": "upsert", "key": "n1"}]}
a sends {"t": "mut", "txId": "t1", "collection": "notes", "ops": [{"type": "insert"}]}
a sends {"t": "mut", "txId": "t1", "ops": [{"type": "insert", "key": "n1"}]}
a sends {"t": "call", "txId": "t1", "args": null}
a sends {"t": "fetch", "fetchId": "f1"}
a sends text hello
a expect nothing
a mut t1 notes insert n1 body=x
a expect d notes insert n1 body=x seq->s
a expect uptodate seq=$s
a expect committed t1 seq=$s

# The text message ping is answered by the text message pong.
a sends text ping
a expect text pong
