"""Programs of the Python package index that a requirements file pins, each in a folder of the cache."""

import json
import re
import shutil
import sys

from . import shared
from libqemu import wheels
from libqemu.report import say


def fetch(requirements, cache, log, *, like, variant="", options=()):
    """The folder with the package that the file `requirements` of scripts/toolchain pins, or with one that fits `like`
    (PEP 440; `{version}` is what is pinned).

    It is kept in the folder `cache`, under the file's name and `variant`; `options` are for pip.
    """
    text = (shared.SCRIPTS / "toolchain" / requirements).read_text()
    package, version = re.search(r"^([\w-]+)==(\S+)", text, re.M).groups()
    name = requirements.removesuffix(".txt") + variant
    folder = cache / f"{name}-{version}"
    if folder.exists():
        return folder
    # What came earlier in place of the version that is pinned.
    record = cache / f"{name}.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    if known.get("instead_of") == version and (cache / f"{name}-{known['version']}").exists():
        return cache / f"{name}-{known['version']}"
    say(f"fetching {name} {version}")
    part = cache / f"{name}-{version}.part"
    shutil.rmtree(part, ignore_errors=True)
    wheel = wheels.Wheel(package, version, tuple(re.findall(r"sha256:(\w+)", text)), like.format(version=version))
    came = wheels.install(wheel, sys.executable, part, log, *options, "--target", part)
    folder = cache / f"{name}-{came}"
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    record.write_text(json.dumps({"instead_of": version, "version": came}) + "\n")
    return folder
