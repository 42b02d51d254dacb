/*
 * libqemu as it is when somebody else has taken it over: it makes the system calls that it is told to on the socket of its monitor, and
 * answers with what the kernel said. `sandbox_escape.rs` tells it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum kind { NUMBER, IN_MEMORY /* an offset */, LAST_RESULT };

struct order {
    int64_t number;
    int64_t values[6];
    uint64_t kinds[6];
    uint64_t memory; /* bytes that follow, and that the answer repeats */
};

static int monitor = -1;

/* 0 at the end of the stream. */
static int take(void *to, size_t size)
{
    while (size) {
        ssize_t n = read(monitor, to, size);

        if (n <= 0) {
            return 0;
        }
        to = (char *)to + n;
        size -= n;
    }
    return 1;
}

static void give(const void *from, size_t size)
{
    while (size) {
        ssize_t n = write(monitor, from, size);

        if (n <= 0) {
            return;
        }
        from = (const char *)from + n;
        size -= n;
    }
}

EXPORT void qemu_init(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        sscanf(argv[i], "socket,id=qmp,fd=%d", &monitor);
    }
}

EXPORT int qemu_main_loop(void)
{
    static _Alignas(16) char memory[65536];
    struct order order;
    int64_t last = 0;

    while (take(&order, sizeof order) && order.memory <= sizeof memory && take(memory, order.memory)) {
        long values[6];

        for (int i = 0; i < 6; i++) {
            values[i] = order.kinds[i] == IN_MEMORY     ? (long)(memory + order.values[i])
                        : order.kinds[i] == LAST_RESULT ? (long)last
                                                        : (long)order.values[i];
        }
        last = syscall(order.number, values[0], values[1], values[2], values[3], values[4], values[5]);
        if (last < 0) {
            last = -errno;
        }
        give(&last, sizeof last);
        give(memory, order.memory);
    }
    return 0;
}

EXPORT void qemu_cleanup(int status)
{
    (void)status;
}

EXPORT void bql_unlock(void)
{
}

EXPORT void qemu_system_killed(int signal, pid_t pid)
{
    (void)signal;
    (void)pid;
}

EXPORT void sampan_set_exit_hook(void (*hook)(int))
{
    (void)hook;
}

EXPORT void sampan_set_log_fd(int fd)
{
    (void)fd;
}
