/*
 * static - the app's `public/` folder over HTTP, for `serve`: a page that comes with its server.
 */
#ifndef ROUTER_STATIC_H
#define ROUTER_STATIC_H

#include "src/router/connection.h"

/* Answers a GET or HEAD with the file of that path; `/` is index.html. No hidden file, nothing outside the folder. */
void static_answer(struct connection *connection, const struct http_request *request);

#endif
