#!/usr/bin/env python3
"""Makes what QEMU boots out of an unpacked Debian kernel package: image.py PACKAGE MODULES INIT OUTPUT

PACKAGE is the folder the package was unpacked to, MODULES the list of modules, INIT the program, OUTPUT a folder that
gets `kernel`, `initrd` and, where they differ, `vmlinuz`. The same input gives the same bytes."""

import gzip
import lzma
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path


class Failure(Exception):
    """Says what is wrong and what to do."""


def unpack(data, what):
    """Undoes whichever compression the data begins with."""
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        tool, name = ["zstd", "-dc"], "zstd"
    elif data.startswith(b"\x02\x21\x4c\x18") or data.startswith(b"\x04\x22\x4d\x18"):
        tool, name = ["lz4", "-dc"], "lz4"
    else:
        return data
    if shutil.which(name) is None:
        raise Failure(f"{what} is packed with {name}: install the package {name}")
    return subprocess.run(tool, input=data, stdout=subprocess.PIPE, check=True).stdout


def boot_kernel(data):
    """The kernel itself out of an x86 bzImage, or None for any other file.

    An emulated processor takes many seconds to unpack a bzImage. QEMU also starts the bare kernel, by its PVH entry,
    and unpacking happens here, once. The offsets are those of Documentation/arch/x86/boot.rst."""
    if data[0x202:0x206] != b"HdrS":
        return None
    setup = (data[0x1F1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = setup * 512 + offset
    payload = data[start : start + length]
    # gzip ends with the size by itself; for the others the kernel's build adds it, and tools stumble over it.
    kernel = unpack(payload if payload.startswith(b"\x1f\x8b") else payload[:-4], "the kernel")
    if kernel.startswith(b"\x7fELF\1") and b"Xen\0" not in kernel:
        # Debian's kernels of 32 bits have no such entry: packed they start, too.
        return None
    if not kernel.startswith(b"\x7fELF") or b"Xen\0" not in kernel:
        raise Failure("this kernel has no PVH entry: its configuration needs CONFIG_PVH")
    return kernel


SIGNED = b"~Module signature appended~\n"


def unsigned(data):
    """A module without its signature (struct module_signature of include/linux/module_signature.h).

    Checking signatures is a quarter of all that an emulated processor does until the first picture. A kernel under
    Secure Boot insists on them; the guest is never booted that way."""
    if not data.endswith(SIGNED):
        return data
    trailer = len(SIGNED) + 12
    (length,) = struct.unpack_from(">I", data, len(data) - len(SIGNED) - 4)
    return data[: -(trailer + length)]


def modinfo(data):
    """The key=value pairs of a module's .modinfo section."""
    # Offsets of ELF64 and ELF32 (System V ABI, chapter 4): e_shoff, e_shentsize, and a section's first six fields.
    offset, sizes, section = ("<Q", 0x28), 0x3A, "<IIQQQQ"
    if data[4:5] == b"\1":
        offset, sizes, section = ("<I", 0x20), 0x2E, "<IIIIII"
    (sections,) = struct.unpack_from(offset[0], data, offset[1])
    size, count, names = struct.unpack_from("<HHH", data, sizes)
    table = [struct.unpack_from(section, data, sections + i * size) for i in range(count)]
    strings = table[names][4]
    for name, _, _, _, offset, length in table:
        if data[strings + name :].startswith(b".modinfo\0"):
            pairs = data[offset : offset + length].split(b"\0")
            return [tuple(p.decode("ascii", "replace").split("=", 1)) for p in pairs if b"=" in p]
    raise Failure("a kernel module has no .modinfo section")


def canonical(name):
    return name.replace("-", "_")


class Modules:
    """The modules of a kernel package."""

    def __init__(self, root):
        self.paths = {}
        for path in sorted(root.rglob("*.ko*")):
            self.paths[canonical(path.name.split(".ko")[0])] = path
        builtin = next(iter(sorted(root.rglob("modules.builtin"))), None)
        lines = builtin.read_text().split() if builtin else []
        self.builtin = {canonical(Path(line).name.removesuffix(".ko")) for line in lines}
        self.data = {}
        self.info = {}

    def load(self, name):
        if name not in self.data:
            self.data[name] = unsigned(unpack(self.paths[name].read_bytes(), name))
            self.info[name] = modinfo(self.data[name])
        return self.info[name]

    def closure(self, name, seen=None):
        """The module and all it needs, in the order to load them."""
        seen = [] if seen is None else seen
        if name in seen or name in self.builtin:
            return seen
        if name not in self.paths:
            raise Failure(f"the kernel package lacks the module {name}")
        for key, value in self.load(name):
            if key == "depends":
                for need in filter(None, value.split(",")):
                    self.closure(canonical(need), seen)
        seen.append(name)
        return seen


def file_name(name):
    return f"{name}.ko"


def wanted(path):
    """Names in the list, and whether each is required."""
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            yield canonical(words[0]), "!" in words[1:]


def catalogue(modules, names):
    """What init reads: `module NAME FILE…` and `alias PATTERN NAME`."""
    lines = []
    for name in names:
        files = [file_name(n) for n in modules.closure(name)]
        lines.append(" ".join(["module", name, *files]))
        lines += [f"alias {value} {name}" for key, value in modules.load(name) if key == "alias"]
    return "\n".join(lines) + "\n"


def cpio(entries):
    """A newc archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()

    def pad():
        out.extend(b"\0" * (-len(out) % 4))

    entries = [*entries, ("TRAILER!!!", 0, b"")]
    for inode, (name, mode, data) in enumerate(entries, start=1):
        raw = name.encode() + b"\0"
        fields = [inode, mode, 0, 0, 2 if mode & 0o40000 else 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out.extend(b"070701" + b"".join(b"%08X" % field for field in fields))
        out.extend(raw)
        pad()
        out.extend(data)
        pad()
    out.extend(b"\0" * (-len(out) % 512))
    return bytes(out)


def image(package, module_list, init, output):
    kernels = sorted((package / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise Failure(f"expected one kernel in {package}/boot, found {len(kernels)}")
    modules = Modules(package)
    chosen = []
    for name, required in wanted(module_list):
        if name in modules.paths:
            chosen.append(name)
        elif required and name not in modules.builtin:
            raise Failure(f"the kernel package lacks the module {name}: take another flavour")
    files = []
    for name in chosen:
        modules.closure(name, files)
    entries = [("dev", 0o40755, b""), ("modules", 0o40755, b"")]
    entries += [("init", 0o100755, init.read_bytes()), ("modules/list", 0o100644, catalogue(modules, chosen).encode())]
    entries += [(f"modules/{file_name(name)}", 0o100644, modules.data[name]) for name in files]
    (output / "initrd").write_bytes(cpio(entries))
    packed = kernels[0].read_bytes()
    bare = boot_kernel(packed)
    (output / "kernel").write_bytes(packed if bare is None else bare)
    if bare is not None:
        (output / "vmlinuz").write_bytes(packed)
    print(kernels[0].name.removeprefix("vmlinuz-"))


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__.splitlines()[0])
    package, module_list, init, output = map(Path, sys.argv[1:])
    os.umask(0o022)
    try:
        image(package, module_list, init, output)
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"image.py: {failure}")


if __name__ == "__main__":
    main()
