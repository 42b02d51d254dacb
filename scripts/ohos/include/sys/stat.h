/*
 * OpenHarmony's libc has no statx(), which GLib looks for in the headers alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include_next <sys/stat.h>
#undef STATX_BASIC_STATS
