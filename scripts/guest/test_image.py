#!/usr/bin/env python3
"""Tests of image.py on small made-up modules; run this file."""

import lzma
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import image


def module(*pairs):
    """An ELF file with nothing but section headers, their names, and .modinfo."""
    info = b"".join(pair.encode() + b"\0" for pair in pairs)
    names = b"\0.modinfo\0.shstrtab\0"
    body = info + names
    table = 64 + len(body)
    header = bytearray(64)
    header[:4] = b"\x7fELF"
    struct.pack_into("<Q", header, 0x28, table)
    struct.pack_into("<HHH", header, 0x3A, 64, 3, 2)
    section = lambda name, offset, size: struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 0, 0)
    sections = section(0, 0, 0) + section(1, 64, len(info)) + section(10, 64 + len(info), len(names))
    return bytes(header) + body + sections


def module32(*pairs):
    """The same for a 32-bit machine."""
    info = b"".join(pair.encode() + b"\0" for pair in pairs)
    names = b"\0.modinfo\0.shstrtab\0"
    header = bytearray(52)
    header[:5] = b"\x7fELF\1"
    struct.pack_into("<I", header, 0x20, 52 + len(info) + len(names))
    struct.pack_into("<HHH", header, 0x2E, 40, 3, 2)
    section = lambda name, offset, size: struct.pack("<10I", name, 1, 0, 0, offset, size, 0, 0, 0, 0)
    return bytes(header) + info + names + section(0, 0, 0) + section(1, 52, len(info)) + section(
        10, 52 + len(info), len(names))


def signed(data, signature=b"s" * 300):
    return data + signature + b"\0" * 8 + struct.pack(">I", len(signature)) + image.SIGNED


class ImageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        drivers = self.root / "lib/modules/6.0/kernel"
        drivers.mkdir(parents=True)
        (self.root / "lib/modules/6.0/modules.builtin").write_text("kernel/hid-core.ko\n")
        gpu = module("alias=virtio:d00000010v*", "depends=drm,hid-core", "license=GPL")
        (drivers / "virtio-gpu.ko.xz").write_bytes(lzma.compress(signed(gpu)))
        (drivers / "drm.ko").write_bytes(module("depends="))
        (drivers / "broken.ko").write_bytes(module("depends=lost"))
        self.gpu = gpu

    def test_a_module_brings_what_it_needs_before_itself(self):
        modules = image.Modules(self.root)
        self.assertEqual(modules.closure("virtio_gpu"), ["drm", "virtio_gpu"])
        expected = "module virtio_gpu drm.ko virtio_gpu.ko\nalias virtio:d00000010v* virtio_gpu\n"
        self.assertEqual(image.catalogue(modules, ["virtio_gpu"]), expected)

    def test_a_module_of_a_32_bit_machine_is_read_alike(self):
        pairs = ["alias=pci:v00001AF4d*", "depends=drm"]
        self.assertEqual(image.modinfo(module32(*pairs)), image.modinfo(module(*pairs)))

    def test_modules_come_unpacked_and_unsigned(self):
        modules = image.Modules(self.root)
        modules.load("virtio_gpu")
        self.assertEqual(modules.data["virtio_gpu"], self.gpu)
        self.assertEqual(image.unsigned(b"plain"), b"plain")

    def test_a_missing_dependency_is_named(self):
        with self.assertRaisesRegex(image.Failure, "lost"):
            image.Modules(self.root).closure("broken")

    def test_the_archive_is_padded_and_ends(self):
        archive = image.cpio([("dev", 0o40755, b""), ("init", 0o100755, b"abc")])
        self.assertEqual(len(archive) % 512, 0)
        self.assertEqual(archive.count(b"070701"), 3)
        at = archive.index(b"init\0")
        self.assertEqual(archive[archive.index(b"abc") :][:4], b"abc\0")
        self.assertEqual(archive.index(b"abc") % 4, 0)
        self.assertEqual(int(archive[at - 110 + 54 : at - 110 + 62], 16), 3)

    def test_only_a_bzimage_is_unpacked_and_it_must_have_the_pvh_entry(self):
        def bzimage(kernel):
            payload = lzma.compress(kernel) + struct.pack("<I", len(kernel))
            header = bytearray(1024)
            header[0x1F1] = 1
            header[0x202:0x206] = b"HdrS"
            struct.pack_into("<II", header, 0x248, 16, len(payload))
            return bytes(header) + b"\0" * 16 + payload

        kernel = b"\x7fELF" + b"Xen\0" + b"k" * 100
        self.assertEqual(image.boot_kernel(bzimage(kernel)), kernel)
        self.assertIsNone(image.boot_kernel(b"MZ" + b"\0" * 2000))
        self.assertIsNone(image.boot_kernel(bzimage(b"\x7fELF\1" + b"k" * 100)), "of 32 bits: as it is")
        with self.assertRaisesRegex(image.Failure, "PVH"):
            image.boot_kernel(bzimage(b"\x7fELF" + b"k" * 100))


if __name__ == "__main__":
    unittest.main()
