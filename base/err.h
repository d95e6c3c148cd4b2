/*
 * err - what can go wrong, as one negative enum.
 *
 * Three kinds, never mixed. The peer is wrong: it gets an answer or a closed stream. The world failed (disk, memory,
 * network): one of these is returned upwards and logged once, where it is decided what happens. We are wrong: assert.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TABLE(X)                                                                                                   \
    X(ERR_IO, -1, "input or output failed")                                                                            \
    X(ERR_FULL, -2, "no space left")                                                                                   \
    X(ERR_BUSY, -3, "held by another process")                                                                         \
    X(ERR_DAMAGED, -4, "file is damaged")                                                                              \
    X(ERR_INVALID, -5, "invalid")                                                                                      \
    X(ERR_TOO_LARGE, -6, "too large")                                                                                  \
    X(ERR_NOT_FOUND, -7, "not found")                                                                                  \
    X(ERR_EXPIRED, -8, "expired")                                                                                      \
    X(ERR_CLOSED, -9, "closed by the peer")                                                                            \
    X(ERR_TIMEOUT, -10, "took too long")                                                                               \
    X(ERR_ABORTED, -11, "rolled back")

enum err {
    ERR_OK = 0,
#define ERR_ENUM(name, number, text) name = number,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
};

/* What `err` means, in words for people. Never NULL. */
const char *err_text(enum err err);

#endif
