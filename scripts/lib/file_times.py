#!/usr/bin/env python3
"""Gives source files that have not changed the times that they had when they were compiled.

    scripts/lib/file_times.py TREE RECORD

cargo compiles anew what is newer than its last output, and in a fresh clone everything is. Where a folder of compiled crates
outlives the clone that it was compiled from, RECORD (a file beside them) says which contents had which times. A file with the
same content gets its time back. Any other keeps its own, which is newer than all that was compiled.

What the tree has now is recorded at once and not after the build: a build that breaks off has compiled some of it.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

# What is built by scripts and compiled in (native/stream/build.rs).
BUILT = ["native/stream/viewer/dist"]


def files_of(tree):
    """The files of a working tree, by their paths in it: those that git knows, and those that are compiled in all the same."""
    listed = subprocess.run(
        ["git", "-C", tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    paths = [os.fsdecode(path) for path in listed.split(b"\0") if path]
    for folder in BUILT:
        paths += [str(path.relative_to(tree)) for path in Path(tree, folder).rglob("*")]
    return sorted(path for path in set(paths) if is_file(Path(tree, path)))


def is_file(path):
    return path.is_file() and not path.is_symlink()


def read(record):
    """What was recorded: pairs of content and time by path. Nothing, where there is no record that can be read."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        return {path: (str(digest), int(time)) for path, (digest, time) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def restore(tree, record):
    """Gives times back, and records the tree. Returns how many files there are, and how many of them are as they were."""
    kept, now = read(record), {}
    unchanged = 0
    for path in files_of(tree):
        file = Path(tree, path)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        time = file.stat().st_mtime_ns
        before = kept.get(path)
        if before is not None and before[0] == digest:
            unchanged += 1
            time = before[1]
            os.utime(file, ns=(file.stat().st_atime_ns, time))
        now[path] = (digest, time)
    record.parent.mkdir(parents=True, exist_ok=True)
    fresh = record.with_name(f"{record.name}.{os.getpid()}")
    fresh.write_text(json.dumps(now), encoding="utf-8")
    fresh.replace(record)
    return len(now), unchanged


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: file_times.py TREE RECORD")
    every, unchanged = restore(arguments[0], Path(arguments[1]))
    print(f"{unchanged} of {every} files are as they were when they were last compiled", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
