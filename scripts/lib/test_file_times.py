#!/usr/bin/env python3
"""Tests of what gives unchanged files their times back, with the real git and cargo; run this file."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from file_times import restore


class FileTimes(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = self.folder / "clone"
        self.target = self.folder / "target"

    def clone(self, **modules):
        """A fresh clone at the same place, with these modules, in which nothing has an old time."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        subprocess.run(["git", "init", "--quiet", self.tree], check=True)
        (self.tree / "Cargo.toml").write_text('[package]\nname = "sample"\nedition = "2024"\n[lib]\npath = "lib.rs"\n')
        for name, text in modules.items():
            (self.tree / f"{name}.rs").write_text(text)
        return restore(str(self.tree), self.target / "times.json")

    def compiled(self):
        """Builds, and says whether anything was compiled for it."""
        done = subprocess.run(
            ["cargo", "build", "--offline", "--target-dir", self.target],
            cwd=self.tree,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return "Compiling" in done.stderr, done.returncode

    def test_a_clone_that_has_not_changed_is_not_compiled_again(self):
        self.assertEqual(self.clone(lib="pub fn one() {}\n"), (2, 0))
        self.assertEqual(self.compiled(), (True, 0))
        self.assertEqual(self.clone(lib="pub fn one() {}\n"), (2, 2))
        self.assertEqual(self.compiled(), (False, 0))

    def test_what_has_changed_is_compiled_also_when_it_becomes_what_it_was(self):
        self.clone(lib="pub fn one() {}\n")
        self.assertEqual(self.compiled(), (True, 0))
        self.assertEqual(self.clone(lib="pub fn two() {}\n"), (2, 1))
        self.assertEqual(self.compiled(), (True, 0))
        self.assertEqual(self.clone(lib="pub fn one() {}\n"), (2, 1))
        self.assertEqual(self.compiled(), (True, 0))

    def test_a_build_that_failed_is_not_taken_for_one_of_older_files(self):
        self.clone(lib="pub mod a;\n", a="pub fn one() {}\n")
        self.assertEqual(self.compiled(), (True, 0))
        self.clone(lib="pub mod a;\n", a="this is not Rust\n")
        self.assertNotEqual(self.compiled()[1], 0)
        self.clone(lib="pub mod a;\n", a="pub fn one() {}\n")
        self.assertEqual(self.compiled(), (True, 0))

    def test_a_record_that_cannot_be_read_is_none(self):
        for text in ["", "[]", "{\"lib.rs\": 3}", "{\"lib.rs\": [\"a\", \"b\"]}", "\x00"]:
            self.target.mkdir(exist_ok=True)
            (self.target / "times.json").write_text(text)
            self.assertEqual(self.clone(lib="pub fn one() {}\n"), (2, 0), text)

    def test_files_that_are_gone_are_forgotten(self):
        self.clone(lib="pub mod a;\n", a="pub fn one() {}\n")
        self.assertEqual(self.clone(lib="pub fn one() {}\n"), (2, 1))


if __name__ == "__main__":
    unittest.main()
