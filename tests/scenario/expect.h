/*
 * expect - does this message hold what the story says?
 *
 *   snap SUB KEY      snap-end SUB      d SUB OP KEY      uptodate [SUB]      reset [SUB]
 *   committed TX      rejected TX       page FETCH        text TEXT           close CODE
 *
 * and of a client that speaks skerry.v1: hello, gone
 *
 * A name that is left out at the end must be missing in the frame, '*' is any. Then come, in any order, checks of
 * fields: of the frame itself (seq, result), else of the row, result, error or limits within it.
 *
 *   score=9      this value, of this type ("9" is text). Of an array: its length. Of a seq, head or floor: its digits
 *   code=-       missing, or nil
 *   seq>$s1      a greater number
 *   seq->s1      any value; $s1 stands for it from now on
 *
 * Columns that are not named are not checked. But a frame never holds a field that the contract does not give it, and a
 * delete never holds columns.
 */
#ifndef SCENARIO_EXPECT_H
#define SCENARIO_EXPECT_H

#include "tests/scenario/client.h"
#include "tests/scenario/play.h"

/* NULL if the client's `message` is what `words` say, else why not. */
const char *expect_match(struct play *play, const struct client *client, const struct message *message,
                         const char *const *words, size_t n);

/* The message in words, for people. */
void expect_print(const struct message *message, char *ret_text, size_t size);

#endif
