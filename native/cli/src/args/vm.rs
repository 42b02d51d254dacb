//! The commands on machines of the library.

use super::{CatalogueArg, SeedArgs};
use clap::{Args, Subcommand};
use sampan_config::{Arch, Preset, ShareSecurity};
use std::path::PathBuf;
use std::str::FromStr;

/// One machine: its name, its id, or the id's beginning (four characters or more).
#[derive(Args, Clone, Debug)]
pub struct Vm {
    /// The machine: its name, its id, or the id's first characters (at least four)
    #[arg(value_name = "VM")]
    pub vm: String,
}

/// A preset, by its name on the command line.
#[derive(Clone, Copy, Debug)]
pub struct PresetArg(pub Preset);

impl FromStr for PresetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        sampan_manager::create::preset_by_name(text).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    sampan new debian --cdrom debian-13.iso --disk 40G\n  \
    sampan new server --image debian-13-generic.qcow2 --disk 20G --memory 4G --cpus 4\n  \
    sampan new web --from debian-13-cloud --user ada --ssh-key ~/.ssh/id_ed25519.pub\n  \
    sampan new win --preset windows11 --cdrom Win11.iso --windows-answers --user Ada --password-file secret\n  \
    sampan new               asks")]
pub struct NewArgs {
    /// The machine's name; without one you are asked for it and for what no flag says
    pub name: Option<String>,
    /// What it is for: linux, windows11, windows10, android, other (64-bit without virtio), old (32-bit PC)
    /// [default: linux, or what fits --from]
    #[arg(long)]
    pub preset: Option<PresetArg>,
    /// The guest's architecture: x86_64 or aarch64 [default: this machine's]
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Memory, as 4G, or a number of MiB [default: the preset's]
    #[arg(long, value_name = "SIZE", value_parser = super::size::memory)]
    pub memory: Option<u32>,
    /// Number of CPUs [default: the preset's]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// What starts the guest [default: the preset's]
    #[arg(long, value_enum)]
    pub firmware: Option<super::FirmwareArg>,
    /// The disk's size, as 40G [default: 32G, or the image's]
    #[arg(long, value_name = "SIZE", value_parser = super::size::disk)]
    pub disk: Option<u64>,
    /// Take all of an empty disk's space at once
    #[arg(long, conflicts_with = "image")]
    pub fixed: bool,
    /// Begin with a copy of this image, a file or a medium of the library: qcow2, vmdk, vdi, vhdx, vhd or raw
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// The image's format, where its content does not show it: raw for an empty disk
    #[arg(long, value_name = "FORMAT", requires = "image")]
    pub format: Option<String>,
    /// No disk at all
    #[arg(long, conflicts_with_all = ["disk", "image", "fixed"])]
    pub no_disk: bool,
    /// What is in its CD drive: a file, or a medium of the library
    #[arg(long, value_name = "FILE")]
    pub cdrom: Option<PathBuf>,
    /// Begin with an image of the catalogue, which is downloaded if it is not here yet: `sampan images` lists them
    #[arg(long, value_name = "ID", conflicts_with_all = ["image"])]
    pub from: Option<String>,
    #[command(flatten)]
    pub catalogue: CatalogueArg,
    #[command(flatten)]
    pub seed: SeedArgs,
    /// Make it although it asks for more than this host can comfortably give
    #[arg(long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Fields: name, memory, cpus, cdrom (a medium's name, or - for none), seed (- takes it out), and every field that\n\
    `sampan show --json` shows under `document`, as displays.device=std or network.cards.0.isolated=true."
)]
pub struct SetArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// What to change
    #[arg(required = true, value_name = "FIELD=VALUE")]
    pub changes: Vec<String>,
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Tell every change, too, until Ctrl-C; with --json a line of JSON each time
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub struct StartArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// Forget at the end all that the guest has written to its disks
    #[arg(long)]
    pub throw_away: bool,
    /// Boot anew although the machine was suspended; its saved state is lost
    #[arg(long)]
    pub discard_state: bool,
    /// Start although the machine asks for more than this host can comfortably give
    #[arg(long)]
    pub yes: bool,
    /// Run QEMU inside the supervisor's process instead of a child of it
    #[arg(long)]
    pub in_process: bool,
    /// Where the viewer's page is served; loopback addresses only. Port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Prints `console: URL` on stdout. The URL holds the key to every machine: keep it to yourself."
)]
pub struct ServeArgs {
    /// Where the page is served; loopback addresses only. Port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

#[derive(Args, Debug)]
pub struct StopArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// How long the guest may take to shut down
    #[arg(long, value_name = "SECONDS", default_value_t = StopArgs::DEFAULT_TIMEOUT)]
    pub timeout: u64,
    /// End it at once (disks are flushed, the guest is not asked); with --timeout also after that time. A supervisor
    /// that does not answer is killed, and QEMU with it: for the guest a power failure
    #[arg(long)]
    pub force: bool,
}

impl StopArgs {
    /// Seconds: a desktop with open programs takes as long on an emulated processor.
    pub const DEFAULT_TIMEOUT: u64 = 90;
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// Remove it for ever instead of putting it into the trash
    #[arg(long)]
    pub purge: bool,
}

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The machine in the trash
    #[arg(value_name = "VM", required_unless_present = "list")]
    pub vm: Option<String>,
    /// A name for it, if its own has been taken meanwhile
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// List what is in the trash
    #[arg(long, conflicts_with_all = ["vm", "name"])]
    pub list: bool,
}

#[derive(Args, Debug)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    pub action: SnapshotAction,
}

#[derive(Subcommand, Debug)]
pub enum SnapshotAction {
    /// Keep the machine as it is now; a running one with its memory
    Create {
        #[command(flatten)]
        vm: Vm,
        /// What to call it
        name: String,
        /// A remark
        #[arg(long, default_value = "")]
        note: String,
        /// Of a running machine: only its disks, as if its power failed at that moment
        #[arg(long)]
        disks_only: bool,
    },
    /// List the tree
    List {
        #[command(flatten)]
        vm: Vm,
    },
    /// Go back to a snapshot. What has changed since is lost, unless --keep
    Restore {
        #[command(flatten)]
        vm: Vm,
        /// The snapshot's name or id
        snapshot: String,
        /// Keep the present state as a snapshot of this name first
        #[arg(long, value_name = "NAME")]
        keep: Option<String>,
        /// Yes, the present state may be lost
        #[arg(long)]
        yes: bool,
    },
    /// Forget a snapshot; what came after it stays
    Delete {
        #[command(flatten)]
        vm: Vm,
        /// The snapshot's name or id
        snapshot: String,
    },
    /// Write a snapshot's picture of the screen into a PNG file
    Picture {
        #[command(flatten)]
        vm: Vm,
        /// The snapshot's name or id
        snapshot: String,
        /// The file; - is stdout
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct DiskArgs {
    #[command(subcommand)]
    pub action: DiskAction,
}

#[derive(Subcommand, Debug)]
pub enum DiskAction {
    /// Give a machine a new, empty disk
    Create {
        #[command(flatten)]
        vm: Vm,
        /// Its size, as 20G or 512M
        #[arg(value_parser = super::size::disk)]
        size: u64,
        /// Take all of its space at once
        #[arg(long)]
        fixed: bool,
        /// Go on although the host may run out of space
        #[arg(long)]
        yes: bool,
    },
    /// A machine's disks: sizes, formats, space they take
    Info {
        #[command(flatten)]
        vm: Vm,
    },
    /// Make a disk larger, also while the machine runs
    Grow {
        #[command(flatten)]
        vm: Vm,
        /// The drive, as `disk info` names it
        drive: String,
        /// The new size, as 40G; or by how much, as +20G
        #[arg(value_parser = super::size::disk_change)]
        size: super::size::Change,
        /// Go on although the host may run out of space
        #[arg(long)]
        yes: bool,
    },
    /// Bring an image into a machine: qcow2, raw, vmdk, vdi, vhdx or vhd
    Import {
        /// The image
        file: PathBuf,
        /// The machine
        #[arg(long, value_name = "VM")]
        to: String,
        /// Its format, where it cannot be told or is not to be trusted
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        /// Go on although the host may run out of space
        #[arg(long)]
        yes: bool,
    },
    /// Take a disk off a stopped machine; `disk restore` puts it back
    Remove {
        #[command(flatten)]
        vm: Vm,
        /// The drive, as `disk info` names it
        drive: String,
        /// Remove it for ever, also one that was removed before
        #[arg(long)]
        purge: bool,
    },
    /// Put a disk back that was removed
    Restore {
        #[command(flatten)]
        vm: Vm,
        /// The drive, as it was called
        drive: String,
    },
    /// Make a linked clone's disks independent of the machine it was made of: what they share is copied (a stopped machine's)
    Flatten {
        #[command(flatten)]
        vm: Vm,
        /// The drive; all of them by default
        drive: Option<String>,
    },
    /// Give back the space of what the guest has deleted (a stopped machine's)
    Compact {
        #[command(flatten)]
        vm: Vm,
        /// The drive; all of them by default
        drive: Option<String>,
    },
}

#[derive(Args, Debug)]
pub struct CloneArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// The new machine's name
    pub name: String,
    /// Share the present disks with the original, which then can be neither grown, reverted nor deleted
    #[arg(long)]
    pub linked: bool,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// The file to write, which must not be there yet; or a device or a FIFO, or - for stdout
    pub file: PathBuf,
}

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// A .sampanvm file, a UTM bundle (a folder), an .ova or an .ovf
    pub file: PathBuf,
    /// A name for the machine
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Args, Debug)]
pub struct LogsArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// Go on with what is written from now on, also by later runs, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// List the logs and crash reports that are kept
    #[arg(long)]
    pub list: bool,
    /// The report of the last crash
    #[arg(long)]
    pub crash: bool,
}

#[derive(Args, Debug)]
pub struct ExecArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// How long the program may run
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<String>,
}

#[derive(Args, Debug)]
pub struct CopyArgs {
    #[command(subcommand)]
    pub action: CopyAction,
}

#[derive(Subcommand, Debug)]
pub enum CopyAction {
    /// Write a file of this host into the guest, or give it to whoever uses the guest's desktop
    Push {
        #[command(flatten)]
        vm: Vm,
        /// The file here
        from: PathBuf,
        /// The file there, by its full name, which is replaced; without it the file goes to the desktop's downloads
        to: Option<String>,
    },
    /// Fetch a file from the guest
    Pull {
        #[command(flatten)]
        vm: Vm,
        /// The file there, by its full name
        from: String,
        /// The file here, which must not be there yet; or a device or a FIFO, or - for stdout
        to: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct ForwardArgs {
    #[command(subcommand)]
    pub action: ForwardAction,
}

#[derive(Subcommand, Debug)]
pub enum ForwardAction {
    /// Lead a port of this host to the guest: [tcp:|udp:][ADDRESS:]HOST:GUEST, as tcp:2222:22 or 8000-8003:80-83
    Add {
        #[command(flatten)]
        vm: Vm,
        /// The forward
        forward: String,
    },
    /// Take a forward away
    Remove {
        #[command(flatten)]
        vm: Vm,
        /// The forward, as `forward list` shows it
        forward: String,
    },
    /// List them
    List {
        #[command(flatten)]
        vm: Vm,
    },
}

#[derive(Args, Debug)]
pub struct ShareArgs {
    #[command(subcommand)]
    pub action: ShareAction,
}

#[derive(Subcommand, Debug)]
pub enum ShareAction {
    /// Share a folder with the guest by 9p, from the next start on
    Add {
        #[command(flatten)]
        vm: Vm,
        /// The folder
        folder: PathBuf,
        /// The name that the guest mounts [default: the folder's]
        #[arg(long)]
        tag: Option<String>,
        /// The guest may write it
        #[arg(long)]
        writable: bool,
        /// What becomes of owners and modes that the guest sets: none or mapped-xattr [default: mapped-xattr with --writable]
        #[arg(long, value_name = "MODEL")]
        security: Option<ShareSecurity>,
        /// Yes, all of this host's files, or the machines themselves
        #[arg(long)]
        yes: bool,
    },
    /// Share it no more, from the next start on
    Remove {
        #[command(flatten)]
        vm: Vm,
        /// The name that the guest mounts
        tag: String,
    },
    /// List them
    List {
        #[command(flatten)]
        vm: Vm,
    },
}
