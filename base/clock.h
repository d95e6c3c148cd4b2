/*
 * clock - the two times: one that people read, one that only goes forward.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970; may step */
int64_t clock_mono_us(void); /* microseconds since some start; never steps back */

#endif
