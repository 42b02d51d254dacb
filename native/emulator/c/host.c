/*
 * The thread on which QEMU runs inside another program.
 *
 * It is C from its first frame to its last, so that ending it in the middle of qemu_init(), which is what
 * becomes of exit(), unwinds no frame of Rust.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

struct sampan_vm {
    struct sampan_vm *next; /* of all there ever were */
    void *library;          /* where this copy of libqemu begins in memory */
    struct sampan_entries qemu;
    int argc;
    char **argv;
    char name[16];
    pthread_t thread;
    struct sampan_visit *visit; /* the thread's */

    pthread_mutex_t lock; /* all below */
    int event_fd;         /* -1: nobody listens any more */
    int want_end;
    struct sampan_state state;
};

/* Called with the lock held. */
static void notify(struct sampan_vm *vm)
{
    const uint64_t one = 1;

    if (vm->event_fd >= 0) {
        ssize_t n = write(vm->event_fd, &one, sizeof one);
        (void)n; /* an eventfd that is full has been noticed already */
    }
}

static struct sampan_vm *vms;
static pthread_mutex_t vms_lock = PTHREAD_MUTEX_INITIALIZER;

/* Where the libqemu begins that has this address, whoever loaded it; NULL: none has. */
static void *library_of(void *address)
{
    void *base = sampan_inside_base(address);
    Dl_info library;

    return base ? base : dladdr(address, &library) ? library.dli_fbase : NULL;
}

/* The VM whose libqemu has this address; there is one for each that calls the hook. */
static struct sampan_vm *vm_of(void *address)
{
    void *library = library_of(address);
    struct sampan_vm *vm;

    pthread_mutex_lock(&vms_lock);
    for (vm = vms; vm && vm->library != library; vm = vm->next) {
    }
    pthread_mutex_unlock(&vms_lock);
    return vm;
}

static struct sampan_visit *enter(struct sampan_vm *vm)
{
    return vm->qemu.inside ? sampan_inside_enter(vm->qemu.inside) : NULL;
}

static void leave(struct sampan_visit *visit)
{
    if (visit) {
        sampan_inside_leave(visit);
    }
}

/* The wrapped exit(), on whatever thread of QEMU's called it. Which QEMU's, the return address tells. */
static __attribute__((noinline)) void on_exit_called(int status)
{
    struct sampan_vm *vm = vm_of(__builtin_return_address(0));

    if (!vm) {
        abort();
    }
    pthread_mutex_lock(&vm->lock);
    if (!vm->state.exited) {
        vm->state.exited = pthread_equal(pthread_self(), vm->thread) ? SAMPAN_EXITED_HERE : SAMPAN_EXITED_ELSEWHERE;
        vm->state.status = status;
        notify(vm);
    }
    pthread_mutex_unlock(&vm->lock);
    sampan_inside_exit_thread();
}

static void on_thread_end(void *opaque)
{
    struct sampan_vm *vm = opaque;

    leave(vm->visit);
    pthread_mutex_lock(&vm->lock);
    vm->state.phase = SAMPAN_ENDED;
    notify(vm);
    pthread_mutex_unlock(&vm->lock);
}

static void enter_running(struct sampan_vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    vm->state.phase = SAMPAN_RUNNING;
    vm->state.ran = 1;
    if (vm->want_end) {
        vm->qemu.system_killed(SIGTERM, getpid());
    }
    notify(vm);
    pthread_mutex_unlock(&vm->lock);
}

/* Returns whether exit() has been called meanwhile. */
static int leave_running(struct sampan_vm *vm, int status)
{
    int exited;

    pthread_mutex_lock(&vm->lock);
    vm->state.phase = SAMPAN_ENDING;
    exited = vm->state.exited;
    if (!exited) {
        vm->state.status = status;
    }
    pthread_mutex_unlock(&vm->lock);
    return exited;
}

static void *run(void *opaque)
{
    struct sampan_vm *vm = opaque;
    int status;

    pthread_mutex_lock(&vm->lock); /* until pthread_create() has written vm->thread */
    pthread_mutex_unlock(&vm->lock);
    pthread_setname_np(pthread_self(), vm->name);

    vm->visit = enter(vm);
    pthread_cleanup_push(on_thread_end, vm);
    vm->qemu.init(vm->argc, vm->argv); /* returns with the big lock held */
    enter_running(vm);
    status = vm->qemu.main_loop();
    if (leave_running(vm, status)) {
        /* Another thread of QEMU's ended in exit(): a cleanup would wait for it for ever. */
        vm->qemu.bql_unlock();
    } else {
        vm->qemu.cleanup(status);
        vm->qemu.bql_unlock();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

struct sampan_vm *sampan_vm_start(const struct sampan_entries *qemu, int argc, char **argv, const char *name,
                                  size_t stack, int event_fd, int *error)
{
    struct sampan_vm *vm = calloc(1, sizeof *vm);
    pthread_attr_t attr;
    sigset_t blocked, before;
    struct sampan_visit *visit;

    if (!vm || !(vm->library = library_of((void *)qemu->init))) {
        *error = vm ? ENOEXEC : ENOMEM;
        free(vm);
        return NULL;
    }
    vm->qemu = *qemu;
    vm->argc = argc;
    vm->argv = argv;
    strncpy(vm->name, name, sizeof vm->name - 1);
    vm->event_fd = event_fd;
    pthread_mutex_init(&vm->lock, NULL);
    pthread_mutex_lock(&vms_lock);
    vm->next = vms;
    vms = vm;
    pthread_mutex_unlock(&vms_lock);
    visit = enter(vm);
    qemu->set_exit_hook(on_exit_called);
    leave(visit);

    /*
     * The program's signals are the program's: QEMU's threads inherit this mask. SIGPIPE is among them,
     * so a peer that hangs up is an error of write() whatever the program does about SIGPIPE.
     */
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGTRAP);
    sigdelset(&blocked, SIGABRT);

    pthread_attr_init(&attr);
    *error = pthread_attr_setstacksize(&attr, stack);
    if (!*error) {
        pthread_mutex_lock(&vm->lock);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        *error = pthread_create(&vm->thread, &attr, run, vm);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_mutex_unlock(&vm->lock);
    }
    pthread_attr_destroy(&attr);
    /* A VM without a thread stays on the list: its copy of libqemu never runs. */
    return *error ? NULL : vm;
}

struct sampan_state sampan_vm_state(struct sampan_vm *vm)
{
    struct sampan_state state;

    pthread_mutex_lock(&vm->lock);
    state = vm->state;
    pthread_mutex_unlock(&vm->lock);
    return state;
}

void sampan_vm_terminate(struct sampan_vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    vm->want_end = 1;
    if (vm->state.phase == SAMPAN_RUNNING) {
        struct sampan_visit *visit = enter(vm);

        vm->qemu.system_killed(SIGTERM, getpid());
        leave(visit);
    }
    pthread_mutex_unlock(&vm->lock);
}

void sampan_vm_release(struct sampan_vm *vm)
{
    int ended;

    pthread_mutex_lock(&vm->lock);
    ended = vm->state.phase == SAMPAN_ENDED;
    vm->event_fd = -1;
    pthread_mutex_unlock(&vm->lock);
    if (ended) {
        pthread_join(vm->thread, NULL);
    } else {
        pthread_detach(vm->thread);
    }
}

void sampan_vm_free(struct sampan_vm *vm)
{
    struct sampan_vm **link = &vms;

    pthread_mutex_lock(&vms_lock);
    while (*link != vm) {
        link = &(*link)->next;
    }
    *link = vm->next;
    pthread_mutex_unlock(&vms_lock);
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}
