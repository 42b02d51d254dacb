"""What the builds of this repository share: the cache folder, and the modules of scripts/qemu."""

import contextlib
import fcntl
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
SCRIPTS = Path(__file__).resolve().parents[2]
REPOSITORY = SCRIPTS.parent
# Progress, failures, commands and apt are those of the build of libqemu.
sys.path.insert(0, str(SCRIPTS / "qemu"))


def cache_root():
    """The folder for everything that is downloaded or built outside the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sampan"


@contextlib.contextmanager
def locked(path, what):
    """One at a time; a second one says so and waits."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another {what} is running, waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
