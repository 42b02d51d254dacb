"""What QEMU is configured with and patched with, from the files beside the build script."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
# The machines that are emulated.
ARCHES = ["x86_64", "aarch64"]
# TCG by interpretation is a choice of the build: the same sources once more, with this option.
INTERPRETER = "--enable-tcg-interpreter"


def lines(path):
    """The lines of a list, without comments."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def configure_options():
    """The options of scripts/qemu/configure.txt."""
    return lines(FOLDER / "configure.txt")


def devices(machine):
    """For a library that runs on `machine`: the text of configs/devices/ARCH-softmmu/sampan.mak of each architecture."""
    folder = FOLDER / "devices"
    texts = {}
    for arch in ARCHES:
        names = ["common", arch, *([f"kvm-{arch}"] if arch == machine else [])]
        texts[arch] = "\n".join(path.read_text() for name in names if (path := folder / f"{name}.mak").exists())
    return texts


def patches(folder=FOLDER / "patches"):
    """The patches of a folder, in order."""
    return sorted(folder.glob("*.patch"))
