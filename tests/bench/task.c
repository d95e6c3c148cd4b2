#include "tests/bench/task.h"

#include <string.h>

enum column { COL_ID, COL_TITLE, COL_STATUS, COL_SCORE, COL_UPDATED_AT, COLUMNS };

static const char *const names[COLUMNS] = {"id", "title", "status", "score", "updated_at"};

struct task {
    struct text id;
    char title[80];
    const char *status;
    int64_t score, updated_at;
};

/* At least `width` digits, by hand: this runs for every row that the driver receives. Returns their end. */
static char *write_digits(char *at, uint64_t number, size_t width)
{
    char digits[20];
    size_t n = 0;
    while (number > 0 || n < width) {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    }
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

static void write_title(char *title, uint64_t number)
{
    static const char front[] = "task number ", back[] = " with a title that pads the row out";
    memcpy(title, front, sizeof(front) - 1);
    memcpy(write_digits(title + sizeof(front) - 1, number, 1), back, sizeof(back));
}

static void make(struct task *task, struct text id, uint64_t number)
{
    task->id = id;
    write_title(task->title, number);
    task->status = number % 3 == 0 ? "done" : "open";
    task->score = (int64_t)(number % 100);
    task->updated_at = 1700000000000 + (int64_t)number;
}

static void encode(struct buffer *out, const struct task *task)
{
    mp_map(out, COLUMNS);
    mp_str(out, names[COL_ID]);
    mp_text(out, task->id);
    mp_str(out, names[COL_TITLE]);
    mp_str(out, task->title);
    mp_str(out, names[COL_STATUS]);
    mp_str(out, task->status);
    mp_str(out, names[COL_SCORE]);
    mp_int(out, task->score);
    mp_str(out, names[COL_UPDATED_AT]);
    mp_int(out, task->updated_at);
}

void task_encode(struct buffer *out, struct text id, uint64_t number)
{
    struct task task;
    make(&task, id, number);
    encode(out, &task);
}

static bool is_number(const struct mp_value *value, int64_t wanted)
{
    return value->type == MP_FLOAT ? value->f == (double)wanted
                                   : value->type == MP_INT && !value->wide && value->i == wanted;
}

static bool column_matches(enum column column, const struct mp_value *value, const struct task *task)
{
    switch (column) {
    case COL_ID:
        return value->type == MP_STR && text_equals(value->text, task->id);
    case COL_TITLE:
        return mp_is(value, task->title);
    case COL_STATUS:
        return mp_is(value, task->status);
    case COL_SCORE:
        return is_number(value, task->score);
    default:
        return is_number(value, task->updated_at);
    }
}

static enum column column_named(const struct mp_value *name)
{
    enum column column = COL_ID;
    while (column < COLUMNS && !mp_is(name, names[column])) {
        column++;
    }
    return column;
}

/* Column by column, whatever their order and their numbers' formats. */
static bool columns_match(struct mp_reader row, const struct task *task)
{
    struct mp_value map, name, value;
    if (!mp_next(&row, &map) || map.type != MP_MAP || map.n != COLUMNS) {
        return false;
    }
    unsigned seen = 0;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        if (!mp_next(&row, &name) || !mp_next(&row, &value)) {
            return false;
        }
        enum column column = column_named(&name);
        if (column == COLUMNS || !column_matches(column, &value, task)) {
            return false;
        }
        seen |= 1u << column;
    }
    return seen == (1u << COLUMNS) - 1;
}

/* Nearly always the row is, byte for byte, what we would write. */
static bool matches(struct mp_reader row, const struct task *task)
{
    static struct buffer wanted;
    encode(&wanted, task);
    size_t len = buffer_len(&wanted);
    bool is_same = (size_t)(row.end - row.at) == len && memcmp(row.at, buffer_head(&wanted), len) == 0;
    buffer_take(&wanted, len);
    return is_same || columns_match(row, task);
}

bool task_matches(struct mp_reader row, struct text id, uint64_t number)
{
    struct task task;
    make(&task, id, number);
    return matches(row, &task);
}

bool task_touched_matches(struct mp_reader row, struct text id, uint64_t number)
{
    struct task task;
    make(&task, id, number);
    task.score++;
    return matches(row, &task);
}

struct text task_seed_id(char buffer[TASK_ID_MAX], uint64_t number)
{
    static const char front[] = "seed-";
    memcpy(buffer, front, sizeof(front) - 1);
    char *end = write_digits(buffer + sizeof(front) - 1, number, 8);
    return (struct text){buffer, (uint32_t)(end - buffer)};
}

bool task_seed_number(struct text id, uint64_t *ret_number)
{
    char bytes[TASK_ID_MAX];
    uint64_t number = 0;
    for (uint32_t i = (uint32_t)strlen("seed-"); i < id.len && i < 20; i++) {
        number = number * 10 + (uint64_t)(uint8_t)(id.at[i] - '0');
    }
    *ret_number = number;
    return text_equals(id, task_seed_id(bytes, number));
}
