// A stand-in for OpenHarmony's libnative_vsync.so: one call of the callback for each request, by a thread of its own, as
// native_vsync/native_vsync.h has it.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef void (*Callback)(long long timestamp, void *data);

typedef struct VSync {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    pthread_t thread;
    Callback callback;
    void *data;
    int end;
} VSync;

// Of all of them: how long a period is, and whether they refuse to be made (1), refuse requests (2) or never call (3).
static int period_us = 2000, manners;
static int64_t requests;

static void *tick(void *data) {
    VSync *vsync = data;
    pthread_mutex_lock(&vsync->lock);
    while (!vsync->end) {
        if (!vsync->callback) {
            pthread_cond_wait(&vsync->wanted, &vsync->lock);
            continue;
        }
        pthread_mutex_unlock(&vsync->lock);
        int us = __atomic_load_n(&period_us, __ATOMIC_RELAXED);
        struct timespec time = {us / 1000000, us % 1000000 * 1000L};
        while (nanosleep(&time, &time) && errno == EINTR) {
        }
        pthread_mutex_lock(&vsync->lock);
        Callback callback = vsync->callback;
        void *with = vsync->data;
        vsync->callback = NULL;
        pthread_mutex_unlock(&vsync->lock);
        // Also after its end was asked for: a callback may be on its way then.
        if (callback && __atomic_load_n(&manners, __ATOMIC_RELAXED) != 3) callback(0, with);
        pthread_mutex_lock(&vsync->lock);
    }
    pthread_mutex_unlock(&vsync->lock);
    free(vsync);
    return NULL;
}

VSync *OH_NativeVSync_Create(const char *name, unsigned int length) {
    if (!name || !length || __atomic_load_n(&manners, __ATOMIC_RELAXED) == 1) return NULL;
    VSync *vsync = calloc(1, sizeof *vsync);
    pthread_mutex_init(&vsync->lock, NULL);
    pthread_cond_init(&vsync->wanted, NULL);
    if (pthread_create(&vsync->thread, NULL, tick, vsync)) abort();
    pthread_detach(vsync->thread);
    return vsync;
}

void OH_NativeVSync_Destroy(VSync *vsync) {
    pthread_mutex_lock(&vsync->lock);
    vsync->end = 1;
    pthread_cond_signal(&vsync->wanted);
    pthread_mutex_unlock(&vsync->lock);
}

int OH_NativeVSync_RequestFrame(VSync *vsync, Callback callback, void *data) {
    if (__atomic_load_n(&manners, __ATOMIC_RELAXED) == 2) return 50401000;
    __atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&vsync->lock);
    vsync->callback = callback;
    vsync->data = data;
    pthread_cond_signal(&vsync->wanted);
    pthread_mutex_unlock(&vsync->lock);
    return 0;
}

// For tests.

void stand_in_vsync(int period, int how) {
    __atomic_store_n(&period_us, period, __ATOMIC_RELAXED);
    __atomic_store_n(&manners, how, __ATOMIC_RELAXED);
}

int64_t stand_in_vsync_requests(void) { return __atomic_load_n(&requests, __ATOMIC_RELAXED); }
