/*
 * player - plays stories against a real server, over real sockets.
 *
 *   SKERRY_BIN=./skerry player FILE.story...
 *
 * Prints TAP and leaves with status 0 when every story held. SCENARIO_PATIENCE_MS says how long a step may wait for
 * something: 10,000 unless told. See README.md for how stories are written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scenario/client.h"
#include "tests/scenario/play.h"

static void play_release(struct play *play, bool show_log)
{
    play_step_done(play);
    free(play->scratch);
    for (size_t i = 0; i < play->n_clients; i++)
        client_free(play->clients[i]);
    free(play->clients);
    for (size_t i = 0; i < play->n_variables; i++) {
        free(play->variables[i].name);
        free(play->variables[i].text);
    }
    free(play->variables);
    server_release(&play->server, show_log);
    buf_release(&play->failure);
}

/* Every story ends the same: nothing more had come to any client, and the server stops without a complaint. */
static void play_lines(struct play *play, const struct story *story)
{
    if (story->n == 0)
        play_fail(play, "a story without a step");
    for (size_t i = 0; i < story->n; i++)
        step_play(play, &story->lines[i]);
    step_expect_nothing_more(play);
    for (size_t i = 0; i < play->n_clients; i++)
        client_drop(play->clients[i]);
    if (play->server.pid != 0)
        server_stop(play);
}

static bool play_file(const char *path)
{
    struct story story;
    struct play *play = mem_zero(1, sizeof *play);
    play->path = path;
    story_load(&story, path);
    bool held = setjmp(play->failed) == 0;
    if (held)
        play_lines(play, &story);
    else
        printf("# %.*s", (int)play->failure.len, play->failure.data);
    play_release(play, !held);
    story_release(&story);
    free(play);
    return held;
}

/* The file's name, without folder and ending. */
static void print_result(bool held, int number, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    printf("%s %d - %.*s\n", held ? "ok" : "not ok", number, (int)strcspn(name, "."), name);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: player STORY...\n");
        return 2;
    }
    printf("1..%d\n", argc - 1);
    fflush(stdout);
    for (int i = 1; i < argc; i++) {
        bool held = play_file(argv[i]);
        failed += !held;
        print_result(held, i, argv[i]);
    }
    return failed > 0;
}
