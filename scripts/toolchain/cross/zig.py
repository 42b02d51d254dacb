"""zig of the Python package index: a C compiler and linker for musl, whatever the host is."""

import re
import shutil
import sys

from . import shared
from libqemu import run
from libqemu.report import say

REQUIREMENTS = shared.SCRIPTS / "toolchain/zig.txt"


def fetch(cache, log):
    """The zig program that the requirements file pins, kept in the folder `cache`."""
    version = re.search(r"==(\S+)", REQUIREMENTS.read_text())[1]
    folder = cache / f"zig-{version}"
    zig = folder / "ziglang/zig"
    if not zig.exists():
        say(f"fetching zig {version}")
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
                   "--target", part, "--requirement", REQUIREMENTS]
        run.logged("the installation of zig", command, log,
                   advice="It needs the package python3-pip and PyPI; check both, then run this again.")
        part.replace(folder)
    return zig
