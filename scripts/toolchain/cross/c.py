"""A C compiler for OpenHarmony: that of the NDK, or zig with musl as a stand-in.

OpenHarmony's libc is a musl with additions and omissions of its own. What the stand-in builds runs on any musl; that it
asks for nothing OpenHarmony lacks is for a check of the result to say.
"""

import os
import shlex
import sys
from pathlib import Path

from . import shared, zig
from libqemu import run
from libqemu.licenses import Part
from libqemu.report import BuildError

TARGETS = ["x86_64-linux-ohos", "aarch64-linux-ohos"]
NDK_VARIABLE = "OHOS_NDK_HOME"
# Headers that OpenHarmony's libc has no functions for.
INCLUDE = shared.SCRIPTS / "ohos/include"
# zig is made for debugging and for static programs: neither is wanted, nor its NDEBUG.
ZIG_FLAGS = ["-dynamic", "-fno-sanitize=undefined", "-UNDEBUG"]
# OpenHarmony's compiler emulates thread-local storage unless told otherwise. Its runtime library has what that takes.
ZIG_FLAGS += ["-femulated-tls"]
EMULATED_TLS = shared.SCRIPTS / "ohos/emutls.c"

# meson asks where libraries are: nowhere but where it is told, least of all in the machine's own folders.
COMPILER = """#!/bin/sh
{environment}case " $* " in
*" --print-search-dirs "* | *" -print-search-dirs "*) echo "programs: ="; echo "libraries: ={libraries}"; exit ;;
{flatten}esac
exec {command} "$@"
"""
# zig refuses response files within response files, and the linker's option that a version script makes superfluous.
FLATTEN = """*" @"* | *-exclude-libs*) exec {python} {script} {command} -- "$@" ;;
"""
PKG_CONFIG = """#!/bin/sh
export PKG_CONFIG_LIBDIR={prefix}/lib/pkgconfig:{prefix}/share/pkgconfig PKG_CONFIG_PATH=
exec pkg-config --static "$@"
"""
CROSS_FILE = """[binaries]
c = '{prefix}cc'
ar = '{prefix}ar'
ranlib = '{prefix}ranlib'
strip = '{prefix}strip'
pkg-config = '{prefix}pkg-config'

[built-in options]
c_args = {c_args}
c_link_args = {link_args}
default_library = 'static'
b_staticpic = true

[properties]
needs_exe_wrapper = true
pkg_config_libdir = ['{libraries}/pkgconfig', '{libraries}/../share/pkgconfig']

[host_machine]
system = 'linux'
kernel = 'linux'
cpu_family = '{arch}'
cpu = '{arch}'
endian = 'little'
"""


class Compiler:
    """The tools for one target, in a folder of wrappers named like those of a GNU cross compiler."""

    def __init__(self, target, cache, log):
        self.target, self.arch = target, target.split("-")[0]
        self._log = log
        ndk = os.environ.get(NDK_VARIABLE)
        self.ndk = Path(ndk).resolve() if ndk else None
        self._cache = cache
        self._tools = self._ndk_tools() if self.ndk else self._zig_tools()

    def _ndk_tools(self):
        native = self.ndk / "native"
        clang, sysroot = native / "llvm/bin/clang", native / "sysroot"
        if not clang.exists() or not sysroot.is_dir():
            raise BuildError(f"{NDK_VARIABLE} is {self.ndk}, which has no native/llvm/bin/clang or no native/sysroot: "
                             "it must name the folder that holds `native` of an OpenHarmony SDK")
        command = [str(clang), f"--target={self.target}", f"--sysroot={sysroot}", "-D__MUSL__"]
        tools = {name: [str(native / f"llvm/bin/llvm-{name}")] for name in ("ar", "nm", "ranlib", "strip")}
        version = run.output([str(clang), "--version"]).splitlines()[0]
        return {"cc": command, **tools, "version": f"NDK: {version}"}

    def _zig_tools(self):
        program = str(zig.fetch(self._cache, self._log))
        command = [program, "cc", "-target", f"{self.arch}-linux-musl", *ZIG_FLAGS]
        tools = {name: [program, name] for name in ("ar", "ranlib")}
        # zig has no nm, GNU's reads any ELF file; and none that strips, which the linker does.
        version = f"zig {run.output([program, 'version']).strip()}"
        return {"cc": command, **tools, "nm": ["nm"], "strip": ["false"], "version": version}

    @property
    def version(self):
        """Which compiler it is, for keys and records."""
        return self._tools["version"]

    def parts(self):
        """The runtime library that the compiler links in, for the list of licences."""
        if self.ndk:
            files = sorted((self.ndk / "native").glob("NOTICE*")) or sorted((self.ndk / "native/llvm").glob("NOTICE*"))
            # Without a notice there is nothing to show: it is LLVM's, whose licence asks for none (its exception).
            return [Part("runtime library of the NDK's compiler", self.version, files)] if files else []
        license_of_zig = Path(self._tools["cc"][0]).with_name("LICENSE")
        return [Part("runtime library of the compiler", self.version, [license_of_zig])]

    def identity(self):
        """What a result depends on."""
        headers = {str(path.relative_to(INCLUDE)): path.read_text() for path in sorted(INCLUDE.rglob("*.h"))}
        return {"target": self.target, "version": self.version, "flags": ZIG_FLAGS, "headers": headers,
                "wrappers": [COMPILER, FLATTEN, PKG_CONFIG, CROSS_FILE], "tls": EMULATED_TLS.read_text()}

    def install(self, folder, prefix, c_args, link_args):
        """Writes the wrappers into `folder`, for libraries below `prefix`; returns the common start of their names.
        The arguments are for meson."""
        folder.mkdir(parents=True, exist_ok=True)
        libraries = prefix / "lib"
        common = folder / f"{self.target}-"
        for name in ("cc", "ar", "nm", "ranlib", "strip"):
            self._write(f"{common}{name}", self._wrapper(name, libraries))
        if not self.ndk:
            libraries.mkdir(parents=True, exist_ok=True)
            thread_local = folder / "emutls.o"
            run.logged("compiling emutls.c", [f"{common}cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-c",
                                              EMULATED_TLS, "-o", thread_local], self._log)
            run.logged("libemutls.a", [f"{common}ar", "rcs", libraries / "libemutls.a", thread_local], self._log)
            link_args = [*link_args, *self.link_args(prefix)]
        self._write(f"{common}pkg-config", PKG_CONFIG.format(prefix=shlex.quote(str(prefix))))
        Path(f"{common}meson.ini").write_text(CROSS_FILE.format(
            prefix=common, libraries=libraries, arch=self.arch, c_args=[f"-I{INCLUDE}", *c_args],
            link_args=link_args))
        return str(common)

    def link_args(self, prefix):
        """What a link with the libraries below `prefix` takes besides them."""
        return [f"-L{prefix}/lib"] if self.ndk else [f"-L{prefix}/lib", "-lemutls"]

    def _wrapper(self, name, libraries):
        command = shlex.join(self._tools[name])
        if name != "cc":
            return f'#!/bin/sh\nexec {command} "$@"\n'
        environment, flatten = "", ""
        if not self.ndk:
            script = Path(__file__).with_name("flatten.py")
            cache = shlex.quote(str(self._cache / "zig-cache"))
            environment = f"export ZIG_GLOBAL_CACHE_DIR={cache} ZIG_LOCAL_CACHE_DIR={cache}\n"
            flatten = FLATTEN.format(python=shlex.quote(sys.executable), script=shlex.quote(str(script)), command=command)
        return COMPILER.format(libraries=libraries, environment=environment, flatten=flatten, command=command)

    @staticmethod
    def _write(path, text):
        path = Path(path)
        # Unchanged files keep their time.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        path.chmod(0o755)
