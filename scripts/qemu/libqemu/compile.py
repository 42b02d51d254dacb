"""From a source tree to stripped libraries: patches, static GLib, configure, ninja."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import elf, licenses, run, wheels
from .report import BuildError, say

MESON = wheels.Wheel("meson", "1.9.0", ("45e51ddc41e37d961582d06e78c48e0f9039011587f3495c4d6b0781dad92357",), ">=1.9,<2")
# GLib's modules, innermost last, and what each needs besides the ones after it.
STATIC = ["gio-2.0", "gmodule-2.0", "gobject-2.0", "ffi", "glib-2.0", "pcre2-8"]
# Debian's archives are position-independent, libffi has an extra one that is.
ARCHIVES = {"ffi": "libffi_pic.a"}
SHARED = ["-lz", "-lmount", "-lselinux", "-lm", "-ldl", "-pthread"]
# The packages they are in, for the list of licences.
STATIC_PACKAGES = ["libglib2.0-dev", "libpcre2-dev", "libffi-dev"]
PKG_CONFIG_NAMES = ["glib-2.0", "gobject-2.0", "gmodule-2.0", "gmodule-no-export-2.0", "gmodule-export-2.0",
                    "gio-2.0", "gio-unix-2.0"]


def ensure_meson(cache, log):
    """A Python environment of our own with a pinned meson, since stable suites have older ones."""
    venv = _venv(cache)
    python = venv / "bin/python"
    if (venv / "ready").exists() and python.exists():
        return python
    say("installing meson")
    shutil.rmtree(venv, ignore_errors=True)
    run.logged("making a Python environment", ["python3", "-m", "venv", venv], log,
               advice="Install the package python3-venv.")
    (venv / "ready").write_text(wheels.install(MESON, python, venv, log))
    return python


def meson_version(cache):
    """The version of meson that is used, for keys and records."""
    ready = _venv(cache) / "ready"
    return (ready.read_text() if ready.exists() else "") or MESON.version


def _venv(cache):
    return cache / f"venv-meson-{MESON.version}"


class Work:
    """The folder in which one source is patched, configured and built; survives an interruption."""

    def __init__(self, directory, log, environment):
        """`environment` is that of configure and ninja, which compile."""
        self.directory, self.log, self._environment = directory, log, environment
        self.source = directory / "source"
        self._pristine, self._deps = directory / "pristine", directory / "deps"

    def unpack(self, source):
        """Unpacks the source once; a half unpacked one is thrown away."""
        if (self.directory / "unpacked").exists():
            return
        say(f"unpacking QEMU {source.version}")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        source.unpack(self.source, self.log)
        (self.directory / "unpacked").touch()

    def patch(self, patches):
        """Brings the tree to "pristine plus these patches", writing only files that change, so that
        ninja rebuilds only what a changed patch touches."""
        touched = {name for patch in patches for name in _files_of(patch)}
        before = {str(path.relative_to(self._pristine)) for path in self._pristine.rglob("*") if path.is_file()}
        added = self.directory / "added"
        before |= set(added.read_text().split()) if added.exists() else set()
        for name in touched - before:
            if (self.source / name).exists():
                _copy(self.source / name, self._pristine / name)
        scratch = self.directory / "patched"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for name in touched:
            if (self._pristine / name).exists():
                _copy(self._pristine / name, scratch / name)
        for patch in patches:
            run.logged(f"the patch {patch.name}", ["patch", "--batch", "--fuzz=0", "-p1", "-d", scratch, "-i", patch],
                       self.log, advice="The patches fit QEMU 10.0; is the source another version?")
        added.write_text("\n".join(sorted(name for name in touched if not (self._pristine / name).exists())))
        for name in sorted(touched | before):
            wanted = scratch / name if name in touched else self._pristine / name
            target = self.source / name
            if not wanted.exists():
                target.unlink(missing_ok=True)
            elif not target.exists() or target.read_bytes() != wanted.read_bytes():
                _copy(wanted, target)
        shutil.rmtree(scratch)

    def devices(self, lists):
        """Puts the lists of devices where configure looks for them."""
        for arch, text in lists.items():
            target = self.source / f"configs/devices/{arch}-softmmu/sampan.mak"
            if not target.exists() or target.read_text() != text:
                target.write_text(text)

    def configure(self, folder, options, python, variables=None):
        """Runs QEMU's configure, unless it ran with the same options already; returns the objects' folder.

        `variables` of the environment name the libraries; without them they are the machine's own, and a static GLib.
        """
        objects, stamp = self.directory / folder, self.directory / f"{folder}.configured"
        wanted = "\n".join([str(python), *options])
        if stamp.exists() and stamp.read_text() == wanted and (objects / "build.ninja").exists():
            return objects
        say("configuring")
        stamp.unlink(missing_ok=True)
        if variables is None:
            self._write_static_glib()
            variables = {"PKG_CONFIG_PATH": str(self._deps / "pkgconfig")}
        shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir()
        run.logged("configure", [self.source / "configure", f"--python={python}", *options], self.log,
                   cwd=objects, env={**self._environment, **variables})
        stamp.write_text(wanted)
        return objects

    def build(self, objects, target):
        """Builds one of ninja's targets."""
        say(f"building {target}")
        run.ninja(target, ["ninja", "-j", run.jobs(), target], self.log, cwd=objects, env=self._environment)

    def _write_static_glib(self):
        """pkg-config files of our own, which name GLib's static archives in a folder that has no shared ones."""
        folder, files = self._deps / "lib", self._deps / "pkgconfig"
        shutil.rmtree(self._deps, ignore_errors=True)
        folder.mkdir(parents=True)
        files.mkdir()
        system = Path(run.output(["pkg-config", "--variable=libdir", "glib-2.0"]).strip())
        for name in STATIC:
            archive = system / ARCHIVES.get(name, f"lib{name}.a")
            if not archive.exists():
                raise BuildError(f"{archive} is missing: install libglib2.0-dev, libpcre2-dev and libffi-dev of Debian")
            (folder / f"lib{name}.a").symlink_to(archive)
        libraries = " ".join([f"-L{folder}", *(f"-l{name}" for name in STATIC), *SHARED])
        tools = Path(run.output(["pkg-config", "--variable=bindir", "glib-2.0"]).strip())
        for name in PKG_CONFIG_NAMES:
            cflags = run.output(["pkg-config", "--cflags", name]).strip()
            version = run.output(["pkg-config", "--modversion", name]).strip()
            # glib-2.0 alone must not pull in the rest: the linker takes from an archive what it needs.
            (files / f"{name}.pc").write_text(
                f"gdbus_codegen={tools / 'gdbus-codegen'}\n\n"
                f"Name: {name}\nDescription: {name} from static archives\nVersion: {version}\n"
                f"Cflags: {cflags}\nLibs: {libraries}\n")


def strip(binary, into):
    """A stripped copy, under its final name only when it is complete."""
    part = into.with_name(into.name + ".part")
    run.output(["strip", "--strip-unneeded", "-o", str(part), str(binary)])
    os.replace(part, into)


def check_library(library, exports_map):
    """The promises that a linker could break in silence: no GLib outside, exactly our exports."""
    dynamic = run.output(["readelf", "--dynamic", "--wide", str(library)])
    needed = elf.needed(library)
    outside = [name for name in needed if re.match(r"lib(glib|gobject|gio|gmodule|pcre2|ffi)\b", name)]
    if outside:
        raise BuildError(f"{library.name} needs {', '.join(outside)}, which must be inside it: "
                         "copies of it would share GLib's types and deadlock")
    if "STATIC_TLS" in dynamic:
        raise BuildError(f"{library.name} wants static thread-local storage, of which a process has little: "
                         "several copies would not load")
    wanted = set(re.findall(r"^\s+(\w+);", exports_map.read_text().partition("local:")[0], re.M))
    found = {line.split()[-1] for line in run.output(["nm", "-D", "--defined-only", str(library)]).splitlines()}
    if found != wanted:
        raise BuildError(f"{library.name} exports {', '.join(sorted(found - wanted)) or 'nothing'} too much "
                         f"and lacks {', '.join(sorted(wanted - found)) or 'nothing'}")
    return sorted(needed)


def smoke_test(program, library, firmware, scratch, log, *, compiler=("cc",), link_args=(), runner=()):
    """Runs smoke.c on copies of the library: two at once, one that exits. `runner` starts what `compiler` made with
    `link_args`."""
    say(f"trying {library.name.removesuffix('.untried')}: two at once, display, quit, a wrong option")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    binary = scratch / "smoke"
    run.logged("compiling smoke.c", [*compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", program,
                                     "-o", binary, *link_args, "-ldl"], log)
    copies = [scratch / f"{number}-{library.name}" for number in range(3)]
    for copy in copies:
        shutil.copy(library, copy)
    # QEMU may hang with SIGTERM blocked.
    run.logged(f"the trial of {library.name}",
               ["timeout", "-s", "KILL", "120", *runner, binary, firmware, *copies], log)
    shutil.rmtree(scratch)


def parts():
    """What of the machine's own libraries is inside libqemu, for the list of licences."""
    return [licenses.of_debian(name, run.output(["dpkg-query", "-W", "-f=${Version}", name]))
            for name in STATIC_PACKAGES]


def tool_versions():
    """What a build depends on besides its inputs, for the cache key and the record."""
    gcc = run.output(["cc", "--version"]).splitlines()[0]
    packages = {name: run.output(["pkg-config", "--modversion", name]).strip() for name in ("glib-2.0", "slirp")}
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return {"cc": gcc, "machine": machine, **packages}


def _files_of(patch):
    names = re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", patch.read_text(), re.M)
    return set(names)


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the time: a file that changes must look newer than what was built of it.
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
