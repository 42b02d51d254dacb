"""Which libraries for OpenHarmony were built and have passed their trial, by the key of all that goes into them.

To build all eight takes long. Where neither source nor patch, option, library or compiler changed, nothing new would
come out of it: so the tests build those for this machine, and others only when their key is not the one in the record.
"""

from pathlib import Path

RECORD = Path(__file__).resolve().parents[2] / "ohos/tried.txt"
HEAD = """# Libraries that were built and have passed their trial: target, file, key of the inputs. `scripts/qemu/build --record`
# writes this, `--unless-tried` goes by it.
"""


def read():
    """The keys by target and file."""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {(target, name): key for target, name, key in words}


def add(target, name, key):
    """Records that this library passed its trial."""
    known = {**read(), (target, name): key}
    lines = [" ".join([*entry, known[entry]]) for entry in sorted(known)]
    part = RECORD.with_suffix(".part")
    part.write_text(HEAD + "\n".join(lines) + "\n")
    part.replace(RECORD)
