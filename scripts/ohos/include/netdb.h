/*
 * A function that OpenHarmony's libc lacks, out of sight of those who look for
 * it in the headers alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define getservbyname_r sampan_lacks_getservbyname_r
#include_next <netdb.h>
#undef getservbyname_r
