"""ccache before the compiler: what a patch, an option or another variant does not change is not compiled again.

It hashes what the preprocessor makes of a file, so a changed patch costs what it touches, and some two fifths of the objects
serve the library with the interpreter as well as the one without.
"""

import os

# Objects of both architectures and of all variants for all three targets take a tenth of it.
MAX_SIZE = "3G"


def command(compiler):
    """The compiler as configure's --cc."""
    return f"ccache {compiler}"


def environment(root, work, kind="auto", identity=None):
    """The variables for configure and ninja: a cache below `root`, for sources and objects below `work`.

    `kind` is the compiler's family where its name does not tell, `identity` a text that changes with it. Without one
    the compiler's file is hashed.
    """
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CCACHE_")},
        "CCACHE_DIR": str(root / "ccache"),
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_MAXSIZE": MAX_SIZE,
        "CCACHE_BASEDIR": str(work),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_COMPILERTYPE": kind,
        "CCACHE_COMPILERCHECK": f"string:{identity}" if identity else "content",
    }
