"""What a shared library says of itself to the dynamic linker, as readelf reads it."""

import re

from . import run


def needed(library):
    """The names of the libraries that it needs."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", run.output(["readelf", "--dynamic", "--wide", str(library)]))


def exported(library):
    """The names that it offers to others."""
    return {name for place, name in _symbols(library) if place != "UND"}


def undefined(library):
    """The names that others must offer. A weak one may be missing: it is null then, and whoever uses it has looked."""
    return {name for place, name in _symbols(library, "GLOBAL") if place == "UND"}


def _symbols(library, binding="(?:GLOBAL|WEAK)"):
    table = run.output(["readelf", "--dyn-syms", "--wide", str(library)])
    return re.findall(rf"\s{binding}\s+(?:DEFAULT|PROTECTED)\s+(\w+)\s+(\w+)(?:@\S+)?$", table, re.M)
