#include "shards/shard.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/h2.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/metrics.h"
#include "shards/blank.h"
#include "shards/console/console.h"
#include "shards/feed/session.h"
#include "shards/gate.h"
#include "shards/log/journal.h"
#include "shards/log/kept.h"
#include "shards/rescue.h"
#include "shards/scope/actor.h"
#include "shards/slots.h"

enum {
    ACCEPT_PAUSE_MS = 100,
    REMIND_MS = 30000,     /* between boundaries of sessions that nothing concerned */
    WAITING_MAX = 1 << 20, /* bytes for a router, or behind the gate: nothing is decided until some have left */
};

enum { DECIDE_US = 8000 }; /* of one turn, over all its scopes */

enum {
    SAVES_MAX = 2,      /* under way at once: one is worked on, and the next waits */
    SAVES_MAX_HERE = 2, /* a turn, of files that a broken journal has closed */
    SAVE_PRESSURE = 4,  /* segments: for each so many that are kept, one file is saved on the loop, which has to wait */
};

struct shard {
    struct shard_options options;
    struct loop *loop;
    int slots_fd, listen_fd;
    struct watch listen;
    struct timer accept_timer;
    struct list links; /* connections from routers */
    struct table actors;
    struct list dirty;
    struct list unsaved, due; /* actors; those whose file should be saved, whatever the journal holds */
    unsigned n_saving;
    struct list collecting; /* channels */
    struct list bursts;     /* sessions */
    struct slices slices;
    struct timer burst_timer;
    struct list reminders; /* channels */
    struct timer remind_timer;
    struct journal *journal;
    struct gate gate;
    struct blank *blanks; /* by kind */
    struct helper *opener, *decider, *saver, *mender;
    struct actor_host host;
    struct console_host console_host;
    struct console *console;
    struct rescue *rescue;
};

struct link {
    struct list link;
    struct shard *shard;
    struct h2 *h2;
    bool is_lost;
};

static struct actor *find_actor(struct shard *shard, const struct scope_name *name, uint64_t hash)
{
    for (struct table_node *node = table_find(&shard->actors, hash); node != NULL; node = table_next(node)) {
        struct actor *actor = TABLE_ITEM(node, struct actor, node);
        if (scope_name_eq(&actor->name, name))
            return actor;
    }
    return NULL;
}

static const struct kind *find_kind(const struct shard *shard, const struct scope_name *name)
{
    const struct app *app = shard->options.app;
    const struct app_kind *def = app_find_kind(app, name->kind);
    if (def == NULL || !slice_eq(slice_str(app->name), name->app))
        return NULL;
    return shard->options.kinds[def - app->kinds];
}

static bool owns(const struct shard *shard, const struct scope_name *name)
{
    struct scope_hash hash = scope_hash(name);
    return route_shard(scope_slot(&hash), shard->options.n_shards) == shard->options.number;
}

static struct actor *get_actor(void *arg, const struct scope_name *name)
{
    struct shard *shard = arg;
    const struct kind *kind = find_kind(shard, name);
    if (kind == NULL || !owns(shard, name))
        return NULL;
    uint64_t hash = scope_name_hash(name);
    struct actor *actor = find_actor(shard, name, hash);
    if (actor == NULL) {
        actor = actor_new(&shard->host, name, kind);
        table_insert(&shard->actors, &actor->node, hash);
    }
    return actor;
}

/* Streams: a router's channels, and what an operator asks. */

static void *on_open(void *arg, struct h2_stream *stream, struct slice path)
{
    struct link *link = arg;
    struct scope_name name;
    if (!route_parse_sync(path, &name))
        return console_open(link->shard->console, stream, path);
    struct actor *actor = get_actor(link->shard, &name);
    return actor == NULL ? NULL : channel_new(actor, stream);
}

static void on_data(void *stream_arg, struct slice data)
{
    struct carrier *carrier = stream_arg;
    carrier->on_data(carrier, data);
}

static void on_end(void *stream_arg)
{
    struct carrier *carrier = stream_arg;
    carrier->on_end(carrier);
}

static void on_lost(void *arg)
{
    struct link *link = arg;
    link->is_lost = true; /* freed in the turn */
}

static const struct h2_handlers HANDLERS = {
    .on_open = on_open, .on_data = on_data, .on_end = on_end, .on_lost = on_lost};

static void resume_accepting(void *arg)
{
    struct shard *shard = arg;
    watch_want(&shard->listen, WATCH_READ);
}

/* Without a free descriptor the listening socket would stay ready for ever. */
static void pause_accepting(struct shard *shard)
{
    log_line(LOG_WARN, "accept_paused shard=%u why=\"%s\"", shard->options.number, strerror(errno));
    watch_want(&shard->listen, 0);
    timer_start(&shard->accept_timer, ACCEPT_PAUSE_MS);
}

static void on_listen(void *arg, unsigned ready)
{
    struct shard *shard = arg;
    (void)ready;
    int fd = accept4(shard->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            pause_accepting(shard);
        return;
    }
    struct link *link = mem_zero(1, sizeof *link);
    link->shard = shard;
    link->h2 = h2_new(shard->loop, fd, true, &HANDLERS, link);
    list_append(&shard->links, &link->link);
}

/* The turn. */

static void end_due_bursts(struct shard *shard)
{
    int64_t now_us = clock_mono_us();
    LIST_FOREACH_SAFE(link, &shard->bursts) {
        struct session *session = LIST_ITEM(link, struct session, burst_link);
        int64_t left_us = session->last_sub_us + SESSION_BURST_MS * 1000 - now_us;
        if (left_us > 0) {
            timer_start(&shard->burst_timer, left_us / 1000 + 1);
            return;
        }
        session_end_burst(session);
        actor_mark_dirty(session->channel->actor);
    }
}

/* So that no cursor falls below the floor while the log goes on. */
static void remind(void *arg)
{
    struct shard *shard = arg;
    struct list *link;
    while ((link = list_pop(&shard->reminders)) != NULL) {
        struct channel *channel = LIST_ITEM(link, struct channel, reminder_link);
        channel->is_reminder_due = true;
        actor_mark_dirty(channel->actor);
    }
    timer_start(&shard->remind_timer, REMIND_MS);
}

static void on_burst_timer(void *arg)
{
    (void)arg; /* the turn looks */
}

/* As many as there is time for: nothing of a turn is released before all of it is decided. The others come first in the
 * next one. */
static void decide(struct shard *shard, struct list *ret_turn)
{
    struct list waiting, *link;
    int64_t until_us = clock_mono_us() + DECIDE_US;
    list_init(&waiting);
    list_move(&waiting, &shard->dirty);
    do {
        link = list_pop(&waiting);
        list_append(ret_turn, link);
        actor_decide(LIST_ITEM(link, struct actor, dirty_link));
    } while (!list_is_empty(&waiting) && clock_mono_us() < until_us);
    list_move(&waiting, &shard->dirty);
    list_move(&shard->dirty, &waiting);
}

static void make_due(struct shard *shard, struct actor *actor)
{
    if (list_is_empty(&actor->due_link))
        list_append(&shard->due, &actor->due_link);
}

/* A scope that nobody uses closes; its file must be durable by itself first. */
static void close_if_idle(struct shard *shard, struct actor *actor)
{
    if (!actor_is_idle(actor))
        return;
    if (!list_is_empty(&actor->unsaved_link)) {
        make_due(shard, actor); /* its turn comes when it is saved */
        return;
    }
    table_remove(&shard->actors, &actor->node);
    actor_free(actor);
}

static void release(struct shard *shard, struct list *turn)
{
    struct list *link;
    while ((link = list_pop(turn)) != NULL) {
        struct actor *actor = LIST_ITEM(link, struct actor, dirty_link);
        bool has_more = actor_release(actor);
        if (actor_is_heavy(actor))
            make_due(shard, actor);
        if (has_more)
            actor_mark_dirty(actor);
        else
            close_if_idle(shard, actor);
    }
}

/* What the turn gave to sessions waits until everything that it reveals is durable. */
static void hold_outputs(struct shard *shard)
{
    uint64_t position = journal_position(shard->journal);
    struct list *link;
    while ((link = list_pop(&shard->collecting)) != NULL)
        gate_hold(&shard->gate, LIST_ITEM(link, struct channel, collecting_link), position);
}

static void on_durable(void *arg)
{
    struct shard *shard = arg;
    gate_advance(&shard->gate, journal_durable(shard->journal));
}

/* What the gate holds depends on what is lost, and so may files be: each is opened again when it is needed. */
static void on_broken(void *arg)
{
    struct shard *shard = arg;
    uint64_t position = journal_position(shard->journal);
    gate_break(&shard->gate);
    LIST_FOREACH(link, &shard->unsaved)
        actor_break(LIST_ITEM(link, struct actor, unsaved_link), position);
}

static const struct journal_handlers JOURNAL_HANDLERS = {on_durable, on_broken};

/* Beside the loop, if one more may be; else on it, if that is among the `most` of this turn. */
static bool save(struct shard *shard, struct actor *actor, uint64_t *n_here, uint64_t most)
{
    if (actor->feed.file != NULL && shard->n_saving < SAVES_MAX) {
        actor_begin_save(actor);
        return true;
    }
    if (actor->feed.file == NULL)
        most += SAVES_MAX_HERE;
    if (*n_here >= most)
        return false;
    ++*n_here;
    if (actor_save(actor))
        actor_mark_dirty(actor); /* the turn lets it go if nobody is there */
    return true;
}

static bool can_save(const struct actor *actor, int64_t now_us)
{
    return !actor_is_busy(actor) && !list_is_empty(&actor->unsaved_link) && actor->save_after_us <= now_us;
}

/* Those with much in their write-ahead log, and those that close. */
static void save_due(struct shard *shard, int64_t now_us, uint64_t *n_here)
{
    while (!list_is_empty(&shard->due)) {
        struct actor *actor = LIST_ITEM(shard->due.next, struct actor, due_link);
        if (can_save(actor, now_us) && !save(shard, actor, n_here, 0))
            return;
        list_remove(&actor->due_link);
    }
}

/* Those that keep the oldest segments. One that fails is passed over for a while: the others go on. */
static void save_oldest(struct shard *shard, uint64_t position, int64_t now_us, uint64_t *n_here)
{
    uint64_t segment = journal_options(shard->journal)->segment_bytes;
    LIST_FOREACH_SAFE(link, &shard->unsaved) {
        struct actor *actor = LIST_ITEM(link, struct actor, unsaved_link);
        uint64_t distance = position - actor->unsaved_from;
        if (distance <= segment)
            return;
        if (can_save(actor, now_us) && !save(shard, actor, n_here, distance / segment / SAVE_PRESSURE))
            return;
    }
}

/* Checkpoints, a few at a time. */
static void pace_saves(struct shard *shard)
{
    int64_t now_us = clock_mono_us();
    uint64_t n_here = 0, oldest = journal_position(shard->journal);
    save_due(shard, now_us, &n_here);
    save_oldest(shard, oldest, now_us, &n_here);
    if (!list_is_empty(&shard->unsaved))
        oldest = LIST_ITEM(shard->unsaved.next, struct actor, unsaved_link)->unsaved_from;
    journal_release(shard->journal, oldest);
}

/* Else one that comes back brings a turn. */
static bool can_save_more(const struct shard *shard)
{
    return !list_is_empty(&shard->due) && shard->n_saving < SAVES_MAX;
}

static void flush_links(struct shard *shard)
{
    LIST_FOREACH_SAFE(link, &shard->links) {
        struct link *router = LIST_ITEM(link, struct link, link);
        h2_flush(router->h2);
        if (!router->is_lost)
            continue;
        list_remove(&router->link);
        h2_free(router->h2);
        free(router);
    }
}

/* What a turn leads to has to go somewhere: to the disk, and to the routers. */
static bool can_decide(const struct shard *shard)
{
    LIST_FOREACH(link, &shard->links)
        if (h2_waiting(LIST_ITEM(link, struct link, link)->h2) > WAITING_MAX)
            return false;
    return !list_is_empty(&shard->dirty) && !journal_is_full(shard->journal) && shard->gate.bytes <= WAITING_MAX;
}

static bool turn(void *arg)
{
    struct shard *shard = arg;
    struct list decided;
    list_init(&decided);
    if (can_decide(shard)) {
        metric_add(METRIC_SHARD_TURNS, 1);
        decide(shard, &decided);
        journal_flush(shard->journal);
        release(shard, &decided);
        hold_outputs(shard);
    }
    bool console_has_more = console_turn(shard->console);
    end_due_bursts(shard); /* last, so that the timer knows of those that began in this turn */
    flush_links(shard);
    pace_saves(shard);
    rescue_turn(shard->rescue);
    return console_has_more || can_save_more(shard) || can_decide(shard);
}

/* The beginning and the end. */

static bool allows_blank(void *arg, const struct kind *kind, const struct scope_name *name, const struct claims *claims,
                         int64_t now_ms)
{
    struct shard *shard = arg;
    return blank_allows(&shard->blanks[kind->def - shard->options.app->kinds], kind, name, claims, now_ms);
}

static void on_failed_file(void *arg, struct actor *actor, const char *what, enum err err, struct slice why)
{
    struct shard *shard = arg;
    rescue_admit(shard->rescue, actor, what, err, why);
}

/* Who connects is believed every claim, so nobody else may: the folder may be one that all can enter. */
static bool listen_at(struct shard *shard, struct problems *problems)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/shard-%u.sock", shard->options.run_dir,
                       shard->options.number);
    if (len < 0 || (size_t)len >= sizeof address.sun_path) {
        problems_add(problems, "%s: too long for a socket's path (%zu bytes at most); choose another folder with --run",
                     shard->options.run_dir, sizeof address.sun_path - 16);
        return false;
    }
    unlink(address.sun_path);
    shard->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (shard->listen_fd < 0 || bind(shard->listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(address.sun_path, 0600) < 0 || listen(shard->listen_fd, SOMAXCONN) < 0) {
        problems_add(problems, "%s: %s", address.sun_path, strerror(errno));
        return false;
    }
    return true;
}

struct shard *shard_new(const struct shard_options *options, struct problems *problems)
{
    struct shard *shard = mem_zero(1, sizeof *shard);
    unsigned number = options->number, n = options->n_shards;
    shard->options = *options;
    shard->listen_fd = -1;
    list_init(&shard->links);
    struct list *lists[] = {&shard->dirty,      &shard->unsaved,   &shard->due,
                            &shard->collecting, &shard->reminders, &shard->bursts};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    slices_init(&shard->slices);
    gate_init(&shard->gate);
    shard->loop = loop_new(turn, shard);
    shard->opener = helper_new(shard->loop);
    shard->decider = helper_new(shard->loop);
    shard->saver = helper_new(shard->loop);
    shard->mender = helper_new(shard->loop);
    timer_init(&shard->burst_timer, shard->loop, on_burst_timer, shard);
    timer_init(&shard->accept_timer, shard->loop, resume_accepting, shard);
    timer_init(&shard->remind_timer, shard->loop, remind, shard);
    timer_start(&shard->remind_timer, REMIND_MS);
    shard->blanks = mem_zero(options->app->n_kinds, sizeof *shard->blanks);
    shard->host = (struct actor_host){.shard = shard,
                                      .data_dir = options->data_dir,
                                      .slices = &shard->slices,
                                      .dirty = &shard->dirty,
                                      .unsaved = &shard->unsaved,
                                      .collecting = &shard->collecting,
                                      .reminders = &shard->reminders,
                                      .bursts = &shard->bursts,
                                      .allows_blank = allows_blank,
                                      .on_failed_file = on_failed_file,
                                      .opener = shard->opener,
                                      .decider = shard->decider,
                                      .saver = shard->saver,
                                      .n_saving = &shard->n_saving};
    shard->console_host = (struct console_host){.loop = shard->loop,
                                                .number = number,
                                                .n_shards = n,
                                                .actor_host = &shard->host,
                                                .helper = shard->mender,
                                                .actors = &shard->actors,
                                                .gate = &shard->gate,
                                                .get_actor = get_actor};
    shard->slots_fd =
        slots_lock(options->data_dir, route_first_slot(number, n), route_first_slot(number + 1, n), problems);
    if (shard->slots_fd < 0 || !listen_at(shard, problems)) {
        shard_free(shard);
        return NULL;
    }
    watch_init(&shard->listen, shard->loop, shard->listen_fd, on_listen, shard);
    watch_want(&shard->listen, WATCH_READ);
    return shard;
}

/* Its file could not be mended at the start. */
static void readmit(void *arg, const struct scope_name *name)
{
    struct shard *shard = arg;
    struct actor *actor = get_actor(shard, name);
    if (actor != NULL)
        rescue_readmit(shard->rescue, actor);
}

bool shard_open_journal(struct shard *shard, struct problems *problems)
{
    char *dir = NULL;
    if (asprintf(&dir, "%s/journal/%u", shard->options.data_dir, shard->options.number) < 0)
        abort();
    shard->journal = journal_open(dir, &shard->options.journal, shard->loop, &JOURNAL_HANDLERS, shard, problems);
    shard->host.journal = shard->journal;
    shard->rescue = rescue_new(&shard->host, shard->loop, shard->options.number, shard->mender);
    shard->console_host.rescue = shard->rescue;
    bool are_readmitted = kept_each(shard->options.data_dir, readmit, shard, problems);
    shard->console = console_new(&shard->console_host);
    unsigned number = shard->options.number, n = shard->options.n_shards;
    rescue_find_damaged(shard->rescue, route_first_slot(number, n), route_first_slot(number + 1, n), get_actor, shard);
    free(dir);
    return shard->journal != NULL && are_readmitted;
}

static void free_links(struct shard *shard)
{
    LIST_FOREACH_SAFE(link, &shard->links) {
        struct link *router = LIST_ITEM(link, struct link, link);
        h2_free(router->h2);
        free(router);
    }
}

static void free_actors(struct shard *shard)
{
    struct table_node *node;
    while ((node = table_any(&shard->actors)) != NULL) {
        table_remove(&shard->actors, node);
        actor_free(TABLE_ITEM(node, struct actor, node));
    }
    table_release(&shard->actors);
}

/* Whether nothing is left that only the journal holds. */
static bool save_all(struct shard *shard)
{
    bool ok = true;
    LIST_FOREACH_SAFE(link, &shard->unsaved) {
        struct actor *actor = LIST_ITEM(link, struct actor, unsaved_link);
        actor->is_away = false; /* the helper threads have ended */
        ok = actor_save(actor) && ok;
    }
    return ok;
}

static void free_blanks(struct shard *shard)
{
    for (size_t i = 0; i < shard->options.app->n_kinds; i++)
        blank_release(&shard->blanks[i]);
    free(shard->blanks);
}

void shard_free(struct shard *shard)
{
    atomic_store(&shard->host.is_ending, true);
    helper_free(shard->decider); /* ends what is under way; then all actors are this thread's */
    helper_free(shard->opener);
    helper_free(shard->saver);
    helper_free(shard->mender);
    if (shard->listen_fd >= 0) {
        watch_release(&shard->listen);
        close(shard->listen_fd);
    }
    free_links(shard);
    console_free(shard->console);
    gate_release(&shard->gate);
    bool is_saved = save_all(shard);
    rescue_free(shard->rescue);
    free_actors(shard);
    journal_close(shard->journal, is_saved);
    free_blanks(shard);
    timer_stop(&shard->burst_timer);
    timer_stop(&shard->remind_timer);
    timer_stop(&shard->accept_timer);
    loop_free(shard->loop);
    if (shard->slots_fd >= 0)
        close(shard->slots_fd);
    free(shard);
}

void shard_run(struct shard *shard)
{
    loop_run(shard->loop);
}

void shard_stop(struct shard *shard)
{
    loop_stop(shard->loop);
}
