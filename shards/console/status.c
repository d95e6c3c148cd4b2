/*
 * status - how a shard is, and which of its scopes are in trouble: the answer to /status.
 *
 * Scopes that a start has found damaged are known only by the markers beside their files, so the folders are read, on
 * the helper: a person has asked, and that a moment later is soon enough.
 */
#include <stdlib.h>

#include "shards/console/errand.h"
#include "shards/gate.h"
#include "shards/log/marker.h"
#include "shards/rescue.h"
#include "shards/scope/actor.h"

enum { LISTED_MAX = 1000 };

struct status {
    struct errand errand;
    cJSON *damaged; /* a list of {scope, why}; complete once `is_complete` */
    bool is_complete;
};

static struct status *status_of(struct errand *errand)
{
    return (struct status *)(void *)errand;
}

/* The scopes that are marked damaged. */

static void add_damaged(void *arg, const char *marker, const char *scope, const char *why)
{
    cJSON *list = arg;
    if (cJSON_GetArraySize(list) >= LISTED_MAX)
        return;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "why", why);
    cJSON_AddStringToObject(item, "scope", scope);
    cJSON_AddStringToObject(item, "marker", marker);
    cJSON_AddItemToArray(list, item);
}

static void find_damaged(struct job *job)
{
    struct errand *errand = errand_of(job);
    const struct console_host *host = errand->host;
    marker_each(host->actor_host->data_dir, route_first_slot(host->number, host->n_shards),
                route_first_slot(host->number + 1, host->n_shards), add_damaged, status_of(errand)->damaged);
    status_of(errand)->is_complete = true;
}

/* The answer. */

static void add_number(cJSON *object, const char *name, uint64_t number)
{
    cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_actors(cJSON *answer, const struct table *actors)
{
    uint64_t n_sessions = 0, n_unsaved = 0;
    for (size_t i = 0; i < actors->n_heads; i++)
        for (struct table_node *node = actors->heads[i]; node != NULL; node = node->next) {
            const struct actor *actor = TABLE_ITEM(node, struct actor, node);
            LIST_FOREACH(link, &actor->sessions)
                n_sessions++;
            n_unsaved += !list_is_empty(&actor->unsaved_link);
        }
    add_number(answer, "scopes", actors->n);
    add_number(answer, "sessions", n_sessions);
    add_number(answer, "unsaved", n_unsaved);
}

static void add_journal(cJSON *answer, const struct journal *journal)
{
    cJSON *object = cJSON_AddObjectToObject(answer, "journal");
    struct journal_status status;
    journal_look(journal, &status);
    add_number(object, "position", status.position);
    add_number(object, "durable", status.durable);
    add_number(object, "segments", status.n_segments);
    cJSON_AddStringToObject(object, "state", status.is_broken ? "broken" : status.has_room ? "ok" : "full");
    if (status.doing != NULL) {
        cJSON_AddStringToObject(object, "doing", status.doing);
        cJSON_AddStringToObject(object, "error", strerror(status.error));
    }
}

static const char *state_of(const struct patient *patient)
{
    return patient->state == PATIENT_KEPT ? "kept" : "closed";
}

static void add_patients(cJSON *answer, const struct rescue *rescue)
{
    cJSON *list = cJSON_AddArrayToObject(answer, "trouble");
    LIST_FOREACH(link, rescue_patients(rescue)) {
        const struct patient *patient = LIST_ITEM(link, struct patient, link);
        if (patient->state == PATIENT_DAMAGED)
            continue; /* it has a marker */
        cJSON *item = cJSON_CreateObject();
        char *why = mem_dup(buf_slice(&patient->why));
        cJSON_AddStringToObject(item, "scope", patient->actor->name.text);
        cJSON_AddStringToObject(item, "state", state_of(patient));
        cJSON_AddStringToObject(item, "after", patient->what);
        cJSON_AddStringToObject(item, "why", why);
        add_number(item, "kept", patient->n_kept);
        add_number(item, "sinceMs", (uint64_t)patient->since_ms);
        add_number(item, "nextMs", (uint64_t)patient->next_ms);
        cJSON_AddItemToArray(list, item);
        free(why);
    }
}

/* They are served, but for what the disk has no room for. */
static void add_full(cJSON *answer, const struct table *actors)
{
    cJSON *list = cJSON_AddArrayToObject(answer, "full");
    for (size_t i = 0; i < actors->n_heads; i++)
        for (struct table_node *node = actors->heads[i]; node != NULL; node = node->next) {
            const struct actor *actor = TABLE_ITEM(node, struct actor, node);
            int64_t since_ms;
            const char *why = actor_lacks_room(actor, &since_ms);
            if (why == NULL || cJSON_GetArraySize(list) >= LISTED_MAX)
                continue;
            cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "scope", actor->name.text);
            cJSON_AddStringToObject(item, "why", why);
            add_number(item, "sinceMs", (uint64_t)since_ms);
            cJSON_AddItemToArray(list, item);
        }
}

static void add_gate(cJSON *answer, const struct gate *gate)
{
    uint64_t n = 0;
    cJSON *object = cJSON_AddObjectToObject(answer, "gate");
    LIST_FOREACH(link, &gate->held)
        n++;
    add_number(object, "held", n);
}

static void answer(struct errand *errand)
{
    struct status *status = status_of(errand);
    const struct console_host *host = errand->host;
    cJSON *answer = cJSON_CreateObject();
    add_number(answer, "shard", host->number);
    add_number(answer, "shards", host->n_shards);
    add_actors(answer, host->actors);
    add_journal(answer, host->actor_host->journal);
    add_gate(answer, host->gate);
    add_patients(answer, host->rescue);
    add_full(answer, host->actors);
    cJSON_AddItemToObject(answer, "damaged", status->damaged);
    status->damaged = NULL;
    errand_answer(errand, &answer);
}

static void begin(struct errand *errand)
{
    status_of(errand)->damaged = cJSON_CreateArray();
    errand_work(errand, find_damaged);
}

static bool turn(struct errand *errand)
{
    struct status *status = status_of(errand);
    if (status->is_complete && status->damaged != NULL)
        answer(errand);
    return false;
}

static void end(struct errand *errand)
{
    cJSON_Delete(status_of(errand)->damaged);
}

const struct errand_type STATUS_ERRAND = {
    .name = "status", .size = sizeof(struct status), .begin = begin, .turn = turn, .end = end};
