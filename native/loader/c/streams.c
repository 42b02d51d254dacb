/* libc's streams and folders, which hold memory of libc's and a descriptor: a run knows which are its own. */
#define _GNU_SOURCE
#include <dirent.h>
#include <mntent.h>
#include <stdio.h>

#include "within.h"

static void *opened(void *stream, int kind)
{
    struct sampan_visit *visit = here();

    if (visit && stream) {
        sampan_opened(visit->inside->owner, stream, kind);
    }
    return stream;
}

/* Before it is closed: afterwards the address may be somebody else's. */
static void closed(void *stream)
{
    struct sampan_visit *visit = here();

    if (visit && stream) {
        sampan_closed(visit->inside->owner, stream);
    }
}

/* From here on the descriptor is closed with the stream. */
static void *adopted(void *stream, int kind, int fd)
{
    if (stream) {
        sampan_disown(here(), fd);
    }
    return opened(stream, kind);
}

static FILE *in_fopen(const char *path, const char *mode)
{
    return opened(fopen(path, mode), SAMPAN_FILE);
}

static FILE *in_fdopen(int fd, const char *mode)
{
    return adopted(fdopen(fd, mode), SAMPAN_FILE, fd);
}

static FILE *in_fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions)
{
    return opened(fopencookie(cookie, mode, functions), SAMPAN_FILE);
}

static FILE *in_freopen(const char *path, const char *mode, FILE *file)
{
    closed(file);
    return opened(freopen(path, mode, file), SAMPAN_FILE);
}

static int in_fclose(FILE *file)
{
    closed(file);
    return fclose(file);
}

static FILE *in_setmntent(const char *path, const char *mode)
{
    return opened(setmntent(path, mode), SAMPAN_FILE);
}

static int in_endmntent(FILE *file)
{
    closed(file);
    return endmntent(file);
}

static DIR *in_opendir(const char *path)
{
    return opened(opendir(path), SAMPAN_FOLDER);
}

static DIR *in_fdopendir(int fd)
{
    return adopted(fdopendir(fd), SAMPAN_FOLDER, fd);
}

static int in_closedir(DIR *folder)
{
    closed(folder);
    return closedir(folder);
}

const struct name sampan_stream_names[] = {
    {"fopen", in_fopen},
    {"fdopen", in_fdopen},
    {"fopencookie", in_fopencookie},
    {"freopen", in_freopen},
    {"fclose", in_fclose},
    {"setmntent", in_setmntent},
    {"endmntent", in_endmntent},
    {"opendir", in_opendir},
    {"fdopendir", in_fdopendir},
    {"closedir", in_closedir},
    {NULL, NULL},
};
