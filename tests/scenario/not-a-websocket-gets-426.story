# Somebody opens the sync address in a browser.
serve chat
get /v1/chat/room/lobby/sync expect 426 "expected websocket upgrade"
get /v1/chat/room/lobby/sync?user=ann expect 426 "expected websocket upgrade"
get /livez expect 200
get /readyz expect 200
get /nothing/here expect 404
