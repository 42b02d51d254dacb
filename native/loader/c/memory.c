/* Mappings, which a run has to give back, and functions of libc's that would take or make memory of libc's heap. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "within.h"

static void *in_mmap(void *wanted, size_t size, int protection, int flags, int fd, off_t offset)
{
    struct sampan_visit *visit = here();
    void *address = mmap(wanted, size, protection, flags, fd, offset);

    if (visit && address != MAP_FAILED) {
        sampan_mapped(visit->inside->owner, address, size);
    }
    return address;
}

static int in_munmap(void *address, size_t size)
{
    struct sampan_visit *visit = here();

    /* Before: afterwards it may be somebody else's. */
    if (visit) {
        sampan_unmapped(visit->inside->owner, address, size);
    }
    return munmap(address, size);
}

static char *in_strdup(const char *words)
{
    size_t size = strlen(words) + 1;
    char *copy = sampan_malloc(size);

    return copy ? memcpy(copy, words, size) : NULL;
}

static char *in_strndup(const char *words, size_t most)
{
    size_t size = strnlen(words, most);
    char *copy = sampan_malloc(size + 1);

    if (copy) {
        memcpy(copy, words, size);
        copy[size] = '\0';
    }
    return copy;
}

static char *in_realpath(const char *path, char *resolved)
{
    char buffer[PATH_MAX];

    if (resolved) {
        return realpath(path, resolved);
    }
    return realpath(path, buffer) ? in_strdup(buffer) : NULL;
}

static char *in_getcwd(char *buffer, size_t size)
{
    char path[PATH_MAX];

    if (buffer) {
        return getcwd(buffer, size);
    }
    return getcwd(path, sizeof path) ? in_strdup(path) : NULL;
}

/* libc's own would grow a buffer of another heap. */
static ssize_t in_getdelim(char **line, size_t *room, int end, FILE *file)
{
    size_t length = 0;
    int c;

    if (!*line) {
        *room = 0;
    }
    do {
        c = getc(file);
        if (c == EOF) {
            break;
        }
        if (length + 2 > *room) {
            size_t more = *room ? 2 * *room : 128;
            char *longer = sampan_realloc(*line, more);

            if (!longer) {
                return -1;
            }
            *line = longer;
            *room = more;
        }
        (*line)[length++] = (char)c;
    } while (c != end);
    if (!length) {
        return -1;
    }
    (*line)[length] = '\0';
    return (ssize_t)length;
}

static ssize_t in_getline(char **line, size_t *room, FILE *file)
{
    return in_getdelim(line, room, '\n', file);
}

const struct name sampan_memory_names[] = {
    {"mmap", in_mmap},         {"munmap", in_munmap}, {"strdup", in_strdup},     {"strndup", in_strndup},
    {"realpath", in_realpath}, {"getcwd", in_getcwd}, {"getdelim", in_getdelim}, {"getline", in_getline},
    {NULL, NULL},
};
