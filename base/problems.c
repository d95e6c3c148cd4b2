#include "base/problems.h"

#include <stdarg.h>
#include <stdio.h>

void problems_add(struct problems *problems, const char *format, ...)
{
    problems->n++;
    if (problems->n == PROBLEMS_MAX + 1)
        buf_printf(&problems->text, "there is more; correct these first\n");
    if (problems->n > PROBLEMS_MAX)
        return;

    char line[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    buf_printf(&problems->text, "%s\n", line);
}

void problems_release(struct problems *problems)
{
    buf_release(&problems->text);
    problems->n = 0;
}
