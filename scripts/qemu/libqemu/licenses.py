"""The licences of all that a folder of libqemu holds, gathered into one file that the program shows."""

from dataclasses import dataclass
from pathlib import Path

from .report import BuildError

FILE = "LICENSES.txt"
RULE = "=" * 80


@dataclass(frozen=True)
class Part:
    """Something under a licence of its own: name, version, and the files with the words."""
    name: str
    version: str
    files: list


def of_debian(name, version, root=Path("/")):
    """A Debian package, by the file that Debian demands of each (Debian Policy 12.5)."""
    return Part(name, version, [root / f"usr/share/doc/{name}/copyright"])


def of_qemu(source, version):
    """QEMU itself, from its source tree."""
    return Part("QEMU", version, [source / "LICENSE", source / "COPYING", source / "COPYING.LIB"])


def write(folder, parts):
    """Writes `folder`/LICENSES.txt, whole or not at all."""
    texts = []
    for part in parts:
        missing = [str(file) for file in part.files if not file.is_file()]
        if missing or not part.files:
            raise BuildError(f"the licence of {part.name} is not where it should be: {', '.join(missing) or 'nowhere'}")
        words = "\n\n".join(file.read_text(errors="replace").strip() for file in part.files)
        texts.append(f"{RULE}\n{part.name} {part.version}\n{RULE}\n\n{words}\n")
    names = "\n".join(f"  {part.name} {part.version}" for part in parts)
    head = f"In this folder are, under the licences that follow:\n\n{names}\n"
    unfinished = folder / f"{FILE}.part"
    unfinished.write_text("\n".join([head, *texts]))
    unfinished.replace(folder / FILE)
