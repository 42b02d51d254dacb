/* A library for the loader's tests: it keeps state, starts threads and leaves things behind, as QEMU does. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const words[] = {"one", "two", "three"};
static int runs;
static char empty[100000];
static int constructed = 1;
static pthread_key_t key;
static int destroyed;
static volatile int busy;
struct never {
    pthread_mutex_t lock;
    pthread_cond_t cond;
};
static unsigned futex;
static pthread_mutex_t held;
static volatile int caught;

__attribute__((constructor)) static void construct(void)
{
    constructed++;
    empty[5] = 1;
}

__attribute__((weak)) void sample_of_nobody(void);

/* 1 if all is as it was made, and nothing has run before. */
int sample_is_fresh(void)
{
    return !runs++ && constructed == 2 && empty[5] == 1 && !empty[99999] && !strcmp(words[2], "three") &&
           !sample_of_nobody;
}

static void destroy(void *value)
{
    free(value);
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *short_life(void *opaque)
{
    pthread_setspecific(key, malloc(100));
    if (opaque) {
        pthread_exit(opaque);
    }
    return NULL;
}

/* The number of destructors that have run. */
int sample_threads(int count)
{
    pthread_t id;
    void *result;

    if (pthread_key_create(&key, destroy)) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (pthread_create(&id, NULL, short_life, i % 2 ? &key : NULL) || pthread_join(id, &result)) {
            return -1;
        }
        if (result != (i % 2 ? &key : NULL) || pthread_getspecific(key)) {
            return -1;
        }
    }
    return destroyed;
}

static void *wait_in_poll(void *opaque)
{
    struct pollfd fd = {.fd = eventfd(0, 0), .events = POLLIN};

    pthread_setspecific(key, malloc(100));
    poll(&fd, 1, -1);
    return opaque;
}

static void *wait_for_condition(void *opaque)
{
    /* glibc's siglongjmp() out of it takes the lock again, musl's does not: each has its own. */
    struct never *never = calloc(1, sizeof *never);

    pthread_mutex_lock(&never->lock);
    for (;;) {
        pthread_cond_wait(&never->cond, &never->lock);
    }
    return opaque;
}

static void *wait_for_futex(void *opaque)
{
    for (;;) {
        syscall(SYS_futex, &futex, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
    }
    return opaque;
}

/* libc touches what it holds when the thread ends. */
static void *hold(void *opaque)
{
    pthread_mutex_lock(&held);
    return wait_in_poll(opaque);
}

static void *want(void *opaque)
{
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return opaque;
}

static void *join(void *opaque)
{
    pthread_t other;

    return pthread_create(&other, NULL, wait_in_poll, NULL) || pthread_join(other, NULL) ? NULL : opaque;
}

static void *be_busy(void *opaque)
{
    while (busy) {
    }
    return opaque;
}

/* Threads that wait for ever, memory, mappings, descriptors, a stream, a folder's worth of each. */
int sample_litter(void)
{
    void *(*const starts[])(void *) = {wait_in_poll, wait_for_condition, wait_for_futex, hold, want, join};
    enum { KINDS = sizeof starts / sizeof *starts };
    pthread_mutexattr_t again;
    pthread_t id;
    FILE *file;

    if (pthread_mutexattr_init(&again) || pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE) ||
        pthread_mutex_init(&held, &again)) {
        return -1;
    }
    for (int i = 0; i < 2 * KINDS; i++) {
        if (pthread_create(&id, NULL, starts[i % KINDS], NULL) || (i < KINDS && pthread_detach(id))) {
            return -1;
        }
        if (eventfd(0, 0) < 0 || !memset(malloc(1 << 20), i, 1 << 20) || !memset(malloc(1000), i, 1000)) {
            return -1;
        }
        if (mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
            return -1;
        }
    }
    file = fopen("/proc/self/stat", "r");
    return file && fgetc(file) >= '0' ? 0 : -1;
}

/* A thread that does not wait, until it is told. */
int sample_busy(int on)
{
    pthread_t id;

    busy = on;
    return on ? pthread_create(&id, NULL, be_busy, NULL) : 0;
}

static void on_signal(int signal)
{
    caught = signal;
}

/* Its own handler, which it sees and its neighbours do not. */
int sample_signal(int signal)
{
    struct sigaction action, old;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    caught = 0;
    if (sigaction(signal, &action, &old) || pthread_kill(pthread_self(), signal)) {
        return -1;
    }
    return caught;
}

int sample_caught(void)
{
    return caught;
}
