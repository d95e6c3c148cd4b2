/*
 * folder - a temporary folder, for tests that need files. What fails here ends the test.
 */
#ifndef TESTS_LIB_FOLDER_H
#define TESTS_LIB_FOLDER_H

#include "base/bytes.h"

struct folder {
    char path[40];
};

/* The path of a file in a folder, to be used within the same expression: folder_at(&folder, "a").text. */
struct folder_path {
    char text[512];
};

void folder_make(struct folder *folder);

/* With all that is in it. */
void folder_remove(struct folder *folder);

struct folder_path folder_at(const struct folder *folder, const char *name);

/* Makes the file, or overwrites it; also the folder that it is in, if `name` has one. */
void folder_write(const struct folder *folder, const char *name, struct slice bytes);
void folder_delete(const struct folder *folder, const char *name);

#endif
