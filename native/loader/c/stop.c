/*
 * How the threads that are left after a run are ended.
 *
 * All are stopped first, each by a signal, and only where it waits in one of the calls of wait.c and holds
 * nothing of libc's; none is ended before all have stopped, so that no thread finds another's stack gone.
 * If one does not stop in time, all go on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "within.h"

static int chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void nap(void)
{
    const struct timespec millisecond = {.tv_nsec = 1000 * 1000};

    nanosleep(&millisecond, NULL);
}

/* A signal that came too late, or to a thread that is at work, is of no consequence: it comes again. */
static void on_stop(int signal)
{
    struct sampan_visit *visit = here();
    int error = errno, state;

    (void)signal;
    if (!visit || !visit->made || !visit->blocked || atomic_load(&visit->inside->state) != STOPPING) {
        return;
    }
    atomic_store(&visit->parked, 1);
    while ((state = atomic_load(&visit->inside->state)) == STOPPING) {
        nap();
    }
    if (state == ENDING) {
        siglongjmp(visit->base, 1);
    }
    atomic_store(&visit->parked, 0);
    errno = error;
}

/* One that nobody uses, and that arrives: an emulated system may lack some. Its handler does nothing for others. */
static void choose(void)
{
    struct sigaction before, action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    for (int signal = SIGRTMAX - 1; signal > SIGRTMIN && !chosen; signal--) {
        if (sigaction(signal, NULL, &before) || before.sa_handler != SIG_DFL || sigaction(signal, &action, NULL)) {
            continue;
        }
        if (pthread_kill(pthread_self(), signal)) {
            sigaction(signal, &before, NULL);
        } else {
            chosen = signal;
        }
    }
}

int sampan_stop_signal(void)
{
    pthread_once(&once, choose);
    return chosen;
}

/* Have all stopped, or ended? Those that have not are told (again). */
static int all_stopped(struct sampan_inside *inside)
{
    int all = 1;

    pthread_mutex_lock(&sampan_visits_lock);
    for (struct sampan_visit *visit = inside->visits; visit; visit = visit->next) {
        if (!visit->ended && !atomic_load(&visit->parked)) {
            all = 0;
            if (visit->made) {
                pthread_kill(visit->id, chosen);
            }
        }
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    return all;
}

/* Is a thread that nobody joins still in libc's code? With OpenHarmony's and musl's pthread_kill() it is the call for this. */
static int lingers(const struct sampan_visit *visit)
{
    return visit->detached && !syscall(SYS_tkill, visit->tid, 0);
}

/* Joins threads that have ended; returns how many there still are. */
static size_t reap(struct sampan_inside *inside)
{
    struct sampan_visit *visit;
    size_t left = 0;

    pthread_mutex_lock(&sampan_visits_lock);
    for (struct sampan_visit **link = &inside->visits; (visit = *link);) {
        if (!visit->ended || lingers(visit)) {
            left++;
            link = &visit->next;
            continue;
        }
        *link = visit->next;
        /* It has let go of the lock for the last time: it does not need it to end. */
        if (!visit->detached) {
            pthread_join(visit->id, NULL);
        }
        free(visit);
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    return left;
}

int sampan_inside_end(struct sampan_inside *inside, int milliseconds)
{
    int stopped = 0;

    atomic_store(&inside->state, STOPPING);
    for (int waited = 0; !(stopped = all_stopped(inside)) && waited < milliseconds; waited++) {
        nap();
    }
    if (!stopped) {
        atomic_store(&inside->state, RUNNING);
        return -1;
    }
    atomic_store(&inside->state, ENDING);
    while (reap(inside)) {
        nap();
    }
    return 0;
}
