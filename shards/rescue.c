#include "shards/rescue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/mend.h"
#include "shards/scope/actor.h"

enum { PAUSE_FIRST_MS = 1000, PAUSE_LAST_MS = 60000, DAMAGED_TRIES = 3 };

struct rescue {
    const struct actor_host *host;
    unsigned shard;
    struct helper *helper;
    struct timer timer; /* the next try */
    struct list patients;
    struct search {
        struct job job;
        struct rescue *rescue;
        unsigned first_slot, end_slot;
        struct buf found; /* scopes, each with its 0 */
        struct actor *(*get_actor)(void *arg, const struct scope_name *name);
        void *arg;
    } search; /* for markers, at the beginning */
};

static void on_timer(void *arg)
{
    (void)arg; /* the turn looks */
}

struct rescue *rescue_new(const struct actor_host *host, struct loop *loop, unsigned shard, struct helper *helper)
{
    struct rescue *rescue = mem_zero(1, sizeof *rescue);
    *rescue = (struct rescue){.host = host, .shard = shard, .helper = helper};
    timer_init(&rescue->timer, loop, on_timer, rescue);
    list_init(&rescue->patients);
    return rescue;
}

static void patient_free(struct patient *patient)
{
    list_remove(&patient->link);
    patient->actor->patient = NULL;
    buf_release(&patient->why);
    buf_release(&patient->next_why);
    free(patient->what);
    free(patient);
    metric_add(METRIC_SHARD_SCOPES_IN_TROUBLE, -1);
}

void rescue_free(struct rescue *rescue)
{
    if (rescue == NULL)
        return;
    timer_stop(&rescue->timer);
    LIST_FOREACH_SAFE(link, &rescue->patients)
        patient_free(LIST_ITEM(link, struct patient, link));
    buf_release(&rescue->search.found);
    free(rescue);
}

const struct list *rescue_patients(const struct rescue *rescue)
{
    return &rescue->patients;
}

/* On the helper. */

static struct patient *patient_of(struct job *job)
{
    return LIST_ITEM(job, struct patient, job);
}

static void keep(struct job *job)
{
    struct patient *patient = patient_of(job);
    struct problems problems = {0};
    bool ok = kept_collect(patient->rescue->host->data_dir, patient->rescue->shard, &patient->actor->name,
                           patient->from, patient->to, &patient->n_kept, &problems);
    patient->err = ok ? ERR_OK : ERR_IO;
    if (!ok)
        buf_printf(&patient->next_why, "%.*s", (int)problems.text.len - 1, problems.text.data);
    problems_release(&problems);
}

static bool is_marked(const struct patient *patient)
{
    char *path = scope_file_path(patient->rescue->host->data_dir, &patient->actor->name);
    enum err err = marker_find(path);
    free(path);
    return err == ERR_OK;
}

static void mend(struct job *job)
{
    struct patient *patient = patient_of(job);
    patient->err = mend_file(patient->rescue->host->data_dir, &patient->actor->name,
                             patient->n_damaged + 1 >= DAMAGED_TRIES, &patient->next_why);
    patient->is_marked = is_marked(patient);
}

/* And what came of it. */

/* The scope is what it was, or another: whoever comes next opens the file. */
static void discharge(struct patient *patient)
{
    struct actor *actor = patient->actor;
    list_remove(&actor->unsaved_link); /* the file is durable */
    patient_free(patient);
    actor_mark_dirty(actor); /* the turn lets it go if nobody is there */
}

/* Said once per change, not per try. */
static void note(struct patient *patient)
{
    struct buf before = patient->why;
    patient->why = patient->next_why;
    patient->next_why = (struct buf){0};
    if (!slice_eq(buf_slice(&before), buf_slice(&patient->why)))
        log_line(LOG_ERROR, "scope_in_trouble scope=%s after=%s why=\"%.*s\"", patient->actor->name.text, patient->what,
                 (int)patient->why.len, patient->why.data);
    buf_release(&before);
}

static void rest(struct patient *patient)
{
    patient->next_ms = clock_wall_ms() + patient->pause_ms;
    patient->pause_ms = patient->pause_ms * 2 > PAUSE_LAST_MS ? PAUSE_LAST_MS : patient->pause_ms * 2;
}

static void on_kept(struct job *job)
{
    struct patient *patient = patient_of(job);
    patient->is_working = false;
    if (patient->is_released) {
        kept_end(patient->rescue->host->data_dir, &patient->actor->name, NULL); /* they came too late */
        discharge(patient);
        return;
    }
    if (patient->err == ERR_OK) {
        patient->state = PATIENT_KEPT;
        list_remove(&patient->actor->unsaved_link); /* its records are in no segment that must stay */
    } else {
        note(patient);
    }
    rest(patient);
}

static void on_mended(struct job *job)
{
    struct patient *patient = patient_of(job);
    patient->is_working = false;
    if (patient->is_released || patient->err == ERR_OK) {
        if (!patient->is_released)
            log_line(LOG_INFO, "scope_mended scope=%s records=%zu", patient->actor->name.text, patient->n_kept);
        discharge(patient);
        return;
    }
    patient->n_damaged = patient->err == ERR_DAMAGED ? patient->n_damaged + 1 : 0;
    note(patient);
    if (patient->is_marked) {
        patient->state = PATIENT_DAMAGED;
        log_line(LOG_ERROR, "scope_damaged scope=%s why=\"%.*s\"", patient->actor->name.text, (int)patient->why.len,
                 patient->why.data);
    } else {
        rest(patient);
    }
}

/* The turns. */

static void work(struct patient *patient, void (*on_helper)(struct job *job), void (*done)(struct job *job))
{
    patient->job = (struct job){.work = on_helper, .done = done};
    list_init(&patient->job.link);
    patient->is_working = true;
    patient->next_why.len = 0;
    helper_ask(patient->rescue->helper, &patient->job);
}

/* What is not yet durable in the journal is waited for: on_durable brings a turn. */
static void begin_keeping(struct patient *patient)
{
    struct actor *actor = patient->actor;
    patient->from = actor->unsaved_from;
    patient->to = actor->unsaved_to;
    if (patient->to <= journal_durable(actor->host->journal))
        work(patient, keep, on_kept);
}

/* Takes the patient further if it is time; else says how long that is. */
static int64_t tend(struct patient *patient, int64_t now_ms)
{
    if (patient->is_working || patient->actor->is_suspended || patient->state == PATIENT_DAMAGED)
        return PAUSE_LAST_MS;
    if (patient->next_ms > now_ms && patient->next_ms <= now_ms + PAUSE_LAST_MS) /* else the clock was put back */
        return patient->next_ms - now_ms;
    if (patient->state == PATIENT_HURT)
        begin_keeping(patient);
    else
        work(patient, mend, on_mended);
    return PAUSE_LAST_MS;
}

void rescue_turn(struct rescue *rescue)
{
    if (list_is_empty(&rescue->patients))
        return;
    int64_t now_ms = clock_wall_ms(), next_ms = PAUSE_LAST_MS;
    LIST_FOREACH(link, &rescue->patients) {
        int64_t wait_ms = tend(LIST_ITEM(link, struct patient, link), now_ms);
        next_ms = wait_ms < next_ms ? wait_ms : next_ms;
    }
    timer_start(&rescue->timer, next_ms + 1);
}

/* Coming and going. */

static struct patient *admit(struct rescue *rescue, struct actor *actor, const char *what, enum patient_state state)
{
    struct patient *patient = mem_zero(1, sizeof *patient);
    patient->rescue = rescue;
    patient->actor = actor;
    patient->state = state;
    patient->what = mem_dup(slice_str(what));
    patient->since_ms = patient->next_ms = clock_wall_ms();
    patient->pause_ms = PAUSE_FIRST_MS;
    actor->patient = patient;
    list_append(&rescue->patients, &patient->link);
    metric_add(METRIC_SHARD_SCOPES_IN_TROUBLE, 1);
    actor_mark_dirty(actor); /* what it has to say leaves, and the rescue's turn comes */
    return patient;
}

void rescue_admit(struct rescue *rescue, struct actor *actor, const char *what, enum err err, struct slice why)
{
    assert(actor->patient == NULL && actor->feed.file == NULL);
    bool has_records = !list_is_empty(&actor->unsaved_link);
    struct patient *patient = admit(rescue, actor, what, has_records ? PATIENT_HURT : PATIENT_KEPT);
    if (!has_records && is_marked(patient))
        patient->state = PATIENT_DAMAGED;
    else if (!has_records)
        rest(patient);
    buf_printf(&patient->next_why, "%s: %.*s", err_text(err), (int)why.len, why.len == 0 ? "" : why.data);
    note(patient);
}

void rescue_readmit(struct rescue *rescue, struct actor *actor)
{
    struct patient *patient = admit(rescue, actor, "start", PATIENT_KEPT);
    buf_printf(&patient->next_why, "its file could not be mended before; its records are kept");
    note(patient);
    rest(patient);
}

static void add_found(void *arg, const char *marker, const char *scope, const char *why)
{
    struct search *search = arg;
    (void)marker;
    (void)why;
    buf_append(&search->found, scope, strlen(scope) + 1);
}

static void search(struct job *job)
{
    struct search *search = LIST_ITEM(job, struct search, job);
    marker_each(search->rescue->host->data_dir, search->first_slot, search->end_slot, add_found, search);
}

/* One that somebody is opening is admitted when that fails. */
static void readmit_marked(struct rescue *rescue, struct actor *actor)
{
    if (actor->patient != NULL || actor_is_busy(actor) || actor->is_suspended || actor->feed.file != NULL)
        return;
    struct patient *patient = admit(rescue, actor, "start", PATIENT_DAMAGED);
    if (!is_marked(patient)) { /* any more */
        discharge(patient);
        return;
    }
    buf_printf(&patient->next_why, "it was found damaged before");
    note(patient);
}

static void on_searched(struct job *job)
{
    struct search *search = LIST_ITEM(job, struct search, job);
    for (size_t at = 0; at < search->found.len; at += strlen(search->found.data + at) + 1) {
        struct scope_name name;
        bool is_name = scope_name_parse(slice_str(search->found.data + at), &name);
        struct actor *actor = is_name ? search->get_actor(search->arg, &name) : NULL;
        if (actor != NULL)
            readmit_marked(search->rescue, actor);
    }
}

void rescue_find_damaged(struct rescue *rescue, unsigned first_slot, unsigned end_slot,
                         struct actor *(*get_actor)(void *arg, const struct scope_name *name), void *arg)
{
    rescue->search = (struct search){.job = {.work = search, .done = on_searched},
                                     .rescue = rescue,
                                     .first_slot = first_slot,
                                     .end_slot = end_slot,
                                     .get_actor = get_actor,
                                     .arg = arg};
    list_init(&rescue->search.job.link);
    helper_ask(rescue->helper, &rescue->search.job);
}

void rescue_release(struct actor *actor)
{
    struct patient *patient = actor->patient;
    if (patient == NULL)
        return;
    patient->is_released = true;
    if (!patient->is_working)
        discharge(patient);
}
