/*
 * OpenHarmony's libc has no gettext, and QEMU's and GLib's words stay English:
 * what they ask of it, answered by the words themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SAMPAN_LIBINTL_H
#define SAMPAN_LIBINTL_H

/* So that the compiler checks formats that come through here. */
#define SAMPAN_WORDS(n) __attribute__((format_arg(n)))

SAMPAN_WORDS(1)
static inline char *gettext(const char *words)
{
    return (char *)words;
}

SAMPAN_WORDS(2)
static inline char *dgettext(const char *domain, const char *words)
{
    (void)domain;
    return (char *)words;
}

SAMPAN_WORDS(2)
static inline char *dcgettext(const char *domain, const char *words,
                              int category)
{
    (void)domain;
    (void)category;
    return (char *)words;
}

SAMPAN_WORDS(1) SAMPAN_WORDS(2)
static inline char *ngettext(const char *one, const char *many,
                             unsigned long count)
{
    return (char *)(count == 1 ? one : many);
}

SAMPAN_WORDS(2) SAMPAN_WORDS(3)
static inline char *dngettext(const char *domain, const char *one,
                              const char *many, unsigned long count)
{
    (void)domain;
    return (char *)(count == 1 ? one : many);
}

static inline char *textdomain(const char *domain)
{
    return (char *)(domain ? domain : "messages");
}

static inline char *bindtextdomain(const char *domain, const char *folder)
{
    (void)domain;
    return (char *)folder;
}

static inline char *bind_textdomain_codeset(const char *domain,
                                            const char *codeset)
{
    (void)domain;
    return (char *)codeset;
}

#endif
