//! What of another program's machine is not as it was.

use super::clean;
use crate::image::Header;
use sampan_message::{Message, Params, samples as samples_of};

/// The most characters of a foreign text in a note.
const MAX_WORD: usize = 120;

/// A foreign text for a note: one line, bounded.
pub(crate) fn word(text: &str) -> String {
    clean(text, MAX_WORD)
}

/// What of another program's machine is not as it was, and the way to have it again. Texts in it are as `word` makes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportNote {
    /// Its memory in MiB.
    #[error("its memory of {0} MiB cannot be: it gets the usual amount")]
    Memory(u64),
    /// Its memory, as it is described.
    #[error("its memory of {quantity} in units of “{unit}” is not understood: it gets the usual amount")]
    MemoryUnit {
        /// How many.
        quantity: String,
        /// Of what.
        unit: String,
    },
    /// Its CPUs.
    #[error("its {0} CPUs cannot be: it gets the usual number")]
    Cpus(u64),
    /// A disk or another drive.
    #[error("{0}")]
    Drive(DriveFault),
    /// An empty disk, by its size in bytes if that is described.
    #[error("an empty disk{} was left out: make a new one", .0.map_or_else(String::new, |size| format!(" of {size} bytes")))]
    EmptyDisk(Option<u64>),
    /// A removable drive with nothing in it.
    #[error("an empty removable drive was left out")]
    EmptyDrive,
    /// Its TPM.
    #[error(
        "its TPM was left out, and with it all that is sealed by it (BitLocker asks for its recovery key)"
    )]
    Tpm,
    /// Properties of QEMU's machine.
    #[error("its machine properties were left out")]
    MachineProperties,
    /// A serial port that leads to the network.
    #[error("a serial port that is reached over TCP was left out: the first one can be seen")]
    SerialPort,
    /// A shared folder.
    #[error("its shared folder was left out, which was one of the other machine: share one of yours")]
    Share,
    /// An argument for QEMU.
    #[error("the argument for QEMU “{0}” was left out")]
    Argument(String),
    /// A port of the host that led to the guest, `tcp:127.0.0.1:2222:22`.
    #[error("the forwarded port {0} was left out: add it if you want it")]
    Forward(String),
    /// How a network card reached the network.
    #[error("a network device in the mode “{0}” becomes one of user networking")]
    NetworkMode(String),
    /// A device of a kind that is not here (`ResourceType` of CIM_ResourceAllocationSettingData).
    #[error("“{name}” was left out (resource type {resource_type})")]
    Device {
        /// What the description calls it.
        name: String,
        /// Its kind.
        resource_type: u32,
    },
    /// An appliance without a manifest.
    #[error("it has no checksums: damage on its way would not be noticed")]
    NoChecksums,
    /// A disk that the manifest does not name.
    #[error("“{0}” has no checksum: damage to it would not be noticed")]
    NoChecksum(String),
    /// A checksum of a kind that is not known.
    #[error(
        "“{file}” has a checksum by {algorithm}, which is not known here: damage to it would not be noticed"
    )]
    UnknownChecksum {
        /// The disk's file.
        file: String,
        /// What the manifest says.
        algorithm: String,
    },
    /// Snapshots inside an image, which no copy has.
    #[error(
        "{} inside “{file}” stayed there: the disk begins with its current state (qemu-img snapshot -l FILE lists them)",
        if *.count == 1 { "the snapshot".to_owned() } else { format!("the {count} snapshots") }
    )]
    Snapshots {
        /// The image.
        file: String,
        /// How many.
        count: u32,
    },
}

impl ImportNote {
    /// What is told of the snapshots inside an image of this name, which no copy has.
    #[must_use]
    pub fn of_snapshots(header: &Header, name: &str) -> Option<Self> {
        let count = header.internal_snapshots;
        (count > 0).then(|| Self::Snapshots { file: word(name), count })
    }
}

/// Why a drive was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriveFault {
    /// Its file's name leads elsewhere.
    #[error("a disk was left out: its file “{0}” has a name that may lead out of its folder")]
    Name(String),
    /// There are too many.
    #[error("the disk “{file}” was left out: more than {most}")]
    TooMany {
        /// Its file.
        file: String,
        /// The most there may be.
        most: usize,
    },
    /// It has none.
    #[error("a disk without an image was left out")]
    NoImage,
    /// It was a device of the other host.
    #[error("a drive was left out: “{0}” is a device of the other machine")]
    HostDevice(String),
    /// It is neither a disk nor a CD.
    #[error("the image “{file}” was left out: it is of the kind “{kind}”")]
    Kind {
        /// Its file.
        file: String,
        /// What it is.
        kind: String,
    },
}

impl ImportNote {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Memory(mib) => ("memory_replaced", Params::of("mib", *mib)),
            Self::MemoryUnit { quantity, unit } => {
                ("memory_replaced", Params::of("quantity", &**quantity).with("unit", &**unit))
            }
            Self::Cpus(cpus) => ("cpus_replaced", Params::of("cpus", *cpus)),
            Self::Drive(fault) => ("drive_left_out", fault.params()),
            Self::EmptyDisk(size) => {
                ("empty_disk_left_out", size.map_or_else(Params::new, |size| Params::of("size", size)))
            }
            Self::EmptyDrive => ("empty_drive_left_out", Params::new()),
            Self::Tpm => ("tpm_left_out", Params::new()),
            Self::MachineProperties => ("machine_properties_left_out", Params::new()),
            Self::SerialPort => ("serial_port_left_out", Params::new()),
            Self::Share => ("share_left_out", Params::new()),
            Self::Argument(argument) => ("argument_left_out", Params::of("argument", &**argument)),
            Self::Forward(forward) => ("forward_left_out", Params::of("forward", &**forward)),
            Self::NetworkMode(mode) => ("network_mode_replaced", Params::of("mode", &**mode)),
            Self::Device { name, resource_type } => {
                ("device_left_out", Params::of("name", &**name).with("resource_type", *resource_type))
            }
            Self::NoChecksums => ("not_verified", Params::new()),
            Self::NoChecksum(file) => ("not_verified", Params::of("file", &**file)),
            Self::UnknownChecksum { file, algorithm } => {
                ("not_verified", Params::of("file", &**file).with("algorithm", &**algorithm))
            }
            Self::Snapshots { file, count } => {
                ("snapshots_left_out", Params::of("file", &**file).with("count", *count))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        let file = || "disk.vmdk".to_owned();
        Some(match self {
            Self::Memory(_) => Self::MemoryUnit { quantity: "2".into(), unit: "furlongs".into() },
            Self::MemoryUnit { .. } => Self::Cpus(2000),
            Self::Cpus(_) => Self::Drive(DriveFault::Name("../disk.vmdk".into())),
            Self::Drive(DriveFault::Name(_)) => Self::Drive(DriveFault::TooMany { file: file(), most: 64 }),
            Self::Drive(DriveFault::TooMany { .. }) => Self::Drive(DriveFault::NoImage),
            Self::Drive(DriveFault::NoImage) => Self::Drive(DriveFault::HostDevice("/dev/cdrom".into())),
            Self::Drive(DriveFault::HostDevice(_)) => {
                Self::Drive(DriveFault::Kind { file: "vmlinuz".into(), kind: "linuxkernel".into() })
            }
            Self::Drive(DriveFault::Kind { .. }) => Self::EmptyDisk(Some(1 << 30)),
            Self::EmptyDisk(_) => Self::EmptyDrive,
            Self::EmptyDrive => Self::Tpm,
            Self::Tpm => Self::MachineProperties,
            Self::MachineProperties => Self::SerialPort,
            Self::SerialPort => Self::Share,
            Self::Share => Self::Argument("-snapshot".into()),
            Self::Argument(_) => Self::Forward("tcp:2222:22".into()),
            Self::Forward(_) => Self::NetworkMode("bridged".into()),
            Self::NetworkMode(_) => Self::Device { name: "Tablet".into(), resource_type: 13 },
            Self::Device { .. } => Self::NoChecksums,
            Self::NoChecksums => Self::NoChecksum(file()),
            Self::NoChecksum(_) => Self::UnknownChecksum { file: file(), algorithm: "MD5".into() },
            Self::UnknownChecksum { .. } => Self::Snapshots { file: "disk.qcow2".into(), count: 2 },
            Self::Snapshots { .. } => return None,
        })
    }

    pub(crate) fn samples() -> Vec<Message> {
        samples_of(Self::Memory(1 << 30), Self::after)
    }
}

impl DriveFault {
    fn params(&self) -> Params {
        let because = |reason: &'static str| Params::of("reason", reason);
        match self {
            Self::Name(file) => because("name").with("file", &**file),
            Self::TooMany { file, most } => because("too_many").with("file", &**file).with("most", *most),
            Self::NoImage => because("no_image"),
            Self::HostDevice(device) => because("host_device").with("file", &**device),
            Self::Kind { file, kind } => because("kind").with("file", &**file).with("kind", &**kind),
        }
    }
}

sampan_message::coded!(ImportNote);
