// A stand-in for OpenHarmony's libnative_window.so on memfds, and the other side of the surface: what the compositor does.
//
// Its functions have the signatures of native_window/external_window.h and keep its rules. Whoever breaks one (a window
// used after its end, by two threads, a buffer flushed twice) is counted: stand_in_faults() must stay 0.
//
// Nothing that a test has seen is ever freed, so that a use after the end is found and not undefined.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, INVALID_ARGUMENTS = 40001000, NO_BUFFER = 40601000, NO_CONSUMER = 41202000, BUFFER_STATE_INVALID = 41207000 };
enum { SET_BUFFER_GEOMETRY = 0, GET_BUFFER_GEOMETRY = 1, SET_FORMAT = 3, SET_USAGE = 5, SET_TIMEOUT = 10 };
enum { BGRX_8888 = 19, BGRA_8888 = 20 };
enum { MAX_BUFFERS = 64, WINDOW = 0x57494e44, BUFFER = 0x57425546 };

typedef struct {
    int32_t fd, width, stride, height, size, format;
    uint64_t usage;
    void *virAddr;
    int32_t key;
    uint64_t phyAddr;
    uint32_t reserveFds, reserveInts;
    int32_t reserve[];
} BufferHandle;

typedef struct Region {
    struct Rect {
        int32_t x, y;
        uint32_t w, h;
    } *rects;
    int32_t rectNumber;
} Region;

enum State { FREE, REQUESTED, QUEUED, SHOWN, DELETED };

typedef struct Buffer {
    int32_t magic, references;
    enum State state;
    struct Surface *surface;
    uint64_t flushed_at;
    BufferHandle handle;
} Buffer;

typedef struct Window {
    int32_t magic, references;
    struct Surface *surface;
    pid_t thread;
    // What it has requested, which it keeps alive even if the surface ends.
    struct Buffer *held;
} Window;

typedef struct Surface {
    uint64_t id;
    int alive;
    // What the producer set.
    int32_t width, height, format, timeout, scaling;
    uint64_t usage;
    // How it behaves.
    int32_t buffers, padding, hold, opens_after;
    int32_t refusals, refusal;
    int32_t fence, fence_ms;
    int32_t odd;
    // What happened.
    Buffer *queue[MAX_BUFFERS];
    Buffer *shown;
    uint64_t clock, requested, flushed, aborted, windows;
    // Who watches it hears a byte at the other end; 0: nobody does.
    int32_t bell;
    struct Surface *next;
} Surface;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Surface *surfaces;
static uint64_t last_id = 1000;
static int32_t faults;

static void fault(const char *what) {
    faults++;
    fprintf(stderr, "stand-in: %s\n", what);
}

static Surface *find(uint64_t id) {
    Surface *surface = surfaces;
    while (surface && surface->id != id) surface = surface->next;
    return surface;
}

static void sleep_ms(int32_t ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&time, &time) && errno == EINTR) {
    }
}

// A window may be used while a reference is left, and by one thread.
static Surface *of(Window *window, const char *call) {
    if (!window || window->magic != WINDOW || window->references < 1) {
        fault(call);
        return NULL;
    }
    pid_t thread = (pid_t)syscall(SYS_gettid);
    if (!window->thread) window->thread = thread;
    if (window->thread != thread) fault("a window is used by two threads");
    return window->surface;
}

static void give_back(Buffer *buffer) {
    if (--buffer->references == 0) {
        close(buffer->handle.fd);
        buffer->handle.fd = -1;
    }
}

static void hold(Window *window, Buffer *buffer) {
    if (window->held) give_back(window->held);
    window->held = buffer;
    if (buffer) buffer->references++;
}

static void forget(Surface *surface, int i) {
    Buffer *buffer = surface->queue[i];
    surface->queue[i] = NULL;
    buffer->state = DELETED;
    if (surface->shown == buffer) surface->shown = NULL;
    give_back(buffer);
}

// Whoever does not listen misses nothing: what is in the socket already says the same.
static void ring(Surface *surface) {
    if (surface->bell) (void)!send(surface->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static Buffer *allocate(Surface *surface) {
    Buffer *buffer = calloc(1, sizeof *buffer);
    BufferHandle *handle = &buffer->handle;
    handle->width = surface->width;
    handle->height = surface->height;
    handle->stride = surface->width * 4 + surface->padding;
    handle->size = handle->stride * handle->height;
    handle->format = surface->format;
    handle->usage = surface->usage;
    handle->fd = memfd_create("buffer", MFD_CLOEXEC);
    if (handle->fd < 0 || ftruncate(handle->fd, handle->size)) {
        free(buffer);
        return NULL;
    }
    // Nothing like a picture: what is not drawn shows.
    void *bytes = mmap(NULL, (size_t)handle->size, PROT_WRITE, MAP_SHARED, handle->fd, 0);
    memset(bytes, 0xa5, (size_t)handle->size);
    munmap(bytes, (size_t)handle->size);
    buffer->magic = BUFFER;
    buffer->references = 1;
    buffer->surface = surface;
    return buffer;
}

int32_t OH_NativeWindow_CreateNativeWindowFromSurfaceId(uint64_t id, Window **into) {
    pthread_mutex_lock(&lock);
    int32_t answer = INVALID_ARGUMENTS;
    Surface *surface = find(id);
    if (into && surface && surface->alive && surface->opens_after-- <= 0) {
        Window *window = calloc(1, sizeof *window);
        *window = (Window){WINDOW, 1, surface, 0, NULL};
        surface->windows++;
        *into = window;
        answer = OK;
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

int32_t OH_NativeWindow_NativeObjectReference(void *object) {
    pthread_mutex_lock(&lock);
    int32_t *magic_references = object;
    if (magic_references[1] < 1) fault("a reference to what is gone");
    magic_references[1]++;
    pthread_mutex_unlock(&lock);
    return OK;
}

int32_t OH_NativeWindow_NativeObjectUnreference(void *object) {
    pthread_mutex_lock(&lock);
    int32_t *magic_references = object;
    if (magic_references[1] < 1) {
        fault("a reference is given back twice");
    } else if (magic_references[0] == BUFFER) {
        give_back(object);
    } else if (--magic_references[1] == 0) {
        ((Window *)object)->surface->windows--;
    }
    pthread_mutex_unlock(&lock);
    return OK;
}

void OH_NativeWindow_DestroyNativeWindow(Window *window) {
    pthread_mutex_lock(&lock);
    Surface *surface = of(window, "a window is destroyed twice");
    if (surface && --window->references == 0) {
        surface->windows--;
        hold(window, NULL);
        for (int i = 0; i < MAX_BUFFERS; i++) {
            if (surface->queue[i] && surface->queue[i]->state == REQUESTED) fault("a window ends with a buffer requested");
        }
    }
    pthread_mutex_unlock(&lock);
}

int32_t OH_NativeWindow_NativeWindowHandleOpt(Window *window, int code, ...) {
    pthread_mutex_lock(&lock);
    Surface *surface = of(window, "an option of a window that is gone");
    int32_t answer = surface ? surface->alive ? OK : NO_CONSUMER : INVALID_ARGUMENTS;
    va_list arguments;
    va_start(arguments, code);
    if (answer == OK) switch (code) {
        case SET_BUFFER_GEOMETRY: {
            int32_t width = va_arg(arguments, int32_t), height = va_arg(arguments, int32_t);
            if (width < 1 || height < 1) {
                answer = INVALID_ARGUMENTS;
            } else {
                surface->width = width;
                surface->height = height;
            }
            break;
        }
        case GET_BUFFER_GEOMETRY:
            // In this order.
            *va_arg(arguments, int32_t *) = surface->height;
            *va_arg(arguments, int32_t *) = surface->width;
            break;
        case SET_FORMAT:
            surface->format = va_arg(arguments, int32_t);
            if (surface->format != BGRA_8888 && surface->format != BGRX_8888) answer = INVALID_ARGUMENTS;
            break;
        case SET_USAGE:
            surface->usage = va_arg(arguments, uint64_t);
            break;
        case SET_TIMEOUT:
            surface->timeout = va_arg(arguments, int32_t);
            break;
        default:
            answer = INVALID_ARGUMENTS;
    }
    va_end(arguments);
    pthread_mutex_unlock(&lock);
    return answer;
}

int32_t OH_NativeWindow_NativeWindowSetScalingModeV2(Window *window, int32_t mode) {
    pthread_mutex_lock(&lock);
    Surface *surface = of(window, "scaling of a window that is gone");
    if (surface) surface->scaling = mode;
    pthread_mutex_unlock(&lock);
    return surface ? OK : INVALID_ARGUMENTS;
}

static void signal_fence(int fd) {
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one) fault("a fence cannot be signalled");
}

static void *signal_late(void *data) {
    int fd = (int)((intptr_t)data & 0xffffff), ms = (int)((intptr_t)data >> 24);
    sleep_ms(ms);
    signal_fence(fd);
    close(fd);
    return NULL;
}

// An event that is there at once (1, without fence_ms), late (1) or never (2).
static int make_fence(Surface *surface) {
    if (!surface->fence) return -1;
    int fence = eventfd(0, EFD_CLOEXEC);
    if (surface->fence == 2) return fence;
    if (surface->fence_ms == 0) {
        signal_fence(fence);
        return fence;
    }
    pthread_t thread;
    intptr_t data = ((intptr_t)surface->fence_ms << 24) | dup(fence);
    if (pthread_create(&thread, NULL, signal_late, (void *)data)) abort();
    pthread_detach(thread);
    return fence;
}

static int32_t request(Surface *surface, Buffer **into, int *fence) {
    if (surface->refusals > 0) {
        surface->refusals--;
        return surface->refusal;
    }
    if (!surface->width || !surface->height) return INVALID_ARGUMENTS;
    int count = 0, empty = -1;
    Buffer *oldest = NULL;
    for (int i = 0; i < MAX_BUFFERS; i++) {
        Buffer *buffer = surface->queue[i];
        if (!buffer) {
            if (empty < 0) empty = i;
            continue;
        }
        int stale = buffer->handle.width != surface->width || buffer->handle.height != surface->height ||
                    buffer->handle.format != surface->format;
        if (stale && buffer->state == FREE) {
            forget(surface, i);
            if (empty < 0) empty = i;
            continue;
        }
        count++;
        if (!stale && buffer->state == FREE && (!oldest || buffer->flushed_at < oldest->flushed_at)) oldest = buffer;
    }
    if (count < surface->buffers && empty >= 0) {
        oldest = allocate(surface);
        if (oldest) surface->queue[empty] = oldest;
    }
    if (!oldest) return NO_BUFFER;
    oldest->state = REQUESTED;
    surface->requested++;
    *fence = make_fence(surface);
    *into = oldest;
    return OK;
}

int32_t OH_NativeWindow_NativeWindowRequestBuffer(Window *window, Buffer **into, int *fence) {
    pthread_mutex_lock(&lock);
    Surface *surface = of(window, "a request of a window that is gone");
    int32_t answer = surface ? surface->alive ? request(surface, into, fence) : NO_CONSUMER : INVALID_ARGUMENTS;
    if (answer == OK) hold(window, *into);
    int32_t wait = answer == NO_BUFFER ? surface->timeout : 0;
    pthread_mutex_unlock(&lock);
    // As the system does: it waits for a buffer as long as the producer said, but tests are in a hurry.
    if (wait) sleep_ms(wait > 5 ? 5 : wait);
    return answer;
}

BufferHandle *OH_NativeWindow_GetBufferHandleFromNative(Buffer *buffer) {
    pthread_mutex_lock(&lock);
    BufferHandle *handle = NULL;
    // It may have been taken from its producer a moment ago, whose reference keeps it alive.
    if (!buffer || buffer->magic != BUFFER || buffer->references < 1 ||
        (buffer->state != REQUESTED && buffer->state != DELETED)) {
        fault("a handle of a buffer that is not requested");
    } else {
        handle = &buffer->handle;
        // One that does not fit its buffer, once. It stays, since nothing is freed that a test has seen.
        BufferHandle *lie = malloc(sizeof *lie);
        *lie = *handle;
        switch (buffer->surface->odd) {
            case 1: lie->stride = lie->width * 4 - 4; handle = lie; break;
            case 2: lie->size = lie->size * 16; lie->stride = lie->stride * 16; handle = lie; break;
            case 3: lie->fd = -1; handle = lie; break;
            case 4: lie->width -= 1; handle = lie; break;
            case 5: lie->format = 12; handle = lie; break;
            case 6: handle = NULL; break;
            default: free(lie); break;
        }
        buffer->surface->odd = 0;
    }
    pthread_mutex_unlock(&lock);
    return handle;
}

// Returns the buffer to the queue in the state `to`; what was shown before is free then.
static int32_t put(Window *window, Buffer *buffer, enum State to, uint64_t *count) {
    Surface *surface = window->surface;
    if (!buffer || buffer->magic != BUFFER || buffer->surface != surface || buffer->state != REQUESTED) {
        fault("a buffer that is not requested is flushed or aborted");
        return BUFFER_STATE_INVALID;
    }
    ++*count;
    buffer->state = to;
    if (to == QUEUED) {
        buffer->flushed_at = ++surface->clock;
        if (!surface->hold) {
            if (surface->shown && surface->shown != buffer) surface->shown->state = FREE;
            surface->shown = buffer;
            buffer->state = SHOWN;
            ring(surface);
        }
    }
    return OK;
}

int32_t OH_NativeWindow_NativeWindowFlushBuffer(Window *window, Buffer *buffer, int fence, Region region) {
    pthread_mutex_lock(&lock);
    int32_t answer = INVALID_ARGUMENTS;
    Surface *surface = of(window, "a flush of a window that is gone");
    // Which corner a rectangle is counted from is not known: only the whole buffer is right.
    if (region.rectNumber != 0) fault("a region that is not the whole buffer");
    if (fence >= 0) close(fence);
    if (surface && surface->alive) {
        answer = put(window, buffer, QUEUED, &surface->flushed);
    } else if (surface) {
        answer = NO_CONSUMER;
    }
    if (answer == OK) hold(window, NULL);
    pthread_mutex_unlock(&lock);
    return answer;
}

int32_t OH_NativeWindow_NativeWindowAbortBuffer(Window *window, Buffer *buffer) {
    pthread_mutex_lock(&lock);
    Surface *surface = of(window, "an abort of a window that is gone");
    int32_t answer = surface ? surface->alive ? put(window, buffer, FREE, &surface->aborted) : NO_CONSUMER : INVALID_ARGUMENTS;
    if (surface) hold(window, NULL);
    pthread_mutex_unlock(&lock);
    return answer;
}

// For tests.

// A surface of this id, or 0 if there is one.
uint64_t stand_in_surface_as(uint64_t id) {
    pthread_mutex_lock(&lock);
    if (find(id)) id = 0;
    Surface *surface = id ? calloc(1, sizeof *surface) : NULL;
    if (!surface) {
        pthread_mutex_unlock(&lock);
        return 0;
    }
    surface->id = id;
    surface->alive = 1;
    surface->buffers = 3;
    surface->next = surfaces;
    surfaces = surface;
    pthread_mutex_unlock(&lock);
    return id;
}

uint64_t stand_in_surface(void) { return stand_in_surface_as(__atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED)); }

// The surface ends, whoever holds a window of it.
void stand_in_destroy(uint64_t id) {
    pthread_mutex_lock(&lock);
    Surface *surface = find(id);
    if (surface) surface->alive = 0;
    for (int i = 0; surface && i < MAX_BUFFERS; i++) {
        if (surface->queue[i]) forget(surface, i);
    }
    if (surface && surface->bell) {
        close(surface->bell);
        surface->bell = 0;
    }
    pthread_mutex_unlock(&lock);
}

// A descriptor, the caller's, at which a byte or more arrives when something else is shown, and the end when the surface ends. One at a time.
int32_t stand_in_watch(uint64_t id) {
    pthread_mutex_lock(&lock);
    Surface *surface = find(id);
    int ends[2] = {-1, -1};
    if (surface && surface->alive && !surface->bell && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        surface->bell = ends[1];
        // What is shown already.
        if (surface->shown) ring(surface);
    }
    pthread_mutex_unlock(&lock);
    return ends[0];
}

// `what` is one of the names below; returns -1 for another, and for a surface that there is none of.
int32_t stand_in_set(uint64_t id, const char *what, int32_t value) {
    pthread_mutex_lock(&lock);
    Surface *surface = find(id);
    if (!surface) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    struct {
        const char *name;
        int32_t *place;
    } knobs[] = {
        {"buffers", &surface->buffers}, {"padding", &surface->padding},   {"opens_after", &surface->opens_after},
        {"refusal", &surface->refusal}, {"refusals", &surface->refusals}, {"fence", &surface->fence},
        {"fence_ms", &surface->fence_ms}, {"odd", &surface->odd},         {"hold", &surface->hold},
    };
    int32_t answer = -1;
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        if (!strcmp(knobs[i].name, what)) {
            *knobs[i].place = value;
            answer = 0;
        }
    }
    // The compositor goes on: it shows the newest and frees the others.
    if (!surface->hold) {
        for (int i = 0; i < MAX_BUFFERS; i++) {
            Buffer *buffer = surface->queue[i];
            if (!buffer || buffer->state != QUEUED) continue;
            Buffer *older = buffer;
            if (!surface->shown || surface->shown->flushed_at < buffer->flushed_at) {
                older = surface->shown;
                surface->shown = buffer;
                buffer->state = SHOWN;
                ring(surface);
            }
            if (older) older->state = FREE;
        }
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

int64_t stand_in_get(uint64_t id, const char *what) {
    pthread_mutex_lock(&lock);
    Surface *surface = find(id);
    if (!surface) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    int64_t outstanding = 0;
    for (int i = 0; i < MAX_BUFFERS; i++) outstanding += surface->queue[i] && surface->queue[i]->state == REQUESTED;
    Buffer *shown = surface->shown;
    struct {
        const char *name;
        int64_t value;
    } facts[] = {
        {"requested", (int64_t)surface->requested}, {"flushed", (int64_t)surface->flushed}, {"aborted", (int64_t)surface->aborted},
        {"windows", (int64_t)surface->windows},     {"outstanding", outstanding},          {"scaling", surface->scaling},
        {"format", surface->format},                {"usage", (int64_t)surface->usage},    {"timeout", surface->timeout},
        {"width", shown ? shown->handle.width : 0}, {"height", shown ? shown->handle.height : 0},
    };
    int64_t answer = -1;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (!strcmp(facts[i].name, what)) answer = facts[i].value;
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

int32_t stand_in_faults(void) {
    pthread_mutex_lock(&lock);
    int32_t count = faults;
    pthread_mutex_unlock(&lock);
    return count;
}

// Copies the picture that is shown, row by row without the padding, and returns its bytes; 0: nothing is shown.
int64_t stand_in_shown(uint64_t id, uint8_t *into, int64_t room) {
    pthread_mutex_lock(&lock);
    Surface *surface = find(id);
    Buffer *shown = surface ? surface->shown : NULL;
    int64_t bytes = 0;
    if (shown && (bytes = (int64_t)shown->handle.width * 4 * shown->handle.height) <= room) {
        size_t row = (size_t)shown->handle.width * 4;
        for (int y = 0; y < shown->handle.height; y++) {
            ssize_t got = pread(shown->handle.fd, into + (size_t)y * row, row, (off_t)y * shown->handle.stride);
            if (got != (ssize_t)row) bytes = -1;
        }
    }
    pthread_mutex_unlock(&lock);
    return bytes;
}
