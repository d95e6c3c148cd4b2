#include "shards/scope/claims.h"

#include <stdlib.h>

static char *text_of(const struct claims *claims, const char *name)
{
    const cJSON *item = claims_get(claims, name);
    return cJSON_IsString(item) && item->valuestring[0] != '\0' ? mem_dup(slice_str(item->valuestring)) : NULL;
}

bool claims_init(struct claims *claims, struct slice json)
{
    *claims = (struct claims){0};
    claims->object = cJSON_ParseWithLength(json.data, json.len);
    if (!cJSON_IsObject(claims->object)) {
        claims_release(claims);
        return false;
    }
    claims->subject = text_of(claims, "sub");
    claims->issuer = text_of(claims, "iss");
    if (claims->issuer == NULL)
        claims->issuer = mem_dup(SLICE(""));
    return true;
}

void claims_release(struct claims *claims)
{
    cJSON_Delete(claims->object);
    free(claims->subject);
    free(claims->issuer);
    *claims = (struct claims){0};
}

const cJSON *claims_get(const struct claims *claims, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(claims->object, name);
}
