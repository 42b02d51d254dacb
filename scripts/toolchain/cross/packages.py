"""Debian's binary packages of any suite and architecture, kept in the cache once they are downloaded."""

import json

from . import shared  # noqa: F401  (makes libqemu importable)
from libqemu.apt import Apt
from libqemu.report import BuildError, say
from libqemu.source import sha256


class ForeignApt(Apt):
    """A private apt that knows the packages of these architectures (Debian's names), whatever this machine is."""

    def __init__(self, directory, suite, log, architectures):
        super().__init__(directory, suite, log, ("deb",))
        self._architectures = architectures

    def _write_configuration(self, uri, keyring):
        super()._write_configuration(uri, keyring)
        configuration = self.directory / "apt.conf"
        names = "".join(f' "{name}";' for name in self._architectures)
        configuration.write_text(f"{configuration.read_text()}APT::Architectures {{{names} }};\n")


class Store:
    """Packages in the folder `downloads`/`name`, with a record of what each is."""

    def __init__(self, downloads, name, apt):
        self._folder, self._apt = downloads / name, apt

    def get(self, key, choose, *, fresh=False):
        """The record of the package that is kept under `key`: file, package, version and sha256.

        Without one, or when `fresh`, `choose(apt)` tells which to download, as `name:architecture=version`.
        What is in the cache stays in use although the suite has moved on: the same inputs, the same result.
        """
        record = self._folder / f"{key}.json"
        if not fresh and record.exists():
            known = json.loads(record.read_text())
            if (self._folder / known["file"]).exists():
                return {**known, "path": self._folder / known["file"]}
        return self._download(record, choose(self._apt))

    def _download(self, record, package):
        name, _, version = package.partition("=")
        self._folder.mkdir(parents=True, exist_ok=True)
        # apt's file names escape the colon of an epoch.
        pattern = f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_*.deb"
        for stale in self._folder.glob(pattern):
            stale.unlink()
        say(f"downloading {name} {version}")
        self._apt.fetch_packages([package], self._folder)
        found = sorted(self._folder.glob(pattern))
        if len(found) != 1:
            raise BuildError(f"apt downloaded {package}, but {self._folder} has no file like {pattern}")
        known = {"file": found[0].name, "package": name, "version": version, "sha256": sha256(found[0])}
        part = record.with_suffix(".part")
        part.write_text(json.dumps(known, indent=2) + "\n")
        part.replace(record)
        return {**known, "path": found[0]}
