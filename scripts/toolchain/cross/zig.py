"""zig of the Python package index: a C compiler and linker for musl, whatever the host is."""

import json
import re
import shutil
import sys

from . import shared
from libqemu import wheels
from libqemu.report import say

REQUIREMENTS = shared.SCRIPTS / "toolchain/zig.txt"


def fetch(cache, log):
    """The zig program that the requirements file pins, or one like it, kept in the folder `cache`."""
    text = REQUIREMENTS.read_text()
    version = re.search(r"==(\S+)", text)[1]
    zig = _program(cache, version)
    if zig.exists():
        return zig
    # What came earlier in place of the version that is pinned.
    record = cache / "zig.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    if known.get("instead_of") == version and _program(cache, known["version"]).exists():
        return _program(cache, known["version"])
    say(f"fetching zig {version}")
    part = cache / f"zig-{version}.part"
    shutil.rmtree(part, ignore_errors=True)
    # A fix of the same series: what the next one changes is not known.
    like = f"~={version}"
    wheel = wheels.Wheel("ziglang", version, tuple(re.findall(r"sha256:(\w+)", text)), like)
    came = wheels.install(wheel, sys.executable, part, log, "--target", part)
    shutil.rmtree(cache / f"zig-{came}", ignore_errors=True)
    part.replace(cache / f"zig-{came}")
    record.write_text(json.dumps({"instead_of": version, "version": came}) + "\n")
    return _program(cache, came)


def _program(cache, version):
    return cache / f"zig-{version}" / "ziglang/zig"
