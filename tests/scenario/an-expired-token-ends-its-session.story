# Whoever was let in for a second is sent away after it, with the code that tells the client to ask for a new token.
serve chat
token short --sub ann --ttl 1s
a connects room/lobby with token=$short
a sub messages
a expect snap-end messages
a expect close 4401
