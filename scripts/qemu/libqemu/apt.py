"""A private apt: another Debian suite, without touching the machine's own package lists.

Mirror, keyring and proxies are those of the machine's apt configuration; state, cache and sources
list are ours.  Whatever it downloads has passed apt's signature check.
"""

import functools
import os
import re
import subprocess
from pathlib import Path

from . import run
from .report import BuildError, say

# Where Debian puts the keys of all its suites; used when no source names a keyring.
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "SAMPAN_DEBIAN_MIRROR"


class Apt:
    """apt for one suite, below `directory`; the package lists are read on first use.

    `kinds` are the lists that are wanted, of packages and of sources. apt takes all lists of a suite or none: one
    that does not fit the signed index, as a mirror may have for hours, makes the others unusable.
    """

    def __init__(self, directory, suite, log, kinds=("deb", "deb-src")):
        self.directory, self.suite, self.log, self._kinds = directory, suite, log, kinds
        self._ready = False

    def source_versions(self, package):
        """All versions of a source package in the suite, newest first."""
        self._update()
        text = run.output(["apt-cache", "showsrc", "--only-source", package], env=self._env())
        versions = set(re.findall(r"^Version: (\S+)$", text, re.M))
        return sorted(versions, key=functools.cmp_to_key(_compare_versions), reverse=True)

    def describe(self, package):
        """apt's description of a package, as a list of dictionaries, one a version, newest first."""
        self._update()
        text = run.output(["apt-cache", "show", package], env=self._env())
        blocks = [dict(re.findall(r"^([\w-]+): (.*)$", block, re.M)) for block in text.split("\n\n")]
        return [block for block in blocks if "Version" in block]

    def fetch_source(self, package, version, into, *parts):
        """Downloads a source package (not unpacked) into the folder `into`: all of it, or with `--tar-only` the
        upstream archive, with `--diff-only` what Debian adds."""
        self._fetch(["apt-get", "source", "--download-only", *parts, "--only-source", f"{package}={version}"], into)

    def fetch_packages(self, packages, into):
        """Downloads binary packages (not unpacked) into the folder `into`."""
        self._fetch(["apt-get", "download", *packages], into)

    def _fetch(self, command, into):
        self._update()
        into.mkdir(parents=True, exist_ok=True)
        run.logged(f"the download `{' '.join(command[1:])}`", command, self.log, cwd=into, env=self._env(),
                   advice="Check the network and the mirror in the machine's apt sources, then run this again.")

    def _update(self):
        if self._ready:
            return
        uri, keyring = mirror()
        say(f"reading the package lists of {self.suite}")
        self._write_configuration(uri, keyring)
        before = self.log.stat().st_size if self.log.exists() else 0
        try:
            run.logged("apt-get update", ["apt-get", "update", "--error-on=any"], self.log, env=self._env())
        except BuildError as error:
            words = self.log.read_text(errors="replace")[before:]
            raise BuildError(_explain_update(self.suite, uri, words)) from error
        self._ready = True

    def _write_configuration(self, uri, keyring):
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        signed = f"[signed-by={keyring}] " if keyring else ""
        sources = self.directory / "sources.list"
        sources.write_text("".join(f"{kind} {signed}{uri} {self.suite} main\n" for kind in self._kinds))
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
        (self.directory / "apt.conf").write_text("\n".join(lines) + "\n")

    def _env(self):
        return {**os.environ, "APT_CONFIG": str(self.directory / "apt.conf"), "LC_ALL": "C.UTF-8"}


def _compare_versions(left, right):
    for relation, result in (("lt", -1), ("gt", 1)):
        if subprocess.run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0:
            return result
    return 0


def mirror():
    """URI of a Debian mirror and its keyring (or None), from the machine's apt configuration."""
    if os.environ.get(MIRROR_VARIABLE):
        return os.environ[MIRROR_VARIABLE], DEBIAN_KEYRING if DEBIAN_KEYRING.exists() else None
    for block in run.output(["apt-get", "indextargets"], env={**os.environ, "LC_ALL": "C.UTF-8"}).split("\n\n"):
        target = dict(re.findall(r"^([\w-]+): (.*)$", block, re.M))
        # `bookworm`, but not `bookworm-security`: its archive is another one.
        plain_suite = re.fullmatch(r"[a-z]+", target.get("Release", ""))
        debian = target.get("Origin", "Debian") == "Debian" and target.get("Label", "Debian") == "Debian"
        if target.get("Component") != "main" or not plain_suite or not debian:
            continue
        uri = target.get("Repo-URI") or target.get("Site")
        if not target.get("Origin") and not uri.rstrip("/").endswith("/debian"):
            continue
        return uri, _keyring(target.get("Sourcesentry", ""), uri)
    raise BuildError(
        "the machine's apt sources name no Debian mirror; "
        f"set {MIRROR_VARIABLE} to the URI of one, or pass --source with a QEMU tree and run on Debian")


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
        return f"the mirror {uri} has no suite called {suite}; check the name given to --suite"
    if "NO_PUBKEY" in words or "not signed" in words:
        return (f"the signature of {suite} cannot be checked: install the package debian-archive-keyring "
                f"in a newer version\n{words.strip()}")
    if re.search(r"unexpected size|Hash Sum mismatch", words):
        return (f"the mirror {uri} is being brought up to date, or a cache before it is stale: run this again later, "
                f"or set {MIRROR_VARIABLE} to the URI of another mirror\n{words.strip()}")
    return f"cannot read the package lists of {suite} from {uri}; check the network and run this again\n{words.strip()}"
