"""Rust for targets other than the host's: the standard library, a linker, and cargo called with both."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from . import c, musl, shared, zig
from libqemu import results, run
from libqemu.apt import Archive
from libqemu.debian import BinaryPackage, Debian
from libqemu.report import BuildError, say

# Where Debian has the sources of a Rust that is as new as ours.
SUITE = "trixie-backports"
# The packages that were tried, by the version of Rust.
TRIED = {
    "1.95.0": BinaryPackage(
        "rust-src", "amd64", SUITE, "1.95.0+dfsg1-2~bpo13+1", "r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
        "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b", "1.95.0+"),
}
RECORD = "BUILDINFO.json"
# `rustup target add` without a network must not hang (seconds).
RUSTUP_PATIENCE = 120
# For tests of the ways: auto, rustup or source.
STD_VARIABLE = "SAMPAN_RUST_STD"

# Where zig calls an architecture something else: there a processor without SSE is an option.
ZIG_MACHINES = {"i586": "x86-linux-musl -mcpu=pentium"}
# Crates of the standard library: a program that is all of its system aborts on a panic; an app unwinds, and has tests.
STD_OF_MUSL = "std,panic_abort"
STD_OF_OHOS = "std,panic_unwind,test"
# Subcommands of cargo that run what they built.
RUNNING = ("bench", "nextest", "run", "test")

WRAPPER = """#!/bin/sh
# Rust's name of the target is no name of the compiler's; drop what rustc and the crate cc add, it knows its own.
for argument do
    shift
    case $argument in --target=* | -Wl,-melf_i386) ;; *) set -- "$@" "$argument" ;; esac
done
exec {command} "$@"
"""


def rust_version():
    """The version of the rustc that cargo uses here, for example 1.95.0."""
    if not shutil.which("cargo") or not shutil.which("rustc"):
        raise BuildError("this needs cargo and rustc; rustup installs them")
    words = run.output(["rustc", "--version"], cwd=shared.REPOSITORY)
    return words.split()[1]


class Cross:
    """Cargo for one target, of musl or of OpenHarmony; `log` takes the output of the tools that fetch things."""

    def __init__(self, target, log):
        self.target, self._log = target, log
        self._ohos = target.removesuffix("-unknown-linux-ohos")
        self._ohos = f"{self._ohos}-linux-ohos" if self._ohos != target else None
        if self._ohos and self._ohos not in c.TARGETS:
            raise BuildError(f"there is no compiler for {target}")
        self._cache = shared.cache_root() / "toolchain"
        self._cache.mkdir(parents=True, exist_ok=True)

    def prepare(self):
        """Finds or fetches the standard library; returns `rustup` or `source`."""
        way = os.environ.get(STD_VARIABLE, "auto")
        if way not in ("auto", "rustup", "source"):
            raise BuildError(f"{STD_VARIABLE} is {way}; it may be auto, rustup or source")
        with shared.locked(self._cache / "lock", "preparation of a Rust target"):
            if way != "source" and (self._has_std() or self._add_target()):
                return "rustup"
            if way == "rustup":
                raise BuildError(f"`rustup target add {self.target}` does not work here; see {self._log}")
            self._rust_src()
            if not self._ohos:
                self._zig()
            return "source"

    def cargo(self, way, subcommand="build"):
        """The command and the environment of a cargo that builds for the target, after `prepare`."""
        name = self.target.upper().replace("-", "_")
        environment = dict(os.environ)
        if way == "source":
            environment |= {
                "__CARGO_TESTS_ONLY_SRC_ROOT": str(self._rust_src()),
                "RUSTC_BOOTSTRAP": "1",
                # As a variable: cargo hands no `-Z` on to subcommands that are programs, such as nextest.
                "CARGO_UNSTABLE_BUILD_STD": STD_OF_OHOS if self._ohos else STD_OF_MUSL,
            }
            # A folder of its own: build scripts look at RUSTC_BOOTSTRAP, and taking turns with the host's builds in one
            # folder would compile every macro anew each time, and all that uses them.
            folder = environment.get("CARGO_TARGET_DIR") or shared.REPOSITORY / "target"
            environment["CARGO_TARGET_DIR"] = str(Path(folder) / "source-std")
        if self._ohos:
            environment |= self._for_ohos(name, subcommand)
        elif way == "rustup":
            # The musl targets bring their own libc and start files: no C compiler is needed.
            environment[f"CARGO_TARGET_{name}_LINKER"] = "rust-lld"
        else:
            environment |= {
                f"CARGO_TARGET_{name}_LINKER": str(self._wrapper()),
                # zig brings libc, start files and the unwinder.
                f"CARGO_TARGET_{name}_RUSTFLAGS": "-C link-self-contained=no -C target-feature=+crt-static",
                "ZIG_GLOBAL_CACHE_DIR": str(self._cache / "zig-cache"),
                "ZIG_LOCAL_CACHE_DIR": str(self._cache / "zig-cache"),
            }
        return ["cargo"], environment

    def _for_ohos(self, name, subcommand):
        """Linker, C compiler and, for what runs here, the loader, as cargo and the crate cc look for them."""
        with shared.locked(self._cache / "lock", "preparation of a compiler"):
            compiler = c.Compiler(self._ohos, self._cache, self._log)
            # The wrappers name files beside this one: another checkout has its own.
            key = results.key_of([compiler.identity(), WRAPPER, str(Path(__file__).resolve())])
            prefix = self._cache / f"rust-{self._ohos}-{key}"
            linker = prefix / "rust-cc"
            tools = prefix / f"tools/{self._ohos}-"
            # Nothing that exists is written again: another cargo may be using it.
            if not linker.exists():
                compiler.install(prefix / "tools", prefix, [], [])
                self._write(linker, f"{tools}cc")
        flags = ["link-arg=-Wl,-z,defs"]
        if not compiler.ndk:
            # By its path: what rustc leaves the linker in is a search for shared libraries alone.
            flags.append(f"link-arg={prefix}/lib/libemutls.a")
        variable = self.target.replace("-", "_")
        environment = {
            f"CARGO_TARGET_{name}_LINKER": str(linker),
            f"CARGO_TARGET_{name}_RUSTFLAGS": " ".join(f"-C {flag}" for flag in flags),
            f"CC_{variable}": str(linker),
            f"AR_{variable}": f"{tools}ar",
            f"RANLIB_{variable}": f"{tools}ranlib",
        }
        if subcommand in RUNNING and not compiler.ndk:
            runner = musl.runner(compiler.arch, shared.cache_root(), self._log)
            environment[f"CARGO_TARGET_{name}_RUNNER"] = " ".join(map(str, runner))
        return environment

    def record(self, way):
        """What the standard library and the linker were taken from, for BUILDINFO.json."""
        if way != "source":
            return {"rust": "rustup"}
        kept = self._cache / f"rust-src-{rust_version()}" / RECORD
        source = json.loads(kept.read_text()) if kept.exists() else {"name": "rust-src"}
        return {"rust-src": source, "zig": run.output([str(self._zig()), "version"]).strip()}

    def _has_std(self):
        root = run.output(["rustc", "--print", "sysroot"], cwd=shared.REPOSITORY).strip()
        return any((Path(root) / "lib/rustlib" / self.target / "lib").glob("libstd-*.rlib"))

    def _add_target(self):
        if not shutil.which("rustup"):
            return False
        say(f"adding Rust's target {self.target}")
        with self._log.open("a") as out:
            try:
                subprocess.run(["rustup", "target", "add", self.target], stdin=subprocess.DEVNULL, stdout=out,
                               stderr=out, cwd=shared.REPOSITORY, timeout=RUSTUP_PATIENCE, check=True)
            except (subprocess.SubprocessError, OSError) as error:
                say(f"rustup has no {self.target} for us ({type(error).__name__}), building it from source")
                return False
        return self._has_std()

    def _rust_src(self):
        """The folder `library` of the sources of exactly our Rust."""
        version = rust_version()
        unpacked = self._cache / f"rust-src-{version}"
        library = unpacked / f"usr/src/rustc-{version}/library"
        if library.is_dir():
            return library
        # The sources are for any machine.
        wanted = TRIED.get(version, BinaryPackage("rust-src", "amd64", SUITE, series=f"{version}+"))
        root = shared.cache_root()
        debian = Debian(root / "downloads/rust-src", Archive(root / "apt", self._log))
        try:
            found = debian.binary(wanted, f"rust-src-{version}")
        except BuildError as error:
            raise BuildError(f"{error}\nOr use a Rust whose sources Debian has, or run `rustup target add {self.target}` where "
                             "that works.") from error
        part = unpacked.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        run.logged("unpacking rust-src", ["dpkg-deb", "-x", found.path, part], self._log)
        (part / RECORD).write_text(json.dumps(found.record(), indent=2) + "\n")
        part.replace(unpacked)
        if not library.is_dir():
            raise BuildError(f"the package {found.path.name} has no usr/src/rustc-{version}/library")
        return library

    def _zig(self):
        """The pinned zig program."""
        return zig.fetch(self._cache, self._log)

    def _wrapper(self):
        architecture = self.target.split("-")[0]
        machine = ZIG_MACHINES.get(architecture, f"{architecture}-linux-musl")
        wrapper = self._cache / f"cc-{self.target}"
        self._write(wrapper, f'"{self._zig()}" cc -target {machine}')
        return wrapper

    @staticmethod
    def _write(wrapper, command):
        """A program that calls `command`; it has its name when it is whole, and an unchanged one keeps its time."""
        text = WRAPPER.format(command=command)
        if wrapper.exists() and wrapper.read_text() == text:
            return
        part = wrapper.with_suffix(".part")
        part.write_text(text)
        part.chmod(0o755)
        part.replace(wrapper)
