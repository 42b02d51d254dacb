"""libqemu for OpenHarmony: the same source and patches with another compiler, and every library inside."""

import shutil
import sys
from pathlib import Path

from . import ccache, compile as compiling, elf, firmware, libraries, licenses, results, tried
from .crates import Crates
from .debian import Debian
from .digest import sha256
from .options import ARCHES, INTERPRETER, configure_options, devices, lines, patches
from .report import BuildError, say

SCRIPTS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SCRIPTS / "toolchain"))

# pylint: disable=wrong-import-position
from cross import c, musl, shared

TARGETS = c.TARGETS
HERE = SCRIPTS / "ohos"
# What nobody refers to goes, and so do the tables for unwinding, which are a tenth of the whole: nothing here throws.
SIZE_FLAGS = ["-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
LINK_FLAGS = ["-Wl,-s", "-Wl,--gc-sections"]
# Everything but the entry points stays inside; what the C library of QEMU's own objects exports is for a list to say.
LIBRARY_FLAGS = ["-fvisibility=hidden", *SIZE_FLAGS]
# Source 1 GB, objects of one target 0.5 GB, twice with zig's cache.
DISK_NEEDED = 4 << 30
# The option of configure.txt here that takes one of scripts/qemu/configure.txt away.
WITHOUT = "without "


# The command that builds and tries all of them.
ALL = "scripts/ohos/build"


def build(options, root, source, archive):
    """Builds what `options` ask for into `root`/qemu-ohos/TARGET/current, or says whether it was tried."""
    cache = root / "qemu-ohos"
    cache.mkdir(parents=True, exist_ok=True)
    with shared.locked(cache / "lock", "build of libqemu for OpenHarmony"):
        Build(options, root, cache, source, archive).run()


class Build:
    """One run of the command."""

    def __init__(self, options, root, cache, source, archive):
        self.options, self.root, self.cache, self.source, self.archive = options, root, cache, source, archive
        self.target, self.log = options.target, cache / "build.log"
        self.arches = ARCHES if options.arch == "all" else [options.arch]
        downloads = root / "downloads"
        self.libraries = libraries.Libraries(Debian(downloads / "libraries", archive), Crates(downloads, self.log))
        toolchain = root / "toolchain"
        toolchain.mkdir(parents=True, exist_ok=True)
        with shared.locked(toolchain / "lock", "preparation of a compiler"):
            self.compiler = c.Compiler(self.target, toolchain, self.log)

    def run(self):
        """Builds what is missing, and records it if that is wanted; or only says what was tried."""
        if self.options.tried:
            self._say_tried()
            return
        self._build()
        if self.options.record:
            for name in self._names():
                tried.add(self.target, name, self._result().name)

    def _build(self):
        if self._found() or (self.options.unless_tried and self._tried()):
            return
        self.log.write_text("")
        if shutil.disk_usage(self.cache).free < DISK_NEEDED:
            raise BuildError(f"{self.cache} has less than {DISK_NEEDED >> 20} MiB free; make room, or set "
                             "XDG_CACHE_HOME to a folder on another disk")
        self.source.fetch()
        self.libraries.fetch()
        # The mirror may have forced other versions on us.
        if self._found() or (self.options.unless_tried and self._tried()):
            return
        python = compiling.ensure_meson(self.root / "qemu", self.log)
        result = self._result()
        result.mkdir(parents=True, exist_ok=True)
        prefix, common = self._libraries(python)
        directory = self.cache / "work" / results.key_of(self.source.identity())
        identity = results.key_of([self.compiler.identity(), LIBRARY_FLAGS])
        work = compiling.Work(directory, self.log, ccache.environment(self.root, directory, "clang", identity))
        work.unpack(self.source)
        work.patch(all_patches())
        work.devices(devices(self.compiler.arch))
        info = results.read_info(result) or self._new_info(prefix)
        if "firmware" not in info:
            debian = Debian(self.root / "downloads/firmware", self.archive)
            info["firmware"] = firmware.build(result / "firmware", debian, self.options.suite,
                                              self.cache / "firmware.tmp", self.log)
            licenses.write(result, [licenses.of_qemu(work.source, self.source.version), *libraries.parts(prefix),
                                    *self.compiler.parts(),
                                    *firmware.parts(result / "firmware", info["firmware"])])
        for folder, extra, names in self._variants():
            if all(name in info["files"] for name in names.values()):
                continue
            variables = {"PKG_CONFIG": f"{common}pkg-config"}
            objects = work.configure(folder, [*self._configure(prefix, common), *extra], python, variables)
            for arch, name in names.items():
                self._library(work, objects, arch, result / name, common, info)
                results.write_info(result, info)
                say(f"{name} for {self.target} is ready ({info['files'][name]['size'] >> 20} MiB)")
        results.publish(result)
        results.tidy(result)
        if not self.options.keep_work:
            shutil.rmtree(work.directory.parent, ignore_errors=True)
        say(f"done: {result}")

    def _variants(self):
        variants = [(f"obj-{self.target}", [], {arch: f"libqemu-system-{arch}.so" for arch in self.arches})]
        if self.options.interpreter:
            variants.append((f"obj-{self.target}-tci", [INTERPRETER],
                             {arch: f"libqemu-system-{arch}-tci.so" for arch in self.arches}))
        return variants

    def _names(self):
        return [name for _, _, names in self._variants() for name in names.values()]

    def _untried(self):
        """Those of the libraries that have not been built and tried with just these inputs."""
        known, key = tried.read(), self._result().name
        return [name for name in self._names() if known.get((self.target, name)) != key]

    def _tried(self):
        """Whether building all of them again would tell nothing new."""
        untried = self._untried()
        for name in self._names():
            say(f"{name} for {self.target}: " + ("changed since it was tried" if name in untried else
                                                 f"unchanged since it was built and tried ({tried.RECORD.name})"))
        return not untried

    def _say_tried(self):
        """One line on stdout for whoever reads the end of a long run."""
        names, untried = self._names(), self._untried()
        words = f"libqemu for {self.target}: {len(names) - len(untried)} of {len(names)} libraries were tried with these inputs"
        if untried:
            words += f"; not tried: {', '.join(untried)} ({ALL} builds, tries and records them)"
        print(words)

    def _found(self):
        result = self._result()
        if not results.is_complete(result, self._names()):
            return False
        results.publish(result)
        print(f"libqemu for {self.target}: cached, {result}", file=sys.stderr)
        return True

    def _result(self):
        return self.cache / self.target / results.key_of([
            self.source.identity(), {patch.name: sha256(patch) for patch in all_patches()}, options_of_all(),
            devices(self.compiler.arch),
            lines(HERE / "libc-lacks.txt"), firmware.PACKAGES, self.libraries.identity(), self.compiler.identity(),
            LIBRARY_FLAGS, LINK_FLAGS, self._meson()])

    def _meson(self):
        return compiling.meson_version(self.root / "qemu")

    def _libraries(self, python):
        """Builds the libraries below QEMU; returns their prefix and the common start of the tools' names."""
        key = results.key_of([self.libraries.identity(), self.compiler.identity(), LIBRARY_FLAGS])
        prefix = self.cache / self.target / f"libraries-{key}"
        prefix.mkdir(parents=True, exist_ok=True)
        common = self.compiler.install(prefix / "tools", prefix, LIBRARY_FLAGS, lacking())
        self.libraries.build(prefix, f"{common}meson.ini", python, self.cache / f"{self.target}.tmp", self.log)
        for old in prefix.parent.glob("libraries-*"):
            if old != prefix:
                shutil.rmtree(old, ignore_errors=True)
        return prefix, common

    def _configure(self, prefix, common):
        flags = " ".join([f"-I{prefix}/include -I{c.INCLUDE}", *SIZE_FLAGS])
        link = " ".join([*LINK_FLAGS, *lacking(), *self.compiler.link_args(prefix)])
        return [*options_of_all(), f"--cross-prefix={common}", f"--cc={ccache.command(f'{common}cc')}",
                "--cxx=false", "--host-cc=cc",
                f"--extra-cflags={flags}", f"--extra-ldflags={link}"]

    def _library(self, work, objects, arch, library, common, info):
        """One library: built, checked and tried before it gets its name."""
        target = f"libqemu-system-{arch}.so"
        work.build(objects, target)
        untried = library.with_name(f"{library.name}.untried")
        # The linker has stripped it.
        shutil.copyfile(objects / target, untried)
        needed = compiling.check_library(untried, work.source / "sampan/exports.map")
        check_needs(untried, needed)
        runner = musl.runner(self.compiler.arch, self.root, self.log)
        if self.compiler.ndk:
            say("not tried: what the NDK's compiler made runs on a device")
        elif runner is None:
            say(f"not tried: this machine runs nothing for {self.compiler.arch}")
        else:
            compiling.smoke_test(SCRIPTS / "qemu/smoke.c", untried, library.parent / "firmware",
                                 self.cache / "smoke.tmp", self.log, compiler=[f"{common}cc"],
                                 link_args=self.compiler.link_args(Path(common).parents[1]), runner=runner)
        untried.replace(library)
        results.add_file(info, library, needed=needed)

    def _new_info(self, prefix):
        return {
            "target": self.target,
            "qemu": self.source.version,
            "source": self.source.record(),
            "libraries": libraries.records(prefix),
            "patches": {patch.name: sha256(patch) for patch in all_patches()},
            "configure": options_of_all(),
            "compiler": self.compiler.version,
            "meson": self._meson(),
            "files": {},
        }


def all_patches():
    """The patches of every libqemu, then those of this one."""
    return [*patches(), *patches(HERE / "patches")]


def options_of_all():
    """What every libqemu is configured with, as changed by the list for OpenHarmony."""
    ours = lines(HERE / "configure.txt")
    without = {line.removeprefix(WITHOUT) for line in ours if line.startswith(WITHOUT)}
    common = configure_options()
    unknown = without.difference(common)
    if unknown:
        raise BuildError(f"scripts/ohos/configure.txt leaves out {', '.join(unknown)}, which no list has")
    return [*(option for option in common if option not in without),
            *(line for line in ours if not line.startswith(WITHOUT))]


def lacking():
    """Arguments with which a link fails that uses a function OpenHarmony lacks: there is no __wrap_ of it."""
    return [f"-Wl,--wrap={name}" for name in lines(HERE / "libc-lacks.txt")]


def check_needs(library, needed):
    """Nothing is wanted of the system but what OpenHarmony is known to have."""
    foreign = set(needed) - set(lines(HERE / "needed.txt"))
    if foreign:
        raise BuildError(f"{library.name} needs {', '.join(sorted(foreign))}, which no device is known to have "
                         "(scripts/ohos/needed.txt)")
    unknown = elf.undefined(library) - set(lines(HERE / "libc.txt"))
    if unknown:
        raise BuildError(f"{library.name} uses {', '.join(sorted(unknown))}, which OpenHarmony does not "
                         "offer (scripts/ohos/libc.txt): add them to scripts/ohos/libc-lacks.txt, see docs/building.md")
