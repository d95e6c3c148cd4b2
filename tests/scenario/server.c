#include "tests/scenario/server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/scenario/disk.h"
#include "tests/scenario/play.h"

enum { CHILDREN_MAX = 16, NAP_US = 5000 };

static const char *program(void)
{
    const char *bin = getenv("SKERRY_BIN");
    return bin != NULL ? bin : "./skerry";
}

/* Forks and executes, with standard output in a pipe. A child does not outlive the player. */
static pid_t spawn(const char *const *argv, const char *log, int *ret_out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0); /* so that all that it starts can be ended with it */
        dup2(ends[1], STDOUT_FILENO);
        dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDERR_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *ret_out = ends[0];
    return pid;
}

/* Reads a line, without its end, into `line`. False at the end of the output or of the time. */
static bool read_line(int fd, int64_t deadline_us, char *line, size_t size)
{
    for (size_t len = 0; len + 1 < size; len++) {
        int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;
        if (left_ms <= 0 || poll(&(struct pollfd){fd, POLLIN, 0}, 1, (int)left_ms) <= 0)
            return false;
        if (read(fd, line + len, 1) <= 0)
            return false;
        line[len + 1] = '\0';
        if (line[len] == '\n') {
            line[len] = '\0';
            return true;
        }
    }
    return false;
}

static uint16_t free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (void *)&addr, len) != 0 || getsockname(fd, (void *)&addr, &len) != 0)
        abort();
    close(fd);
    return ntohs(addr.sin_port);
}

/* Runs a program and waits for it. */
static bool run(const char *const *argv)
{
    int out, status = -1;
    pid_t pid = spawn(argv, "/dev/null", &out);
    close(out);
    waitpid(pid, &status, 0);
    return status == 0;
}

/* Apps lie at examples/NAME, seen from the sources' top, or at apps/NAME, seen from the story. */
static char *find_app(struct play *play, const char *name)
{
    static const char *const places[] = {"/../../examples/", "/apps/"};
    const char *slash = strrchr(play->path, '/');
    for (size_t i = 0; i < 2; i++) {
        struct buf path = {0};
        buf_printf(&path, "%.*s%s%s", slash != NULL ? (int)(slash - play->path) : 1, slash != NULL ? play->path : ".",
                   places[i], name);
        buf_append(&path, "", 1);
        if (access(path.data, F_OK) == 0)
            return path.data;
        buf_release(&path);
    }
    play_fail(play, "no app named %s", name);
}

/* Copies what the server reads of an app, not what is built around it. */
static void copy_app(struct play *play, const char *name)
{
    struct server *server = &play->server;
    struct buf command = {0};
    char *from = find_app(play, name);
    buf_printf(&command, "mkdir '%s/%s' && tar -C '%s' --exclude=node_modules -c . | tar -C '%s/%s' -x", server->folder,
               name, from, server->folder, name);
    buf_append(&command, "", 1);
    bool copied = run((const char *const[]){"sh", "-c", command.data, NULL});
    buf_release(&command);
    free(from);
    if (!copied)
        play_fail(play, "cannot copy the app %s", name);
    buf_printf(&command, "%s/%s", server->folder, name);
    buf_append(&command, "", 1);
    server->app = command.data;
}

static void mount_data(struct play *play)
{
    struct server *server = &play->server;
    char data[64];
    snprintf(data, sizeof data, "%s/data", server->folder);
    if (!disk_mount(data))
        play_fail(play, "no small disk can be mounted: %s", strerror(errno));
    server->has_small_disk = true;
}

static void unmount_data(const struct server *server)
{
    char data[64];
    snprintf(data, sizeof data, "%s/data", server->folder);
    disk_unmount(data);
}

void server_serve(struct play *play, const char *name, bool has_small_disk)
{
    struct server *server = &play->server;
    if (server->app != NULL)
        play_fail(play, "a story serves once");
    server->port = free_port();
    snprintf(server->folder, sizeof server->folder, "/tmp/skerry-story-XXXXXX");
    if (mkdtemp(server->folder) == NULL)
        play_fail(play, "mkdtemp: %s", strerror(errno));
    copy_app(play, name);
    if (has_small_disk)
        mount_data(play);
    /* Orphans come to the player, so that it sees whether a dead supervisor's children follow it. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    server_start(play);
}

void server_disk(struct play *play, bool full)
{
    struct server *server = &play->server;
    char data[64];
    snprintf(data, sizeof data, "%s/data", server->folder);
    if (!server->has_small_disk)
        play_fail(play, "the disk is not small: `serve APP on a small disk`");
    if (!(full ? disk_fill(data) : disk_free(data)))
        play_fail(play, "the disk cannot be %s: %s", full ? "filled" : "freed", strerror(errno));
}

void server_edit(struct play *play, const char *file, const char *old, const char *new)
{
    struct buf path = {0}, text = {0};
    buf_printf(&path, "%s/%s", play->server.app, file);
    buf_append(&path, "", 1);
    FILE *from = fopen(path.data, "r");
    size_t n;
    while (from != NULL && (n = fread(buf_reserve(&text, 4096), 1, 4096, from)) > 0)
        text.len += n;
    if (from != NULL)
        fclose(from);
    char *at = text.len > 0 ? memmem(text.data, text.len, old, strlen(old)) : NULL;
    FILE *to = at != NULL ? fopen(path.data, "w") : NULL;
    if (to != NULL) {
        char *rest = at + strlen(old);
        fwrite(text.data, 1, (size_t)(at - text.data), to);
        fputs(new, to);
        fwrite(rest, 1, (size_t)(text.data + text.len - rest), to);
        fclose(to);
    }
    buf_release(&text);
    buf_release(&path);
    if (to == NULL)
        play_fail(play, "%s of the app does not hold '%s'", file, old);
}

/* Starts a server of the story's app, with its log in the file `log`. */
static pid_t spawn_server(const struct server *server, const char *data, const char *log, uint16_t port, int *ret_out)
{
    char data_path[64], log_path[64], listen[32];
    snprintf(data_path, sizeof data_path, "%s/%s", server->folder, data);
    snprintf(log_path, sizeof log_path, "%s/%s", server->folder, log);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    const char *argv[] = {program(),  "serve", server->app, "--dev", "--data", data_path,
                          "--listen", listen,  "--shards",  "2",     NULL};
    return spawn(argv, log_path, ret_out);
}

void server_start(struct play *play)
{
    struct server *server = &play->server;
    char line[512] = "";
    if (server->app == NULL || server->pid != 0)
        play_fail(play,
                  server->pid != 0 ? "the server runs already" : "there is no server to start: `serve APP` first");
    server->pid = server->group = spawn_server(server, "data", "log", server->port, &server->out);
    int64_t deadline_us = play_deadline_us();
    do {
        if (!read_line(server->out, deadline_us, line, sizeof line))
            play_fail(play, "the server printed no ready line; the last one was '%s'", line);
    } while (strncmp(line, "ready http://", 13) != 0);
}

/* Waits for a child of the player to end. Returns whether it did, in time. */
static bool wait_end(pid_t pid, int *ret_status)
{
    int64_t deadline_us = play_deadline_us();
    while (waitpid(pid, ret_status, WNOHANG) != pid) {
        if (clock_mono_us() > deadline_us)
            return false;
        usleep(NAP_US);
    }
    return true;
}

static void ended(struct server *server)
{
    close(server->out);
    server->pid = 0;
}

/* The processes that the supervisor's main thread started. */
static size_t children(pid_t pid, pid_t *ret_pids)
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    int child;
    while (file != NULL && n < CHILDREN_MAX && fscanf(file, "%d", &child) == 1)
        ret_pids[n++] = child;
    if (file != NULL)
        fclose(file);
    return n;
}

static bool log_holds(const struct server *server, const char *word)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "%s/log", server->folder);
    FILE *file = fopen(path, "r");
    bool does = false;
    while (file != NULL && !does && fgets(line, sizeof line, file) != NULL)
        does = strstr(line, word) != NULL;
    if (file != NULL)
        fclose(file);
    return does;
}

void server_await_log(struct play *play, const char *word)
{
    int64_t deadline_us = play_deadline_us();
    while (!log_holds(&play->server, word)) {
        if (clock_mono_us() > deadline_us)
            play_fail(play, "the log does not hold '%s'", word);
        usleep(NAP_US);
    }
}

/* A process of a sanitizer's build tells what it found in the log; its exit status ends at the supervisor. */
static bool log_tells_a_fault(const struct server *server)
{
    return log_holds(server, "Sanitizer") || log_holds(server, "runtime error");
}

void server_stop(struct play *play)
{
    struct server *server = &play->server;
    int status = 0;
    if (server->pid == 0)
        play_fail(play, "the server does not run");
    kill(server->pid, SIGTERM);
    if (!wait_end(server->pid, &status))
        play_fail(play, "the server did not stop");
    ended(server);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        play_fail(play, "the server left with wait status %#x", (unsigned)status);
    if (log_tells_a_fault(server))
        play_fail(play, "the log holds a sanitizer's report");
    if (waitpid(-1, &status, WNOHANG) != -1)
        play_fail(play, "the supervisor left children behind");
}

/* Whether the process was started as `skerry ROLE ...`. */
static bool plays_role(pid_t pid, const char *role)
{
    char path[64], words[256] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, words, sizeof words - 1) : 0;
    if (fd >= 0)
        close(fd);
    size_t first = strlen(words);
    return len > 0 && (size_t)len > first + 1 && strcmp(words + first + 1, role) == 0;
}

static pid_t find_role(struct play *play, const char *role)
{
    int64_t deadline_us = play_deadline_us();
    while (clock_mono_us() < deadline_us) {
        pid_t pids[CHILDREN_MAX];
        size_t n = children(play->server.pid, pids);
        for (size_t i = 0; i < n; i++)
            if (plays_role(pids[i], role))
                return pids[i];
        usleep(NAP_US);
    }
    play_fail(play, "the supervisor has no %s", role);
}

static void kill_supervisor(struct play *play)
{
    struct server *server = &play->server;
    pid_t pids[CHILDREN_MAX];
    size_t n = children(server->pid, pids);
    int status;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, &status, 0);
    ended(server);
    for (size_t i = 0; i < n; i++)
        if (!wait_end(pids[i], &status))
            play_fail(play, "process %d outlived its supervisor", (int)pids[i]);
}

void server_kill(struct play *play, const char *role)
{
    if (play->server.pid == 0)
        play_fail(play, "the server does not run");
    if (strcmp(role, "supervisor") == 0) {
        kill_supervisor(play);
        return;
    }
    pid_t pid = find_role(play, role);
    kill(pid, SIGKILL);
    int64_t deadline_us = play_deadline_us();
    while (kill(pid, 0) == 0) { /* until the supervisor has seen it */
        if (clock_mono_us() > deadline_us)
            play_fail(play, "the supervisor did not collect the killed %s", role);
        usleep(NAP_US);
    }
}

/* The lines of the rival's log that are written for people: those of the log start with a date. */
static unsigned count_answers(const struct server *server, const char *log)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "%s/%s", server->folder, log);
    FILE *file = fopen(path, "r");
    unsigned n = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        n += !isdigit((unsigned char)line[0]);
    if (file != NULL)
        fclose(file);
    return n;
}

void server_rival(struct play *play, const char *shared)
{
    struct server *server = &play->server;
    bool shares_data = strcmp(shared, "data") == 0;
    int out, status = 0;
    char log[32];
    snprintf(log, sizeof log, "rival-%s", shared);
    if (server->pid == 0 || (!shares_data && strcmp(shared, "port") != 0))
        play_fail(play, "a rival shares `data` or `port` with a server that runs");
    pid_t pid =
        spawn_server(server, shares_data ? "data" : "rival-data", log, shares_data ? free_port() : server->port, &out);
    bool is_over = wait_end(pid, &status);
    if (!is_over)
        kill(-pid, SIGKILL);
    close(out);
    if (!is_over || !WIFEXITED(status) || WEXITSTATUS(status) == 0)
        play_fail(play, "a second server on the same %s was not refused", shared);
    if (count_answers(server, log) != 1)
        play_fail(play, "it said %u lines about why it cannot start", count_answers(server, log));
}

char *server_token(struct play *play, const char *const *args, size_t n)
{
    const char *argv[STORY_WORDS_MAX + 8] = {program(), "token", "--app", play->server.app};
    int out, status = 0;
    char line[4096] = "";
    if (play->server.app == NULL)
        play_fail(play, "no app to mint a token for: `serve APP` first");
    memcpy(argv + 4, args, n * sizeof *args);
    pid_t pid = spawn(argv, "/dev/stderr", &out);
    bool printed = read_line(out, play_deadline_us(), line, sizeof line);
    close(out);
    waitpid(pid, &status, 0);
    if (!printed || status != 0)
        play_fail(play, "skerry token failed");
    return mem_dup(slice_str(line));
}

static void print_log(const struct server *server)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "%s/log", server->folder);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        printf("# server: %s", line);
    if (file != NULL)
        fclose(file);
}

static void remove_folder(const char *folder)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
}

void server_release(struct server *server, bool show_log)
{
    int status;
    if (server->pid != 0)
        ended(server);
    if (server->group != 0)
        kill(-server->group, SIGKILL);
    while (waitpid(-1, &status, 0) > 0)
        continue;
    if (show_log)
        print_log(server);
    if (server->has_small_disk)
        unmount_data(server);
    if (server->folder[0] != '\0')
        remove_folder(server->folder);
    free(server->app);
    *server = (struct server){0};
}
