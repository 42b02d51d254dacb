"""The QEMU source: Debian's source package of a pinned version, or a tree of the user's own."""

import hashlib
import re
import shutil
from dataclasses import replace

from . import run
from .debian import SourcePackage
from .digest import sha256
from .report import BuildError

# The patches are made for this series.
QEMU = SourcePackage("qemu", "1:10.0.13+ds-0+deb13u1", {
    "qemu_10.0.13+ds.orig.tar.xz": "6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae",
    "qemu_10.0.13+ds-0+deb13u1.debian.tar.xz": "da73c092f5684c551b0334d675eb16a3dec91e1edea94759cfb1102fa4a0364e",
}, "1:10.0.")


class DebianSource:
    """Debian's source package; `debian` keeps it."""

    def __init__(self, debian, suite=QEMU.suite):
        self._debian, self._wanted = debian, replace(QEMU, suite=suite)
        self._found = debian.known(self._wanted)

    @property
    def version(self):
        """The version, which may be another one after `fetch`."""
        return self._found.version

    def identity(self):
        """What the cache key takes from the source: names and sums of its archives."""
        return {"version": self._found.version, "files": self._found.files}

    def record(self):
        """What came and where it came from."""
        return self._found.record()

    def fetch(self):
        """Downloads what is missing; afterwards `identity` may be that of another version."""
        self._found = self._debian.source(self._wanted)

    def unpack(self, into, log):
        """Unpacks into the folder `into`, which must not exist, with Debian's patches applied."""
        unpack(self._found, into, log)


def unpack(found, into, log):
    """Unpacks a source package into the folder `into`, which must not exist, with what Debian adds.

    Not by dpkg-source, which asks for a description (.dsc) that some mirrors have lost."""
    upstream, *changes = found.paths
    into.mkdir(parents=True)
    # `patch` changes into the folder before it opens anything.
    into = into.resolve()
    run.logged(f"unpacking {upstream.name}", ["tar", "-xf", upstream, "-C", into, "--strip-components=1"], log)
    for archive in changes:
        if ".diff." in archive.name:
            run.logged(f"the changes {archive.name}",
                       ["sh", "-c", 'gzip -dc "$1" | patch --batch --no-backup-if-mismatch -p1 -d "$2"', "sh", archive, into], log)
            continue
        run.logged(f"unpacking {archive.name}", ["tar", "-xf", archive, "-C", into], log)
        series = into / "debian/patches/series"
        for name in re.findall(r"^([^#\s]\S*)", series.read_text(), re.M) if series.exists() else []:
            run.logged(f"the patch {name} of {found.name}",
                       ["patch", "--batch", "--no-backup-if-mismatch", "-p1", "-d", into, "-i", series.parent / name], log)


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
        """What the cache key takes from the source: a sum of all files."""
        digest = hashlib.sha256()
        for path in sorted(self._files()):
            digest.update(f"{path.relative_to(self.tree)}\0{sha256(path)}\n".encode())
        return {"version": self.version, "tree": digest.hexdigest()}

    def record(self):
        """What came and where it came from."""
        return {"name": "qemu", **self.identity(), "origin": str(self.tree), "tried": False}

    def fetch(self):
        """Nothing to download."""

    def unpack(self, into, log):
        """Copies the tree into the folder `into`, which must not exist."""
        del log
        shutil.copytree(self.tree, into, symlinks=True, ignore=shutil.ignore_patterns(*self.LEFT_OUT))

    def _files(self):
        for path in self.tree.rglob("*"):
            if path.is_file() and not path.is_symlink() and \
                    not self.LEFT_OUT.intersection(path.relative_to(self.tree).parts):
                yield path
