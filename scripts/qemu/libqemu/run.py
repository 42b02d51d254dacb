"""Runs a command with its output in the log file, and tells how ninja gets on."""

import os
import re
import subprocess
import time

from .report import BuildError, say, tail

# A line of progress at least this often (seconds), and at each tenth.
PATIENCE = 30
NINJA_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def logged(what, command, log, *, advice="", **options):
    """Runs `command`; its output goes to the end of `log`, the tail of which is in the error."""
    with log.open("a") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n")
        out.flush()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)
    if done.returncode != 0:
        raise BuildError(_failure(what, log, advice))


def jobs():
    """How many compilers may run at once, as ninja's argument."""
    return os.environ.get("SAMPAN_JOBS") or str(len(os.sched_getaffinity(0)))


def ninja(what, command, log, **options):
    """Like `logged` for ninja: says the percentage now and then."""
    said, said_at = 0, time.monotonic()
    with log.open("a") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n")
        out.flush()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        try:
            for line in process.stdout:
                out.write(line)
                step = NINJA_STEP.match(line)
                if not step:
                    continue
                percent = 100 * int(step[1]) // max(1, int(step[2]))
                now = time.monotonic()
                if percent >= said + 10 or (now >= said_at + PATIENCE and percent > said):
                    said, said_at = percent, now
                    say(f"{what}: {percent} %")
        except BaseException:
            # Interrupted: ninja stops cleanly on its own, what it built stays.
            process.terminate()
            process.wait()
            raise
    if process.wait() != 0:
        raise BuildError(_failure(what, log, ""))


def output(command, **options):
    """The stdout of a short command that is expected to work."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise BuildError(f"`{' '.join(map(str, command))}` failed: {words}")
    return done.stdout


def _failure(what, log, advice):
    words = f"{what} failed, the end of {log}:\n{tail(log)}"
    return f"{words}\n{advice}" if advice else words
