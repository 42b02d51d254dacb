"""The libraries below QEMU as static archives for another system, from Debian's source packages."""

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import run
from .licenses import Part
from .report import BuildError, say
from .source import sha256

# Build files of our own, for packages whose own need autotools, a C++ compiler or minutes of probing.
OVERLAYS = Path(__file__).resolve().parents[2] / "ohos/libraries"


@dataclass(frozen=True)
class Library:
    """A source package: Debian's name and version, its archives with their sums (upstream's first), the file in it
    with the licence of what is linked, meson's options."""
    name: str
    version: str
    files: dict
    license: str
    options: list = field(default_factory=list)

    @property
    def overlay(self):
        """The files to put over the source, by their place in it."""
        folder = OVERLAYS / self.name
        return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def identity(self):
        """What the result depends on."""
        return [self.name, self.files, self.license, self.options, {place: sha256(path) for place, path in self.overlay.items()}]


# In the order in which they need each other. Of pixman and dtc only upstream's archive: Debian's patches of
# these concern their tests and documentation.
LIBRARIES = [
    Library("zlib", "1:1.3.dfsg+really1.3.1-1", {
        "zlib_1.3.dfsg+really1.3.1.orig.tar.gz": "60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb",
    }, "LICENSE"),
    Library("libffi", "3.4.8-2", {
        "libffi_3.4.8.orig.tar.gz": "cbb7f0b3b095dc506387ec1e35b891bfb4891d05b90a495bc69a10f2293f80ff",
        "libffi_3.4.8-2.debian.tar.xz": "f23ac79a19895ebb6bbb539263d0d945ebc2d3e91217a597f5819777f08b401c",
    }, "LICENSE"),
    Library("pcre2", "10.46-1~deb13u1", {
        "pcre2_10.46.orig.tar.gz": "8d28d7f2c3b970c3a4bf3776bcbb5adfc923183ce74bc8df1ebaad8c1985bd07",
    }, "LICENCE.md"),
    Library("pixman", "0.44.0-3", {
        "pixman_0.44.0.orig.tar.gz": "89a4c1e1e45e0b23dffe708202cb2eaffde0fe3727d7692b2e1739fec78a7dac",
    }, "COPYING", ["-Dtests=disabled", "-Ddemos=disabled", "-Dgtk=disabled", "-Dlibpng=disabled", "-Dopenmp=disabled"]),
    Library("device-tree-compiler", "1.7.2-2", {
        "device-tree-compiler_1.7.2.orig.tar.xz": "92d8ca769805ae1f176204230438fe52808f4e1c7944053c9eec0e649b237539",
    }, "BSD-2-Clause", ["-Dtools=false", "-Dpython=disabled", "-Dyaml=disabled", "-Dvalgrind=disabled", "-Dtests=false",
        "-Dstatic-build=true"]),
    Library("libpng1.6", "1.6.48-1+deb13u5", {
        "libpng1.6_1.6.48.orig.tar.gz": "b17e99026055727e8cba99160c3a9a7f9af788e9f786daeadded5a42243f1dd0",
        "libpng1.6_1.6.48-1+deb13u5.debian.tar.xz": "b38d5929b9a6139f2ce02a0e831d0f3f5365410b050dc429ea079a73253fe97a",
    }, "LICENSE"),
    Library("nettle", "3.10.1-1", {
        "nettle_3.10.1.orig.tar.gz": "b0fcdd7fc0cdea6e80dcf1dd85ba794af0d5b4a57e26397eee3bc193272d9132",
    }, "COPYINGv2"),
    Library("libzstd", "1.5.7+dfsg-1", {
        "libzstd_1.5.7+dfsg.orig.tar.xz": "0c092ef267edce57ba7f3f2645c861f72eaf5e76273c6c3632869423464b90a5",
    }, "LICENSE"),
    Library("spice-protocol", "0.14.3-1", {
        "spice-protocol_0.14.3.orig.tar.xz": "f986e5bc2a1598532c4897f889afb0df9257ac21c160c083703ae7c8de99487a",
    }, "COPYING"),
    Library("glib2.0", "2.84.4-3~deb13u5", {
        "glib2.0_2.84.4.orig.tar.xz": "8a9ea10943c36fc117e253f80c91e477b673525ae45762942858aef57631bb90",
        "glib2.0_2.84.4-3~deb13u5.debian.tar.xz": "d8e3603c3780d2cc883d762cf81db9199d8c4c492a82a1a791c117a6d402dbeb",
    }, "COPYING", ["-Dtests=false", "-Dinstalled_tests=false", "-Dselinux=disabled", "-Dlibmount=disabled", "-Dlibelf=disabled",
        "-Dintrospection=disabled", "-Dnls=disabled", "-Dxattr=false", "-Dman-pages=disabled", "-Ddocumentation=false",
        "-Ddtrace=disabled", "-Dsystemtap=disabled", "-Dsysprof=disabled", "-Dglib_debug=disabled",
        "-Dbsymbolic_functions=false"]),
    Library("libslirp", "4.8.0-1+deb13u1", {
        "libslirp_4.8.0.orig.tar.bz2": "1c2e3d30e41a055ed41f9d0b3234d0d143bc28f5ad84bb101413f830844df757",
        "libslirp_4.8.0-1+deb13u1.debian.tar.xz": "16e68a7297ba8867ee694db31c38b4444515f31f552408f110897bf3731ce201",
    }, "COPYRIGHT"),
]


class Source:
    """The archives of all libraries in the folder `downloads`/libraries."""

    def __init__(self, downloads, apt):
        self._folder, self._apt = downloads / "libraries", apt

    def fetch(self, library):
        """Downloads what is missing and checks all of it; returns the paths, upstream's archive first."""
        for number, (name, wanted) in enumerate(library.files.items()):
            path = self._folder / name
            if not path.exists():
                say(f"downloading {name}")
                # Some mirrors have lost a description (.dsc) of a package whose archives they still have: one by one.
                part = "--diff-only" if number else "--tar-only"
                try:
                    self._apt.fetch_source(library.name, library.version, self._folder, part)
                except BuildError as error:
                    raise BuildError(f"the mirror has {library.name} {library.version} no more: put {name} of "
                                     f"snapshot.debian.org into {self._folder}, or pin another version in "
                                     f"scripts/qemu/libqemu/libraries.py\n{error}") from error
            found = sha256(path) if path.exists() else "none"
            if found != wanted:
                path.unlink(missing_ok=True)
                raise BuildError(f"{name} has sha256 {found} instead of {wanted}; it is deleted, run this again")
        return [self._folder / name for name in library.files]


def identity():
    """What the archives depend on besides the compiler."""
    return [library.identity() for library in LIBRARIES]


def build(into, source, cross_file, python, scratch, log):
    """Builds all libraries into the prefix `into`; what an interrupted run has finished stays."""
    scratch.mkdir(parents=True, exist_ok=True)
    for number, library in enumerate(LIBRARIES, 1):
        stamp = into / f"{library.name}.built"
        if stamp.exists():
            continue
        archives = source.fetch(library)
        say(f"{library.name} ({number} of {len(LIBRARIES)})")
        tree, objects = scratch / library.name, scratch / f"{library.name}-objects"
        for folder in (tree, objects):
            shutil.rmtree(folder, ignore_errors=True)
        _unpack(library, archives, tree, log)
        run.logged(f"configuring {library.name}",
                   [python, "-m", "mesonbuild.mesonmain", "setup", objects, tree, "--cross-file", cross_file,
                    f"--prefix={into}", "--libdir=lib", "-Doptimization=2", "-Ddebug=false",
                    "--wrap-mode=nodownload", *library.options], log,
                   env={**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"})
        run.ninja(library.name, ["ninja", "-j", run.jobs(), "-C", objects, "install"], log)
        shutil.copyfile(tree / library.license, _license(into, library))
        for folder in (tree, objects):
            shutil.rmtree(folder, ignore_errors=True)
        stamp.touch()
    for shared in (into / "lib").glob("*.so*"):
        shared.unlink()
    (into / "libraries.json").write_text(json.dumps({library.name: library.version for library in LIBRARIES}, indent=2))


def parts(prefix):
    """The libraries below `prefix`, for the list of licences."""
    return [Part(library.name, library.version, [_license(prefix, library)]) for library in LIBRARIES]


def _license(prefix, library):
    return prefix / f"{library.name}.license"


def _unpack(library, archives, tree, log):
    tree.mkdir()
    run.logged(f"unpacking {archives[0].name}", ["tar", "-xf", archives[0], "-C", tree, "--strip-components=1"], log)
    for archive in archives[1:]:
        run.logged(f"unpacking {archive.name}", ["tar", "-xf", archive, "-C", tree], log)
        series = tree / "debian/patches/series"
        names = re.findall(r"^([^#\s]\S*)", series.read_text(), re.M) if series.exists() else []
        for name in names:
            run.logged(f"the patch {name} of {library.name}",
                       ["patch", "--batch", "-p1", "-d", tree, "-i", series.parent / name], log)
    for place, path in library.overlay.items():
        shutil.copy(path, tree / place)
