# Who you are is asked first, then whether the scope lets you in. Browsers cannot see the status, so they may ask for
# a close code instead.
serve rules
token ann --sub ann --ttl 1h
token keeper --sub kim --claim role=keeper --ttl 1h
a refused 401 room/one
a refused 401 room/one with token=nonsense
a refused 401 room/one with token=$ann.
a refused 403 room/vault with token=$ann
a refused 403 room/vault as ann
a connects room/vault with token=$ann with deny=close
a expect close 4403
a connects room/one with deny=close
a expect close 4401
k connects room/vault with token=$keeper
k sub items
k expect snap-end items seq=0
a connects room/one with token=$ann
a sub items
a expect snap-end items seq=0
files 0
k mut t1 items insert i1 text=gold
k awaits committed t1
files 1
