"""Where a package of Debian comes from when the mirror has moved on.

Point releases replace what a suite has, within days or weeks, and a mirror's list and its files may disagree for hours.
So each package is looked for in several ways, in this order:

1. what is in the cache;
2. the files of the version that was tried, by their sums: in the user's own folder, then in the mirror's pool;
3. the newest that the suite has (or its security updates) and that our build files are made for;
4. upstream's very archive from anywhere, without what Debian adds;
5. the other releases;
6. whatever the user's own folder has of it.

Only sums that are pinned here are trusted by themselves; all others come from lists that have passed apt's signature
check, or from the user. What came is recorded, with where it came from and whether it is what was tried.
"""

import contextlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .apt import Unavailable, compare_versions
from .digest import sha256
from .report import BuildError, say

# Releases in their order, for the ones beside that of a suite.
RELEASES = ["bullseye", "bookworm", "trixie", "forky", "sid"]
OWN_VARIABLE = "SAMPAN_SOURCES"
UPSTREAM = re.compile(r"\.orig\.tar\.\w+$")
CHANGES = re.compile(r"\.(debian\.tar|diff)\.\w+$")


@dataclass(frozen=True)
class SourcePackage:
    """A source package: the version that was tried and its files with their sums, upstream's archive first, then, where
    it is wanted, what Debian adds. Other versions must begin with `series`."""
    name: str
    version: str
    files: dict
    series: str
    suite: str = "trixie"

    def __str__(self):
        return f"{self.name} {self.version}"

    @property
    def folder(self):
        """Where Debian's pool has it."""
        prefix = self.name[:4] if self.name.startswith("lib") else self.name[0]
        return f"{prefix}/{self.name}"

    @property
    def upstream(self):
        """The name and the sum of upstream's archive."""
        return next(iter(self.files.items()))


@dataclass(frozen=True)
class BinaryPackage:
    """A binary package for an architecture (Debian's name); if one was tried, its version, its place in Debian's pool
    and its sum. Other versions must begin with `series`; their files may be called like `pattern`."""
    name: str
    architecture: str
    suite: str
    version: str = ""
    path: str = ""
    sha256: str = ""
    series: str = ""
    pattern: str = ""

    @property
    def file(self):
        """The name of the file that was tried, or what any other is called like."""
        return Path(self.path).name or self.others

    @property
    def others(self):
        """What the files of other versions are called like."""
        return f"{self.pattern or self.name}_{self.series}*.deb"

    def __str__(self):
        return f"{self.name}:{self.architecture} {self.version}".rstrip()


@dataclass
class Found:
    """What came: the sums of the files by their names, where each is from, and whether it is what was tried."""
    name: str
    version: str
    files: dict
    origin: dict
    tried: bool
    note: str = ""
    folder: Path = field(default=Path(), compare=False)

    @property
    def paths(self):
        """The files, upstream's archive first."""
        return [self.folder / name for name in self.files]

    @property
    def path(self):
        """The only file."""
        return self.paths[0]

    def record(self):
        """For BUILDINFO.json and for the cache."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


class Debian:
    """Packages of Debian, kept in the folder `folder` of the cache."""

    def __init__(self, folder, archive, own=None):
        self._folder, self._archive = folder, archive
        named = own or os.environ.get(OWN_VARIABLE)
        self._own = Path(named) if named else None
        if self._own and not self._own.is_dir():
            raise BuildError(f"{OWN_VARIABLE} names {self._own}, which is no folder")

    # Source packages

    def known(self, wanted):
        """What `source` will return, as far as can be said without the network."""
        return self._recorded(wanted) or self._pinned(wanted, {})

    def source(self, wanted):
        """A source package, or a BuildError that names the files that would help."""
        found = self._kept_source(wanted)
        if found:
            return found
        ways = [self._as_tried, self._newest, self._upstream_alone, self._of_other_releases, self._of_the_user]
        return self._first_of(ways, wanted, list(wanted.files))

    def _kept_source(self, wanted):
        if all(self._have(name, digest) for name, digest in wanted.files.items()):
            recorded = self._read(wanted.name)
            return self._pinned(wanted, recorded.get("origin", {}))
        # The version that was tried, if the user has it now, goes before another one of the cache.
        if self._own and all(self._have(name, digest) or _is(self._own / name, digest)
                             for name, digest in wanted.files.items()):
            return None
        recorded = self._recorded(wanted)
        if recorded and all(self._have(name, digest) for name, digest in recorded.files.items()):
            # What lacks Debian's patches is used only as long as nothing better is there.
            if len(recorded.files) < len(wanted.files):
                for way in (self._as_tried, self._newest):
                    with contextlib.suppress(Unavailable):
                        return self._accept(way(wanted), wanted, wanted.name)
            say(f"{wanted.name} {wanted.version} was not to be had earlier: using {recorded.version} of the cache{recorded.note}")
            return recorded
        return None

    def _recorded(self, wanted):
        """What was accepted earlier in place of the version that is pinned."""
        if all((self._folder / name).exists() for name in wanted.files):
            return None
        known = self._read(wanted.name)
        if known.get("instead_of") != wanted.version or known.get("tried"):
            return None
        return Found(**{key: known[key] for key in ("name", "version", "files", "origin", "tried", "note")}, folder=self._folder)

    def _pinned(self, wanted, origin):
        kept = {name: origin.get(name, "an earlier download") for name in wanted.files}
        return Found(wanted.name, wanted.version, dict(wanted.files), kept, True, folder=self._folder)

    def _as_tried(self, wanted):
        return self._pinned(wanted, {name: self._pooled(f"{wanted.folder}/{name}", digest)
                                     for name, digest in wanted.files.items()})

    def _newest(self, wanted):
        return self._of_suites([wanted.suite, *near(wanted.suite)], wanted, self._entries_of_source)

    def _of_other_releases(self, wanted):
        return self._of_suites(far(wanted.suite), wanted, self._entries_of_source)

    def _entries_of_source(self, suite, wanted):
        for entry in self._archive.sources(suite).source(wanted.name):
            files = {name: place for name, place in sorted(entry.files.items(), key=lambda item: not UPSTREAM.search(item[0]))
                     if UPSTREAM.search(name) or (CHANGES.search(name) and len(wanted.files) > 1)}
            if any(UPSTREAM.search(name) for name in files):
                yield wanted.name, entry.version, files

    def _upstream_alone(self, wanted):
        name, digest = wanted.upstream
        try:
            origin = self._pooled(f"{wanted.folder}/{name}", digest)
        except Unavailable as error:
            origin = self._by_sum(wanted, name, digest, error)
        alone = len(wanted.files) > 1
        return Found(wanted.name, wanted.version, {name: digest}, {name: origin}, not alone,
                     ", upstream's archive alone, without what Debian adds" if alone else "", self._folder)

    def _by_sum(self, wanted, name, digest, error):
        """The file of this sum from wherever any suite has it."""
        reasons = [str(error)]
        for suite in [wanted.suite, *near(wanted.suite), *far(wanted.suite)]:
            try:
                apt = self._archive.sources(suite)
                for entry in apt.source(wanted.name):
                    for path, offered in entry.files.values():
                        if offered == digest:
                            return self._fetch(apt.uri(path), digest, name)
            except Unavailable as failure:
                reasons.append(str(failure))
        raise Unavailable("\n".join(reasons))

    def _of_the_user(self, wanted):
        """The newest of the user's own folder, on his word."""
        if not self._own:
            raise Unavailable(f"{OWN_VARIABLE} names no folder")
        for upstream in sorted(self._own.glob(f"{wanted.name}_*.orig.tar.*"), reverse=True):
            version = upstream.name[len(wanted.name) + 1:].partition(".orig.tar.")[0]
            if not UPSTREAM.search(upstream.name) or not version.startswith(wanted.series.rpartition(":")[2]):
                continue
            changes = [path for path in sorted(self._own.glob(f"{wanted.name}_{version}-*"))
                       if CHANGES.search(path.name)][-1:] if len(wanted.files) > 1 else []
            files = {path.name: sha256(path) for path in [upstream, *changes]}
            origin = {name: self._pooled(name, digest) for name, digest in files.items()}
            return Found(wanted.name, version, files, origin, False, f", as it is in {self._own}", self._folder)
        raise Unavailable(f"{self._own} has no {wanted.name}_{wanted.series.rpartition(':')[2]}*.orig.tar.*")

    # Binary packages

    def binary(self, wanted, key, *, entries=None, fresh=False):
        """A binary package, kept under the name `key`, or a BuildError that names the file that would help.

        What is in the cache stays in use although the suite has moved on, unless `fresh`: the same inputs, the same
        result. `entries(apt)` yields name and Entry of what would do, newest first; without it, it is the package."""
        if not fresh:
            found = self._kept_binary(wanted, key)
            if found:
                return found

        def listed(suite, wanted):
            apt = self._archive.packages(suite, wanted.architecture)
            offered = list(entries(apt)) if entries else [(wanted.name, entry) for entry in apt.binary(wanted.name)]
            # What was tried goes first, while the suite still has it.
            for name, entry in sorted(offered, key=lambda item: item[1].version != wanted.version):
                yield name, entry.version, entry.files

        ways = [self._own_binary, lambda wanted: self._of_suites([wanted.suite, *near(wanted.suite)], wanted, listed),
                self._pooled_binary, lambda wanted: self._of_suites(far(wanted.suite), wanted, listed),
                self._any_own_binary]
        return self._first_of(ways, wanted, [wanted.file], key)

    def _kept_binary(self, wanted, key):
        known = self._read(key)
        # Records of before had one file and no more to say.
        if "file" in known:
            known = {"name": known["package"], "version": known["version"], "files": {known["file"]: known["sha256"]},
                     "origin": {known["file"]: "an earlier download"}, "tried": known["sha256"] == wanted.sha256, "note": ""}
        if known and all(self._have(name, digest) for name, digest in known["files"].items()):
            known["tried"] = wanted.sha256 in known["files"].values()
            return Found(**{k: known[k] for k in ("name", "version", "files", "origin", "tried", "note")}, folder=self._folder)
        # apt's names have the colon of an epoch, the pool's do not.
        plain = wanted.version.partition(":")[2] or wanted.version
        escaped = wanted.file.replace(f"_{plain}_", f"_{wanted.version.replace(':', '%3a')}_")
        for name in (wanted.file, escaped) if wanted.sha256 else ():
            if self._have(name, wanted.sha256):
                return self._binary_as_tried(wanted, name, "an earlier download")
        return None

    def _binary_as_tried(self, wanted, name, origin):
        return Found(wanted.name, wanted.version, {name: wanted.sha256}, {name: origin}, True, folder=self._folder)

    def _own_binary(self, wanted):
        if not wanted.sha256 or not self._own or not _is(self._own / wanted.file, wanted.sha256):
            raise Unavailable(f"no folder of the user's has {wanted.file}")
        return self._binary_as_tried(wanted, wanted.file, self._pooled(wanted.file, wanted.sha256))

    def _pooled_binary(self, wanted):
        if not wanted.path:
            raise Unavailable(f"no version of {wanted.name} is pinned")
        return self._binary_as_tried(wanted, wanted.file, self._pooled(wanted.path, wanted.sha256))

    def _any_own_binary(self, wanted):
        for path in sorted(self._own.glob(wanted.others) if self._own else [], reverse=True):
            if path.stem.rpartition("_")[2] in (wanted.architecture, "all"):
                digest = sha256(path)
                origin = {path.name: self._pooled(path.name, digest)}
                return Found(path.name.partition("_")[0], path.name.split("_")[1], {path.name: digest}, origin, False,
                             f", as it is in {self._own}", self._folder)
        raise Unavailable(f"no folder of the user's has a {wanted.others} for {wanted.architecture}")

    # Both

    def _first_of(self, ways, wanted, files, key=None):
        reasons = []
        for way in ways:
            try:
                found = way(wanted)
            except Unavailable as error:
                reasons += [reason for reason in str(error).splitlines() if reason not in reasons]
                continue
            return self._accept(found, wanted, key or wanted.name)
        listed = "\n  ".join(reasons)
        raise BuildError(
            f"{wanted} is not to be had:\n  {listed}\nPut {' and '.join(files)} into a folder and name that "
            f"folder in {OWN_VARIABLE} (snapshot.debian.org keeps all versions), or run this again later")

    def _accept(self, found, wanted, key):
        """Records what came, and says so if it is not what was tried."""
        if wanted.version and not found.tried:
            rest = found.note or ", whose sums are not pinned here and rest on apt's signature check"
            say(f"{wanted}, which was tried, is not to be had: taking {found.version}{rest}")
        self._write(key, {"instead_of": wanted.version, **found.record()})
        return found

    def _of_suites(self, suites, wanted, entries):
        """The newest of the first of these suites that has one and gives it out."""
        reasons = []
        for suite in suites:
            try:
                listed = list(entries(suite, wanted))
            except Unavailable as error:
                reasons.append(str(error))
                continue
            offered = [entry for entry in listed if entry[1].startswith(wanted.series)]
            # Other suites are asked for something newer, not for what is long gone.
            if suite != wanted.suite and wanted.version:
                offered = [entry for entry in offered if compare_versions(entry[1], wanted.version) > 0]
            if not offered:
                versions = ", ".join(version for _, version, _ in listed) or "none"
                reasons.append(f"{suite} has of {wanted.name}: {versions} (wanted: {wanted.series}…, not older than {wanted.version})"
                               if wanted.version else f"{suite} has of {wanted.name}: {versions} (wanted: {wanted.series}…)")
            for name, version, files in offered:
                try:
                    apt = self._list(suite, wanted)
                    origin = {file: self._fetch(apt.uri(path), digest, file) for file, (path, digest) in files.items()}
                except Unavailable as error:
                    reasons.append(str(error))
                    continue
                sums = {file: digest for file, (_, digest) in files.items()}
                tried = sums == wanted.files if isinstance(wanted, SourcePackage) else wanted.sha256 in sums.values()
                return Found(name, wanted.version if tried else version, sums, origin, tried, folder=self._folder)
        raise Unavailable("\n".join(reasons))

    def _list(self, suite, wanted):
        if isinstance(wanted, SourcePackage):
            return self._archive.sources(suite)
        return self._archive.packages(suite, wanted.architecture)

    def _pooled(self, path, digest):
        """Where the file with this sum came from: the cache, the user's folder, or the pool, where it lies at `path`."""
        name = Path(path).name
        if self._have(name, digest):
            return "an earlier download"
        if self._own and _is(self._own / name, digest):
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f"{name}.part"
            shutil.copyfile(self._own / name, part)
            part.replace(self._folder / name)
            return str(self._own / name)
        reasons = []
        for uri in self._archive.pools(path):
            try:
                return self._fetch(uri, digest, name)
            except Unavailable as error:
                reasons.append(str(error))
        raise Unavailable("\n".join(reasons))

    def _fetch(self, uri, digest, name):
        """Downloads a file, unless it is there, and returns where it came from."""
        if self._have(name, digest):
            return "an earlier download"
        say(f"downloading {name}")
        self._archive.download(uri, digest, self._folder / name)
        return uri

    def _have(self, name, digest):
        path = self._folder / name
        if not path.exists() or _is(path, digest):
            return path.exists()
        say(f"{path} is not what it was when it was downloaded, and is deleted")
        path.unlink()
        return False

    def _read(self, key):
        try:
            return json.loads((self._folder / f"{key}.json").read_text())
        except (OSError, ValueError):
            return {}

    def _write(self, key, record):
        part = self._folder / f"{key}.json.part"
        part.write_text(json.dumps(record, indent=2) + "\n")
        part.replace(self._folder / f"{key}.json")


def near(suite):
    """The suites with updates of this one."""
    base = suite.partition("-")[0]
    return [name for name in (f"{base}-security", f"{base}-updates") if name != suite]


def far(suite):
    """The suites of other releases, the ones beside this one first."""
    base, _, pocket = suite.partition("-")
    at = RELEASES.index(base) if base in RELEASES else len(RELEASES) - 1
    others = RELEASES[at + 1:] + RELEASES[:at][::-1]
    names = [base if pocket else f"{base}-backports"]
    for other in others:
        names += [other, f"{other}-backports"] if other != "sid" else [other]
    return names


def _is(path, digest):
    return path.is_file() and sha256(path) == digest
