/*
 * Signal handlers of the run's own: one action is the whole process's, so what is installed is ours and asks
 * whose thread it is on. Several runs may use the same signal, and after the
 * last one the program's own action is back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "within.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction programs[SIGNALS]; /* while we stand in for it */
static unsigned users[SIGNALS];

static void call(const struct sigaction *action, int signal, siginfo_t *info, void *context)
{
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(signal, info, context);
    } else if (action->sa_handler == SIG_DFL) {
        sigaction(signal, action, NULL);
        raise(signal);
    } else if (action->sa_handler != SIG_IGN) {
        action->sa_handler(signal);
    }
}

static void dispatch(int signal, siginfo_t *info, void *context)
{
    struct sampan_visit *visit = here();
    int ours = visit && visit->inside->handled[signal], error = errno;

    call(ours ? &visit->inside->actions[signal] : &programs[signal], signal, info, context);
    errno = error;
}

/* Called with the lock held. */
static int take(struct sampan_inside *inside, int signal, const struct sigaction *wanted)
{
    struct sigaction action = {.sa_sigaction = dispatch};
    int error = 0;

    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (wanted->sa_flags & SA_RESTART);
    sigfillset(&action.sa_mask);
    if (!inside->handled[signal] && !users[signal]) {
        error = sigaction(signal, &action, &programs[signal]);
    }
    if (!error) {
        users[signal] += !inside->handled[signal];
        inside->actions[signal] = *wanted;
        inside->handled[signal] = 1;
    }
    return error;
}

/* Called with the lock held. */
static int give_back(struct sampan_inside *inside, int signal)
{
    struct sigaction now;

    if (!inside->handled[signal]) {
        return 0;
    }
    inside->handled[signal] = 0;
    if (--users[signal] || sigaction(signal, NULL, &now)) {
        return 0;
    }
    /* The program may have set another since. */
    return now.sa_flags & SA_SIGINFO && now.sa_sigaction == dispatch ? sigaction(signal, &programs[signal], NULL) : 0;
}

void sampan_restore_signals(struct sampan_inside *inside)
{
    pthread_mutex_lock(&lock);
    for (int signal = 1; signal < SIGNALS; signal++) {
        give_back(inside, signal);
    }
    pthread_mutex_unlock(&lock);
}

static int in_sigaction(int signal, const struct sigaction *new, struct sigaction *old)
{
    struct sampan_visit *visit = here();
    struct sigaction before;
    int result = 0;

    if (!visit || signal <= 0 || signal >= SIGNALS) {
        return sigaction(signal, new, old);
    }
    pthread_mutex_lock(&lock);
    if (visit->inside->handled[signal]) {
        before = visit->inside->actions[signal];
    } else if (users[signal]) {
        before = programs[signal];
    } else {
        result = sigaction(signal, NULL, &before);
    }
    if (!result && new) {
        /* Whether a signal is ignored is for the program to say. */
        int handler = new->sa_flags &SA_SIGINFO || (new->sa_handler != SIG_DFL && new->sa_handler != SIG_IGN);

        result = handler ? take(visit->inside, signal, new) : give_back(visit->inside, signal);
    }
    pthread_mutex_unlock(&lock);
    if (!result && old) {
        *old = before;
    }
    return result;
}

static void (*in_signal(int signal, void (*handler)(int)))(int)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

    return in_sigaction(signal, &action, &old) ? SIG_ERR : old.sa_handler;
}

const struct name sampan_signal_names[] = {
    {"sigaction", in_sigaction},
    {"signal", in_signal},
    {NULL, NULL},
};
