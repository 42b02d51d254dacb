// A stand-in for OpenHarmony's libohaudio.so: a stream is a thread that calls for samples, or with them, in real time, as
// ohaudio/native_audiostreambuilder.h has it. What a renderer is given is kept; a capturer gives a square wave of 500 Hz.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int32_t (*OnData)(void *stream, void *user, void *data, int32_t length);
typedef int32_t (*OnCode)(void *stream, void *user, int32_t code);
typedef int32_t (*OnInterrupt)(void *stream, void *user, int32_t force, int32_t hint);

typedef struct Callbacks {
    OnData data;
    OnCode event;
    OnInterrupt interrupt;
    OnCode error;
} Callbacks;

typedef struct Builder {
    int kind, rate, channels, format, info;
    Callbacks callbacks;
    OnData write;
    void *user;
} Builder;

typedef struct Stream {
    Builder made;
    pthread_t thread;
    int running, released;
} Stream;

enum { FRAMES = 480, RENDERER = 1, CAPTURER = 2, KEPT = 48000 * 60 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int16_t *played;
static int64_t played_frames;
static int streams, faults, refusals;
static Stream *newest[3];

static int fault(void) {
    __atomic_add_fetch(&faults, 1, __ATOMIC_RELAXED);
    return 1;
}

int32_t OH_AudioStreamBuilder_Create(Builder **builder, int32_t kind) {
    if (kind != RENDERER && kind != CAPTURER) return fault();
    *builder = calloc(1, sizeof **builder);
    (*builder)->kind = kind;
    return 0;
}

int32_t OH_AudioStreamBuilder_Destroy(Builder *builder) {
    free(builder);
    return 0;
}

#define SET(name, field)                                     \
    int32_t OH_AudioStreamBuilder_##name(Builder *b, int32_t value) { \
        b->field = value;                                    \
        return 0;                                            \
    }
SET(SetSamplingRate, rate)
SET(SetChannelCount, channels)
SET(SetSampleFormat, format)
SET(SetEncodingType, info)
SET(SetRendererInfo, info)
SET(SetCapturerInfo, info)

int32_t OH_AudioStreamBuilder_SetRendererCallback(Builder *b, Callbacks callbacks, void *user) {
    if (b->kind != RENDERER) return fault();
    b->callbacks = callbacks;
    b->user = user;
    return 0;
}

int32_t OH_AudioStreamBuilder_SetCapturerCallback(Builder *b, Callbacks callbacks, void *user) {
    if (b->kind != CAPTURER || !callbacks.data) return fault();
    b->callbacks = callbacks;
    b->user = user;
    return 0;
}

int32_t OH_AudioStreamBuilder_SetRendererWriteDataCallback(Builder *b, OnData write, void *user) {
    if (b->kind != RENDERER || !write) return fault();
    b->write = write;
    b->user = user;
    return 0;
}

static int32_t generate(Builder *b, Stream **stream) {
    pthread_mutex_lock(&lock);
    int refused = refusals > 0 ? refusals-- : 0;
    pthread_mutex_unlock(&lock);
    if (refused) return 3;
    if (b->rate != 48000 || b->channels != 2 || b->format != 1 || (b->kind == RENDERER && !b->write)) return fault();
    *stream = calloc(1, sizeof **stream);
    (*stream)->made = *b;
    pthread_mutex_lock(&lock);
    streams++;
    newest[b->kind] = *stream;
    pthread_mutex_unlock(&lock);
    return 0;
}

int32_t OH_AudioStreamBuilder_GenerateRenderer(Builder *b, Stream **stream) { return generate(b, stream); }
int32_t OH_AudioStreamBuilder_GenerateCapturer(Builder *b, Stream **stream) { return generate(b, stream); }

static void pause_until(struct timespec *next, long ns) {
    next->tv_nsec += ns;
    next->tv_sec += next->tv_nsec / 1000000000;
    next->tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR) {
    }
}

static void *run(void *data) {
    Stream *stream = data;
    int16_t samples[FRAMES * 2];
    struct timespec next;
    int64_t n = 0;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (__atomic_load_n(&stream->running, __ATOMIC_ACQUIRE)) {
        if (stream->made.kind == CAPTURER) {
            for (int i = 0; i < FRAMES; i++, n++) samples[2 * i] = samples[2 * i + 1] = n % 96 < 48 ? 8000 : -8000;
            stream->made.callbacks.data(stream, stream->made.user, samples, sizeof samples);
        } else {
            memset(samples, 0x55, sizeof samples);
            if (stream->made.write(stream, stream->made.user, samples, sizeof samples) == 0) {
                pthread_mutex_lock(&lock);
                if (!played) played = calloc(KEPT, 4);
                if (played_frames + FRAMES <= KEPT) {
                    memcpy(played + played_frames * 2, samples, sizeof samples);
                    played_frames += FRAMES;
                }
                pthread_mutex_unlock(&lock);
            }
        }
        pause_until(&next, 10000000);
    }
    return NULL;
}

static int32_t start(Stream *stream) {
    if (stream->released) return fault();
    if (__atomic_exchange_n(&stream->running, 1, __ATOMIC_ACQ_REL)) return 2;
    return pthread_create(&stream->thread, NULL, run, stream) ? 3 : 0;
}

static int32_t stop(Stream *stream) {
    if (stream->released) return fault();
    if (!__atomic_exchange_n(&stream->running, 0, __ATOMIC_ACQ_REL)) return 2;
    pthread_join(stream->thread, NULL);
    return 0;
}

static int32_t release(Stream *stream) {
    if (stream->released) return fault();
    stop(stream);
    // Never freed, so that a use after this is counted.
    stream->released = 1;
    pthread_mutex_lock(&lock);
    streams--;
    pthread_mutex_unlock(&lock);
    return 0;
}

int32_t OH_AudioRenderer_Start(Stream *stream) { return start(stream); }
int32_t OH_AudioRenderer_Stop(Stream *stream) { return stop(stream); }
int32_t OH_AudioRenderer_Release(Stream *stream) { return release(stream); }
int32_t OH_AudioCapturer_Start(Stream *stream) { return start(stream); }
int32_t OH_AudioCapturer_Stop(Stream *stream) { return stop(stream); }
int32_t OH_AudioCapturer_Release(Stream *stream) { return release(stream); }

// For tests.

int64_t stand_in_played(int16_t *samples, int64_t frames) {
    pthread_mutex_lock(&lock);
    int64_t given = played_frames < frames ? played_frames : frames;
    if (given) memcpy(samples, played, (size_t)given * 4);
    int64_t all = played_frames;
    pthread_mutex_unlock(&lock);
    return all;
}

// The greatest sample of what was played from that frame on.
int64_t stand_in_loudest(int64_t from) {
    pthread_mutex_lock(&lock);
    int64_t loudest = 0;
    for (int64_t n = (from < 0 ? 0 : from) * 2; n < played_frames * 2; n++) {
        int64_t sample = played[n] < 0 ? -(int64_t)played[n] : played[n];
        if (sample > loudest) loudest = sample;
    }
    pthread_mutex_unlock(&lock);
    return loudest;
}

int32_t stand_in_sound(int32_t what) {
    pthread_mutex_lock(&lock);
    int32_t value = what == 0 ? streams : faults;
    pthread_mutex_unlock(&lock);
    return value;
}

void stand_in_refuse_sound(int32_t times) {
    pthread_mutex_lock(&lock);
    refusals = times;
    pthread_mutex_unlock(&lock);
}

// Another app wants to be heard (hint 2, the system pauses the stream), or has ended (1), or has taken its place (3).
void stand_in_interrupt(int32_t kind, int32_t hint) {
    pthread_mutex_lock(&lock);
    Stream *stream = newest[kind];
    pthread_mutex_unlock(&lock);
    if (!stream || stream->released) return;
    if (hint != 1) stop(stream);
    if (stream->made.callbacks.interrupt) stream->made.callbacks.interrupt(stream, stream->made.user, 0, hint);
}
