"""The libraries below QEMU as static archives for another system, from Debian's source packages."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import crates, run
from .crates import Crate
from .debian import SourcePackage
from .digest import sha256
from .licenses import Part
from .report import say
from .source import unpack

# Build files of our own, for packages whose own need autotools, a C++ compiler or minutes of probing.
OVERLAYS = Path(__file__).resolve().parents[2] / "ohos/libraries"


@dataclass(frozen=True)
class Library:
    """A library: where its source is from, the file in it with the licence of what is linked, meson's options."""
    name: str
    source: Crate | SourcePackage
    license: str
    options: list = field(default_factory=list)

    @property
    def overlay(self):
        """The files to put over the source, by their place in it."""
        folder = OVERLAYS / self.name
        return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _debian(name, version, series, *files):
    return SourcePackage(name, version, dict(files), series)


# In the order in which they need each other. What a package of crates.io carries is taken from there, where every version
# stays for ever. Of pixman, dtc, nettle and spice-protocol only upstream's archive: what Debian adds to these concerns
# their tests, documentation and packaging.
LIBRARIES = [
    Library("zlib", Crate("libz-sys", "1.4", "src/zlib"), "LICENSE"),
    Library("libffi", Crate("libffi-sys", "3.6.0", "libffi"), "LICENSE"),
    Library("pcre2", Crate("pcre2-sys", "10.46", "upstream"), "LICENCE.md"),
    Library("libzstd", Crate("zstd-sys", "1.5.7", "zstd"), "LICENSE"),
    Library("pixman", _debian("pixman", "0.44.0-3", "0.4", (
        "pixman_0.44.0.orig.tar.gz", "89a4c1e1e45e0b23dffe708202cb2eaffde0fe3727d7692b2e1739fec78a7dac",
    )), "COPYING", ["-Dtests=disabled", "-Ddemos=disabled", "-Dgtk=disabled", "-Dlibpng=disabled", "-Dopenmp=disabled"]),
    Library("device-tree-compiler", _debian("device-tree-compiler", "1.7.2-2", "1.7.", (
        "device-tree-compiler_1.7.2.orig.tar.xz", "92d8ca769805ae1f176204230438fe52808f4e1c7944053c9eec0e649b237539",
    )), "BSD-2-Clause", ["-Dtools=false", "-Dpython=disabled", "-Dyaml=disabled", "-Dvalgrind=disabled", "-Dtests=false",
                         "-Dstatic-build=true"]),
    Library("nettle", _debian("nettle", "3.10.1-1", "3.10", (
        "nettle_3.10.1.orig.tar.gz", "b0fcdd7fc0cdea6e80dcf1dd85ba794af0d5b4a57e26397eee3bc193272d9132",
    )), "COPYINGv2"),
    Library("spice-protocol", _debian("spice-protocol", "0.14.3-1", "0.14.", (
        "spice-protocol_0.14.3.orig.tar.xz", "f986e5bc2a1598532c4897f889afb0df9257ac21c160c083703ae7c8de99487a",
    )), "COPYING"),
    Library("glib2.0", _debian("glib2.0", "2.84.4-3~deb13u5", "2.84.", (
        "glib2.0_2.84.4.orig.tar.xz", "8a9ea10943c36fc117e253f80c91e477b673525ae45762942858aef57631bb90",
    ), (
        "glib2.0_2.84.4-3~deb13u5.debian.tar.xz", "d8e3603c3780d2cc883d762cf81db9199d8c4c492a82a1a791c117a6d402dbeb",
    )), "COPYING", ["-Dtests=false", "-Dinstalled_tests=false", "-Dselinux=disabled", "-Dlibmount=disabled",
                    "-Dlibelf=disabled", "-Dintrospection=disabled", "-Dnls=disabled", "-Dxattr=false",
                    "-Dman-pages=disabled", "-Ddocumentation=false", "-Ddtrace=disabled", "-Dsystemtap=disabled",
                    "-Dsysprof=disabled", "-Dglib_debug=disabled", "-Dbsymbolic_functions=false"]),
    Library("libslirp", _debian("libslirp", "4.8.0-1+deb13u1", "4.", (
        "libslirp_4.8.0.orig.tar.bz2", "1c2e3d30e41a055ed41f9d0b3234d0d143bc28f5ad84bb101413f830844df757",
    ), (
        "libslirp_4.8.0-1+deb13u1.debian.tar.xz", "16e68a7297ba8867ee694db31c38b4444515f31f552408f110897bf3731ce201",
    )), "COPYRIGHT"),
]


class Libraries:
    """The sources of all libraries: Debian's by `debian`, the others by `crates`; and what is built of them."""

    def __init__(self, debian, crates_):
        self._debian, self._crates = debian, crates_

    def identity(self):
        """What the archives depend on besides the compiler, as far as can be said without the network."""
        return [[library.name, self._sums(library), library.license, library.options,
                 {place: sha256(path) for place, path in library.overlay.items()}] for library in LIBRARIES]

    def _sums(self, library):
        if isinstance(library.source, Crate):
            return crates.pinned(library.source.name).checksum
        return self._debian.known(library.source).files

    def fetch(self):
        """Downloads what is missing; afterwards `identity` may be another one, as the mirror forced it."""
        for library in LIBRARIES:
            if not isinstance(library.source, Crate):
                self._debian.source(library.source)

    def build(self, into, cross_file, python, scratch, log):
        """Builds all libraries into the prefix `into`; what an interrupted run has finished stays."""
        scratch.mkdir(parents=True, exist_ok=True)
        for number, library in enumerate(LIBRARIES, 1):
            stamp = into / f"{library.name}.built"
            if stamp.exists():
                continue
            say(f"{library.name} ({number} of {len(LIBRARIES)})")
            tree, objects = scratch / library.name, scratch / f"{library.name}-objects"
            for folder in (tree, objects):
                shutil.rmtree(folder, ignore_errors=True)
            record = self._unpack(library, tree, log)
            run.logged(f"configuring {library.name}",
                       [python, "-m", "mesonbuild.mesonmain", "setup", objects, tree, "--cross-file", cross_file,
                        f"--prefix={into}", "--libdir=lib", "-Doptimization=2", "-Ddebug=false",
                        "--wrap-mode=nodownload", *library.options], log,
                       env={**os.environ, "PATH": f"{Path(python).parent}:{os.environ['PATH']}"})
            run.ninja(library.name, ["ninja", "-j", run.jobs(), "-C", objects, "install"], log)
            shutil.copyfile(tree / library.license, _license(into, library))
            for folder in (tree, objects):
                shutil.rmtree(folder, ignore_errors=True)
            stamp.write_text(json.dumps(record, indent=2) + "\n")
        for shared in (into / "lib").glob("*.so*"):
            shared.unlink()

    def _unpack(self, library, tree, log):
        if isinstance(library.source, Crate):
            folder, record = self._crates.source(library.source)
            shutil.copytree(folder, tree)
        else:
            found = self._debian.source(library.source)
            unpack(found, tree, log)
            record = found.record()
        for place, path in library.overlay.items():
            shutil.copy(path, tree / place)
        return record


def records(prefix):
    """What the libraries below `prefix` were built of."""
    return {library.name: json.loads((prefix / f"{library.name}.built").read_text()) for library in LIBRARIES}


def parts(prefix):
    """The libraries below `prefix`, for the list of licences."""
    return [Part(library.name, record.get("library") or record["version"], [_license(prefix, library)])
            for library, record in zip(LIBRARIES, records(prefix).values())]


def _license(prefix, library):
    return prefix / f"{library.name}.license"
