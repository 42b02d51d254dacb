#!/usr/bin/env python3
"""Tests of the checks on the native module, with small libraries of the host's compiler; run this file."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "toolchain"))

# pylint: disable=wrong-import-position
from cross import module, node, shared
from libqemu import elf
from libqemu.report import BuildError

ENTRY = "int napi_register_module_v1(void) { return 0; }\n"


class Module(unittest.TestCase):
    """What `check` stops at."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.library("libc.so", "void malloc(void) {} void alien(void) {}")
        self.library("libace_napi.z.so", "void napi_throw(void) {} void napi_module_register(void) {}"
                                         "void napi_from_tomorrow(void) {}")

    def library(self, name, code, *options):
        """A library of this code and nothing else."""
        path = self.folder / name
        subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-fno-builtin", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", path,
                        f"-L{self.folder}", *options], input=code, text=True, check=True)
        return path

    def module(self, body="", more=""):
        """A module like ours, whose one function does this."""
        code = f"void malloc(void); void alien(void); void napi_throw(void); void napi_from_tomorrow(void);\n{more}\n" \
               f"int napi_register_module_v1(void) {{ {body} return 0; }}"
        return self.library("libsampan.so", code, "-l:libc.so", "-l:libace_napi.z.so")

    def refused(self, library, why):
        """`check` stops, and says this."""
        with self.assertRaisesRegex(BuildError, why):
            module.check(library)

    def test_what_a_device_offers_may_be_used(self):
        module.check(self.module("malloc(); napi_throw();"))

    def test_what_is_weak_may_be_missing(self):
        module.check(self.module("if (maybe) maybe();", "__attribute__((weak)) void maybe(void);"))

    def test_a_function_that_no_device_offers_is_named(self):
        self.refused(self.module("malloc(); alien();"), "uses alien, which")
        self.refused(self.module("napi_throw(); napi_from_tomorrow();"), "uses napi_from_tomorrow, which")

    def test_a_function_counts_only_with_its_library(self):
        library = self.library("libsampan.so", f"void malloc(void);\n{ENTRY} void *use(void) __attribute__((visibility(\"hidden\")));"
                                               "void *use(void) { return malloc; }")
        self.refused(library, "uses malloc, which OpenHarmony does not offer in nothing")

    def test_a_library_that_no_device_has_is_named(self):
        self.library("libcurl.so.4", "void curl(void) {}")
        self.refused(self.library("libsampan.so", ENTRY, "-Wl,--no-as-needed", "-l:libcurl.so.4"), "needs libcurl.so.4, which")

    def test_it_exports_its_entry_and_nothing_else(self):
        self.refused(self.module(more="void helper(void) {}"), "exports helper too much and lacks nothing")
        self.refused(self.library("libsampan.so", ""), "exports nothing too much and lacks napi_register_module_v1")

    def test_the_library_of_a_child_process_exports_its_own_entry(self):
        module.check(self.library("libsampanhost.so", "void Main(void) {}"))
        self.refused(self.library("libsampanhost.so", ENTRY), "exports napi_register_module_v1 too much and lacks Main")

    def test_a_file_that_is_not_installed_is_refused(self):
        plain = self.module()
        self.refused(plain.rename(self.folder / "libsampan"), "no extension")
        padded = self.folder / "padded.so"
        padded.write_bytes(bytes(module.REFUSED_SIZE))
        self.refused(padded, "just 4096 bytes")

    def test_cargo_says_where_it_is(self):
        macro = {"reason": "compiler-artifact", "target": {"crate_types": ["proc-macro"]}, "filenames": ["/t/libm.so"]}
        ours = {"reason": "compiler-artifact", "target": {"crate_types": ["cdylib"]}, "filenames": ["/t/libsampan.so"]}
        messages = [{"reason": "build-script-executed"}, macro, ours, {"reason": "build-finished", "success": True}]
        host = {"reason": "compiler-artifact", "target": {"crate_types": ["cdylib", "rlib"]},
                "filenames": ["/t/libsampanhost.rlib", "/t/libsampanhost.so"]}
        messages.insert(1, host)
        self.assertEqual(module.built(messages, "libsampan.so"), Path("/t/libsampan.so"))
        self.assertEqual(module.built(messages, "libsampanhost.so"), Path("/t/libsampanhost.so"))
        with self.assertRaisesRegex(BuildError, "no libsampan.so"):
            module.built([macro, host], "libsampan.so")

    def test_each_list_is_there(self):
        for line in module.lines(module.NEEDED):
            self.assertTrue((shared.REPOSITORY / line.split()[1]).is_file(), line)

    def test_the_copy_for_nodejs_asks_for_the_shims_function(self):
        library = self.module("napi_throw(); napi_module_register();", "void napi_module_register(void);")
        copy = self.folder / "copy.so"
        copy.write_bytes(node.renamed(library))
        self.assertEqual(elf.undefined(copy), {"napi_throw", "napi_module_registeR"})
        with self.assertRaisesRegex(BuildError, "does not name napi_module_register"):
            node.renamed(self.module())


if __name__ == "__main__":
    unittest.main()
