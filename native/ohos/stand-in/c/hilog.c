// A stand-in for OpenHarmony's libhilog_ndk.z.so: keeps what is written.

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ENTRIES = 64, LENGTH = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char entries[ENTRIES][LENGTH];
static int count;

// `hilog/log.h`; the only format that it knows is one public string.
int OH_LOG_Print(int type, int level, unsigned domain, const char *tag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *text = strcmp(format, "%{public}s") ? "" : va_arg(arguments, const char *);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    if (count < ENTRIES && type == 0) {
        snprintf(entries[count++], LENGTH, "%d %x %s %s %s", level, domain, tag, format, text);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

// For tests: the entry of this number, or nothing.
const char *stand_in_logged(int number) { return number < count ? entries[number] : NULL; }
