/*
 * Calls in which a thread may wait for ever, and can be stopped: see stop.c. While they wait they hold no lock of
 * libc's. A call that is not here waits as ever; a thread in it cannot be stopped.
 *
 * A thread may have got a mutex when it is stopped, so whoever waits for that mutex can be stopped too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "within.h"

#define WAITING(type, call)                                                                                            \
    struct sampan_visit *visit = here();                                                                               \
    type result;                                                                                                       \
    if (visit) {                                                                                                       \
        visit->blocked = 1;                                                                                            \
    }                                                                                                                  \
    result = call;                                                                                                     \
    if (visit) {                                                                                                       \
        visit->blocked = 0;                                                                                            \
    }                                                                                                                  \
    return result

/* Without a timeout of 0: a stream's lock may be held. */
static int in_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (!timeout) {
        return poll(fds, count, timeout);
    }
    WAITING(int, poll(fds, count, timeout));
}

static int in_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    WAITING(int, ppoll(fds, count, timeout, mask));
}

static int in_select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout)
{
    WAITING(int, select(count, read, write, except, timeout));
}

static int in_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
    WAITING(int, epoll_wait(epoll, events, count, timeout));
}

static int in_nanosleep(const struct timespec *time, struct timespec *left)
{
    WAITING(int, nanosleep(time, left));
}

static int in_usleep(useconds_t time)
{
    WAITING(int, usleep(time));
}

static unsigned in_sleep(unsigned time)
{
    WAITING(unsigned, sleep(time));
}

static int in_pause(void)
{
    WAITING(int, pause());
}

static int in_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    WAITING(int, pthread_cond_wait(cond, mutex));
}

static int in_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    WAITING(int, pthread_cond_timedwait(cond, mutex, until));
}

static int in_cond_signal(pthread_cond_t *cond)
{
    WAITING(int, pthread_cond_signal(cond));
}

static int in_cond_broadcast(pthread_cond_t *cond)
{
    WAITING(int, pthread_cond_broadcast(cond));
}

static int in_mutex_lock(pthread_mutex_t *mutex)
{
    int error = pthread_mutex_trylock(mutex);

    if (error != EBUSY) {
        return error;
    }
    WAITING(int, pthread_mutex_lock(mutex));
}

static pid_t in_waitpid(pid_t pid, int *status, int options)
{
    WAITING(pid_t, waitpid(pid, status, options));
}

static int in_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    WAITING(int, waitid(type, id, info, options));
}

static long call(long number, const long *a)
{
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Does it wait? What wakes others is done in no time, and with locks held. */
static int is_wait(long operation)
{
    operation &= FUTEX_CMD_MASK;
    return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
}

/* GLib's locks are made of futexes. */
static long in_syscall(long number, ...)
{
    va_list list;
    long a[6];

    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_futex && is_wait(a[1])) {
        WAITING(long, call(number, a));
    }
    return call(number, a);
}

const struct name sampan_wait_names[] = {
    {"poll", in_poll},
    {"ppoll", in_ppoll},
    {"select", in_select},
    {"epoll_wait", in_epoll_wait},
    {"nanosleep", in_nanosleep},
    {"usleep", in_usleep},
    {"sleep", in_sleep},
    {"pause", in_pause},
    {"pthread_cond_wait", in_cond_wait},
    {"pthread_cond_timedwait", in_cond_timedwait},
    {"pthread_cond_signal", in_cond_signal},
    {"pthread_cond_broadcast", in_cond_broadcast},
    {"pthread_mutex_lock", in_mutex_lock},
    {"waitpid", in_waitpid},
    {"waitid", in_waitid},
    {"syscall", in_syscall},
    {NULL, NULL},
};
