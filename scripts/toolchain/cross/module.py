"""The native libraries for OpenHarmony, libsampan.so and libsampanhost.so: built by cargo, and checked against what a device offers."""

import json
import subprocess
from pathlib import Path

from . import rust, shared
from libqemu import elf
from libqemu.options import lines
from libqemu.report import BuildError, say

PACKAGE = "sampan-napi"
# Those of a call of cargo, and a test program of one of them, which has cargo count what tests depend on: so that the features of
# every dependency are those that scripts/ohos/test compiles it with.
CRATES = shared.REPOSITORY / "scripts/ohos/crates.txt"
TEST = "surface"
# The encoder that the module links, made beforehand.
X264 = shared.SCRIPTS / "x264/build"
NEEDED = shared.REPOSITORY / "native/napi/needed.txt"
# The module, with the function through which ArkTS and Node.js load it; what a native child process is made of, with the function that it
# begins with. Each exports nothing else.
EXPORTS = {"libsampan.so": "napi_register_module_v1", "libsampanhost.so": "Main"}
# OpenHarmony 7 signs each file below an app's `libs` and installs none of just this size (bytes), or without an extension.
REFUSED_SIZE = 4096


def build(ohos, log):
    """Builds both for `ohos` (x86_64-linux-ohos, aarch64-linux-ohos); returns their paths, the module's first."""
    triple = ohos.replace("-linux-ohos", "-unknown-linux-ohos")
    if subprocess.run([X264, "--target", ohos], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise BuildError(f"x264 cannot be built for {ohos}; what scripts/x264/build says is above")
    cross = rust.Cross(triple, log)
    command, environment = cross.cargo(cross.prepare())
    environment["CARGO_BUILD_TARGET"] = triple
    say(f"building the module for {ohos} (its first compilation takes some minutes)")
    packages = [f"--package={crate}" for crate in lines(CRATES)]
    done = subprocess.run([*command, "build", "--locked", *packages, "--lib", "--test", TEST,
                           "--message-format=json-render-diagnostics"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, cwd=shared.REPOSITORY, text=True,
                          check=False)
    if done.returncode != 0:
        raise BuildError(f"{PACKAGE} cannot be built for {ohos}; what cargo says is above")
    messages = list(map(json.loads, done.stdout.splitlines()))
    return [built(messages, name) for name in EXPORTS]


def built(messages, library):
    """The path of the shared library that these messages of cargo tell of (The Cargo Book, "JSON messages")."""
    for message in messages:
        if message["reason"] == "compiler-artifact" and "cdylib" in message["target"]["crate_types"]:
            for name in message["filenames"]:
                if Path(name).name == library:
                    return Path(name)
    raise BuildError(f"cargo told of no {library}")


def check(library):
    """Stops where a device would not install or load the library, or would not find its way in."""
    if not library.suffix or library.stat().st_size == REFUSED_SIZE:
        raise BuildError(f"{library} has no extension or just {REFUSED_SIZE} bytes: OpenHarmony does not install such a file")
    exported, entry = elf.exported(library), {EXPORTS.get(library.name, EXPORTS["libsampan.so"])}
    if exported != entry:
        raise BuildError(f"{library.name} exports {_listed(exported - entry)} too much and lacks {_listed(entry - exported)}")
    lists = dict(line.split() for line in lines(NEEDED))
    needed = set(elf.needed(library))
    if needed - lists.keys():
        raise BuildError(f"{library.name} needs {_listed(needed - lists.keys())}, which no device is known to have "
                         "(native/napi/needed.txt)")
    offered = {name for one in needed for name in lines(shared.REPOSITORY / lists[one])}
    if unknown := elf.undefined(library) - offered:
        raise BuildError(f"{library.name} uses {_listed(unknown)}, which OpenHarmony does not offer in {_listed(needed)} "
                         "(the lists in native/napi/needed.txt); docs/building.md tells more")


def _listed(names):
    return ", ".join(sorted(names)) or "nothing"
