//! The rules that every machine keeps, each with its remedy.

use crate::{
    Arch, DisplayKind, Forward, ForwardError, MAX_CPUS, MAX_HEADS, MAX_MEMORY_MIB, MAX_VOLUME,
    MIN_MEMORY_MIB, Topology,
};
use crate::{CURRENT_TUNING, argv::check::*};

/// The rule that a machine breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Memory out of range, in MiB.
    #[error("{0} MiB of memory is out of range: use {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB}")]
    Memory(u32),
    /// CPUs out of range.
    #[error("{0} CPUs are out of range: use 1 to {MAX_CPUS}")]
    Cpus(u32),
    /// A machine's name that nobody could read.
    #[error("a machine's name has 1 to {MAX_NAME} characters, none of them a line break or other control")]
    Name,
    /// A machine type of the other architecture.
    #[error("{} guests have no such machine type: use {}", .0.qemu_name(), machine_types(*.0))]
    MachineType(Arch),
    /// A text that is no UUID.
    #[error(
        "a machine's number has the form 6ba7b810-9dad-11d1-80b4-00c04fd430c8: correct it, or leave it out"
    )]
    Uuid,
    /// A text that QEMU cannot be given.
    #[error("the {0} contains a NUL character: take it out")]
    Nul(&'static str),
    /// A CPU's model that QEMU could misread.
    #[error("{0:?} is no CPU model's name: use one of QEMU's, such as max, or leave it out")]
    CpuModel(String),
    /// A CPU's property that QEMU could misread.
    #[error("{0:?} is no property of a CPU: write name=value, as in la57=off")]
    CpuFeature(String),
    /// A tuning that this program does not know.
    #[error("the tuning {0} is of a later version of this program: use 0 to {CURRENT_TUNING}")]
    Tuning(u32),
    /// Sockets, cores and threads that do not make the number of CPUs.
    #[error(
        "{} sockets of {} cores of {} threads make {} CPUs, not {cpus}: change one of them",
        .topology.sockets, .topology.cores, .topology.threads, .topology.cpus()
    )]
    Topology {
        /// What was chosen.
        topology: Topology,
        /// The machine's CPUs.
        cpus: u32,
    },
    /// Hyper-V's interfaces on Arm.
    #[error("Hyper-V's interfaces exist on PCs alone: switch hyperv off")]
    NoHyperv,
    /// A BIOS on Arm.
    #[error("Arm machines have no BIOS: use uefi")]
    NoBios,
    /// A PC without firmware.
    #[error("a PC starts by bios or uefi: use one of them")]
    NoFirmware,
    /// Neither firmware nor a kernel.
    #[error("nothing would start: use uefi, or add a kernel")]
    NothingStarts,
    /// UEFI on a 32-bit CPU.
    #[error("UEFI here is for 64-bit CPUs: use bios, or another CPU model")]
    Uefi64,
    /// The name of a file with more than a name in it.
    #[error(
        "{0:?} should be a file's plain name: without folders, not beginning with a dot or dash, at most 255 bytes"
    )]
    FileName(String),
    /// A multiboot kernel's initial RAM disks are a list of files (`load_multiboot` in `hw/i386/multiboot.c`).
    #[error("a comma would end the name {0:?}: rename the file")]
    Comma(String),
    /// More than a machine has room for.
    #[error("{count} {what} are too many: use at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// How many may be.
        most: u64,
    },
    /// A part's name that QEMU could misread.
    #[error("{0:?} is no name for a part: begin with a-z, go on with a-z 0-9 _ to at most 20 characters")]
    PartName(String),
    /// Two parts of one name.
    #[error("{0} is the name of another part: choose a different one")]
    NameTaken(String),
    /// A floppy drive on Arm.
    #[error("Arm machines have no floppy drive: use a disk or a CD")]
    NoFloppy,
    /// The floppy bus is for floppies, and floppies are on no other.
    #[error("floppies, and nothing else, are on the bus floppy: change kind or bus")]
    FloppyBus,
    /// A bus without CD drives.
    #[error("a CD drive cannot be on this bus: use virtio-scsi, sata, ide or usb")]
    CdBus,
    /// IDE on a newer machine type.
    #[error("only the machine type pc has an IDE controller: use sata")]
    NoIde,
    /// `ide_init_drive` in `hw/ide/core.c`.
    #[error("IDE and SATA know no read-only disks: use virtio-blk, virtio-scsi or usb")]
    ReadOnlyBus,
    /// More drives than a bus has places.
    #[error("{count} {bus} drives are too many: use at most {most}, and virtio-scsi or usb for others")]
    FullBus {
        /// Which.
        bus: &'static str,
        /// How many there are.
        count: usize,
        /// Its places.
        most: usize,
    },
    /// Two drives at one place in the order of boot.
    #[error("{0} has the same place in the order of boot: choose another")]
    BootOrder(String),
    /// A disk with a medium.
    #[error("a disk has no removable media: leave media out, or make it a cdrom")]
    DiskMedia,
    /// A USB device without a controller.
    #[error("a USB drive, pointer or keyboard needs a USB controller: choose xhci, or other devices")]
    NoUsb,
    /// More screens than the device has, or none.
    #[error("1 to {MAX_HEADS} screens are possible with virtio, and 1 with std")]
    Heads(DisplayKind),
    /// A port that VNC does not have.
    #[error("VNC cannot listen on port {0}: use 5900 to 65535")]
    VncPort(u16),
    /// Two cards of one address.
    #[error("{0} has the same address: choose another, or leave it out")]
    MacTaken(String),
    /// A forward that cannot be.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A port of the host for two forwards.
    #[error("{forward} wants a port of the host that {by} has: choose another")]
    PortTaken {
        /// The forward.
        forward: Forward,
        /// Where the other one is.
        by: String,
    },
    /// A microphone without a sound card.
    #[error("a microphone needs a sound card: choose hda, or switch it off")]
    NoSoundCard,
    /// A volume above 100 %.
    #[error("a volume of {0} % is more than a sound card has: use 0 to {MAX_VOLUME}")]
    Volume(u8),
    /// PS/2 on Arm.
    #[error("Arm machines have no PS/2: use usb or virtio for pointer and keyboard")]
    NoPs2,
    /// UHCI on Arm.
    #[error("Arm machines have no UHCI: use xhci")]
    NoUhci,
    /// More than the console on a serial port of Arm.
    #[error("an Arm machine has one serial port, the console's: use virtio for the others")]
    OneUart,
    /// More serial ports than a machine has.
    #[error("{0} ports of one kind are too many: use at most {MAX_UARTS} uart and {MAX_VIRTIO_PORTS} virtio")]
    SerialPorts(usize),
    /// An argument that gives up what was written.
    #[error("{0:?} would lose the disk when the host stops: leave the cache as it is")]
    UnsafeCache(String),
}

/// The longest name of a machine, in characters.
pub(crate) const MAX_NAME: usize = 100;

fn machine_types(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "q35 or pc",
        Arch::Aarch64 => "virt",
    }
}
