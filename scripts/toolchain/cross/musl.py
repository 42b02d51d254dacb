"""musl's loader and, for another processor, an emulator of programs: what the stand-in compiler made runs here."""

import platform

from . import shared
from libqemu import run
from libqemu.apt import Archive
from libqemu.debian import BinaryPackage, Debian

# Debian 12's musl 1.2.3 is too old for some programs of the Python package index.
SUITE = "trixie"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
# The packages that were tried, by name and architecture.
TRIED = {
    ("musl", "amd64"): BinaryPackage(
        "musl", "amd64", SUITE, "1.2.5-3.1~deb13u1", "m/musl/musl_1.2.5-3.1~deb13u1_amd64.deb",
        "fd4231e1c189c0ebe01182747f83817593fefa7f6b690c484410646288b60058"),
    ("musl", "arm64"): BinaryPackage(
        "musl", "arm64", SUITE, "1.2.5-3.1~deb13u1", "m/musl/musl_1.2.5-3.1~deb13u1_arm64.deb",
        "46cf1fcaa2d49d1573ef0ceabdb36e04a359a9a37d8e4304024f9018682e3f35"),
    ("qemu-user", "amd64"): BinaryPackage(
        "qemu-user", "amd64", SUITE, "1:10.0.13+ds-0+deb13u1", "q/qemu/qemu-user_10.0.13+ds-0+deb13u1_amd64.deb",
        "ca6ede739327a20ae5a3498230c8a3a9a072c586e131bc6bcc1201eb1725e336"),
}


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
    wanted = TRIED.get((package, DEBIAN[arch]), BinaryPackage(package, DEBIAN[arch], SUITE))
    with shared.locked(cache / "lock", "preparation of musl"):
        folder = cache / f"{package}-{SUITE}-{arch}"
        if folder.is_dir():
            return folder
        debian = Debian(root / "downloads/toolchain", Archive(root / "apt", log))
        found = debian.binary(wanted, f"{package}-{SUITE}-{arch}")
        part = folder.with_suffix(".part")
        run.logged(f"unpacking {package}", ["dpkg-deb", "-x", found.path, part], log)
        part.replace(folder)
        return folder
