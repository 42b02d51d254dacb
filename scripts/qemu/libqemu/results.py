"""Finished builds: a folder named by a hash of its inputs, with a record of what is in it."""

import hashlib
import json
import os
import re
import shutil

from . import licenses
from .digest import sha256

# Other results than these many newest ones are deleted.
KEPT = 3


def key_of(inputs):
    """The name of the result that depends on `inputs`."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def add_file(info, path, **more):
    """Records a file of the result."""
    info["files"][path.name] = {"size": path.stat().st_size, "sha256": sha256(path), **more}


def read_info(result):
    """The record of a result, or None."""
    try:
        return json.loads((result / "BUILDINFO.json").read_text())
    except (OSError, ValueError):
        return None


def write_info(result, info):
    """Replaces the record of a result in one step."""
    part = result / "BUILDINFO.json.part"
    part.write_text(json.dumps(info, indent=2) + "\n")
    os.replace(part, result / "BUILDINFO.json")


def is_complete(result, names):
    """Whether the result has its firmware and all of these files."""
    info = read_info(result)
    folders = (result / "firmware").is_dir() and (result / licenses.FILE).is_file()
    return info is not None and folders and all(is_whole(info, result / name) for name in names)


def is_whole(info, file):
    """Whether a file is there as it was recorded."""
    recorded = info["files"].get(file.name)
    return recorded is not None and file.exists() and file.stat().st_size == recorded["size"]


def publish(result):
    """Points `current` at the result, at once: nobody ever sees half of it."""
    current = result.parent / "current"
    if current.is_symlink() and os.readlink(current) == result.name:
        return
    part = result.parent / f"current.{os.getpid()}"
    part.symlink_to(result.name)
    os.replace(part, current)


def tidy(result):
    """Deletes old results beside this one."""
    results = [path for path in result.parent.iterdir() if re.fullmatch(r"[0-9a-f]{16}", path.name) and path != result]
    results.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in results[KEPT - 1:]:
        shutil.rmtree(old, ignore_errors=True)
