#include "tests/scenario/value.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void value_pack_str(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_hex(msgpack_packer *packer, const char *digits)
{
    size_t len = strlen(digits) / 2;
    msgpack_pack_bin(packer, len);
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        sscanf(digits + 2 * i, "%2x", &byte);
        msgpack_pack_bin_body(packer, &(unsigned char){(unsigned char)byte}, 1);
    }
}

static bool pack_number(msgpack_packer *packer, const char *word)
{
    char *end;
    long long integer = strtoll(word, &end, 10);
    if (*word != '\0' && *end == '\0') {
        msgpack_pack_int64(packer, integer);
        return true;
    }
    double real = strtod(word, &end);
    if (*word == '\0' || *end != '\0' || !isfinite(real))
        return false;
    msgpack_pack_double(packer, real);
    return true;
}

void value_pack(msgpack_packer *packer, const char *word)
{
    size_t len = strlen(word);
    if (strcmp(word, "nil") == 0)
        msgpack_pack_nil(packer);
    else if (strcmp(word, "true") == 0)
        msgpack_pack_true(packer);
    else if (strcmp(word, "false") == 0)
        msgpack_pack_false(packer);
    else if (strncmp(word, "hex:", 4) == 0)
        pack_hex(packer, word + 4);
    else if (len >= 2 && word[0] == '"' && word[len - 1] == '"')
        msgpack_pack_str_with_body(packer, word + 1, len - 2);
    else if (!pack_number(packer, word))
        value_pack_str(packer, word);
}

static void pack_item(msgpack_packer *packer, const cJSON *item)
{
    if (cJSON_IsString(item))
        value_pack_str(packer, item->valuestring);
    else if (cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble))
        msgpack_pack_int64(packer, (int64_t)item->valuedouble);
    else if (cJSON_IsNumber(item))
        msgpack_pack_double(packer, item->valuedouble);
    else if (cJSON_IsBool(item))
        cJSON_IsTrue(item) ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
    else if (cJSON_IsArray(item))
        msgpack_pack_array(packer, (size_t)cJSON_GetArraySize(item));
    else if (cJSON_IsObject(item))
        msgpack_pack_map(packer, (size_t)cJSON_GetArraySize(item));
    else
        msgpack_pack_nil(packer);
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (cJSON_IsObject(item))
            value_pack_str(packer, child->string);
        pack_item(packer, child);
    }
}

bool value_pack_json(msgpack_packer *packer, const char *json)
{
    cJSON *root = cJSON_ParseWithOpts(json, NULL, true);
    if (root == NULL)
        return false;
    pack_item(packer, root);
    cJSON_Delete(root);
    return true;
}

bool value_equals(const msgpack_object *object, const char *word)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_unpacked unpacked;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_unpacked_init(&unpacked);
    value_pack(&packer, word);
    bool equal = msgpack_unpack_next(&unpacked, buffer.data, buffer.size, NULL) == MSGPACK_UNPACK_SUCCESS &&
                 msgpack_object_equal(*object, unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&buffer);
    return equal;
}

void value_text(const msgpack_object *object, char *ret_text, size_t size)
{
    if (object->type == MSGPACK_OBJECT_STR)
        snprintf(ret_text, size, "%.*s", (int)object->via.str.size, object->via.str.ptr);
    else
        msgpack_object_print_buffer(ret_text, size, *object);
}

const msgpack_object *value_get(const msgpack_object *map, const char *key)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == strlen(key) &&
            memcmp(pair->key.via.str.ptr, key, strlen(key)) == 0)
            return &pair->val;
    }
    return NULL;
}
