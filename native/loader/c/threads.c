/*
 * Threads, and what pthreads keep for each: as libc has them, but known, so that those which are left after a
 * run can be ended, and with thread-local storage of the run's own. musl has 128 keys for the whole process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "within.h"

/* What POSIX says at least. */
enum { ROUNDS = 4 };

void sampan_run_cleanups(struct sampan_visit *visit)
{
    while (visit->cleanups) {
        struct cleanup *top = visit->cleanups;

        visit->cleanups = top->next;
        top->call(top->argument);
    }
}

static int destroy_once(struct sampan_visit *visit)
{
    int any = 0;

    for (int key = 0; key < KEYS; key++) {
        void *value = visit->values[key];
        void (*destroy)(void *) = visit->inside->keys[key].destroy;

        visit->values[key] = NULL;
        if (value && destroy) {
            any = 1;
            destroy(value);
        }
    }
    return any;
}

void sampan_run_destructors(struct sampan_visit *visit)
{
    for (int round = 0; round < ROUNDS && destroy_once(visit); round++) {
    }
}

static void end_of_thread(void *opaque)
{
    struct sampan_visit *visit = opaque;

    /* A thread that was stopped is in the middle of something: what it holds goes with the run. */
    if (!visit->parked) {
        sampan_run_destructors(visit);
    }
    pthread_setspecific(sampan_here, NULL);
    pthread_mutex_lock(&sampan_visits_lock);
    atomic_store(&visit->ended, 1);
    syscall(SYS_futex, &visit->ended, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    /* One that was stopped may hold mutexes, which libc touches until its very end: reap() waits for that. */
    if (visit->detached && !visit->parked) {
        sampan_drop_visit(visit);
    }
    pthread_mutex_unlock(&sampan_visits_lock);
}

static void *thread_main(void *opaque)
{
    struct sampan_visit *visit = opaque;
    void *volatile result = NULL;
    sigset_t stop;

    visit->tid = syscall(SYS_gettid);
    pthread_setspecific(sampan_here, visit);
    sigemptyset(&stop);
    sigaddset(&stop, sampan_stop_signal());
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    pthread_mutex_lock(&sampan_visits_lock); /* until pthread_create() has written the id */
    pthread_mutex_unlock(&sampan_visits_lock);

    pthread_cleanup_push(end_of_thread, visit);
    if (!sigsetjmp(visit->base, 1)) {
        result = visit->start(visit->argument);
    }
    pthread_cleanup_pop(1);
    return result;
}

static struct sampan_visit *made(struct sampan_visit *creator, const pthread_attr_t *attr)
{
    struct sampan_visit *visit = creator ? calloc(1, sizeof *visit) : NULL;
    int state = PTHREAD_CREATE_JOINABLE;

    if (visit) {
        if (attr) {
            pthread_attr_getdetachstate(attr, &state);
        }
        visit->inside = creator->inside;
        visit->made = 1;
        visit->detached = state == PTHREAD_CREATE_DETACHED;
    }
    return visit;
}

static int create(pthread_t *id, const pthread_attr_t *attr, void *(*start)(void *), void *argument)
{
    struct sampan_visit *visit = made(here(), attr);
    int error;

    if (!visit) {
        return EAGAIN;
    }
    visit->start = start;
    visit->argument = argument;
    /* The thread waits for the lock before it does anything, and so for being known. */
    pthread_mutex_lock(&sampan_visits_lock);
    error = pthread_create(&visit->id, attr, thread_main, visit);
    if (!error) {
        *id = visit->id;
        sampan_add_visit(visit);
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    if (error) {
        free(visit);
    }
    return error;
}

/* Called with the lock held. */
static struct sampan_visit *find(pthread_t id)
{
    struct sampan_visit *self = here(), *visit = NULL;

    if (self) {
        for (visit = self->inside->visits; visit; visit = visit->next) {
            if (visit->made && !visit->detached && pthread_equal(visit->id, id)) {
                break;
            }
        }
    }
    return visit;
}

static int join(pthread_t id, void **result)
{
    struct sampan_visit *self = here(), *visit;
    int error;

    /* Before: afterwards the id may be another thread's. */
    pthread_mutex_lock(&sampan_visits_lock);
    visit = find(id);
    pthread_mutex_unlock(&sampan_visits_lock);
    /* Only this wait may be broken off: pthread_join() ends with giving the other's stack back. */
    if (visit) {
        self->blocked = 1;
        while (!atomic_load(&visit->ended)) {
            syscall(SYS_futex, &visit->ended, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        }
        self->blocked = 0;
    }
    error = pthread_join(id, result);
    if (visit && !error) {
        pthread_mutex_lock(&sampan_visits_lock);
        sampan_drop_visit(visit);
        pthread_mutex_unlock(&sampan_visits_lock);
    }
    return error;
}

static int detach(pthread_t id)
{
    struct sampan_visit *visit;
    int error;

    pthread_mutex_lock(&sampan_visits_lock);
    visit = find(id);
    error = pthread_detach(id);
    if (visit && !error) {
        visit->detached = 1;
        if (visit->ended) {
            sampan_drop_visit(visit);
        }
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    return error;
}

static _Noreturn void exit_thread(void *result)
{
    struct sampan_visit *visit = here();

    if (visit) {
        sampan_run_cleanups(visit);
    }
    pthread_exit(result);
}

_Noreturn void sampan_inside_exit_thread(void)
{
    exit_thread(NULL);
}

static void push(struct cleanup *cleanup, void (*call)(void *), void *argument)
{
    struct sampan_visit *visit = here();

    cleanup->call = call;
    cleanup->argument = argument;
    cleanup->next = visit ? visit->cleanups : NULL;
    if (visit) {
        visit->cleanups = cleanup;
    }
}

static void pop(struct cleanup *cleanup, int run)
{
    struct sampan_visit *visit = here();

    if (visit) {
        visit->cleanups = cleanup->next;
    }
    if (run) {
        cleanup->call(cleanup->argument);
    }
}

/* Nothing of the library's is called at the end of the process, or when it forks: the code may be gone. */
static int never(void)
{
    return 0;
}

const struct name sampan_thread_names[] = {
    {"pthread_create", create},
    {"pthread_join", join},
    {"pthread_detach", detach},
    {"pthread_exit", exit_thread},
    {"_pthread_cleanup_push", push},
    {"_pthread_cleanup_pop", pop},
    {"atexit", never},
    {"__cxa_atexit", never},
    {"pthread_atfork", never},
    {NULL, NULL},
};
