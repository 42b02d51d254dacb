/*
 * Thread-local variables without the dynamic linker's help.
 *
 * OpenHarmony's compiler emulates them: a variable is a control block, and its
 * address the answer of __emutls_get_address(), which the compiler's runtime
 * library brings.  The stand-in's runtime has none for musl, so here it is.
 * What a control block is: LLVM, compiler-rt/lib/builtins/emutls.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct control {
    size_t size;
    size_t align;
    /* 1 and up; 0 until a thread has asked for the variable. */
    uintptr_t index;
    /* What it starts with, zeroes if NULL. */
    const void *value;
};

/* A thread's variables: those with an index up to `count`, each NULL until it is asked for. */
struct variables {
    uintptr_t count;
    /* How many rounds of destructors were let pass. */
    unsigned rounds;
    void *blocks[];
};

/* Destructors of other keys use thread-local variables: this one goes last. */
enum { ROUNDS = 3, SPARE = 16 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static uintptr_t last_index;

static void end_of_thread(void *data)
{
    struct variables *mine = data;

    if (mine->rounds++ < ROUNDS) {
        pthread_setspecific(key, mine);
        return;
    }
    for (uintptr_t i = 0; i < mine->count; i++) {
        free(mine->blocks[i]);
    }
    free(mine);
}

static void create_key(void)
{
    if (pthread_key_create(&key, end_of_thread)) {
        abort();
    }
}

static uintptr_t index_of(struct control *variable)
{
    uintptr_t index = __atomic_load_n(&variable->index, __ATOMIC_ACQUIRE);

    if (!index) {
        pthread_once(&once, create_key);
        pthread_mutex_lock(&lock);
        index = variable->index;
        if (!index) {
            index = ++last_index;
            __atomic_store_n(&variable->index, index, __ATOMIC_RELEASE);
        }
        pthread_mutex_unlock(&lock);
    }
    return index;
}

/* Nobody who asks for a variable's address can be told that there is no memory. */
static struct variables *grown(struct variables *mine, uintptr_t index)
{
    uintptr_t count = index + SPARE, had = mine ? mine->count : 0;

    mine = realloc(mine, sizeof(*mine) + count * sizeof(void *));
    if (!mine) {
        abort();
    }
    memset(mine->blocks + had, 0, (count - had) * sizeof(void *));
    mine->count = count;
    mine->rounds = had ? mine->rounds : 0;
    if (pthread_setspecific(key, mine)) {
        abort();
    }
    return mine;
}

static void *made(struct control *variable)
{
    size_t align = variable->align < sizeof(void *) ? sizeof(void *) : variable->align;
    void *block = NULL;

    if (posix_memalign(&block, align, variable->size ? variable->size : 1)) {
        abort();
    }
    if (variable->value) {
        memcpy(block, variable->value, variable->size);
    } else {
        memset(block, 0, variable->size);
    }
    return block;
}

__attribute__((visibility("hidden"))) void *__emutls_get_address(struct control *variable)
{
    uintptr_t index = index_of(variable);
    struct variables *mine = pthread_getspecific(key);

    if (!mine || mine->count < index) {
        mine = grown(mine, index);
    }
    if (!mine->blocks[index - 1]) {
        mine->blocks[index - 1] = made(variable);
    }
    return mine->blocks[index - 1];
}
