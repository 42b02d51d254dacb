/*
 * Does a libqemu keep what docs/libqemu.md promises?  The last step of the build.
 *
 *   smoke FIRMWARE COPY COPY COPY
 *
 * COPY are three copies of one library in files of their own.  The first two run
 * at the same time in this process, each with a D-Bus display and a QMP greeting,
 * and quit; the third gets a wrong option, and its exit() must reach the hook
 * with QEMU's words in the log.  Afterwards the process is as it was before, with
 * no thread of QEMU's left.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, HOST_STACK = 8 << 20, NOT_EXITED = -1 };

struct vm {
    const char *library;
    const char *firmware;
    const char *wrong_option;   /* NULL: a machine that starts */
    void *handle;               /* of dlopen */
    int qmp[2];                 /* ours, QEMU's */
    int log[2];
    pthread_t thread;
    int exit_status;            /* what the hook was told */
    int loop_status;            /* what qemu_main_loop returned */
};

static _Thread_local struct vm *current;

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fputs("smoke: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    _exit(1);
}

static void on_exit_call(int status)
{
    current->exit_status = status;
    pthread_exit(NULL);
}

static void *find(void *library, const char *name)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fail("%s", dlerror());
    }
    return symbol;
}

static void *load(struct vm *vm)
{
    if (!vm->handle) {
        vm->handle = dlopen(vm->library, RTLD_NOW | RTLD_LOCAL);
    }
    if (!vm->handle) {
        fail("%s", dlerror());
    }
    return vm->handle;
}

static void *run(void *opaque)
{
    struct vm *vm = current = opaque;
    char qmp[64];
    void *library = load(vm);

    void (*set_exit_hook)(void (*)(int)) = find(library, "sampan_set_exit_hook");
    void (*set_log_fd)(int) = find(library, "sampan_set_log_fd");
    void (*init)(int, char **) = find(library, "qemu_init");
    int (*main_loop)(void) = find(library, "qemu_main_loop");
    void (*cleanup)(int) = find(library, "qemu_cleanup");
    void (*unlock)(void) = find(library, "bql_unlock");
    bool (*locked)(void) = find(library, "bql_locked");

    snprintf(qmp, sizeof(qmp), "socket,id=qmp,fd=%d", vm->qmp[1]);
    char *args[] = {
        "libqemu", "-nodefaults", "-no-user-config", "-L", (char *)vm->firmware,
        "-M", strstr(vm->library, "aarch64") ? "virt" : "q35",
        "-accel", "tcg,thread=multi", "-m", "64", "-display", "dbus,p2p=on",
        "-device", "virtio-gpu-pci", "-chardev", qmp,
        "-mon", "chardev=qmp,mode=control", (char *)vm->wrong_option, NULL
    };
    int count = sizeof(args) / sizeof(args[0]) - 1 - (vm->wrong_option == NULL);

    set_exit_hook(on_exit_call);
    set_log_fd(vm->log[1]);
    init(count, args);
    if (!locked()) {
        fail("qemu_init returned without the big lock");
    }
    vm->loop_status = main_loop();
    cleanup(vm->loop_status);
    unlock();
    return NULL;
}

static void start(struct vm *vm)
{
    pthread_attr_t attr;

    vm->exit_status = vm->loop_status = NOT_EXITED;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, vm->qmp) ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, vm->log)) {
        fail("socketpair: %m");
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, HOST_STACK);
    if (pthread_create(&vm->thread, &attr, run, vm)) {
        fail("pthread_create: %m");
    }
}

/* Reads until @wanted has come by; the bytes are few. */
static void expect(int fd, const char *wanted)
{
    static char seen[65536];
    size_t n = 0;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, PATIENCE_MS) <= 0 || n == sizeof(seen) - 1 ||
            read(fd, seen + n, 1) <= 0) {
            seen[n] = 0;
            fail("waited for '%s', got '%s'", wanted, seen);
        }
        seen[++n] = 0;
        if (seen[n - 1] == wanted[strlen(wanted) - 1] && strstr(seen, wanted)) {
            return;
        }
    }
}

static void ask(struct vm *vm, const char *command, int fd_to_send)
{
    char line[512], control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec bytes = { line, 0 };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

    bytes.iov_len = snprintf(line, sizeof(line), "%s\n", command);
    if (fd_to_send >= 0) {
        struct cmsghdr *c;

        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd_to_send, sizeof(int));
    }
    if (sendmsg(vm->qmp[0], &message, 0) < 0) {
        fail("sendmsg: %m");
    }
}

static void greet(struct vm *vm)
{
    expect(vm->qmp[0], "\"capabilities\": [\"oob\"]}}");
    ask(vm, "{\"execute\":\"qmp_capabilities\"}", -1);
    expect(vm->qmp[0], "{\"return\": {}}");
}

/* GDBus inside the library: the part that a GLib shared by two copies breaks. */
static void open_display(struct vm *vm)
{
    int bus[2];
    char auth[96], uid[16];
    int length = 1;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, bus)) {
        fail("socketpair: %m");
    }
    ask(vm, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"bus\"}}", bus[1]);
    expect(vm->qmp[0], "{\"return\": {}}");
    ask(vm, "{\"execute\":\"add_client\",\"arguments\":"
        "{\"protocol\":\"@dbus-display\",\"fdname\":\"bus\"}}", -1);
    /* A null byte, then our uid: the hexadecimal codes of its digits. */
    snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
    auth[0] = 0;
    length += sprintf(auth + length, "AUTH EXTERNAL ");
    for (const char *digit = uid; *digit; digit++) {
        length += sprintf(auth + length, "%02x", *digit);
    }
    length += sprintf(auth + length, "\r\nBEGIN\r\n");
    if (write(bus[0], auth, length) < 0) {
        fail("write: %m");
    }
    expect(bus[0], "OK ");
    expect(vm->qmp[0], "{\"return\": {}}");
    close(bus[1]);
}

static void finish(struct vm *vm)
{
    ask(vm, "{\"execute\":\"quit\"}", -1);
    pthread_join(vm->thread, NULL);
    if (vm->loop_status != 0 || vm->exit_status != NOT_EXITED) {
        fail("%s: loop status %d, exit status %d", vm->library,
             vm->loop_status, vm->exit_status);
    }
}

static glob_t tasks(void)
{
    glob_t found;

    glob("/proc/self/task/*/comm", 0, NULL, &found);
    return found;
}

static int has(const glob_t *found, const char *path)
{
    size_t i = 0;

    while (i < found->gl_pathc && strcmp(found->gl_pathv[i], path)) {
        i++;
    }
    return i < found->gl_pathc;
}

/* The first that is neither GLib's nor was there before, with its name; 0: there is none. */
static int foreign_thread(const glob_t *before, char name[32])
{
    glob_t now = tasks();
    int found = 0;

    for (size_t i = 0; i < now.gl_pathc && !found; i++) {
        FILE *file = has(before, now.gl_pathv[i]) ? NULL : fopen(now.gl_pathv[i], "r");

        if (file) {
            found = fgets(name, 32, file) && strncmp(name, "gmain", 5) &&
                    strncmp(name, "gdbus", 5) && strncmp(name, "pool-", 5);
            fclose(file);
        }
    }
    globfree(&now);
    return found;
}

/*
 * GLib has no way to end its own; virtual CPUs and RCU must be gone.  What was
 * there before is not theirs: whatever runs programs of another processor has
 * threads of its own.  A thread that has been joined may be seen for a moment.
 */
static void expect_only_glib_threads(const glob_t *before)
{
    const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
    char name[32] = "";
    int left;

    for (int tries = 0; (left = foreign_thread(before, name)) && tries < 500; tries++) {
        nanosleep(&moment, NULL);
    }
    if (left) {
        fail("a thread is left behind: %s", name);
    }
}

struct process {
    struct sigaction actions[NSIG];
    sigset_t mask;
    struct rlimit files;
    mode_t umask;
};

static struct process look(void)
{
    struct process now;

    memset(&now, 0, sizeof(now));
    for (int n = 1; n < NSIG; n++) {
        sigaction(n, NULL, &now.actions[n]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &now.mask);
    getrlimit(RLIMIT_NOFILE, &now.files);
    now.umask = umask(0);
    umask(now.umask);
    return now;
}

static void compare(const struct process *before, const struct process *after)
{
    for (int n = 1; n < NSIG; n++) {
        if (before->actions[n].sa_handler != after->actions[n].sa_handler) {
            fail("the handler of signal %d (%s) changed", n, strsignal(n));
        }
        if (sigismember(&before->mask, n) != sigismember(&after->mask, n)) {
            fail("the mask of signal %d (%s) changed", n, strsignal(n));
        }
    }
    if (before->files.rlim_cur != after->files.rlim_cur) {
        fail("the limit of open files changed");
    }
    if (before->umask != after->umask) {
        fail("the umask changed");
    }
}

int main(int argc, char **argv)
{
    struct process before, after;
    glob_t own = tasks();
    struct vm vms[3] = { 0 };
    struct rlimit few;

    if (argc != 5) {
        fail("usage: smoke FIRMWARE COPY COPY COPY");
    }
    for (int i = 0; i < 3; i++) {
        vms[i].library = argv[2 + i];
        vms[i].firmware = argv[1];
    }
    /* A soft limit below the hard one, which QEMU would lift. */
    getrlimit(RLIMIT_NOFILE, &few);
    if (few.rlim_cur > 512) {
        few.rlim_cur = 512;
        setrlimit(RLIMIT_NOFILE, &few);
    }
    before = look();

    /* Whether the thread that loads it runs it must not matter. */
    load(&vms[0]);
    start(&vms[0]);
    start(&vms[1]);
    greet(&vms[0]);
    greet(&vms[1]);
    open_display(&vms[0]);
    open_display(&vms[1]);
    after = look();
    compare(&before, &after);
    finish(&vms[0]);
    finish(&vms[1]);
    expect_only_glib_threads(&own);

    vms[2].wrong_option = "-no-such-option";
    start(&vms[2]);
    pthread_join(vms[2].thread, NULL);
    if (vms[2].exit_status != 1) {
        fail("the hook was told %d instead of 1", vms[2].exit_status);
    }
    expect(vms[2].log[0], "-no-such-option: invalid option\n");

    after = look();
    compare(&before, &after);
    /* The copies' threads that are left must not disturb an ordinary exit. */
    puts("two copies at once, display, quit, exit hook, log, process: ok");
    return 0;
}
