/*
 * story - one schedule: scopes, clients with their habits, disasters; then quiet, and everything is held against what
 * the files say.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "tests/sim/check.h"
#include "tests/sim/sim.h"

#define APP       TESTS_SIM "/app"
#define APP_LATER TESTS_SIM "/app-later"

enum {
    SCOPES_MAX = 4,
    GUESTS_MAX = 6,
    GUESTS_MIN = 3,
    OPERATIONS_MIN = 300,
    DISASTERS_MIN = 3,
    SECOND_US = 1000000,
    PATIENCE_US = 600 * SECOND_US, /* for all to be answered once nothing fails any more */
    QUIET_US = SECOND_US,
    STUMBLE_US = 2 * SECOND_US,
    MANY_LARGE = 6,
    SHORT_TEXT = 60,
    LONG_TEXT = 6000,
};

struct story {
    const struct theme *theme;
    struct loop *loop;
    struct history *histories[SCOPES_MAX];
    size_t n_scopes;
    struct guest *guests[GUESTS_MAX];
    size_t n_guests;
    size_t scope_of[GUESTS_MAX];
    bool has_changed_app;
};

/* What a schedule is about: some faults hit more often in it, and the others less. */

enum { THEME_FAULTS_MAX = 16 };

#define LONG_TEXTS "long texts"

static const struct theme {
    const char *name;
    uint32_t factor;
    int faults[THEME_FAULTS_MAX]; /* ended by -1 */
} THEMES[] = {
    {"everything", 1, {-1}},
    {"power", 5, {SIM_POWER_CUT, SIM_CRASH_BOTH, SIM_SHORT_WRITE, -1}},
    {"crashes", 5, {SIM_CRASH_WORKER, SIM_CRASH_ROUTER, SIM_CRASH_BOTH, SIM_DROP_LINK, -1}},
    {"disks",
     5,
     {SIM_OPEN_FAILS, SIM_LOOK_FAILS, SIM_READ_FAILS, SIM_SHORT_READ, SIM_WRITE_FAILS, SIM_SHORT_WRITE, SIM_TORN_WRITE,
      SIM_SYNC_FAILS, SIM_RENAME_FAILS, SIM_UNLINK_FAILS, SIM_MKDIR_FAILS, SIM_TRUNCATE_FAILS, SIM_BAD_FILE, -1}},
    {"full disks", 5, {SIM_DISK_FULL, SIM_SHORT_WRITE, SIM_POWER_CUT, -1}},
    {"networks",
     5,
     {SIM_SHORT_RECV, SIM_SHORT_SEND, SIM_SEND_AGAIN, SIM_DELAY, SIM_DROP_CLIENT, SIM_DROP_LINK, SIM_REFUSE_CONNECT,
      SIM_SLOW_READER, -1}},
    {"clocks", 5, {SIM_CLOCK_BACK, SIM_CLOCK_FORWARD, SIM_SLOW_STATEMENT, SIM_CRASH_WORKER, -1}},
    {LONG_TEXTS, 8, {SIM_BAD_FILE, SIM_POWER_CUT, -1}}, /* the journal is used again while a file needs it */
    {"long statements", 50, {SIM_SLOW_STATEMENT, -1}},
};

enum { N_THEMES = sizeof THEMES / sizeof *THEMES };

static void choose_weights(const struct theme *theme, uint32_t weights[SIM_FAULT_N])
{
    bool is_special = theme->faults[0] >= 0;
    for (size_t i = 0; i < SIM_FAULT_N; i++)
        weights[i] = is_special ? SIM_WEIGHTS[i] / 3 : SIM_WEIGHTS[i];
    for (size_t i = 0; theme->faults[i] >= 0; i++)
        weights[theme->faults[i]] = SIM_WEIGHTS[theme->faults[i]] * theme->factor;
}

/* Who takes part. */

static bool has_long_texts(const struct story *story)
{
    return strcmp(story->theme->name, LONG_TEXTS) == 0;
}

static struct habits random_habits(const struct story *story)
{
    bool is_long = has_long_texts(story) || sim_random(16) == 0;
    return (struct habits){.is_v1 = sim_random(2) == 0,
                           .tick_ms = 1 + sim_random(12),
                           .in_flight = 1 + sim_random(8),
                           .large_one_in = sim_random(6) == 0 ? MANY_LARGE : 30 + sim_random(300),
                           .len_max = is_long ? LONG_TEXT : SHORT_TEXT,
                           .drops = sim_random(25),
                           .pauses = sim_random(25),
                           .twice = sim_random(150),
                           .again = sim_random(60),
                           .resubscribes = sim_random(60)};
}

/* Two by two they have one identity, but for some. */
static void add_guests(struct story *story)
{
    assert(story->n_scopes > 0);
    story->n_guests = GUESTS_MIN + sim_random(GUESTS_MAX - GUESTS_MIN + 1);
    for (size_t i = 0; i < story->n_guests; i++) {
        struct habits habits = random_habits(story);
        size_t scope = i % story->n_scopes;
        unsigned user = (unsigned)(i / story->n_scopes / 2);
        story->scope_of[i] = scope;
        story->guests[i] = guest_new(story->loop, story->histories[scope], (unsigned)i, user, &habits);
        for (size_t j = 0; j < i; j++) {
            if (story->scope_of[j] != scope || j / story->n_scopes / 2 != user)
                continue;
            guest_befriend(story->guests[i], story->guests[j]);
            guest_befriend(story->guests[j], story->guests[i]);
        }
    }
}

static void give_work(struct story *story, unsigned n_transactions)
{
    for (size_t i = 0; i < story->n_guests; i++)
        guest_give(story->guests[i], n_transactions / (unsigned)story->n_guests + 1);
}

static bool turn_of_guests(void *arg)
{
    (void)arg;
    return false;
}

static void begin(struct story *story, uint64_t seed)
{
    struct sim_options options = {.seed = seed, .app_dir = APP, .n_shards = 1 + (unsigned)(seed / N_THEMES % 2)};
    story->theme = &THEMES[seed % N_THEMES];
    choose_weights(story->theme, options.weights);
    sim_begin(&options);
    sim_note("theme %s", story->theme->name);
    story->loop = loop_new(turn_of_guests, NULL);
    story->n_scopes = 1 + sim_random(3) * sim_random(2) + (sim_random(8) == 0);
    if (story->n_scopes == 1 && has_long_texts(story))
        story->n_scopes = 2;
    for (size_t i = 0; i < story->n_scopes; i++) {
        char name[32];
        snprintf(name, sizeof name, "sim/room/s%zu", i);
        story->histories[i] = history_new(name);
    }
    add_guests(story);
}

/* What happens. */

static bool are_done(void *arg)
{
    const struct story *story = arg;
    for (size_t i = 0; i < story->n_guests; i++)
        if (!guest_is_done(story->guests[i]))
            return false;
    return true;
}

static bool is_anyone_there(void *arg)
{
    const struct story *story = arg;
    for (size_t i = 0; i < story->n_guests; i++)
        if (guest_is_connected(story->guests[i]))
            return true;
    return false;
}

static bool is_nobody_there(void *arg)
{
    return !is_anyone_there(arg);
}

/* A worker that has hardly begun is gone again, and soon after its heir the power: what the first one committed had not
 * reached its journal, and was served by the second one. */
static void stumble(struct story *story)
{
    for (int i = 0; i < 2; i++) {
        sim_crash(SIM_WORKER);
        sim_run(is_nobody_there, story, STUMBLE_US);
        sim_run(is_anyone_there, story, STUMBLE_US);
        sim_run(NULL, NULL, sim_random(i == 0 ? 3000 : 60000));
    }
    sim_cut_power();
}

static void strike(struct story *story)
{
    switch (sim_random(6)) {
    case 0:
        sim_crash(SIM_ROUTER);
        break;
    case 1:
        sim_crash(SIM_WORKER);
        break;
    case 2:
        sim_crash(SIM_ROUTER);
        sim_crash(SIM_WORKER);
        break;
    case 3:
        stumble(story);
        break;
    default:
        sim_cut_power();
    }
}

static void settle(struct story *story)
{
    sim_calm();
    if (!sim_run(are_done, story, PATIENCE_US))
        sim_fail("nothing fails any more, but not all is answered and given");
    if (!sim_quiet(QUIET_US, PATIENCE_US))
        sim_fail("it does not become quiet");
}

static struct truth look(const struct story *story, size_t scope)
{
    const struct history *history = story->histories[scope];
    if (sim_scope_is_damaged(history->name.text))
        sim_fail("%s is said to be damaged", history->name.text);
    sqlite3 *file = sim_open_scope(history->name.text);
    struct truth truth = check_file(history, file);
    sqlite3_close(file);
    check_history(&truth);
    return truth;
}

/* In the middle: what is in the files must fit by now. At times the application is another afterwards. */
static void pause_and_look(struct story *story)
{
    bool may_change = true;
    sim_calm();
    sim_stop();
    for (size_t i = 0; i < story->n_scopes; i++)
        may_change = look(story, i).floor != 0 && may_change; /* else it would not be seen whose rows it began with */
    if (may_change && !story->has_changed_app && sim_random(2) == 0) {
        sim_change_app(APP_LATER);
        story->has_changed_app = true;
    }
    sim_start();
    sim_faults();
}

static void look_at_all(struct story *story)
{
    struct truth truths[SCOPES_MAX];
    sim_stop();
    for (size_t i = 0; i < story->n_scopes; i++)
        truths[i] = look(story, i);
    for (size_t i = 0; i < story->n_guests; i++)
        check_guest(story->guests[i], &truths[story->scope_of[i]]);
}

void story_prepare(void)
{
    sim_load_app(APP_LATER);
    sim_load_app(APP);
}

void story_play(uint64_t seed)
{
    struct story story = {0};
    begin(&story, seed);
    give_work(&story, OPERATIONS_MIN);
    for (uint32_t i = 0, n = DISASTERS_MIN + sim_random(4); i < n; i++) {
        sim_run(are_done, &story, 1000 + sim_random(400) * 1000);
        if (are_done(&story))
            give_work(&story, OPERATIONS_MIN / 4);
        if (sim_random(8) == 0)
            pause_and_look(&story);
        else
            strike(&story);
    }
    settle(&story);
    if (sim_random(2) == 0) {
        sim_cut_power();
        settle(&story);
    }
    look_at_all(&story);
}
