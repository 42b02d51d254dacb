"""What QEMU is configured with and patched with, from the files beside the build script."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
# TCG by interpretation is a choice of the build: the same sources once more, with this option.
INTERPRETER = "--enable-tcg-interpreter"


def lines(path):
    """The lines of a list, without comments."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def configure_options():
    """The options of scripts/qemu/configure.txt."""
    return lines(FOLDER / "configure.txt")


def devices():
    """The lists of devices, by the name that each gets below QEMU's configs/devices."""
    folder = FOLDER / "devices"
    lists = {path.stem: path for path in sorted(folder.glob("*.mak"))}
    return {"sampan.mak" if name == "common" else f"{name}-softmmu/sampan.mak": path for name, path in lists.items()}


def patches(folder=FOLDER / "patches"):
    """The patches of a folder, in order."""
    return sorted(folder.glob("*.patch"))
