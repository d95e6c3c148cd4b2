/*
 * journal_command - `skerry journal`: what the journals of a data folder hold, whether they are whole, and what to do
 * when they are not. No server may have the folder meanwhile.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/route.h"
#include "shards/log/reader.h"
#include "shards/log/repair.h"
#include "shards/log/scoperecord.h"
#include "shards/slots.h"
#include "src/control/commands.h"
#include "src/control/usage.h"

enum { JOURNAL_DATA = 1 << 0, JOURNAL_JSON = 1 << 1 };

static const struct usage USAGE = {
    .command = "journal",
    .arguments = "show|verify|repair",
    .n_arguments = 1,
    .allowed = JOURNAL_DATA | JOURNAL_JSON,
    .about = "Looks into the journals of a data folder that no server has open.\n\n"
             "  show    lists segments and records\n"
             "  verify  says whether they are whole\n"
             "  repair  gives up what a damaged journal cannot give back: the rest is replayed, the journal's\n"
             "          folder is moved aside, and every client gets a reset. Copy the data folder first",
    .success = "the journals are whole, or repaired",
    .failure = "one is damaged, or cannot be read",
};

static const struct usage_option OPTIONS[] = {
    {"data", "DIR", "the data folder (default: data)", JOURNAL_DATA},
    {"json", NULL, "an object a line (default: text)", JOURNAL_JSON},
    {0},
};

struct arguments {
    const char *action, *data_dir;
    bool json;
};

/* One journal, as it is listed. */
struct listing {
    const struct arguments *arguments;
    struct reader reader;
    size_t n_records;
    bool is_rest; /* records that do not count */
};

/* ---- lines ---- */

static const char *const TYPES[] = {
    [SCOPERECORD_CHANGES] = "changes",
    [SCOPERECORD_BARRIER] = "barrier",
    [SCOPERECORD_RESTORE] = "restore",
};

static const char *const STATES[] = {
    [READER_WHOLE] = "whole",
    [READER_TORN] = "torn",
    [READER_DAMAGED] = "damaged",
};

/* Of what has more bits than a number of JSON may rely on, but is one all the same. */
static void add_number(cJSON *object, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add_number(cJSON *object, const char *name, const char *format, ...)
{
    char text[32];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cJSON_AddRawToObject(object, name, text);
}

static void print_object(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_segment(const struct listing *listing, const struct reader_segment *segment)
{
    bool is_used = segment->header.generation != 0;
    if (!listing->arguments->json) {
        printf("  %s  %zu bytes  ", strrchr(segment->path, '/') + 1, segment->bytes.len);
        if (is_used)
            printf("generation %" PRIu64 ", from position %" PRIu64 ", %zu bytes of records\n",
                   segment->header.generation, segment->header.position, segment->read - SEGMENT_HEADER);
        else
            printf("not in use\n");
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "segment", segment->path);
    add_number(object, "bytes", "%zu", segment->bytes.len);
    if (is_used) {
        add_number(object, "generation", "%" PRIu64, segment->header.generation);
        add_number(object, "position", "%" PRIu64, segment->header.position);
        add_number(object, "record_bytes", "%zu", segment->read - SEGMENT_HEADER);
    }
    print_object(object);
}

static void print_record_object(const struct listing *listing, const struct record *record,
                                const struct scoperecord *scope)
{
    cJSON *object = cJSON_CreateObject();
    char *name = mem_dup(scope->scope);
    cJSON_AddStringToObject(object, "journal", listing->reader.dir);
    add_number(object, "position", "%" PRIu64, record->position);
    add_number(object, "bytes", "%zu", record->len);
    cJSON_AddBoolToObject(object, "counts", !listing->is_rest);
    cJSON_AddStringToObject(object, "type", TYPES[scope->type]);
    cJSON_AddStringToObject(object, "scope", name);
    add_number(object, "incarnation", "%" PRId64, scope->incarnation);
    add_number(object, "tx", "%" PRId64, scope->tx);
    add_number(object, "first_seq", "%" PRIu64, scope->first_seq);
    add_number(object, "last_seq", "%" PRIu64, scope->last_seq);
    add_number(object, "change_bytes", "%zu", scope->changes.len);
    print_object(object);
    free(name);
}

static bool print_record(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct listing *listing = arg;
    struct scoperecord scope;
    (void)segment;
    if (!scoperecord_read(record->payload, &scope))
        fprintf(stderr, "skerry journal: %s: the record at %" PRIu64 " is of a kind that this version does not know\n",
                listing->reader.dir, record->position);
    else if (listing->arguments->json)
        print_record_object(listing, record, &scope);
    else
        printf("  %s%" PRIu64 "  %s  %.*s  incarnation %" PRId64 "  tx %" PRId64 "  seq %" PRIu64 "-%" PRIu64
               "  %zu bytes\n",
               listing->is_rest ? "does not count: " : "", record->position, TYPES[scope.type], (int)scope.scope.len,
               scope.scope.data, scope.incarnation, scope.tx, scope.first_seq, scope.last_seq, scope.changes.len);
    return true;
}

static bool count_record(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct listing *listing = arg;
    (void)segment;
    (void)record;
    listing->n_records++;
    return true;
}

/* What there is to say of the whole journal, in one line. */
static void print_journal(const struct listing *listing, enum reader_state state)
{
    static const char *const MEANINGS[] = {
        [READER_WHOLE] = "whole",
        [READER_TORN] = "whole; behind its end is the rest of a write that nobody was told of",
        [READER_DAMAGED] = "DAMAGED there: what follows was durable, but cannot be read",
    };
    const struct reader *reader = &listing->reader;
    if (!listing->arguments->json) {
        printf("%s: %zu records in %zu segments, up to position %" PRIu64 ": %s\n", reader->dir, listing->n_records,
               reader->n_segments, reader->end, MEANINGS[state]);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "journal", reader->dir);
    cJSON_AddStringToObject(object, "state", STATES[state]);
    add_number(object, "records", "%zu", listing->n_records);
    add_number(object, "segments", "%zu", reader->n_segments);
    add_number(object, "end", "%" PRIu64, reader->end);
    print_object(object);
}

/* ---- what it does ---- */

static void print_contents(struct listing *listing)
{
    for (size_t i = 0; i < listing->reader.n_segments; i++)
        print_segment(listing, &listing->reader.segments[i]);
    for (size_t i = 0; i < listing->reader.n_segments; i++)
        listing->reader.segments[i].read = SEGMENT_HEADER; /* once more from the beginning */
    reader_walk(&listing->reader, print_record, listing);
    listing->is_rest = true;
    reader_walk_rest(&listing->reader, print_record, listing);
}

/* False if it is damaged, or cannot be read. */
static bool look_into(const struct arguments *arguments, const char *dir, struct problems *problems)
{
    struct listing listing = {.arguments = arguments};
    enum reader_state state = READER_DAMAGED;
    if (reader_open(&listing.reader, dir, problems)) {
        reader_walk(&listing.reader, count_record, &listing);
        state = reader_state(&listing.reader);
        print_journal(&listing, state);
        if (strcmp(arguments->action, "show") == 0)
            print_contents(&listing);
    }
    reader_close(&listing.reader);
    return state != READER_DAMAGED;
}

static bool look_into_all(const struct arguments *arguments, struct problems *problems)
{
    struct reader_dirs dirs;
    bool ok = reader_dirs_find(&dirs, arguments->data_dir, problems);
    for (size_t i = 0; i < dirs.n; i++)
        ok = look_into(arguments, dirs.paths[i], problems) && ok;
    if (ok && dirs.n == 0 && !arguments->json)
        printf("no journals: nothing to replay\n");
    reader_dirs_release(&dirs);
    return ok;
}

static bool repair(const struct arguments *arguments, struct problems *problems)
{
    struct repair_result result;
    bool ok = repair_journals(arguments->data_dir, clock_wall_ms(), &result, problems);
    if (result.notes.n > 0)
        fputs(result.notes.text.data, stdout);
    if (ok && result.n_journals == 0)
        printf("no journal is damaged: nothing was changed\n");
    else if (ok)
        printf("%zu journals were repaired; %zu scopes have a new timeline: each client gets a reset\n",
               result.n_journals, result.n_scopes);
    problems_release(&result.notes);
    return ok;
}

static bool take(void *arg, unsigned bit, char *value)
{
    struct arguments *arguments = arg;
    if (bit == JOURNAL_DATA)
        arguments->data_dir = value;
    else
        arguments->json = true;
    return true;
}

static bool parse(int argc, char **argv, struct arguments *ret)
{
    *ret = (struct arguments){.data_dir = "data"};
    if (!usage_parse(&USAGE, OPTIONS, argc, argv, take, ret))
        return false;
    ret->action = argv[optind];
    return strcmp(ret->action, "show") == 0 || strcmp(ret->action, "verify") == 0 ||
           strcmp(ret->action, "repair") == 0 ||
           usage_complain("journal", "%s: must be show, verify or repair; see skerry journal --help", ret->action);
}

/* Looked for first: locking a folder makes a file in it. */
static bool is_data_folder(const char *dir, struct problems *problems)
{
    char *journals = NULL;
    if (asprintf(&journals, "%s/journal", dir) < 0)
        abort();
    bool ok = false;
    if (access(dir, F_OK) < 0)
        problems_add(problems, "%s: there is no such folder; name the data folder with --data", dir);
    else if (access(journals, F_OK) < 0)
        problems_add(problems, "no journals in %s: %s; is it the right --data?", journals, strerror(errno));
    else
        ok = true;
    free(journals);
    return ok;
}

int journal_command(int argc, char **argv)
{
    struct arguments arguments;
    struct problems problems = {0};
    if (!parse(argc, argv, &arguments))
        return EXIT_USAGE;
    log_init("journal", LOG_WARN);
    bool ok = is_data_folder(arguments.data_dir, &problems);
    int lock = ok ? slots_lock(arguments.data_dir, 0, ROUTE_SLOTS, &problems) : -1;
    if (lock >= 0) {
        ok = strcmp(arguments.action, "repair") == 0 ? repair(&arguments, &problems)
                                                     : look_into_all(&arguments, &problems);
        close(lock);
    }
    if (problems.n > 0)
        fputs(problems.text.data, stderr);
    ok = ok && problems.n == 0;
    problems_release(&problems);
    return ok ? 0 : 1;
}
