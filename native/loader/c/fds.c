/* Descriptors: a run knows which are its own, to close those that are left. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <pty.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "within.h"

/* Passes through what a call gave, -1 too. */
int sampan_own(struct sampan_visit *visit, int fd)
{
    if (visit && fd >= 0 && fd < FDS) {
        atomic_fetch_or(&visit->inside->fds[fd / WORD], 1ul << fd % WORD);
    }
    return fd;
}

/* Before it is closed: afterwards the number may be somebody else's. */
void sampan_disown(struct sampan_visit *visit, int fd)
{
    if (visit && fd >= 0 && fd < FDS) {
        atomic_fetch_and(&visit->inside->fds[fd / WORD], ~(1ul << fd % WORD));
    }
}

static int own(int fd)
{
    return sampan_own(here(), fd);
}

static int own_two(int result, const int *fds)
{
    if (!result) {
        own(fds[0]);
        own(fds[1]);
    }
    return result;
}

static int in_close(int fd)
{
    sampan_disown(here(), fd);
    return close(fd);
}

static mode_t mode_of(int flags, va_list list)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

static int in_open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return own(open(path, flags, mode));
}

static int in_openat(int folder, const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return own(openat(folder, path, flags, mode));
}

static int in_creat(const char *path, mode_t mode)
{
    return own(creat(path, mode));
}

static int in_fcntl(int fd, int command, ...)
{
    va_list list;
    long argument;
    int result;

    va_start(list, command);
    argument = va_arg(list, long);
    va_end(list);
    result = fcntl(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? own(result) : result;
}

/* KVM's machines and processors are descriptors. */
static int in_ioctl(int fd, int request, ...)
{
    va_list list;
    void *argument;
    int result;

    va_start(list, request);
    argument = va_arg(list, void *);
    va_end(list);
    result = ioctl(fd, request, argument);
    switch ((unsigned)request) {
    case KVM_CREATE_VM:
    case KVM_CREATE_VCPU:
    case KVM_GET_STATS_FD:
        own(result);
        break;
    case KVM_CREATE_DEVICE:
        if (!result && !(((struct kvm_create_device *)argument)->flags & KVM_CREATE_DEVICE_TEST)) {
            own((int)((struct kvm_create_device *)argument)->fd);
        }
        break;
    }
    return result;
}

static int in_dup(int fd)
{
    return own(dup(fd));
}

static int in_dup2(int fd, int number)
{
    int result = dup2(fd, number);

    return number > STDERR_FILENO && number != fd ? own(result) : result;
}

static int in_socket(int domain, int type, int protocol)
{
    return own(socket(domain, type, protocol));
}

static int in_socketpair(int domain, int type, int protocol, int fds[2])
{
    return own_two(socketpair(domain, type, protocol, fds), fds);
}

static int in_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return own(accept(fd, address, size));
}

static int in_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return own(accept4(fd, address, size, flags));
}

static int in_pipe(int fds[2])
{
    return own_two(pipe(fds), fds);
}

static int in_pipe2(int fds[2], int flags)
{
    return own_two(pipe2(fds, flags), fds);
}

static int in_eventfd(unsigned count, int flags)
{
    return own(eventfd(count, flags));
}

static int in_epoll_create1(int flags)
{
    return own(epoll_create1(flags));
}

static int in_memfd_create(const char *name, unsigned flags)
{
    return own(memfd_create(name, flags));
}

static int in_signalfd(int fd, const sigset_t *mask, int flags)
{
    int result = signalfd(fd, mask, flags);

    return fd < 0 ? own(result) : result;
}

static int in_inotify_init(void)
{
    return own(inotify_init());
}

static int in_inotify_init1(int flags)
{
    return own(inotify_init1(flags));
}

static int in_shm_open(const char *name, int flags, mode_t mode)
{
    return own(shm_open(name, flags, mode));
}

static int in_mkstemp(char *name)
{
    return own(mkstemp(name));
}

static int in_mkostemp(char *name, int flags)
{
    return own(mkostemp(name, flags));
}

static int in_openpty(int *master, int *slave, char *name, const struct termios *mode, const struct winsize *size)
{
    int result = openpty(master, slave, name, mode, size);

    if (!result) {
        own(*master);
        own(*slave);
    }
    return result;
}

static void own_received(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            const int *fds = (const int *)CMSG_DATA(part);
            size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof *fds;

            for (size_t i = 0; i < count; i++) {
                own(fds[i]);
            }
        }
    }
}

static ssize_t in_recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t result = recvmsg(fd, message, flags);

    if (result >= 0) {
        own_received(message);
    }
    return result;
}

static int in_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, unsigned flags, struct timespec *timeout)
{
    int result = recvmmsg(fd, messages, count, flags, timeout);

    for (int i = 0; i < result; i++) {
        own_received(&messages[i].msg_hdr);
    }
    return result;
}

const struct name sampan_fd_names[] = {
    {"close", in_close},
    {"open", in_open},
    {"openat", in_openat},
    {"creat", in_creat},
    {"fcntl", in_fcntl},
    {"ioctl", in_ioctl},
    {"dup", in_dup},
    {"dup2", in_dup2},
    {"socket", in_socket},
    {"socketpair", in_socketpair},
    {"accept", in_accept},
    {"accept4", in_accept4},
    {"pipe", in_pipe},
    {"pipe2", in_pipe2},
    {"eventfd", in_eventfd},
    {"epoll_create1", in_epoll_create1},
    {"memfd_create", in_memfd_create},
    {"signalfd", in_signalfd},
    {"inotify_init", in_inotify_init},
    {"inotify_init1", in_inotify_init1},
    {"shm_open", in_shm_open},
    {"mkstemp", in_mkstemp},
    {"mkostemp", in_mkostemp},
    {"openpty", in_openpty},
    {"recvmsg", in_recvmsg},
    {"recvmmsg", in_recvmmsg},
    {NULL, NULL},
};
