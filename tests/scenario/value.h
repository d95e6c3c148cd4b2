/*
 * value - a word of a story as a value on the wire: nil, true, false, 5, 2.5, hex:00ff, text or "text".
 */
#ifndef SCENARIO_VALUE_H
#define SCENARIO_VALUE_H

#include <msgpack.h>
#include <stdbool.h>

void value_pack(msgpack_packer *packer, const char *word);
void value_pack_str(msgpack_packer *packer, const char *text);

/* Packs JSON text. False if it is none. Whole numbers are packed as integers. */
bool value_pack_json(msgpack_packer *packer, const char *json);

/* Whether they are the same value of the same type. */
bool value_equals(const msgpack_object *object, const char *word);

/* A string as it is, anything else as MessagePack prints it, cut to fit. */
void value_text(const msgpack_object *object, char *ret_text, size_t size);

/* The value of a map's key; NULL if it is missing. */
const msgpack_object *value_get(const msgpack_object *map, const char *key);

#endif
