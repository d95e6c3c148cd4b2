/*
 * answer - a frame from the server, as a client of the base contract reads it.
 */
#ifndef TESTS_SIM_ANSWER_H
#define TESTS_SIM_ANSWER_H

#include "proto/frame.h"

enum answer_type {
    ANSWER_SNAP,
    ANSWER_SNAP_END,
    ANSWER_DELTA,
    ANSWER_UPTODATE,
    ANSWER_COMMITTED,
    ANSWER_REJECTED,
    ANSWER_RESET,
    ANSWER_HELLO,
    ANSWER_GONE,
    ANSWER_OTHER
};

/* Borrows from the message. What a frame does not carry is empty. */
struct answer {
    enum answer_type type;
    struct slice name; /* the frame's `t` */
    bool has_sub;
    struct slice sub, key, tx;
    enum op_type op;
    struct slice row; /* encoded: `row` or `cols` */
    uint64_t seq;     /* of a hello: its head */
    int64_t retry_ms;
    struct slice code;
    struct slice result; /* encoded; empty where it is nil or absent */
};

/* False if it is no frame. */
bool answer_read(struct slice message, struct answer *ret_answer);

#endif
