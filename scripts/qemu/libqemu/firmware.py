"""The firmware folder: BIOS, UEFI and option ROMs of Debian's packages, flat, for QEMU's -L."""

import shutil
import subprocess
from dataclasses import replace

from . import run
from .debian import BinaryPackage
from .licenses import Part
from .report import BuildError, say

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
# The packages that were tried. Firmware gets security updates: whatever the suite has is taken when these are gone.
TRIED = [
    BinaryPackage("seabios", "amd64", "trixie", "1.16.3-2", "s/seabios/seabios_1.16.3-2_all.deb",
                  "2b590534250b940f43222eeab9a8f57f337a9d9a73fc412a43ab8cd07a7e56f6"),
    BinaryPackage("ipxe-qemu", "amd64", "trixie", "1.21.1+git20250501.dad20602+dfsg-1",
                  "i/ipxe/ipxe-qemu_1.21.1+git20250501.dad20602+dfsg-1_all.deb",
                  "b3b799d90b87ef2d6defa925cd48cf1691a19806f08041733a4f884d4a218b17"),
    BinaryPackage("qemu-system-data", "amd64", "trixie", "1:10.0.13+ds-0+deb13u1",
                  "q/qemu/qemu-system-data_10.0.13+ds-0+deb13u1_all.deb",
                  "a0e03c526cc09d4c2ab20aa19a8c12e916cdc49a170acb16a6563c28f70eafd3"),
    BinaryPackage("ovmf", "amd64", "trixie", "2025.02-8+deb13u1", "e/edk2/ovmf_2025.02-8+deb13u1_all.deb",
                  "78e0d54df11fc77406cb7a0bc9a39e5bca6d1cbe06556b91d9a73491c52decdf"),
    BinaryPackage("qemu-efi-aarch64", "amd64", "trixie", "2025.02-8+deb13u1",
                  "e/edk2/qemu-efi-aarch64_2025.02-8+deb13u1_all.deb",
                  "a00b2411a79c8aeafd95a7c868ac3cd1aab592f1af9fff965f02d81a625276ed"),
]
# Without these no machine of ours starts.
NEEDED = ["bios-256k.bin", "vgabios-stdvga.bin", "vgabios-virtio.bin", "kvmvapic.bin", "linuxboot_dma.bin",
          "efi-virtio.rom", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "AAVMF_CODE.fd", "AAVMF_VARS.fd",
          "QEMU_EFI.fd", "keymaps/en-us"]
LICENSES = "licenses"


def build(into, debian, suite, scratch, log):
    """Fills the folder `into` from packages that `debian` keeps; returns what came of each. Their licences are in
    `into`/licenses."""
    say("looking for the firmware packages")
    packages = {package.name: debian.binary(replace(package, suite=suite), package.name) for package in TRIED}
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(into, ignore_errors=True)
    scratch.mkdir(parents=True)
    (into / "keymaps").mkdir(parents=True)
    (into / LICENSES).mkdir()
    for name, package in packages.items():
        run.logged(f"unpacking {name}", ["dpkg", "-x", package.path, scratch / name], log)
        files = [path for pattern in PACKAGES[name] for path in sorted((scratch / name).glob(pattern))]
        if not files:
            raise BuildError(f"the package {name} {package.version} has none of the expected files: "
                             f"{', '.join(PACKAGES[name])}")
        _copy(files, into)
        shutil.copyfile(scratch / name / f"usr/share/doc/{name}/copyright", into / LICENSES / name)
    _copy(sorted((scratch / "qemu-system-data/usr/share/qemu/keymaps").iterdir()), into / "keymaps")
    shutil.rmtree(scratch)
    missing = [name for name in NEEDED if not (into / name).is_file()]
    if missing:
        raise BuildError(f"the firmware packages lack {', '.join(missing)}")
    return {name: package.record() for name, package in packages.items()}


def parts(folder, records):
    """The firmware in `folder`, for the list of licences."""
    return [Part(f"firmware of {name}", record["version"], [folder / LICENSES / name]) for name, record in records.items()]


def _copy(files, into):
    # cp, since the 64 MiB flash images of aarch64 are nearly all holes.
    subprocess.run(["cp", "--dereference", "--sparse=always", "--", *files, into], check=True)
