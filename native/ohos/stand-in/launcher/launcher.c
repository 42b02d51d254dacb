// What a native child process begins as: `launcher PATH-OF-A-LIBRARY:FUNCTION NUMBER-OF-THE-TEXT NAME=NUMBER...` loads the library and calls the function.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Fd {
    char *name;
    int32_t number;
    struct Fd *next;
} Fd;
typedef struct Args {
    char *parameters;
    Fd *fds;
} Args;

enum { MOST_FDS = 16, MOST_TEXT = 160 << 10 };

int main(int argc, char **argv) {
    static char text[MOST_TEXT + 1];
    static Fd fds[MOST_FDS];
    if (argc < 3 || argc - 3 > MOST_FDS) {
        return 2;
    }
    char *function = strrchr(argv[1], ':');
    if (!function) {
        return 2;
    }
    *function++ = '\0';
    int from = atoi(argv[2]);
    size_t length = 0;
    for (ssize_t got; length < MOST_TEXT && (got = read(from, text + length, MOST_TEXT - length)) > 0;) {
        length += (size_t)got;
    }
    close(from);
    for (int i = 3; i < argc; i++) {
        Fd *fd = &fds[i - 3];
        char *number = strchr(argv[i], '=');
        if (!number) {
            return 2;
        }
        *number++ = '\0';
        fd->name = argv[i];
        fd->number = atoi(number);
        fd->next = i + 1 < argc ? fd + 1 : NULL;
    }
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void (*entry)(Args) = library ? (void (*)(Args))dlsym(library, function) : NULL;
    if (!entry) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    Args args = {text, argc > 3 ? fds : NULL};
    entry(args);
    return 0;
}
