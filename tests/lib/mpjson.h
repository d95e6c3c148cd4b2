/*
 * mpjson - MessagePack as JSON and back, so that tests can say in text what is on the wire.
 *
 * JSON lacks some values, which are written as an object with one key:
 *
 *   {"$real": 1}  {"$real": "NaN"}   a floating-point number (also "Infinity", "-Infinity"); a plain 1.5 is one too
 *   {"$int": "9223372036854775807"}  an integer that a double cannot hold
 *   {"$bin": "00ff"}                 bytes, in hexadecimal
 *   {"$time": 1700000000123}         a timestamp, in milliseconds
 *   {"$ext": [5, "00ff"]}            another extension
 *   {"$repeat": ["a", 128]}          text, so many times
 *
 * Bytes are written as hexadecimal digits; spaces are ignored, and `61*128` is 128 times the byte 61.
 */
#ifndef TESTS_LIB_MPJSON_H
#define TESTS_LIB_MPJSON_H

#include <cjson/cJSON.h>

#include "base/bytes.h"

/* Appends the value as the product's writer would: integers and integral reals shortest, others as float64. */
void mpjson_write(const cJSON *json, struct buf *buf);

/* Takes one value that is known to be whole from the front of `in`. */
cJSON *mpjson_read(struct slice *in);

/* How single values stand in such JSON. */
cJSON *mpjson_int(int64_t value);
cJSON *mpjson_real(double value);
cJSON *mpjson_text(struct slice text);
cJSON *mpjson_bin(struct slice bytes);

/* JSON text with ' for ", so that C sources can hold it. */
cJSON *mpjson_parse(const char *quoted);

void mpjson_bytes(const char *text, struct buf *buf);

/* Appends hexadecimal digits. */
void mpjson_hex(struct slice bytes, struct buf *buf);

#endif
