"""Programs of the Python package index: the version that was tried by its sums, else one that should do as well."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import run
from .debian import OWN_VARIABLE
from .digest import sha256
from .report import BuildError, say


@dataclass(frozen=True)
class Wheel:
    """A package: the version that was tried with the sums of its files, and which others are like it (PEP 440)."""
    name: str
    version: str
    sums: tuple
    like: str

    @property
    def file(self):
        """What its file is called like."""
        return self.file_of(self.version)

    def file_of(self, version):
        """The same of another version. A name's dashes are underscores there."""
        return f"{self.name.replace('-', '_')}-{version}-*.whl"


def install(wheel, python, into, log, *options):
    """Installs it by the pip of `python` below the folder `into`, or where `options` say; returns the version."""
    named = os.environ.get(OWN_VARIABLE)
    own = Path(named) if named else None
    from_own = ["--no-index", "--find-links", own]
    pinned = "\\\n".join([f"{wheel.name}=={wheel.version} ", *(f"    --hash=sha256:{digest} " for digest in wheel.sums)])
    ways = [("the index", pinned, []), ("the index", f"{wheel.name}{wheel.like}", [])]
    if own:
        if any(sha256(path) in wheel.sums for path in own.glob(wheel.file)):
            ways.insert(0, (own, pinned, from_own))
        if any(own.glob(wheel.file_of("*"))):
            ways.append((own, f"{wheel.name}{wheel.like}", from_own))
    for origin, requirement, where in ways:
        with tempfile.NamedTemporaryFile("w", prefix="requirements", suffix=".txt") as file:
            file.write(requirement + "\n")
            file.flush()
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                       "--only-binary=:all:", *(["--require-hashes"] if requirement == pinned else []), *where, *options,
                       "--requirement", file.name]
            try:
                run.logged(f"the installation of {wheel.name}", command, log)
            except BuildError:
                continue
        version = _installed(wheel, into)
        if version != wheel.version:
            say(f"{wheel.name} {wheel.version}, which was tried, is not to be had: taking {version} of {origin}")
        return version
    raise BuildError(f"{wheel.name} {wheel.version} cannot be installed, the end of {log} tells why: check the network and pip's "
                     f"configuration and run this again, or put {wheel.file} into a folder and name that folder in "
                     f"{OWN_VARIABLE} (this needs the packages python3-pip and python3-venv)")


def _installed(wheel, into):
    for folder in Path(into).rglob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if re.sub(r"[-_.]+", "-", name).lower() == wheel.name:
            return version
    raise BuildError(f"pip installed {wheel.name}, but {into} has none")
