#!/usr/bin/env python3
"""Tests of where packages come from, with the real apt and a small mirror of our own on the loopback; run this file."""

import contextlib
import email.utils
import gzip
import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import tempfile
import threading
import unittest
import urllib.parse
import zipfile
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from libqemu import crates, libraries, wheels
from libqemu.apt import Archive, Entry, Mirror
from libqemu.debian import OWN_VARIABLE, BinaryPackage, Debian, SourcePackage
from libqemu.report import BuildError
from libqemu.source import unpack


def digest(data):
    return hashlib.sha256(data).hexdigest()


class StandIn:
    """A mirror below a folder, served to this machine alone, that can be made to fail like real ones."""

    def __init__(self, folder):
        self.folder, self.lists, self.asked = folder, {}, []
        # Paths whose connection is cut half-way so many times, and paths that give out other bytes.
        self.cut, self.wrong = {}, set()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers apt."""

            def do_GET(self):  # pylint: disable=invalid-name
                """The file, or what is wrong with it."""
                path = urllib.parse.unquote(self.path)
                mirror.asked.append(path)
                file = mirror.folder / path.lstrip("/")
                # pip asks for a folder.
                file = file / "index.html" if file.is_dir() else file
                if not file.is_file():
                    self.send_error(404)
                    return
                data = file.read_bytes()
                if path in mirror.wrong:
                    data = bytes(255 - byte for byte in data)
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Type", "text/html" if file.suffix == ".html" else "application/octet-stream")
                self.send_header("Last-Modified", email.utils.formatdate(file.stat().st_mtime, usegmt=True))
                self.end_headers()
                if mirror.cut.get(path, 0) > 0:
                    mirror.cut[path] -= 1
                    self.wfile.write(data[:len(data) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(data)

            def log_message(self, *_):
                """Nothing: the tests' own words are enough."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, path, data):
        """A file of the mirror."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)

    def source(self, suite, name, version, files, *, directory=None, pool=True):
        """Lists a source package of these files; with `pool` they are there."""
        base = "debian-security" if suite.endswith("-security") else "debian"
        default = f"pool/{'updates/' if base != 'debian' else ''}main/{name[0]}/{name}"
        directory = directory or default
        lines = "".join(f"\n {digest(data)} {len(data)} {file}" for file, data in files.items())
        self.lists.setdefault((suite, "source/Sources"), []).append(
            f"Package: {name}\nBinary: {name}\nVersion: {version}\nFormat: 3.0 (quilt)\nDirectory: {directory}\n"
            f"Checksums-Sha256:{lines}\n")
        for file, data in files.items() if pool else ():
            self.put(f"{base}/{directory}/{file}", data)

    def binary(self, suite, name, version, architecture, data, *, pool=True):
        """Lists a binary package; with `pool` it is there."""
        base = "debian-security" if suite.endswith("-security") else "debian"
        path = f"pool/{'updates/' if base != 'debian' else ''}main/{name[0]}/{name}/{name}_{version}_{architecture}.deb"
        self.lists.setdefault((suite, f"binary-{architecture}/Packages"), []).append(
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: nobody\nDescription: none\n"
            f"Filename: {path}\nSize: {len(data)}\nSHA256: {digest(data)}\n")
        if pool:
            self.put(f"{base}/{path}", data)

    def publish(self):
        """Writes the lists of all suites, and the Release files that tell their sums."""
        for suite in {suite for suite, _ in self.lists}:
            base = "debian-security" if suite.endswith("-security") else "debian"
            lines = ""
            for which in [place for name, place in self.lists if name == suite]:
                plain = "\n".join(self.lists[suite, which]).encode()
                packed = gzip.compress(plain, mtime=0)
                self.put(f"{base}/dists/{suite}/main/{which}.gz", packed)
                # As in Debian: the sum of the plain one is told, and it is not there.
                lines += f"\n {digest(packed)} {len(packed)} main/{which}.gz\n {digest(plain)} {len(plain)} main/{which}"
            architectures = "amd64 arm64"
            release = (f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nComponents: main\n"
                       f"Architectures: {architectures}\nDate: {email.utils.formatdate(usegmt=True)}\nSHA256:{lines}\n")
            self.put(f"{base}/dists/{suite}/Release", release.encode())


ORIG, CHANGES, NEWER = b"upstream" * 400, b"Debian's part" * 300, b"Debian's newer part" * 300
TOOL = SourcePackage("tool", "1.0-1", {"tool_1.0.orig.tar.gz": digest(ORIG), "tool_1.0-1.debian.tar.xz": digest(CHANGES)},
                     "1.", "bookworm")
AS_TRIED = {"tool_1.0.orig.tar.gz": ORIG, "tool_1.0-1.debian.tar.xz": CHANGES}
POINT_RELEASE = {"tool_1.0.orig.tar.gz": ORIG, "tool_1.0-1+deb12u1.debian.tar.xz": NEWER}
DEB, NEWER_DEB = b"a package" * 300, b"a newer package" * 300
ROM = BinaryPackage("rom", "amd64", "bookworm", "1.0-1", "r/rom/rom_1.0-1_amd64.deb", digest(DEB))


class Case(unittest.TestCase):
    """A mirror and an empty cache for each test."""

    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self._temporary.cleanup)
        self.folder = Path(self._temporary.name)
        self.mirror = StandIn(self.folder / "mirror")
        self.addCleanup(self.mirror.close)
        self.cache, self.own = self.folder / "cache", self.folder / "own"
        for folder in (self.cache, self.own):
            folder.mkdir()
        # The machine's proxies are not asked for the loopback, and apt does not wait before it tries again.
        conf = self.folder / "apt.conf"
        conf.write_text('Acquire::http::Proxy "DIRECT";\nAcquire::http::Proxy::127.0.0.1 "DIRECT";\n'
                        'Acquire::Retries "1";\nAcquire::Retries::Delay "false";\n')
        values = {"APT_CONFIG": str(conf), "no_proxy": "127.0.0.1"}
        environment = mock.patch.dict(os.environ, values)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop(OWN_VARIABLE, None)
        self.words = ""

    def debian(self, own=None):
        """The resolver of a new run."""
        known = Mirror(f"{self.mirror.uri}/debian", "trusted=yes", f"{self.mirror.uri}/debian-security")
        return Debian(self.cache / "downloads", Archive(self.cache / "apt", self.cache / "log", known), own)

    def taken(self, wanted=TOOL, own=None):
        """What came, with the words that were said kept."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            found = self.debian(own).source(wanted) if isinstance(wanted, SourcePackage) \
                else self.debian(own).binary(wanted, "rom")
        self.words = said.getvalue()
        for name, path in zip(found.files, found.paths):
            self.assertEqual(digest(path.read_bytes()), found.files[name], name)
        return found

    def refused(self, wanted=TOOL, own=None):
        """The words of the error."""
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(BuildError) as caught:
            self.debian(own).source(wanted) if isinstance(wanted, SourcePackage) else self.debian(own).binary(wanted, "rom")
        return str(caught.exception)


class Sources(Case):
    """Source packages."""

    def test_what_was_tried_comes_by_its_sums_without_a_list(self):
        self.mirror.source("bookworm", "tool", "1.0-1", AS_TRIED)
        self.mirror.publish()
        found = self.taken()
        self.assertTrue(found.tried)
        self.assertEqual(list(found.files), ["tool_1.0.orig.tar.gz", "tool_1.0-1.debian.tar.xz"])
        self.assertFalse([path for path in self.mirror.asked if "/dists/" in path])
        self.assertIn("/pool/main/t/tool/", found.origin["tool_1.0.orig.tar.gz"])
        # And what is in the cache serves when the mirror has lost everything.
        self.mirror.close()
        self.assertTrue(self.taken().tried)

    def test_a_version_that_is_gone_gives_way_to_the_suites_newest(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.source("bookworm", "tool", "2.0-1", {"tool_2.0.orig.tar.gz": b"2", "tool_2.0-1.debian.tar.xz": b"2"})
        self.mirror.publish()
        found = self.taken()
        self.assertEqual((found.version, found.tried), ("1.0-1+deb12u1", False), "2.0 is not of the series")
        self.assertIn("1.0-1, which was tried, is not to be had: taking 1.0-1+deb12u1", self.words)
        self.assertIn("apt's signature", self.words)
        # The next run uses it without asking, and its key is known without the network.
        self.mirror.close()
        self.assertEqual(self.debian().known(TOOL).files, found.files)
        self.assertEqual(self.taken().version, "1.0-1+deb12u1")

    def test_an_index_ahead_of_the_pool_leads_to_upstreams_archive(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE, pool=False)
        self.mirror.put("debian/pool/main/t/tool/tool_1.0.orig.tar.gz", ORIG)
        self.mirror.publish()
        found = self.taken()
        self.assertEqual((list(found.files), found.tried), (["tool_1.0.orig.tar.gz"], False))
        self.assertIn("without what Debian adds", self.words)
        self.assertTrue([path for path in self.mirror.asked if path.endswith("deb12u1.debian.tar.xz")])

    def test_upstreams_archive_alone_serves_until_there_is_better(self):
        self.mirror.put("debian/pool/main/t/tool/tool_1.0.orig.tar.gz", ORIG)
        self.assertEqual(len(self.taken().files), 1)
        self.assertEqual(len(self.taken().files), 1, "there is nothing better yet")
        self.assertIn("of the cache, upstream's archive alone", self.words)
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.publish()
        self.assertEqual(self.taken().version, "1.0-1+deb12u1")
        self.mirror.put("debian/pool/main/t/tool/tool_1.0-1.debian.tar.xz", CHANGES)
        self.assertEqual(self.taken().version, "1.0-1+deb12u1", "the same inputs, the same result")

    def test_an_index_ahead_of_the_pool_leads_to_the_version_before(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u2", {
            "tool_1.0.orig.tar.gz": ORIG, "tool_1.0-1+deb12u2.debian.tar.xz": b"never there"}, pool=False)
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.publish()
        self.assertEqual(self.taken().version, "1.0-1+deb12u1")

    def test_a_pool_ahead_of_the_index_is_no_hindrance(self):
        self.mirror.source("bookworm", "tool", "0.9-1", {"tool_0.9.orig.tar.gz": b"old"}, pool=False)
        self.mirror.publish()
        for name, data in AS_TRIED.items():
            self.mirror.put(f"debian/pool/main/t/tool/{name}", data)
        self.assertTrue(self.taken().tried)

    def test_security_updates_have_an_archive_of_their_own(self):
        self.mirror.source("bookworm", "tool", "0.9-1", {"tool_0.9.orig.tar.gz": b"old"})
        self.mirror.source("bookworm-security", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.publish()
        found = self.taken()
        self.assertEqual(found.version, "1.0-1+deb12u1")
        self.assertIn("debian-security/pool/updates/main", found.origin["tool_1.0-1+deb12u1.debian.tar.xz"])

    def test_a_connection_that_is_cut_is_tried_again(self):
        self.mirror.source("bookworm", "tool", "1.0-1", AS_TRIED)
        self.mirror.publish()
        self.mirror.cut["/debian/pool/main/t/tool/tool_1.0.orig.tar.gz"] = 1
        self.assertTrue(self.taken().tried)

    def test_half_a_file_is_never_taken_for_a_whole_one(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.put("debian/pool/main/t/tool/tool_1.0-1.debian.tar.xz", CHANGES)
        self.mirror.publish()
        self.mirror.cut["/debian/pool/main/t/tool/tool_1.0-1.debian.tar.xz"] = 1000
        found = self.taken()
        self.assertEqual(found.version, "1.0-1+deb12u1")
        kept = {path.name for path in (self.cache / "downloads").iterdir()}
        self.assertEqual(kept, {*POINT_RELEASE, "tool.json"})

    def test_a_wrong_file_gives_way_to_the_suites_newest(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.put("debian/pool/main/t/tool/tool_1.0-1.debian.tar.xz", CHANGES)
        self.mirror.publish()
        self.mirror.wrong.add("/debian/pool/main/t/tool/tool_1.0-1.debian.tar.xz")
        self.assertEqual(self.taken().version, "1.0-1+deb12u1")

    def test_a_file_that_changed_in_the_cache_is_fetched_again(self):
        self.mirror.source("bookworm", "tool", "1.0-1", AS_TRIED)
        self.taken()
        (self.cache / "downloads/tool_1.0.orig.tar.gz").write_bytes(b"rotten")
        self.assertTrue(self.taken().tried)

    def test_a_suite_that_vanished_leaves_upstreams_archive_of_another(self):
        self.mirror.source("trixie", "tool", "1.0-7", {"tool_1.0.orig.tar.gz": ORIG, "tool_1.0-7.debian.tar.xz": NEWER},
                           directory="pool/main/elsewhere")
        self.mirror.publish()
        found = self.taken()
        self.assertEqual(found.files, {"tool_1.0.orig.tar.gz": digest(ORIG)})
        self.assertIn("/elsewhere/", found.origin["tool_1.0.orig.tar.gz"])

    def test_the_next_release_serves_when_upstreams_archive_is_gone(self):
        self.mirror.source("trixie", "tool", "1.1-1", {"tool_1.1.orig.tar.gz": b"1.1", "tool_1.1-1.debian.tar.xz": NEWER})
        self.mirror.publish()
        found = self.taken()
        self.assertEqual((found.version, len(found.files)), ("1.1-1", 2))

    def test_an_older_release_is_not_gone_back_to(self):
        self.mirror.source("bullseye", "tool", "1.0-0", {"tool_1.0.orig.tar.gz": b"another", "tool_1.0-0.debian.tar.xz": b"d"})
        self.mirror.publish()
        self.assertIn("bullseye has of tool: 1.0-0 (wanted", self.refused())

    def test_a_package_of_upstreams_archive_alone_is_as_tried_in_any_revision(self):
        wanted = SourcePackage("tool", "1.0-1", {"tool_1.0.orig.tar.gz": digest(ORIG)}, "1.", "bookworm")
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE, directory="pool/main/elsewhere")
        self.mirror.publish()
        found = self.taken(wanted)
        self.assertEqual((found.tried, list(found.files)), (True, ["tool_1.0.orig.tar.gz"]))

    def test_the_users_own_folder_is_asked_before_the_mirror(self):
        for name, data in AS_TRIED.items():
            (self.own / name).write_bytes(data)
        found = self.taken(own=self.own)
        self.assertTrue(found.tried)
        self.assertEqual(self.mirror.asked, [])
        self.assertEqual(found.origin["tool_1.0.orig.tar.gz"], str(self.own / "tool_1.0.orig.tar.gz"))

    def test_the_users_own_folder_brings_back_what_was_tried(self):
        self.mirror.source("bookworm", "tool", "1.0-1+deb12u1", POINT_RELEASE)
        self.mirror.publish()
        self.assertFalse(self.taken().tried)
        (self.own / "tool_1.0-1.debian.tar.xz").write_bytes(CHANGES)
        self.assertTrue(self.taken(own=self.own).tried)

    def test_a_file_of_another_content_in_the_users_folder_is_not_what_was_tried(self):
        self.mirror.source("bookworm", "tool", "1.0-1", AS_TRIED)
        (self.own / "tool_1.0.orig.tar.gz").write_bytes(b"something else")
        found = self.taken(own=self.own)
        self.assertIn(self.mirror.uri, found.origin["tool_1.0.orig.tar.gz"])

    def test_the_users_own_folder_is_the_last_resort(self):
        (self.own / "tool_1.2.orig.tar.gz").write_bytes(b"1.2")
        (self.own / "tool_1.2-1.debian.tar.xz").write_bytes(b"d")
        (self.own / "tool_3.0.orig.tar.gz").write_bytes(b"3.0")
        found = self.taken(own=self.own)
        self.assertEqual((found.version, len(found.files), found.tried), ("1.2", 2, False))
        self.assertIn(str(self.own), self.words)

    def test_nothing_left_names_the_files_to_put_where(self):
        words = self.refused()
        for part in (*AS_TRIED, OWN_VARIABLE, "has no suite called bookworm", "404"):
            self.assertIn(part, words)

    def test_a_source_package_is_unpacked_with_what_debian_adds(self):
        patch = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-upstream\n+patched\n"
        orig = archive({"tool-1.0/file": "upstream\n"})
        for name, data in (("tool_1.0-1.debian.tar.xz", archive({"debian/patches/series": "# first\none.patch\n",
                                                                 "debian/patches/one.patch": patch})),
                           ("tool_1.0-1.diff.gz", gzip.compress(patch.encode()))):
            with self.subTest(name):
                files = {"tool_1.0.orig.tar.gz": orig, name: data}
                wanted = SourcePackage("tool", "1.0-1", {file: digest(content) for file, content in files.items()}, "1.")
                for file, content in files.items():
                    (self.own / file).write_bytes(content)
                unpack(self.taken(wanted, own=self.own), self.folder / name / "tree", self.cache / "log")
                self.assertEqual((self.folder / name / "tree/file").read_text(), "patched\n")


class Binaries(Case):
    """Binary packages, and the lists they are in."""

    def test_what_was_tried_goes_before_what_is_newer(self):
        self.mirror.binary("bookworm", "rom", "1.0-1", "amd64", DEB)
        self.mirror.binary("bookworm", "rom", "1.0-2", "amd64", NEWER_DEB)
        self.mirror.publish()
        found = self.taken(ROM)
        self.assertEqual((found.version, found.tried), ("1.0-1", True))

    def test_a_newer_one_is_taken_and_said(self):
        self.mirror.binary("bookworm", "rom", "1.0-2", "amd64", NEWER_DEB)
        self.mirror.publish()
        self.assertEqual((self.taken(ROM).version), "1.0-2")
        self.assertIn("rom:amd64 1.0-1, which was tried, is not to be had: taking 1.0-2", self.words)
        self.mirror.close()
        self.assertEqual(self.taken(ROM).version, "1.0-2", "the same inputs, the same result")

    def test_an_index_ahead_of_the_pool_leads_to_what_the_pool_still_has(self):
        self.mirror.binary("bookworm", "rom", "1.0-2", "amd64", NEWER_DEB, pool=False)
        self.mirror.put("debian/pool/main/r/rom/rom_1.0-1_amd64.deb", DEB)
        self.mirror.publish()
        self.assertTrue(self.taken(ROM).tried)

    def test_a_broken_list_of_one_architecture_leaves_the_others(self):
        self.mirror.binary("bookworm", "rom", "1.0-1", "amd64", DEB)
        self.mirror.binary("bookworm", "rom", "1.0-1", "arm64", b"for arm64")
        self.mirror.publish()
        self.mirror.wrong.add("/debian/dists/bookworm/main/binary-arm64/Packages.gz")
        self.assertTrue(self.taken(ROM).tried)

    def test_a_list_that_broke_since_leaves_the_one_of_before(self):
        self.mirror.binary("bookworm", "rom", "1.0-1", "amd64", DEB)
        self.mirror.publish()
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(len(self.debian()._archive.packages("bookworm", "amd64").binary("rom")), 1)
        self.mirror.binary("bookworm", "rom", "1.0-2", "amd64", NEWER_DEB)
        self.mirror.publish()
        self.mirror.wrong.add("/debian/dists/bookworm/main/binary-amd64/Packages.gz")
        self.assertTrue(self.taken(ROM).tried)
        self.assertIn("do not fit together", self.words)

    def test_updates_serve_when_the_suite_vanished(self):
        self.mirror.binary("bookworm-updates", "rom", "1.0-2", "amd64", NEWER_DEB)
        self.mirror.publish()
        self.assertEqual(self.taken(ROM).version, "1.0-2")

    def test_a_package_may_stand_for_another(self):
        self.mirror.binary("bookworm", "rom-1.0", "1.0-2", "amd64", NEWER_DEB)
        self.mirror.publish()

        def entries(apt):
            offered = apt.binary("rom-1.0")
            self.assertIsInstance(offered[0], Entry)
            return [("rom-1.0", entry) for entry in offered]

        with contextlib.redirect_stderr(io.StringIO()):
            found = self.debian().binary(ROM, "rom", entries=entries)
        self.assertEqual(found.name, "rom-1.0")

    def test_downloads_of_before_stay_valid(self):
        folder = self.cache / "downloads"
        folder.mkdir()
        (folder / "rom_1%3a1.0-1_amd64.deb").write_bytes(DEB)
        wanted = BinaryPackage("rom", "amd64", "bookworm", "1:1.0-1", "r/rom/rom_1.0-1_amd64.deb", digest(DEB))
        self.assertTrue(self.taken(wanted).tried)
        (folder / "old.deb").write_bytes(NEWER_DEB)
        (folder / "rom.json").write_text(
            f'{{"file": "old.deb", "package": "rom:amd64", "version": "0.1", "sha256": "{digest(NEWER_DEB)}"}}')
        self.assertEqual(self.taken(wanted).version, "0.1")
        self.assertEqual(self.mirror.asked, [])

    def test_the_users_own_folder_is_first_and_last(self):
        (self.own / "rom_1.0-1_amd64.deb").write_bytes(DEB)
        self.assertTrue(self.taken(ROM, own=self.own).tried)
        self.assertEqual(self.mirror.asked, [])
        for path in [*self.own.iterdir(), *(self.cache / "downloads").iterdir()]:
            path.unlink()
        (self.own / "rom_1.5-1_arm64.deb").write_bytes(b"of another machine")
        (self.own / "rom_1.4-1_amd64.deb").write_bytes(b"the user's")
        self.assertEqual(self.taken(ROM, own=self.own).version, "1.4-1")

    def test_nothing_left_names_the_file_to_put_where(self):
        words = self.refused(ROM)
        for part in ("rom_1.0-1_amd64.deb", OWN_VARIABLE, "404"):
            self.assertIn(part, words)

    def test_a_folder_of_the_users_that_is_none_is_refused(self):
        with self.assertRaisesRegex(BuildError, OWN_VARIABLE):
            self.debian(self.folder / "nowhere")


class Wheels(Case):
    """Programs of the Python package index, by the real pip."""

    WHEEL = {"demo/__init__.py": "", "demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
             "demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}

    def setUp(self):
        super().setUp()
        for variable in [name for name in os.environ if name.startswith("PIP_")]:
            del os.environ[variable]
        os.environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{self.mirror.uri}/simple", "PIP_RETRIES": "0",
                       "PIP_NO_CACHE_DIR": "1"}
        self.pinned = wheels.Wheel("demo", "1.0", (digest(self.wheel("1.0")),), "~=1.0")

    def wheel(self, version):
        """The bytes of a wheel."""
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as file:
            record = f"demo-{version}.dist-info/RECORD"
            names = [name.replace("1.0", version) for name in self.WHEEL]
            for name, text in zip(names, self.WHEEL.values()):
                file.writestr(zipfile.ZipInfo(name), text.replace("demo\nVersion: 1.0", f"demo\nVersion: {version}"))
            file.writestr(zipfile.ZipInfo(record), "".join(f"{name},,\n" for name in [*names, record]))
        return data.getvalue()

    def offer(self, *versions):
        """Puts these versions into the index."""
        names = [f"demo-{version}-py3-none-any.whl" for version in versions]
        for name, version in zip(names, versions):
            self.mirror.put(f"files/{name}", self.wheel(version))
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        self.mirror.put("simple/demo/index.html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode())

    def installed(self, own=None):
        """The version that came, with the words that were said kept."""
        into, said = self.folder / "installed", io.StringIO()
        if own:
            os.environ[OWN_VARIABLE] = str(own)
        with contextlib.redirect_stderr(said):
            version = wheels.install(self.pinned, sys.executable, into, self.cache / "log", "--target", into)
        self.words = said.getvalue()
        self.assertTrue((into / "demo/__init__.py").exists())
        return version

    def test_what_was_tried_goes_before_what_is_newer(self):
        self.offer("1.0", "1.1")
        self.assertEqual((self.installed(), self.words), ("1.0", ""))

    def test_a_version_that_is_gone_gives_way_to_one_like_it(self):
        self.offer("1.1", "2.0")
        self.assertEqual(self.installed(), "1.1")
        self.assertIn("demo 1.0, which was tried, is not to be had: taking 1.1", self.words)

    def test_the_users_own_folder_is_asked_first(self):
        (self.own / "demo-1.0-py3-none-any.whl").write_bytes(self.wheel("1.0"))
        self.assertEqual(self.installed(self.own), "1.0")
        self.assertEqual(self.mirror.asked, [])

    def test_a_files_name_has_underscores_for_the_packages_dashes(self):
        wheel = wheels.Wheel("two-words", "1.0", (), "~=1.0")
        self.assertEqual((wheel.file, wheel.file_of("*")), ("two_words-1.0-*.whl", "two_words-*-*.whl"))

    def test_the_users_own_folder_is_the_last_resort(self):
        (self.own / "demo-1.2-py3-none-any.whl").write_bytes(self.wheel("1.2"))
        self.assertEqual(self.installed(self.own), "1.2")

    def test_nothing_left_names_the_file_to_put_where(self):
        with self.assertRaisesRegex(BuildError, rf"demo-1\.0-\*\.whl .* {OWN_VARIABLE}"):
            self.installed()


class Crates(Case):
    """C sources of crates.io; the registry itself is cargo's business."""

    def test_the_users_own_folder_is_asked_first(self):
        data = archive({"demo-1.0/c/demo.c": "int demo;\n"})
        (self.own / "demo-1.0.crate").write_bytes(data)
        lock = self.folder / "Cargo.lock"
        lock.write_text(f'[[package]]\nname = "demo"\nversion = "1.0"\nchecksum = "{digest(data)}"\n')
        os.environ[OWN_VARIABLE] = str(self.own)
        with mock.patch.object(crates, "LOCK", lock):
            folder, record = crates.Crates(self.cache, self.cache / "log").source(crates.Crate("demo", "9", "c"))
        self.assertEqual((folder / "demo.c").read_text(), "int demo;\n")
        self.assertEqual(record["files"], {"demo-1.0.crate": digest(data)})

    def test_what_cargo_cannot_fetch_is_named(self):
        environment = {"CARGO_HOME": str(self.folder / "cargo"), "CARGO_NET_OFFLINE": "true"}
        with mock.patch.dict(os.environ, environment), contextlib.redirect_stderr(io.StringIO()), \
                self.assertRaisesRegex(BuildError, rf"libz-sys-\S+\.crate .* {OWN_VARIABLE}"):
            crates.Crates(self.cache, self.cache / "log").source(crates.Crate("libz-sys", "1", "src"))


class Libraries(Case):
    """The libraries of libqemu for OpenHarmony."""

    def test_what_the_mirror_forced_on_us_is_not_what_was_tried(self):
        def identity():
            return libraries.Libraries(self.debian(), crates.Crates(self.cache, self.cache / "log")).identity()

        tried = identity()
        glib = next(library.source for library in libraries.LIBRARIES if library.name == "glib2.0")
        (self.cache / "downloads").mkdir()
        (self.cache / "downloads/glib2.0.json").write_text(json.dumps({
            "instead_of": glib.version, "name": glib.name, "version": "2.84.4-4", "files": {"glib2.0_2.84.4.orig.tar.xz": "0"},
            "origin": {}, "tried": False, "note": ""}))
        self.assertNotEqual(identity(), tried)

    def test_each_package_of_cratesio_is_pinned(self):
        for library in libraries.LIBRARIES:
            if isinstance(library.source, crates.Crate):
                self.assertRegex(crates.pinned(library.source.name).checksum, "^[0-9a-f]{64}$")


def archive(files):
    """A compressed archive of these texts."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


if __name__ == "__main__":
    unittest.main()
