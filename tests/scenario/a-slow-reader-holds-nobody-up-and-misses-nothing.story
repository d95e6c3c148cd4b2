# One client does not read while 100,000 changes happen. The writer does not notice; the reader catches up later, with
# what became of each row, however many states it missed.
serve board
w connects board/one as wim
w call t0 seed from=0 n=5000
w expect committed t0
a connects board/one as ann narrowly
a sub tasks
a awaits snap-end tasks
20 times w call t$n touch n=5000
20 times w expect committed t$n result=5000
w mut last tasks insert zzz title=last status=open score=1 updated_at=1
w expect committed last seq->head
a awaits d tasks insert zzz seq=$head
a expect uptodate seq=$head
b connects board/one as ben
b sub tasks
b expect snap tasks seed-00000000 score=20
b awaits snap-end tasks seq=$head
