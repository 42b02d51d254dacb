/* The runs there are, and who visits them. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "within.h"

atomic_int sampan_ready;
pthread_key_t sampan_here;
pthread_mutex_t sampan_visits_lock = PTHREAD_MUTEX_INITIALIZER;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sampan_inside *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static void set_up(void)
{
    /* In this order: the signal's handler asks for the key. */
    if (!pthread_key_create(&sampan_here, NULL) && sampan_stop_signal()) {
        atomic_store(&sampan_ready, 1);
    }
}

struct sampan_inside *sampan_inside_new(void *owner, void *base, size_t size)
{
    struct sampan_inside *inside;

    pthread_once(&once, set_up);
    inside = atomic_load(&sampan_ready) ? calloc(1, sizeof *inside) : NULL;
    if (inside) {
        inside->owner = owner;
        inside->base = base;
        inside->size = size;
        pthread_mutex_lock(&all_lock);
        inside->next = all;
        all = inside;
        pthread_mutex_unlock(&all_lock);
    }
    return inside;
}

void sampan_inside_free(struct sampan_inside *inside)
{
    struct sampan_inside **link = &all;

    pthread_mutex_lock(&all_lock);
    while (*link != inside) {
        link = &(*link)->next;
    }
    *link = inside->next;
    pthread_mutex_unlock(&all_lock);
    free(inside);
}

void sampan_add_visit(struct sampan_visit *visit)
{
    visit->next = visit->inside->visits;
    visit->inside->visits = visit;
}

void sampan_drop_visit(struct sampan_visit *visit)
{
    struct sampan_visit **link = &visit->inside->visits;

    while (*link != visit) {
        link = &(*link)->next;
    }
    *link = visit->next;
    free(visit);
}

struct sampan_visit *sampan_inside_enter(struct sampan_inside *inside)
{
    struct sampan_visit *visit = calloc(1, sizeof *visit);

    if (!visit) {
        abort();
    }
    visit->inside = inside;
    visit->outer = here();
    pthread_mutex_lock(&sampan_visits_lock);
    sampan_add_visit(visit);
    pthread_mutex_unlock(&sampan_visits_lock);
    pthread_setspecific(sampan_here, visit);
    return visit;
}

void sampan_inside_leave(struct sampan_visit *visit)
{
    sampan_run_destructors(visit);
    pthread_setspecific(sampan_here, visit->outer);
    pthread_mutex_lock(&sampan_visits_lock);
    sampan_drop_visit(visit);
    pthread_mutex_unlock(&sampan_visits_lock);
}

void *sampan_inside_owner(void)
{
    struct sampan_visit *visit = here();

    return visit ? visit->inside->owner : NULL;
}

void *sampan_inside_base(const void *address)
{
    const char *wanted = address;
    struct sampan_inside *inside;

    pthread_mutex_lock(&all_lock);
    for (inside = all; inside; inside = inside->next) {
        if (wanted >= inside->base && wanted < inside->base + inside->size) {
            break;
        }
    }
    pthread_mutex_unlock(&all_lock);
    return inside ? inside->base : NULL;
}

void *sampan_inside_name(const char *name)
{
    static const struct name *const lists[] = {
        sampan_thread_names, sampan_key_names,    sampan_wait_names,   sampan_signal_names,
        sampan_fd_names,     sampan_stream_names, sampan_memory_names,
    };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct name *entry = lists[i]; entry->name; entry++) {
            if (!strcmp(entry->name, name)) {
                return entry->address;
            }
        }
    }
    return NULL;
}

size_t sampan_inside_take_back(struct sampan_inside *inside)
{
    size_t closed = 0;

    sampan_restore_signals(inside);
    for (int fd = 0; fd < FDS; fd++) {
        if (atomic_load(&inside->fds[fd / WORD]) >> fd % WORD & 1) {
            struct sampan_visit visitor = {.inside = inside};

            sampan_disown(&visitor, fd);
            close(fd);
            closed++;
        }
    }
    return closed;
}
