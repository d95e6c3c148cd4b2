#include "shards/scope/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/utf8.h"

enum { MESSAGE_MAX = 500 };

bool outcome_reject(struct outcome *outcome, const char *code, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    outcome->is_rejected = true;
    outcome->code = code;
    outcome->message.len = outcome->result.len = outcome->why.len = 0;
    struct slice text = slice_str(message);
    while (!utf8_is_valid(text)) /* a character that the cut went through */
        text.len--;
    buf_append_slice(&outcome->message, text);
    return false;
}

const char *outcome_known_code(const char *code)
{
    static const char *const CODES[] = {REJECT_FORBIDDEN,  REJECT_LIMIT_EXCEEDED, REJECT_VALIDATION,
                                        REJECT_CONSTRAINT, REJECT_EXECUTE_FAILED, REJECT_UNKNOWN_COMMAND};
    for (size_t i = 0; code != NULL && i < sizeof CODES / sizeof *CODES; i++)
        if (strcmp(CODES[i], code) == 0)
            return CODES[i];
    return NULL;
}

void outcome_release(struct outcome *outcome)
{
    buf_release(&outcome->message);
    buf_release(&outcome->why);
    buf_release(&outcome->result);
    *outcome = (struct outcome){0};
}
