#!/usr/bin/env python3
"""Writes native/input/layouts.txt: which keys type which characters on the keyboards of many countries.

The facts are those of xkeyboard-config, asked of libxkbcommon: what a Linux guest with such a layout does. Needs Debian's
packages libxkbcommon0, xkb-data and libx11-data, or another system's. The file is part of the source: this runs only when
a layout is added.
"""

import ctypes
import string
import sys
from ctypes import c_char_p, c_int, c_uint32, c_void_p
from pathlib import Path

FILE = Path(__file__).with_name("layouts.txt")
# Sampan's name of a layout, and XKB's layout and variant. Layouts without Latin letters are none of them: in their guests
# a person switches between two, and nobody tells us which is on.
LAYOUTS = {
    "us": ("us", ""), "us-intl": ("us", "intl"), "gb": ("gb", ""), "ie": ("ie", ""),
    "de": ("de", ""), "de-nodeadkeys": ("de", "nodeadkeys"), "at": ("at", ""), "ch": ("ch", ""), "ch-fr": ("ch", "fr"),
    "fr": ("fr", ""), "be": ("be", ""), "ca": ("ca", ""), "nl": ("nl", ""), "es": ("es", ""), "latam": ("latam", ""),
    "pt": ("pt", ""), "br": ("br", ""), "it": ("it", ""), "dk": ("dk", ""), "no": ("no", ""), "se": ("se", ""),
    "fi": ("fi", ""), "is": ("is", ""), "pl": ("pl", ""), "cz": ("cz", ""), "sk": ("sk", ""), "hu": ("hu", ""),
    "ro": ("ro", ""), "si": ("si", ""), "hr": ("hr", ""), "ee": ("ee", ""), "lv": ("lv", ""), "lt": ("lt", ""),
    "tr": ("tr", ""), "vn": ("vn", "us"), "jp": ("jp", ""), "kr": ("kr", ""), "cn": ("cn", ""),
}
# The keys that carry characters (linux/input-event-codes.h): the rows of digits and letters, the one beside the left
# Shift, and those of Japan and Brazil.
KEYS = [*range(2, 14), *range(16, 28), *range(30, 42), 43, *range(44, 54), 86, 89, 124]
DEAD = ["dead_grave", "dead_acute", "dead_circumflex", "dead_tilde", "dead_macron", "dead_breve", "dead_abovedot",
        "dead_diaeresis", "dead_abovering", "dead_doubleacute", "dead_caron", "dead_cedilla", "dead_ogonek"]
SHIFT, LOCK, ALTGR = 42, 58, 100
# XKB_COMPOSE_COMPOSED
COMPOSED = 2
LEVELS = [(), (SHIFT,), (ALTGR,), (SHIFT, ALTGR)]


class Names(ctypes.Structure):
    """struct xkb_rule_names"""
    _fields_ = [(name, c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


def library():
    """libxkbcommon with the types of what is called."""
    xkb = ctypes.CDLL("libxkbcommon.so.0")
    for name, result, arguments in [
        ("xkb_context_new", c_void_p, [c_int]),
        ("xkb_keymap_new_from_names", c_void_p, [c_void_p, ctypes.POINTER(Names), c_int]),
        ("xkb_state_new", c_void_p, [c_void_p]), ("xkb_state_unref", None, [c_void_p]),
        ("xkb_state_update_key", c_int, [c_void_p, c_uint32, c_int]),
        ("xkb_state_key_get_one_sym", c_uint32, [c_void_p, c_uint32]),
        ("xkb_keysym_to_utf32", c_uint32, [c_uint32]),
        ("xkb_keysym_get_name", c_int, [c_uint32, c_char_p, ctypes.c_size_t]),
        ("xkb_compose_table_new_from_locale", c_void_p, [c_void_p, c_char_p, c_int]),
        ("xkb_keysym_from_name", c_uint32, [c_char_p, c_int]), ("xkb_utf32_to_keysym", c_uint32, [c_uint32]),
        ("xkb_compose_state_new", c_void_p, [c_void_p, c_int]),
        ("xkb_compose_state_feed", c_int, [c_void_p, c_uint32]), ("xkb_compose_state_get_status", c_int, [c_void_p]),
        ("xkb_compose_state_get_one_sym", c_uint32, [c_void_p]),
    ]:
        function = getattr(xkb, name)
        function.restype, function.argtypes = result, arguments
    return xkb


class Keyboard:
    """One layout, as libxkbcommon has it."""

    def __init__(self, xkb, context, layout, variant):
        self._xkb = xkb
        names = Names(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
        self._keymap = xkb.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
        if not self._keymap:
            sys.exit(f"layouts.py: XKB has no layout {layout} ({variant or 'no variant'})")

    def symbol(self, key, held, locked=False):
        """The keysym of a key while others are held."""
        xkb, state = self._xkb, self._xkb.xkb_state_new(self._keymap)
        if locked:
            xkb.xkb_state_update_key(state, LOCK + 8, 1)
            xkb.xkb_state_update_key(state, LOCK + 8, 0)
        for modifier in held:
            xkb.xkb_state_update_key(state, modifier + 8, 1)
        symbol = xkb.xkb_state_key_get_one_sym(state, key + 8)
        xkb.xkb_state_unref(state)
        return symbol

    def word(self, symbol):
        """A keysym as the file has it: its character, the name of a dead key, or `none`."""
        name = ctypes.create_string_buffer(64)
        self._xkb.xkb_keysym_get_name(symbol, name, 64)
        if name.value.decode() in DEAD:
            return name.value.decode()
        code = self._xkb.xkb_keysym_to_utf32(symbol)
        return chr(code) if code > 0x20 and code != 0xa0 and not 0x7f <= code < 0xa0 else "none"

    def row(self, key):
        """The four levels of a key, and which of its pairs Caps Lock turns round."""
        symbols = [self.symbol(key, held) for held in LEVELS]
        words = [self.word(symbol) for symbol in symbols]
        caps = [pair for pair in (0, 2) if symbols[pair] != symbols[pair + 1]
                and self.symbol(key, LEVELS[pair], locked=True) == symbols[pair + 1]]
        return words, "caps" + "".join("13"[pair // 2] for pair in caps) if caps else "-"


def composed(xkb, context, dead, letter):
    """What a dead key makes of a letter or a space by the compose table of X, which consoles and Windows share; or None."""
    table = xkb.xkb_compose_table_new_from_locale(context, b"en_US.UTF-8", 0)
    state = xkb.xkb_compose_state_new(table, 0) if table else None
    if not state:
        sys.exit("layouts.py: there is no compose table: install the package libx11-data")
    xkb.xkb_compose_state_feed(state, xkb.xkb_keysym_from_name(dead.encode(), 0))
    xkb.xkb_compose_state_feed(state, xkb.xkb_utf32_to_keysym(ord(letter)))
    if xkb.xkb_compose_state_get_status(state) != COMPOSED:
        return None
    # With a combining character instead of a letter of its own, it is no single keysym.
    code = xkb.xkb_keysym_to_utf32(xkb.xkb_compose_state_get_one_sym(state))
    return chr(code) if code > 0x20 else None


def main():
    """Writes the file."""
    xkb = library()
    context = xkb.xkb_context_new(0)
    lines = ["# The one source of the keyboards' layouts, written by native/input/layouts.py of xkeyboard-config's facts.",
             "# layout, evdev code, what the key types plain, with Shift, with AltGr, with both; then whether Caps Lock turns",
             "# the first two (caps1) or the last two (caps3) round. none: nothing, or no character. dead_…: a dead key."]
    for name, of_xkb in LAYOUTS.items():
        keyboard = Keyboard(xkb, context, *of_xkb)
        for key in KEYS:
            words, caps = keyboard.row(key)
            if name == "us-intl":
                # In Windows AltGr has other accents there; the dead key and a space are alike in both.
                words[2:] = ["none" if word.isascii() and len(word) == 1 else word for word in words[2:]]
            if any(word != "none" for word in words):
                lines.append(" ".join([name, str(key), *words, caps]))
    lines += ["# What a dead key makes of a letter or a space: dead, key, letter, character."]
    for dead in DEAD:
        for letter in [" ", *string.ascii_letters]:
            character = composed(xkb, context, dead, letter)
            if character:
                lines.append(f"dead {dead} {'space' if letter == ' ' else letter} {character}")
    FILE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
