"""C sources that packages of crates.io carry: cargo fetches them as its configuration says, by the sums of a lock file."""

import hashlib
import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import run
from .debian import OWN_VARIABLE
from .digest import sha256
from .report import BuildError, say

MANIFEST = Path(__file__).resolve().parents[1] / "crates/Cargo.toml"
LOCK = MANIFEST.with_name("Cargo.lock")


@dataclass(frozen=True)
class Crate:
    """A package of crates.io, the version of the library in it, and the folder in which it has it."""
    name: str
    library: str
    folder: str


@dataclass(frozen=True)
class _Pinned:
    version: str
    checksum: str


def pinned(name):
    """Version and sum of a package of the lock file."""
    for package in tomllib.loads(LOCK.read_text())["package"]:
        if package["name"] == name:
            return _Pinned(package["version"], package["checksum"])
    raise BuildError(f"{LOCK} has no {name}: it must be named in {MANIFEST.name}")


class Crates:
    """The packages of the lock file, unpacked in the folder `downloads`/crates of the cache."""

    def __init__(self, downloads, log):
        self._folder, self._log = downloads / "crates", log
        named = os.environ.get(OWN_VARIABLE)
        self._own = Path(named) if named else None

    def source(self, crate):
        """The folder with the library's source, and what to record about it."""
        known = pinned(crate.name)
        full = f"{crate.name}-{known.version}"
        record = {"name": crate.name, "version": known.version, "library": crate.library,
                  "files": {f"{full}.crate": known.checksum}, "tried": True}
        for way, origin in ((self._from_the_user, OWN_VARIABLE), (self._by_cargo, "cargo's registry")):
            folder = way(full, known.checksum)
            if folder:
                return folder / crate.folder, {**record, "origin": origin}
        raise BuildError(f"cargo cannot fetch {full}: check the network and cargo's configuration, and run this again, or put "
                         f"{full}.crate into a folder and name that folder in {OWN_VARIABLE} (log: {self._log})")

    def _from_the_user(self, full, checksum):
        archive = self._own / f"{full}.crate" if self._own else None
        if not archive or not archive.is_file() or sha256(archive) != checksum:
            return None
        into = self._folder / checksum[:16]
        if not into.is_dir():
            part = into.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            run.logged(f"unpacking {archive.name}", ["tar", "-xzf", archive, "-C", part], self._log)
            part.replace(into)
        return into / full

    def _by_cargo(self, full, _checksum):
        into = self._folder / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
        if not into.is_dir():
            say("fetching C sources by cargo")
            part = into.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            command = ["cargo", "vendor", "--locked", "--versioned-dirs", "--manifest-path", MANIFEST, part]
            for _ in range(2):
                try:
                    # From there cargo looks for its configuration.
                    run.logged("cargo vendor", command, self._log, cwd=MANIFEST.parent)
                    break
                except BuildError as error:
                    failure = error
            else:
                say(str(failure))
                return None
            part.replace(into)
        return into / full
