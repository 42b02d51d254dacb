/* Thread-local storage of the run's own: see threads.c for what becomes of it when a thread ends. */
#include <errno.h>

#include "within.h"

static int create(pthread_key_t *key, void (*destroy)(void *))
{
    struct sampan_visit *visit = here();
    int error = EAGAIN;

    if (!visit) {
        return error;
    }
    pthread_mutex_lock(&sampan_visits_lock);
    for (int k = 0; k < KEYS; k++) {
        if (!visit->inside->keys[k].used) {
            visit->inside->keys[k].used = 1;
            visit->inside->keys[k].destroy = destroy;
            *key = k;
            error = 0;
            break;
        }
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    return error;
}

static int delete(pthread_key_t key)
{
    struct sampan_visit *visit = here();

    if (!visit || key >= KEYS) {
        return EINVAL;
    }
    pthread_mutex_lock(&sampan_visits_lock);
    visit->inside->keys[key].used = 0;
    visit->inside->keys[key].destroy = NULL;
    for (struct sampan_visit *v = visit->inside->visits; v; v = v->next) {
        v->values[key] = NULL;
    }
    pthread_mutex_unlock(&sampan_visits_lock);
    return 0;
}

static void *get(pthread_key_t key)
{
    struct sampan_visit *visit = here();

    return visit && key < KEYS ? visit->values[key] : NULL;
}

static int set(pthread_key_t key, const void *value)
{
    struct sampan_visit *visit = here();

    if (!visit || key >= KEYS) {
        return EINVAL;
    }
    visit->values[key] = (void *)value;
    return 0;
}

const struct name sampan_key_names[] = {
    {"pthread_key_create", create},
    {"pthread_key_delete", delete},
    {"pthread_getspecific", get},
    {"pthread_setspecific", set},
    {NULL, NULL},
};
