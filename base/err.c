#include "base/err.h"

const char *err_text(enum err err)
{
    switch (err) {
    case ERR_OK:
        return "ok";
#define ERR_CASE(name, number, text)                                                                                   \
    case name:                                                                                                         \
        return text;
        ERR_TABLE(ERR_CASE)
#undef ERR_CASE
    }
    return "unknown error";
}
