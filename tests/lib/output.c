#include "tests/lib/output.h"

#include <assert.h>
#include <unistd.h>

void output_catch(struct output *output)
{
    FILE *streams[] = {stdout, stderr};
    for (int i = 0; i < 2; i++) {
        fflush(streams[i]);
        output->files[i] = tmpfile();
        output->saved[i] = dup(fileno(streams[i]));
        assert(output->files[i] != NULL && output->saved[i] >= 0);
        int fd = dup2(fileno(output->files[i]), fileno(streams[i]));
        assert(fd >= 0);
    }
}

void output_restore(struct output *output)
{
    FILE *streams[] = {stdout, stderr};
    char *texts[] = {output->out, output->err};
    for (int i = 0; i < 2; i++) {
        fflush(streams[i]);
        dup2(output->saved[i], fileno(streams[i]));
        close(output->saved[i]);
        rewind(output->files[i]);
        texts[i][fread(texts[i], 1, OUTPUT_MAX - 1, output->files[i])] = '\0';
        fclose(output->files[i]);
    }
}
