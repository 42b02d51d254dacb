// A stand-in for OpenHarmony's libchild_process.so: starts a program that loads the library, as the system's appspawn does. The child's descriptors have other
// numbers than the parent's and come in another order, its environment is empty, and it dies with its parent.
//
// Structures and codes are those of AbilityKit/native_child_process.h.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
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
typedef struct Options {
    int isolation;
    int64_t reserved;
} Options;

enum { NO_ERROR = 0, INVALID_PARAM = 401, NOT_SUPPORTED = 801, INTERNAL = 16000050, MAX_REACHED = 16010006, INVALID_PID = 16010009 };
enum { MOST_FDS = 16, MOST_NAME = 20, MOST_TEXT = 150 << 10, MOST_CHILDREN = 50, FIRST = 100 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t children[MOST_CHILDREN];
static int refusal;
static bool supported = true;
static const char *folder = ".";
static const char *launcher = "";

// For tests.
void stand_in_children(int is_supported, int code) {
    supported = is_supported;
    refusal = code;
}

// For tests: the folder of the app's libraries, and the program that loads one. Both texts stay.
void stand_in_child_program(const char *libraries, const char *program) {
    folder = libraries;
    launcher = program;
}

bool OH_Ability_IsNativeChildProcessSupported(void) { return supported; }

// Those that have ended make room. Called with the lock held.
static int *room(void) {
    int *found = NULL;
    for (int i = 0; i < MOST_CHILDREN; i++) {
        if (children[i] && waitpid(children[i], NULL, WNOHANG) != 0) {
            children[i] = 0;
        }
        if (!children[i]) {
            found = &children[i];
        }
    }
    return found;
}

int OH_Ability_StartNativeChildProcess(const char *entry, Args args, Options options, int32_t *pid) {
    if (refusal) {
        return refusal;
    }
    const char *colon = entry ? strchr(entry, ':') : NULL;
    if (!pid || !colon || colon == entry || !colon[1] || options.isolation != 0 ||
        (args.parameters && strlen(args.parameters) > MOST_TEXT)) {
        return INVALID_PARAM;
    }
    const Fd *given[MOST_FDS];
    int count = 0;
    for (const Fd *fd = args.fds; fd; fd = fd->next) {
        if (count == MOST_FDS || !fd->name || strlen(fd->name) > MOST_NAME || fcntl(fd->number, F_GETFD) < 0) {
            return INVALID_PARAM;
        }
        given[count++] = fd;
    }
    // PATH:FUNCTION NUMBER-OF-THE-TEXT NAME=NUMBER..., the last one first.
    char path[4096], words[MOST_FDS + 1][32], *argv[MOST_FDS + 4];
    snprintf(path, sizeof path, "%s/%s", folder, entry);
    int text[2];
    // The text is longer than an argument may be, and than a pipe holds.
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, text) < 0) {
        return INTERNAL;
    }
    int words_count = 0, n = 0;
    argv[n++] = (char *)launcher;
    argv[n++] = path;
    snprintf(words[words_count], sizeof words[0], "%d", FIRST + MOST_FDS);
    argv[n++] = words[words_count++];
    for (int i = count - 1; i >= 0; i--) {
        snprintf(words[words_count], sizeof words[0], "%s=%d", given[i]->name, FIRST + (count - 1 - i));
        argv[n++] = words[words_count++];
    }
    argv[n] = NULL;
    char *environment[] = {NULL};
    pthread_mutex_lock(&lock);
    pid_t *place = room();
    pid_t parent = getpid();
    pid_t child = place ? fork() : -1;
    if (child == 0) {
        // First out of the way of the numbers that they get.
        int aside[MOST_FDS + 1];
        for (int i = 0; i <= count; i++) {
            aside[i] = fcntl(i < count ? given[i]->number : text[1], F_DUPFD_CLOEXEC, FIRST + MOST_FDS + 1);
        }
        for (int i = 0; i < count; i++) {
            dup2(aside[i], FIRST + (count - 1 - i));
        }
        dup2(aside[count], FIRST + MOST_FDS);
        if (getppid() == parent) {
            execve(launcher, argv, environment);
        }
        _exit(127);
    }
    if (child > 0) {
        *place = child;
    }
    pthread_mutex_unlock(&lock);
    close(text[1]);
    bool sent = child > 0;
    const char *rest = args.parameters ? args.parameters : "";
    for (size_t left = strlen(rest); sent && left;) {
        ssize_t written = send(text[0], rest, left, MSG_NOSIGNAL);
        sent = written > 0 || errno == EINTR;
        if (written > 0) {
            rest += written, left -= (size_t)written;
        }
    }
    close(text[0]);
    *pid = child;
    return child > 0 ? NO_ERROR : place ? INTERNAL : MAX_REACHED;
}

int OH_Ability_KillChildProcess(int32_t pid) {
    int code = INVALID_PID;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_CHILDREN; i++) {
        if (pid > 0 && children[i] == pid) {
            code = kill(pid, SIGKILL) == 0 ? NO_ERROR : INVALID_PID;
        }
    }
    pthread_mutex_unlock(&lock);
    return code;
}
