/*
 * One run of a library that our own loader mapped: whose code is running, which threads it started, and the
 * libc functions that it gets instead of libc's. Mirrored in src/run_context.rs. The C code of `emulator` uses it too.
 */
#ifndef SAMPAN_INSIDE_H
#define SAMPAN_INSIDE_H

#include <stddef.h>

struct sampan_inside;
struct sampan_visit;

/* `owner` is what sampan_inside_owner() answers on the run's threads. NULL: the system refused. */
struct sampan_inside *sampan_inside_new(void *owner, void *base, size_t size);
/* Only after sampan_inside_end() has succeeded, or if nobody ever entered. */
void sampan_inside_free(struct sampan_inside *inside);

/* Before a thread of the program calls the library, and after; its thread-local storage lasts as long. */
struct sampan_visit *sampan_inside_enter(struct sampan_inside *inside);
void sampan_inside_leave(struct sampan_visit *visit);

/* Whose code runs on this thread; NULL for none. */
void *sampan_inside_owner(void);
/* Where the mapped library begins that has this address; NULL if none has. */
void *sampan_inside_base(const void *address);

/* pthread_exit() with what the library wants done before. */
_Noreturn void sampan_inside_exit_thread(void);

/* What a library gets for one of libc's names; NULL: libc's own. */
void *sampan_inside_name(const char *name);

/*
 * Ends the threads that are left, wherever they wait. 0, or -1: one did not stop in time, all go on as if
 * nothing had happened, and nothing of the run may be taken back.
 */
int sampan_inside_end(struct sampan_inside *inside, int milliseconds);
/* Signal handlers and descriptors that are left; returns how many descriptors. After the end only. */
size_t sampan_inside_take_back(struct sampan_inside *inside);

/* In a shared library nobody else may see what is Rust's: a reference that is hidden hides the symbol (System V ABI, "Symbol Table"). */
#pragma GCC visibility push(hidden)

/* src/interpose.rs: what the run maps and opens. */
void sampan_mapped(void *owner, void *address, size_t size);
void sampan_unmapped(void *owner, void *address, size_t size);
enum { SAMPAN_FILE, SAMPAN_FOLDER };
void sampan_opened(void *owner, void *stream, int kind);
void sampan_closed(void *owner, void *stream);

/* src/interpose.rs: the run's heap, or libc's. */
void *sampan_malloc(size_t size);
void *sampan_realloc(void *old, size_t size);

#pragma GCC visibility pop

#endif
