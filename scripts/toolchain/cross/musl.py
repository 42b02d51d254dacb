"""musl's loader and, for another processor, an emulator of programs: what the stand-in compiler made runs here."""

import platform

from . import shared
from .packages import ForeignApt, Store
from libqemu import run

# Debian 12's musl 1.2.3 is too old for some programs of the Python package index.
SUITE = "trixie"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


def runner(arch, root, log):
    """The start of a command line that runs a program of `arch` linked against musl."""
    loader = _unpacked("musl", arch, root, log) / f"usr/lib/ld-musl-{arch}.so.1"
    if arch == platform.machine():
        return [loader]
    host = platform.machine()
    return [_unpacked("qemu-user", host, root, log) / f"usr/bin/qemu-{arch}", loader]


def _unpacked(package, arch, root, log):
    """A folder with the files of a Debian package."""
    cache = root / "toolchain"
    with shared.locked(cache / "lock", "preparation of musl"):
        folder = cache / f"{package}-{SUITE}-{arch}"
        if folder.is_dir():
            return folder
        apt = ForeignApt(cache / f"apt-{SUITE}", SUITE, log, [DEBIAN[arch]])
        name = f"{package}:{DEBIAN[arch]}"
        record = Store(root / "downloads", "toolchain", apt).get(
            f"{package}-{SUITE}-{arch}", lambda apt: f"{name}={apt.describe(name)[0]['Version']}")
        part = folder.with_suffix(".part")
        run.logged(f"unpacking {package}", ["dpkg-deb", "-x", record["path"], part], log)
        part.replace(folder)
        return folder
