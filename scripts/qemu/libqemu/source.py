"""The QEMU source: Debian's source package of a pinned version, or a tree of the user's own."""

import hashlib
import json
import shutil

from . import run
from .report import BuildError, say

SUITE = "trixie"
VERSION = "1:10.0.13+ds-0+deb13u1"
# Versions that the patches are made for; a later one is taken when the mirror has dropped ours.
SERIES = "1:10.0."
PINNED = {
    "qemu_10.0.13+ds.orig.tar.xz":
        "6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae",
    "qemu_10.0.13+ds-0+deb13u1.debian.tar.xz":
        "da73c092f5684c551b0334d675eb16a3dec91e1edea94759cfb1102fa4a0364e",
}
RECORD = "source.json"


def sha256(path):
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class DebianSource:
    """Debian's source package, kept in the folder `downloads`."""

    def __init__(self, downloads, apt):
        self._folder, self._apt = downloads / "qemu-source", apt
        self.version, self._files = VERSION, PINNED
        # What apt accepted earlier in place of the pinned version.
        record = self._folder / RECORD
        if record.exists():
            accepted = json.loads(record.read_text())
            if accepted.get("instead_of") == VERSION:
                self.version, self._files = accepted["version"], accepted["files"]

    def identity(self):
        """What the cache key takes from the source: names and sums of its archives."""
        return {"version": self.version, "files": self._files}

    def fetch(self):
        """Downloads what is missing; afterwards `identity` may be that of a newer version."""
        if not all((self._folder / name).exists() for name in self._files) or not self._description():
            self._download()
        for name, wanted in self._files.items():
            found = sha256(self._folder / name)
            if found != wanted:
                (self._folder / name).unlink()
                raise BuildError(f"{name} has sha256 {found} instead of {wanted}; it is deleted, run this again")

    def unpack(self, into, log):
        """Unpacks into the folder `into`, which must not exist, with Debian's patches applied."""
        run.logged("unpacking the source package",
                   ["dpkg-source", "--no-check", "-x", self._description(), into], log)
        # quilt's copies of the files that Debian patched.
        shutil.rmtree(into / ".pc", ignore_errors=True)

    def _description(self):
        found = self._folder / f"qemu_{self.version.partition(':')[2]}.dsc"
        return found if found.exists() else None

    def _download(self):
        versions = self._apt.source_versions("qemu")
        if VERSION not in versions:
            later = [version for version in versions if version.startswith(SERIES)]
            if not later:
                raise BuildError(
                    f"the suite has QEMU {', '.join(versions) or 'not at all'}, the patches are for {SERIES[2:]}x; "
                    "pass --source with a QEMU 10.0 tree")
            self.version = later[0]
            say(f"QEMU {VERSION} is gone from the mirror: taking {self.version}, "
                "whose sum is not pinned here and rests on apt's signature check")
        say(f"downloading QEMU {self.version}")
        self._apt.fetch_source("qemu", self.version, self._folder)
        if self.version != VERSION:
            archives = [path for path in self._folder.glob(f"qemu_{self.version[2:].split('-')[0]}*.tar.xz")]
            self._files = {path.name: sha256(path) for path in sorted(archives)}
            (self._folder / RECORD).write_text(json.dumps(
                {"instead_of": VERSION, "version": self.version, "files": self._files}, indent=2))


class UserTree:
    """A QEMU tree that the user points at; it is copied, never changed."""

    # Not part of the source, and large.
    LEFT_OUT = {".git", "build", "__pycache__"}

    def __init__(self, tree):
        self.tree = tree
        if not (tree / "VERSION").is_file() or not (tree / "configure").is_file():
            raise BuildError(f"{tree} is no QEMU source tree: it has no VERSION or no configure")
        self.version = (tree / "VERSION").read_text().strip()

    def identity(self):
        digest = hashlib.sha256()
        for path in sorted(self._files()):
            digest.update(f"{path.relative_to(self.tree)}\0{sha256(path)}\n".encode())
        return {"version": self.version, "tree": digest.hexdigest()}

    def fetch(self):
        """Nothing to download."""

    def unpack(self, into, log):
        """Copies the tree into the folder `into`, which must not exist."""
        shutil.copytree(self.tree, into, symlinks=True, ignore=shutil.ignore_patterns(*self.LEFT_OUT))

    def _files(self):
        for path in self.tree.rglob("*"):
            if path.is_file() and not path.is_symlink() and \
                    not self.LEFT_OUT.intersection(path.relative_to(self.tree).parts):
                yield path
