"""Private apts: other Debian suites and architectures, without touching the machine's own package lists.

Mirror, keyring and proxies are those of the machine's apt configuration; state, cache and sources list are ours. Each
list (the sources of a suite, the packages of a suite for one architecture) has an apt of its own: apt takes all lists
that it is asked for or none, and one that does not fit the signed index, as a mirror may have for hours, would make the
others unusable.
"""

import fcntl
import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import run
from .digest import sha256
from .report import BuildError, say

# Where Debian puts the keys of all its suites; used when no source names a keyring.
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "SAMPAN_DEBIAN_MIRROR"
# Downloads a file by apt's own methods (apt-helper(8)): the machine's proxies, certificates and passwords.
HELPER = "/usr/lib/apt/apt-helper"
# A proxy's stale copy is a usual reason for lists that do not fit.
PAST_PROXIES = ["-o", "Acquire::http::No-Cache=true", "-o", "Acquire::https::No-Cache=true"]


class Unavailable(BuildError):
    """Something that the mirror does not have, or not whole. There may be other ways to it."""


@dataclass(frozen=True)
class Mirror:
    """A mirror of Debian's archive, and what apt must know of it (the part in brackets of sources.list(5))."""
    uri: str
    options: str = ""
    # The archive of security updates, which is another one, when there is one.
    security: str = ""


@dataclass(frozen=True)
class Entry:
    """A package of a list: its version, and its files as (path below the mirror, sha256) by name."""
    version: str
    files: dict
    fields: dict


class Archive:
    """Debian's archive: all suites, below the folder `folder`. `log` takes what apt prints."""

    def __init__(self, folder, log, mirror_=None):
        self._folder, self.log = folder, log
        self._mirror, self._apts = mirror_, {}

    @property
    def mirror(self):
        """The mirror, looked up in the machine's configuration on first use."""
        if self._mirror is None:
            self._mirror = mirror()
        return self._mirror

    def sources(self, suite):
        """The source packages of a suite."""
        return self._apt(suite, "source")

    def packages(self, suite, architecture):
        """The binary packages of a suite for an architecture (Debian's name), those for all included."""
        return self._apt(suite, architecture)

    def download(self, uri, wanted, into):
        """Downloads the file at `uri`, which has the sha256 `wanted`, as the path `into`: whole or not at all."""
        into.parent.mkdir(parents=True, exist_ok=True)
        part = into.with_name(f"{into.name}.part")
        for attempt in (1, 2):
            for stale in (part, part.with_name(f"{part.name}.FAILED")):
                stale.unlink(missing_ok=True)
            words = self._try(uri, wanted, part, PAST_PROXIES if attempt == 2 else [])
            if words is None:
                part.replace(into)
                return
            # What is not there will not be there a second later.
            if re.search(r"\b40[34]\b|\b410\b|File not found", words):
                break
        for stale in (part, part.with_name(f"{part.name}.FAILED")):
            stale.unlink(missing_ok=True)
        raise Unavailable(f"{uri}: {words}")

    def pools(self, path):
        """Where a file lies that Debian's pool has at `path`: the archive, then that of security updates."""
        yield f"{self.mirror.uri.rstrip('/')}/pool/main/{path}"
        if self.mirror.security:
            yield f"{self.mirror.security.rstrip('/')}/pool/updates/main/{path}"

    def _try(self, uri, wanted, part, options):
        """None when `part` is there and right, else what went wrong in a few words."""
        # As root apt would drop to a user who cannot write to the cache folder.
        command = [HELPER, "-o", "APT::Sandbox::User=root", *options, "download-file", uri, str(part), f"SHA256:{wanted}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
        with self.log.open("a") as out:
            out.write(f"\n$ {' '.join(command)}\n{done.stdout}{done.stderr}")
        if done.returncode == 0 and part.exists() and sha256(part) == wanted:
            return None
        found = re.search(r"^E: (?:Failed to fetch \S+\s+)?(.*)$", done.stderr, re.M)
        return found[1].strip() if found else f"apt-helper ended with {done.returncode}"

    def _apt(self, suite, which):
        if (suite, which) not in self._apts:
            self._apts[suite, which] = Apt(self, self._folder / f"{suite}-{which}", suite, which)
        return self._apts[suite, which]


class Apt:
    """One list of one suite; it is read on first use."""

    def __init__(self, archive, directory, suite, which):
        self._archive, self.directory, self.suite, self._which = archive, directory, suite, which
        base, _, pocket = suite.partition("-")
        self._security = pocket == "security" and base
        # None: not read yet; else the error of reading it, or an empty text.
        self._state = None

    def source(self, name):
        """The versions of a source package, newest first."""
        self._update()
        text = self._cached("showsrc", "--only-source", name)
        entries = []
        for fields in paragraphs(text):
            if fields.get("Package") != name or "Checksums-Sha256" not in fields:
                continue
            listed = [line.split() for line in fields["Checksums-Sha256"].splitlines() if line.strip()]
            entries.append(Entry(fields["Version"], {file: (f"{fields['Directory']}/{file}", digest)
                                                     for digest, _, file in listed}, fields))
        return newest_first(entries)

    def binary(self, name):
        """The versions of a binary package, newest first."""
        self._update()
        entries = []
        for fields in paragraphs(self._cached("show", name)):
            if fields.get("Package") == name and "SHA256" in fields:
                path = fields["Filename"]
                # The names of apt's own downloads have the epoch, those of the pool do not.
                entries.append(Entry(fields["Version"], {Path(path).name: (path, fields["SHA256"])}, fields))
        return newest_first(entries)

    def needed(self, *names):
        """All files of binary packages and of what they depend on, down to libc: (URI, file name, sha256)."""
        self._update()
        done = run.output(["apt-get", "install", "--print-uris", "--yes", "--no-install-recommends", "-o",
                           "Acquire::ForceHash=SHA256", *names], env=self._env())
        return [(uri, path, digest) for uri, path, digest in
                re.findall(r"^'(\S+)' (\S+) \d+ SHA256:([0-9a-f]{64})$", done, re.M)]

    def uri(self, path):
        """Where a file of the list is to be had."""
        return f"{self._uri.rstrip('/')}/{path}"

    @property
    def _uri(self):
        known = self._archive.mirror
        if self._security and not known.security:
            raise Unavailable(f"the mirror has no archive of security updates, so no {self.suite}")
        return known.security if self._security else known.uri

    def _cached(self, *arguments):
        # apt-cache fails for a package of which it knows nothing.
        done = subprocess.run(["apt-cache", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", env=self._env(), check=False)
        return done.stdout

    def _update(self):
        if self._state is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            # Another build may be reading the same list.
            with (self.directory / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._state = self._read()
        if self._state:
            raise Unavailable(self._state)

    def _read(self):
        log = self._archive.log
        try:
            self._write_configuration()
        except Unavailable as error:
            return str(error)
        say(f"reading Debian's list of {self.suite}, {self._which}")
        for attempt in (1, 2):
            before = log.stat().st_size if log.exists() else 0
            options = PAST_PROXIES if attempt == 2 else []
            try:
                run.logged("apt-get update", ["apt-get", "update", "--error-on=any", *options], log, env=self._env())
                return ""
            except BuildError:
                words = log.read_text(errors="replace")[before:]
                if "404  Not Found" in words or "does not have a Release file" in words:
                    break
        reason = _explain_update(self.suite, self._uri, words)
        # apt keeps the lists that it had, which have passed its signature check before.
        lists = [path for path in (self.directory / "state/lists").glob("*_source_Sources*" if self._which == "source"
                                                                        else "*_Packages*") if path.is_file()]
        if lists:
            say(f"{reason}\nUsing the list of an earlier day.")
            return ""
        return reason

    def _write_configuration(self):
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        options = f"[{self._archive.mirror.options}] " if self._archive.mirror.options else ""
        kind = "deb-src" if self._which == "source" else "deb"
        sources = self.directory / "sources.list"
        sources.write_text(f"{kind} {options}{self._uri} {self.suite} main\n")
        # The machine's proxies and timeouts, but none of its hooks, which may clean its own cache.
        acquire = [line for line in run.output(["apt-config", "dump"]).splitlines() if line.startswith("Acquire::")]
        ours = {
            "Dir::State": self.directory / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self.directory / "cache",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            # Only the lists that we read.
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            # As root apt would drop to a user who cannot read the cache folder.
            "APT::Sandbox::User": "root",
        }
        lines = acquire + [f'{name} "{value}";' for name, value in ours.items()]
        if self._which != "source":
            lines += [f'APT::Architecture "{self._which}";', f'APT::Architectures {{ "{self._which}"; }};']
        (self.directory / "apt.conf").write_text("\n".join(lines) + "\n")

    def _env(self):
        return {**os.environ, "APT_CONFIG": str(self.directory / "apt.conf"), "LC_ALL": "C.UTF-8"}


def paragraphs(text):
    """The stanzas of a Debian control file (deb822(5)), as dictionaries; continuation lines keep their breaks."""
    for block in re.split(r"\n\s*\n", text):
        fields, last = {}, None
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                if last:
                    fields[last] += f"\n{line.strip()}"
            elif ":" in line:
                last, _, value = line.partition(":")
                fields[last] = value.strip()
        if "Version" in fields:
            yield fields


def newest_first(entries):
    """Entries in the order of their versions, each version once."""
    known = {entry.version: entry for entry in entries}
    return [known[version] for version in sorted(known, key=functools.cmp_to_key(compare_versions), reverse=True)]


def compare_versions(left, right):
    """-1, 0 or 1, by Debian's rules."""
    for relation, result in (("lt", -1), ("gt", 1)):
        if subprocess.run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0:
            return result
    return 0


def mirror():
    """The Debian mirror of the machine's apt configuration."""
    if os.environ.get(MIRROR_VARIABLE):
        uri = os.environ[MIRROR_VARIABLE]
        keyring = DEBIAN_KEYRING if DEBIAN_KEYRING.exists() else None
        return Mirror(uri, _signed_by(keyring), _security_of(uri))
    found, security = None, ""
    for block in run.output(["apt-get", "indextargets"], env={**os.environ, "LC_ALL": "C.UTF-8"}).split("\n\n"):
        target = dict(re.findall(r"^([\w-]+): (.*)$", block, re.M))
        uri = target.get("Repo-URI") or target.get("Site") or ""
        if target.get("Component") != "main" or target.get("Origin", "Debian") != "Debian":
            continue
        if target.get("Label") == "Debian-Security" or uri.rstrip("/").endswith("/debian-security"):
            security = security or uri
            continue
        # `bookworm`, but not `bookworm-security`: its archive is another one.
        plain_suite = re.fullmatch(r"[a-z]+", target.get("Release", ""))
        if found or not plain_suite or target.get("Label", "Debian") != "Debian":
            continue
        if not target.get("Origin") and not uri.rstrip("/").endswith("/debian"):
            continue
        found = uri, _keyring(target.get("Sourcesentry", ""), uri)
    if found:
        return Mirror(found[0], _signed_by(found[1]), security or _security_of(found[0]))
    raise BuildError(
        "the machine's apt sources name no Debian mirror; "
        f"set {MIRROR_VARIABLE} to the URI of one, or pass --source with a QEMU tree and run on Debian")


def _security_of(uri):
    """Where a mirror has Debian's archive of security updates, by custom."""
    base = uri.rstrip("/")
    return f"{base}-security" if base.endswith("/debian") else ""


def _signed_by(keyring):
    return f"signed-by={keyring}" if keyring else ""


def _keyring(entry, uri):
    """The Signed-By of the source of `uri` in the file of `entry` (file:number), else Debian's own keyring."""
    path = Path(entry.rpartition(":")[0])
    text = path.read_text() if path.is_file() else ""
    sources = re.split(r"\n\s*\n", text) if path.suffix == ".sources" else text.splitlines()
    for source in sources:
        found = re.search(r"signed-by[:=]\s*(/[^\s\],]+)", source, re.I)
        if found and uri.rstrip("/") in source:
            return Path(found[1])
    return DEBIAN_KEYRING if DEBIAN_KEYRING.exists() else None


def _explain_update(suite, uri, words):
    if "does not have a Release file" in words or "404  Not Found" in words:
        return f"the mirror {uri} has no suite called {suite}, or not all of it"
    if "NO_PUBKEY" in words or "not signed" in words:
        return (f"the signature of {suite} cannot be checked: install the package debian-archive-keyring "
                f"in a newer version\n{words.strip()}")
    if re.search(r"unexpected size|Hash Sum mismatch", words):
        return (f"the lists of {suite} on the mirror {uri} do not fit together: it is being brought up to date, or a "
                f"cache before it is stale; run this again later, or set {MIRROR_VARIABLE} to the URI of another mirror")
    return f"cannot read the package lists of {suite} from {uri}; check the network and run this again\n{words.strip()}"
