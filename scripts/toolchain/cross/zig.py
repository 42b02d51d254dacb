"""zig of the Python package index: a C compiler and linker for musl, whatever the host is."""

from . import package


def fetch(cache, log):
    """The zig program that scripts/toolchain/zig.txt pins, or a fix of the same series: what the next one changes is not
    known. It is kept in the folder `cache`."""
    return package.fetch("zig.txt", cache, log, like="~={version}") / "ziglang/zig"
