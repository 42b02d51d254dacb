//! The command line.

mod clipboard;
mod images;
pub mod size;
mod sound;
mod stream;
mod tune;
mod vm;

pub use clipboard::*;
pub use images::*;
pub use sound::*;
pub use stream::*;
pub use tune::*;
pub use vm::*;

use clap::{Parser, Subcommand, ValueEnum};
use sampan_config::Arch;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Virtual machines, their screens in a browser
#[derive(Parser)]
#[command(
    name = "sampan",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, or the guest powered off; 1 could not start, or the command failed; 2 wrong usage;\n\
                  3 QEMU died; 130 Ctrl-C; 143 SIGTERM.\n\n\
                  Machines are kept in $SAMPAN_HOME, else in $XDG_DATA_HOME/sampan (~/.local/share/sampan).\n\n\
                  Try:  sampan doctor          what this machine offers to guests\n      \
                        sampan demo            a small guest; open the printed address in a browser\n      \
                        sampan new             a machine of your own\n      \
                        sampan run --help      a machine that is not kept"
)]
pub struct Args {
    /// Say more on stderr (-v progress, -vv QEMU's events, -vvv everything)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a virtual machine until it is told to quit or its guest powers off
    Run(Box<RunArgs>),
    /// Run the small demonstration guest
    Demo(DemoArgs),
    /// Talk to a running machine
    Ctl(CtlArgs),
    /// Tell what this computer offers to guests, with reasons; of a machine, what its guest shares with you and how to get the rest
    Doctor {
        /// A machine: its name, its id, or the id's first characters
        #[arg(value_name = "VM")]
        vm: Option<String>,
    },
    /// Show the licences of Sampan, of QEMU and of all that is linked into it
    Licenses,
    /// Make a machine; without a name you are asked
    New(Box<NewArgs>),
    /// Change a stopped machine
    Set(SetArgs),
    /// List the machines
    List(ListArgs),
    /// Tell all about a machine
    Show(Vm),
    /// A running machine's condition, or that it does not run
    Status(Vm),
    /// Start a machine, or resume a suspended one; it goes on when the terminal is closed
    Start(StartArgs),
    /// Shut a machine down by its power button, or by force
    Stop(StopArgs),
    /// Halt a machine's CPUs
    Pause(Vm),
    /// Let them run again
    Resume(Vm),
    /// Press a machine's reset button
    Reset(Vm),
    /// Save a machine's memory to its bundle and end it; `start` goes on from there
    Suspend(Vm),
    /// Keep states of a machine, and go back to them
    Snapshot(SnapshotArgs),
    /// Disks of machines
    Disk(DiskArgs),
    /// Copy a machine
    Clone(CloneArgs),
    /// Write a machine into one file
    Export(ExportArgs),
    /// Read a machine from a file
    Import(ImportArgs),
    /// Put a machine into the trash
    Delete(DeleteArgs),
    /// Take a machine out of the trash
    Restore(RestoreArgs),
    /// Remove what is in the trash for ever
    EmptyTrash,
    /// The catalogue of system images, and the library's media
    Images(ImagesArgs),
    /// Download images, from the catalogue or anywhere
    Download(DownloadArgs),
    /// What QEMU said, and reports of crashes
    Logs(LogsArgs),
    /// A machine's serial console in this terminal, with the last of what it wrote before; Ctrl-] leaves it
    Console(Vm),
    /// Write what a machine's screen shows into a PNG file
    Screenshot {
        #[command(flatten)]
        vm: Vm,
        /// The file; - is stdout
        file: PathBuf,
        #[command(flatten)]
        display: OfDisplay,
    },
    /// Type a text on a machine's keyboard, or paste it where it has characters without a key
    Type {
        #[command(flatten)]
        vm: Vm,
        /// The text
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// What a guest's programs copy and paste, by its clipboard agent
    Clipboard(ClipboardArgs),
    /// A guest's volume and microphone, and files of what it plays and records
    Sound(SoundArgs),
    /// Run a program in the guest, by its agent; its exit code is this one's
    Exec(ExecArgs),
    /// Copy files to and from the guest, by its agent
    File(CopyArgs),
    /// Ports of this host that lead to a guest
    Forward(ForwardArgs),
    /// Folders of this host that a guest sees
    Share(ShareArgs),
    /// Show the machines in a browser, to start, stop and see them there, until Ctrl-C; the machines go on
    Serve(ServeArgs),
    /// Its screen for any VNC client, with a password; off by default
    Vnc(VncArgs),
    /// Show a machine's screen to other devices, which you let in one by one; off by default
    Stream(StreamArgs),
    /// How much of this host a machine may use
    Mode(ModeArgs),
    /// What a shell needs to complete these commands
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// The manual page, for `man -l -`
    Man,
    #[command(hide = true)]
    Supervise(SuperviseArgs),
}

/// Any free port of this machine alone.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What `start` tells the process that runs the machine.
#[derive(clap::Args, Debug)]
pub struct SuperviseArgs {
    /// The library
    #[arg(long)]
    pub home: PathBuf,
    /// The machine's id
    #[arg(long)]
    pub id: String,
    #[arg(long)]
    pub throw_away: bool,
    #[arg(long)]
    pub discard_state: bool,
    #[arg(long)]
    pub in_process: bool,
    #[arg(long)]
    pub listen: SocketAddr,
    /// Its machine has died, and is started again: what the last supervisor left is on stdin
    #[arg(long)]
    pub again: bool,
}

/// Start-up firmware, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirmwareArg {
    /// SeaBIOS (x86_64 only)
    Bios,
    /// UEFI, with variables that last as long as this run
    Uefi,
}

impl From<FirmwareArg> for sampan_config::FirmwareKind {
    fn from(arg: FirmwareArg) -> Self {
        match arg {
            FirmwareArg::Bios => Self::Bios,
            FirmwareArg::Uefi => Self::Uefi,
        }
    }
}

/// Graphics devices, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DisplayArg {
    /// virtio-gpu: fast, follows the window's size; the guest needs a driver (every Linux has it)
    #[default]
    Virtio,
    /// Standard VGA, on aarch64 ramfb: works without drivers
    Std,
}

/// Pointing devices, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PointerArg {
    /// A USB tablet: the pointer is where yours is
    #[default]
    Tablet,
    /// A mouse, for guests that know no tablet: click into the screen to capture your pointer
    Mouse,
}

/// What becomes of a machine whose guest has powered off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PoweroffArg {
    /// End
    #[default]
    Quit,
    /// Keep the machine; `sampan ctl SOCKET reset` starts it again
    Keep,
}

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    sampan run --cdrom debian.iso --disk disk.qcow2 --firmware uefi\n  \
    sampan run --arch aarch64 --kernel vmlinuz --initrd initrd.gz --append 'console=ttyAMA0'\n  \
    sampan run --disk raw:disk.img -- -device virtio-balloon-pci\n\n\
    Prints `viewer: URL` on stdout once the machine runs. The URL holds the key to it: keep it to yourself.")]
pub struct RunArgs {
    /// The machine's name, for titles and logs
    #[arg(long, default_value = "sampan")]
    pub name: String,
    /// The guest's architecture: x86_64 or aarch64 [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// Memory, as 2G, or a number of MiB
    #[arg(long, value_name = "SIZE", value_parser = size::memory, default_value = "1024")]
    pub memory: u32,
    /// Number of CPUs [default: this machine's cores, at most 4]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// A Linux kernel to start without a boot loader
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Its initial RAM disk
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Its command line
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub append: Option<String>,
    /// A disk image that the guest reads and writes: qcow2, or raw where its content shows a disk. `qcow2:FILE` and
    /// `raw:FILE` say which, as for an empty disk. Repeatable
    #[arg(long, value_name = "FILE")]
    pub disk: Vec<String>,
    /// A CD image to start from
    #[arg(long, value_name = "FILE")]
    pub cdrom: Option<PathBuf>,
    /// Start although what is in the CD drive does not look like a CD
    #[arg(long)]
    pub yes: bool,
    /// What starts the guest [default: bios on x86_64; on aarch64 uefi, or the kernel given]
    #[arg(long, value_enum)]
    pub firmware: Option<FirmwareArg>,
    /// The graphics device
    #[arg(long, value_enum, default_value_t)]
    pub display: DisplayArg,
    /// Number of displays: up to 16 with virtio, 1 with std. Those beyond the first are on while a viewer sees them
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub displays: u32,
    /// The pointing device
    #[arg(long, value_enum, default_value_t)]
    pub pointer: PointerArg,
    /// Run QEMU as a thread of this process (the default)
    #[arg(long, conflicts_with = "child")]
    pub in_process: bool,
    /// Run QEMU as a child process: if it crashes, nothing else does
    #[arg(long)]
    pub child: bool,
    /// What to do when the guest has powered off
    #[arg(long, value_enum, default_value_t)]
    pub on_poweroff: PoweroffArg,
    /// Where the viewer's page is served; loopback addresses only. Port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where `sampan ctl` reaches the machine [default: in a private folder, told on stderr]
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// More arguments for QEMU, after `--`. They are not checked: what they name, the guest may use
    #[arg(last = true, value_name = "QEMU ARGS")]
    pub qemu: Vec<String>,
}

#[derive(clap::Args)]
#[command(
    after_help = "The guest shows the keys you type and the pointer, and lets you draw with the left button.\n\
    `scripts/demo` builds all that this needs and starts it."
)]
pub struct DemoArgs {
    /// The guest's architecture: x86_64 or aarch64 [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,
    /// Where the viewer's page is served; loopback addresses only
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    sampan ctl /run/vm.sock screenshot now.png\n  \
    sampan ctl /run/vm.sock type 'root'; sampan ctl /run/vm.sock key ret\n  \
    sampan ctl /run/vm.sock key ctrl alt delete\n\n\
    Keys have QEMU's names: a … z, 0 … 9, ret, esc, spc, tab, ctrl, alt, shift, meta_l, f1 … f12, up, kp_5, …")]
pub struct CtlArgs {
    /// The machine's control socket, as `sampan run` told it
    pub socket: PathBuf,
    #[command(subcommand)]
    pub action: Action,
}

/// One of a machine's displays.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct OfDisplay {
    /// Which of its displays, from 1; without it the first. Others are dark unless a viewer sees them
    #[arg(long, value_name = "N")]
    pub display: Option<NonZeroU32>,
}

/// What a machine can be told.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Its condition
    Status,
    /// Write what its screen shows into a PNG file
    Screenshot {
        /// The file; - is stdout
        file: PathBuf,
        #[command(flatten)]
        display: OfDisplay,
    },
    /// Type a text on the guest's keyboard
    Type {
        /// The text
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Press keys together and let them go
    Key {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Put the pointer on a pixel
    Pointer {
        /// Pixels from the left
        x: u32,
        /// Pixels from the top
        y: u32,
    },
    /// Press a button and let it go
    Click {
        /// left, middle, right, side or extra
        button: String,
    },
    /// Turn the wheel, positive towards you (the page scrolls down)
    Wheel {
        /// Notches
        #[arg(allow_hyphen_values = true)]
        notches: i32,
    },
    /// Tell the guest how large its screen is shown
    Resize {
        /// Pixels
        width: u32,
        /// Pixels
        height: u32,
    },
    /// Halt its CPUs
    Pause,
    /// Let them run again
    Resume,
    /// Press its reset button; after the guest's power-off this starts it again
    Reset,
    /// Press its power button: the guest is asked to shut down
    Powerdown,
    /// End it now: disks are flushed, the guest is not asked
    Quit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_qemus() {
        let args = Args::try_parse_from([
            "sampan", "run", "--arch", "aarch64", "--append", "-x", "--", "-device", "a",
        ])
        .expect("parses");
        let Command::Run(run) = args.command else { panic!("not run") };
        assert_eq!(run.qemu, ["-device", "a"]);
        assert_eq!((run.arch, run.append.as_deref()), (Some(Arch::Aarch64), Some("-x")));
        assert!(Args::try_parse_from(["sampan", "run", "--child", "--in-process"]).is_err());
        assert!(Args::try_parse_from(["sampan", "ctl", "s", "wheel", "-3", "--json"]).is_ok());
    }
}
