/* What Rust calls: see host.c. Mirrored in src/ffi.rs. */
#ifndef SAMPAN_HOST_H
#define SAMPAN_HOST_H

#include <stddef.h>
#include <sys/types.h>

#include "inside.h"

/* The entry points of one copy of libqemu. */
struct sampan_entries {
    void (*init)(int argc, char **argv);
    int (*main_loop)(void);
    void (*cleanup)(int status);
    void (*bql_unlock)(void);
    void (*system_killed)(int signal, pid_t pid);
    void (*set_exit_hook)(void (*hook)(int status));
    struct sampan_inside *inside; /* of a copy that our own loader mapped; else NULL */
};

enum { SAMPAN_STARTING, SAMPAN_RUNNING, SAMPAN_ENDING, SAMPAN_ENDED };
enum { SAMPAN_NOT_EXITED, SAMPAN_EXITED_HERE, SAMPAN_EXITED_ELSEWHERE };

struct sampan_state {
    int phase;  /* of the main loop's thread */
    int exited; /* has exit() been called, and on that thread? */
    int status; /* of exit(), else of the main loop */
    int ran;    /* has the main loop been reached? */
};

struct sampan_vm;

/*
 * Starts the thread. The VM and argv must stay for ever, as threads of QEMU's may, unless all of these are ended. event_fd is an eventfd,
 * written whenever the state changes. NULL: *error is an errno.
 */
struct sampan_vm *sampan_vm_start(const struct sampan_entries *qemu, int argc, char **argv, const char *name,
                                  size_t stack, int event_fd, int *error);
struct sampan_state sampan_vm_state(struct sampan_vm *vm);
/* As by SIGTERM; before the main loop runs it is remembered, after it nothing happens. */
void sampan_vm_terminate(struct sampan_vm *vm);
/* No event is written any more; a thread that has ended is joined, one that has not is left alone. */
void sampan_vm_release(struct sampan_vm *vm);
/* After the release, when nothing of that QEMU is left: no thread will ask for it. */
void sampan_vm_free(struct sampan_vm *vm);

#endif
