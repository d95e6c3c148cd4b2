#include "shards/scope/row.h"

#include <assert.h>

#include "proto/mp.h"
#include "proto/utf8.h"

bool row_value_is_readable(sqlite3_value *value)
{
    if (sqlite3_value_type(value) != SQLITE_TEXT)
        return true;
    const unsigned char *text = sqlite3_value_text(value);
    return utf8_is_valid(slice_of(text, (size_t)sqlite3_value_bytes(value)));
}

void row_write_value(struct buf *buf, sqlite3_value *value)
{
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        mp_write_int(buf, sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        mp_write_real(buf, sqlite3_value_double(value));
        break;
    case SQLITE_TEXT: {
        const unsigned char *text = sqlite3_value_text(value);
        mp_write_str(buf, slice_of(text, (size_t)sqlite3_value_bytes(value)));
        break;
    }
    case SQLITE_BLOB: {
        const void *blob = sqlite3_value_blob(value);
        mp_write_bin(buf, slice_of(blob, (size_t)sqlite3_value_bytes(value)));
        break;
    }
    default:
        mp_write_nil(buf);
    }
}

void row_write(struct buf *buf, const struct collection *collection, sqlite3_stmt *statement)
{
    mp_write_map(buf, (uint32_t)collection->n_columns);
    for (size_t i = 0; i < collection->n_columns; i++) {
        buf_append_slice(buf, buf_slice(&collection->columns[i].encoded_name));
        row_write_value(buf, sqlite3_column_value(statement, (int)i));
    }
}

int value_bind(sqlite3_stmt *statement, int parameter, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
    case VALUE_INT:
        return sqlite3_bind_int64(statement, parameter, value->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(statement, parameter, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement, parameter, value->bytes.len == 0 ? "" : value->bytes.data,
                                   value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case VALUE_BLOB:
        return sqlite3_bind_blob64(statement, parameter, value->bytes.len == 0 ? "" : value->bytes.data,
                                   value->bytes.len, SQLITE_STATIC);
    case VALUE_NIL:
        return sqlite3_bind_null(statement, parameter);
    case VALUE_NESTED:
        break;
    }
    assert(false && "a nested value is no column's value");
    return SQLITE_MISUSE;
}

struct slice column_slice(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return slice_of(data, (size_t)sqlite3_column_bytes(statement, column));
}
