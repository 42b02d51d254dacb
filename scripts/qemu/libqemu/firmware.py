"""The firmware folder: BIOS, UEFI and option ROMs of Debian's packages, flat, for QEMU's -L."""

import json
import shutil
import subprocess

from . import run
from .licenses import Part
from .report import BuildError, say
from .source import sha256

# Package, then the files of it that machines of our two architectures may ask for.
PACKAGES = {
    "seabios": ["usr/share/seabios/*.bin"],
    "ipxe-qemu": ["usr/share/qemu/*.rom", "usr/lib/ipxe/qemu/*.rom"],
    "qemu-system-data": [
        "usr/share/qemu/kvmvapic.bin", "usr/share/qemu/linuxboot*.bin", "usr/share/qemu/multiboot*.bin",
        "usr/share/qemu/pvh.bin", "usr/share/qemu/qboot.rom", "usr/share/qemu/npcm*_bootrom.bin",
    ],
    "ovmf": ["usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
             "usr/share/OVMF/OVMF_VARS_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.ms.fd"],
    "qemu-efi-aarch64": ["usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_CODE.secboot.fd",
                         "usr/share/AAVMF/AAVMF_VARS.fd", "usr/share/AAVMF/AAVMF_VARS.ms.fd",
                         "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"],
}
# Without these no machine of ours starts.
NEEDED = ["bios-256k.bin", "vgabios-stdvga.bin", "vgabios-virtio.bin", "kvmvapic.bin", "linuxboot_dma.bin",
          "efi-virtio.rom", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "AAVMF_CODE.fd", "AAVMF_VARS.fd",
          "QEMU_EFI.fd", "keymaps/en-us"]
RECORD = "firmware.json"
LICENSES = "licenses"


def build(into, downloads, apt, scratch, log):
    """Fills the folder `into`; returns the version of each package. Their licences are in `into`/licenses."""
    folder = downloads / "firmware"
    packages = _fetched(folder) or _fetch(folder, apt)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(into, ignore_errors=True)
    scratch.mkdir(parents=True)
    (into / "keymaps").mkdir(parents=True)
    (into / LICENSES).mkdir()
    for name, package in packages.items():
        run.logged(f"unpacking {name}", ["dpkg", "-x", folder / package["file"], scratch / name], log)
        files = [path for pattern in PACKAGES[name] for path in sorted((scratch / name).glob(pattern))]
        if not files:
            raise BuildError(f"the package {name} {package['version']} has none of the expected files: "
                             f"{', '.join(PACKAGES[name])}")
        _copy(files, into)
        shutil.copyfile(scratch / name / f"usr/share/doc/{name}/copyright", into / LICENSES / name)
    _copy(sorted((scratch / "qemu-system-data/usr/share/qemu/keymaps").iterdir()), into / "keymaps")
    shutil.rmtree(scratch)
    missing = [name for name in NEEDED if not (into / name).is_file()]
    if missing:
        raise BuildError(f"the firmware packages lack {', '.join(missing)}")
    return {name: package["version"] for name, package in packages.items()}


def parts(folder, versions):
    """The firmware in `folder`, for the list of licences."""
    return [Part(f"firmware of {name}", version, [folder / LICENSES / name]) for name, version in versions.items()]


def _copy(files, into):
    # cp, since the 64 MiB flash images of aarch64 are nearly all holes.
    subprocess.run(["cp", "--dereference", "--sparse=always", "--", *files, into], check=True)


def _fetched(folder):
    """The packages of an earlier download, when all are there and unchanged."""
    record = folder / RECORD
    if not record.exists():
        return None
    packages = json.loads(record.read_text())
    intact = packages.keys() == PACKAGES.keys() and all(
        (folder / package["file"]).exists() and sha256(folder / package["file"]) == package["sha256"]
        for package in packages.values())
    return packages if intact else None


def _fetch(folder, apt):
    say("downloading the firmware packages")
    shutil.rmtree(folder, ignore_errors=True)
    apt.fetch_packages(list(PACKAGES), folder)
    packages = {}
    for path in sorted(folder.glob("*.deb")):
        name, version = run.output(["dpkg-deb", "-W", "--showformat=${Package} ${Version}", path]).split()
        packages[name] = {"file": path.name, "version": version, "sha256": sha256(path)}
    (folder / RECORD).write_text(json.dumps(packages, indent=2))
    return packages
