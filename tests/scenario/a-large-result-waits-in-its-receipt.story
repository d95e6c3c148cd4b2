# Results that nobody has taken yet do not pile up in the server: a large one is read from its receipt when its turn comes.
serve rules
a connects room/one as ann narrowly
a call c0 count
a expect committed c0 seq->s result=0
50 times a call b$n fill n=500000
a call c1 count
50 times a expect committed b$n seq=$s+$n result=1
a expect committed c1 seq=$s+51 result=0

# It is the same when it is asked for again.
a call b7 fill n=500000
a expect committed b7 seq=$s+7 result=1
b connects room/one as ann
b call b7 fill n=1
b expect committed b7 seq=$s+7 result=1
