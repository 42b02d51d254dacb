"""Progress and failures, on stderr, for a person who waits."""

import sys
import time

_started = time.monotonic()


class BuildError(Exception):
    """Stops the build; the text says what is wrong and what to do about it."""


def say(words):
    """One line of progress, with the minutes and seconds since the start."""
    elapsed = int(time.monotonic() - _started)
    print(f"[{elapsed // 60:2d}:{elapsed % 60:02d}] {words}", file=sys.stderr, flush=True)


def tail(path, lines=40):
    """The last lines of a log file, for the message of a failure."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
