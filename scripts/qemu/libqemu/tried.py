"""Which libraries for OpenHarmony were built and have passed their trial, by the key of all that goes into them.

To build all eight takes long. Where neither source nor patch, option, library or compiler changed, nothing new would
come out of it: so the tests build those that run here, and of the others they say whether their key is the one in the
record. scripts/ohos/build builds and tries all of them.
"""

from pathlib import Path

RECORD = Path(__file__).resolve().parents[2] / "ohos/tried.txt"
HEAD = """# Libraries that were built and have passed their trial: target, file, key of the inputs. `scripts/ohos/build` writes this,
# `scripts/test` says by it which were not tried with what they would be built of now.
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
