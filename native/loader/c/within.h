/* What the files behind inside.h share. */
#ifndef SAMPAN_WITHIN_H
#define SAMPAN_WITHIN_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "inside.h"

enum {
    KEYS = 128,    /* of thread-local storage, as many as musl has for the whole process */
    SIGNALS = 65,  /* Linux's 64, and none */
    FDS = 1 << 16, /* descriptors beyond stay open */
    WORD = 8 * sizeof(unsigned long),
};

/* As in musl's <pthread.h>, made by the macro pthread_cleanup_push(). */
struct cleanup {
    void (*call)(void *);
    void *argument;
    struct cleanup *next;
};

/* A thread while it runs the library's code: one that the library made, or a visitor. */
struct sampan_visit {
    struct sampan_inside *inside;
    struct sampan_visit *outer; /* a visitor's: where it comes from */
    struct cleanup *cleanups;
    void *values[KEYS];
    volatile sig_atomic_t blocked; /* in a call of ours that waits and holds nothing of libc's */

    /* The rest is of threads that the library made. */
    atomic_int parked;
    sigjmp_buf base;
    void *(*start)(void *);
    void *argument;

    struct sampan_visit *next; /* all below: under sampan_visits_lock */
    pthread_t id;
    pid_t tid; /* the kernel's */
    int made, detached;
    atomic_int ended; /* read by joiners too, without the lock */
};

enum state { RUNNING, STOPPING, ENDING };

struct sampan_inside {
    struct sampan_inside *next; /* of all there are */
    void *owner;
    char *base;
    size_t size;
    atomic_int state;
    struct sampan_visit *visits;
    struct {
        int used;
        void (*destroy)(void *);
    } keys[KEYS];
    struct sigaction actions[SIGNALS];
    unsigned char handled[SIGNALS];
    atomic_ulong fds[FDS / WORD];
};

struct name {
    const char *name;
    void *address;
};

/* Before there is a run the key is nobody's, and its number may be somebody else's. */
extern atomic_int sampan_ready;
extern pthread_key_t sampan_here;
extern pthread_mutex_t sampan_visits_lock;

static inline struct sampan_visit *here(void)
{
    return atomic_load(&sampan_ready) ? pthread_getspecific(sampan_here) : NULL;
}

/* Each ends with a name that is NULL. */
extern const struct name sampan_thread_names[], sampan_key_names[], sampan_wait_names[], sampan_signal_names[],
    sampan_fd_names[], sampan_stream_names[], sampan_memory_names[];

/* Both are called with the lock held. */
void sampan_add_visit(struct sampan_visit *visit);
void sampan_drop_visit(struct sampan_visit *visit);
void sampan_run_cleanups(struct sampan_visit *visit);
void sampan_run_destructors(struct sampan_visit *visit);
void sampan_restore_signals(struct sampan_inside *inside);
/* Chooses the signal that stops a thread; 0 if there is none. */
int sampan_stop_signal(void);

/* Descriptors of the run that `visit` is of, if it is of any. */
int sampan_own(struct sampan_visit *visit, int fd);
void sampan_disown(struct sampan_visit *visit, int fd);

#endif
