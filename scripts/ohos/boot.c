/*
 * Boots a guest with a libqemu and tells how long it took to say something.
 *
 *   boot LIBRARY WORDS OPTION…
 *
 * QEMU runs as in the product: loaded with dlopen(), on a thread of its own.  The
 * OPTIONs are QEMU's; the first serial port comes here.  As soon as WORDS have
 * come by on it, the seconds since the call of qemu_init() are printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOST_STACK = 8 << 20, PATIENCE_MS = 1000 * 1000, OPTIONS = 64 };

static char *options[OPTIONS + 8];
static int count;

static void fail(const char *what)
{
    fprintf(stderr, "boot: %s\n", what);
    _exit(1);
}

static void *find(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);

    if (!symbol) {
        fail(dlerror());
    }
    return symbol;
}

static void on_exit_call(int status)
{
    fprintf(stderr, "boot: QEMU called exit(%d)\n", status);
    _exit(1);
}

static void *run(void *handle)
{
    void (*set_exit_hook)(void (*)(int)) = find(handle, "sampan_set_exit_hook");
    void (*init)(int, char **) = find(handle, "qemu_init");
    int (*main_loop)(void) = find(handle, "qemu_main_loop");

    set_exit_hook(on_exit_call);
    init(count, options);
    main_loop();
    fail("QEMU ended before the words came");
    return NULL;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static char seen[1 << 20];
    char serial[64];
    size_t length = 0;
    int sockets[2];
    pthread_attr_t attr;
    pthread_t thread;
    void *handle;
    double start;

    if (argc < 3 || argc > OPTIONS) {
        fail("usage: boot LIBRARY WORDS OPTION...");
    }
    handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        fail(dlerror());
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) {
        fail("socketpair");
    }
    snprintf(serial, sizeof(serial), "socket,id=serial,fd=%d", sockets[1]);
    options[count++] = "libqemu";
    for (int i = 3; i < argc; i++) {
        options[count++] = argv[i];
    }
    options[count++] = "-chardev";
    options[count++] = serial;
    options[count++] = "-serial";
    options[count++] = "chardev:serial";

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, HOST_STACK);
    start = now();
    if (pthread_create(&thread, &attr, run, handle)) {
        fail("pthread_create");
    }
    while (length < sizeof(seen) - 1) {
        struct pollfd readable = { .fd = sockets[0], .events = POLLIN };
        ssize_t n;

        if (poll(&readable, 1, PATIENCE_MS) <= 0) {
            break;
        }
        n = read(sockets[0], seen + length, sizeof(seen) - 1 - length);
        if (n <= 0) {
            break;
        }
        length += n;
        if (strstr(seen, argv[2])) {
            printf("%.2f\n", now() - start);
            fflush(stdout);
            _exit(0);
        }
    }
    fprintf(stderr, "boot: no '%s' on the serial port, but this:\n%s\n", argv[2], seen);
    _exit(1);
}
