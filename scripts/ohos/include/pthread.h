/*
 * Functions that OpenHarmony's libc lacks, out of sight of those who look for
 * them in the headers alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define pthread_getaffinity_np sampan_lacks_pthread_getaffinity_np
#define pthread_setaffinity_np sampan_lacks_pthread_setaffinity_np
#include_next <pthread.h>
#undef pthread_getaffinity_np
#undef pthread_setaffinity_np
