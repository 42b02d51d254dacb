//! The commands on images and downloads, and what a new system is told at its first start.

use clap::{Args, Subcommand, ValueEnum};
use sampan_config::Arch;
use sampan_download::Digest;
use std::path::PathBuf;

/// Another catalogue.
#[derive(Args, Clone, Debug, Default)]
pub struct CatalogueArg {
    /// The catalogue to use [default: catalogue.json in the library's folder, else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
}

/// What an entry of the catalogue gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// A CD that installs the system to a disk
    Installer,
    /// A disk with the system on it
    Disk,
    /// What you have to bring yourself
    BringYourOwn,
}

#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    sampan images debian --arch aarch64\n  \
    sampan images add ~/Downloads/Win11.iso\n  \
    sampan images --json | jq .catalogue > my-catalogue.json"
)]
pub struct ImagesArgs {
    #[command(subcommand)]
    pub action: Option<ImagesAction>,
    /// Only entries and media with these words
    pub text: Vec<String>,
    /// Only entries for this architecture: x86_64 or aarch64
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Only entries of this kind
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    #[command(flatten)]
    pub catalogue: CatalogueArg,
}

#[derive(Subcommand, Debug)]
pub enum ImagesAction {
    /// Take a file into the library, for `--cdrom` and `--image`
    Add {
        /// The file
        file: PathBuf,
        /// Its name in the library [default: its own]
        #[arg(long)]
        name: Option<String>,
        /// Take it although it looks like neither a CD nor a disk image
        #[arg(long)]
        yes: bool,
    },
    /// Remove a medium that no machine uses
    Remove {
        /// Its name, as `sampan images` shows it
        name: String,
    },
}

#[derive(Args, Debug)]
#[command(
    after_help = "What is interrupted, by Ctrl-C or otherwise, goes on where it was when the same command is given again.\n\n\
    Examples:\n  \
    sampan download debian-13-cloud alpine-3.22-installer\n  \
    sampan download https://example.org/disk.qcow2 --sha256 SUM\n  \
    sampan download --list"
)]
pub struct DownloadArgs {
    /// Entries of the catalogue (`sampan images`), an address, or an unfinished download by its name
    #[arg(value_name = "ID|URL", required_unless_present_any = ["list", "discard"])]
    pub what: Vec<String>,
    /// The file's SHA-256, as its publisher tells it; only with one address
    #[arg(long, value_name = "SUM", value_parser = sha256)]
    pub sha256: Option<Digest>,
    /// Its name in the library; only with one address [default: the address' last part]
    #[arg(long)]
    pub name: Option<String>,
    /// Connections for each file
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub connections: u8,
    /// The architecture of the catalogue's entries [default: this machine's]
    #[arg(long)]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub catalogue: CatalogueArg,
    /// Take an http address without a checksum: anybody on the way may change what comes
    #[arg(long)]
    pub allow_http: bool,
    /// A PEM file with certificates to trust besides Mozilla's, as a company's proxy needs
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// List the unfinished ones
    #[arg(long, conflicts_with_all = ["what", "discard", "sha256", "name"])]
    pub list: bool,
    /// Forget an unfinished one, and give its space back
    #[arg(long, value_name = "ID", conflicts_with_all = ["what", "sha256", "name"])]
    pub discard: Option<String>,
}

/// A SHA-256 in hexadecimal digits.
fn sha256(text: &str) -> Result<Digest, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{digits}").parse().map_err(|_| "a SHA-256 has 64 hexadecimal digits".to_owned())
}

/// What a new system is told at its first start.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "First start (cloud-init, or Windows with --windows-answers)")]
pub struct SeedArgs {
    /// The system's first user, who may become root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A file whose first line is the user's password; - reads it from stdin
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// A file with the user's public SSH keys. Repeatable
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "windows_answers")]
    pub ssh_key: Vec<PathBuf>,
    /// The system's own name [default: made of the machine's]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Packages to install. Repeatable
    #[arg(long, value_name = "NAME", conflicts_with = "windows_answers")]
    pub package: Vec<String>,
    /// Its language, as de_DE.UTF-8; of Windows de-DE, which must be the CD's [default there: en-US]
    #[arg(long)]
    pub locale: Option<String>,
    /// Its time zone, as Europe/Berlin; of Windows by Windows' own name [default there: UTC]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Its keyboard, as de; of Windows de-DE [default there: the language's]
    #[arg(long, value_name = "LAYOUT")]
    pub keyboard: Option<String>,
    /// Your own user-data for cloud-init instead
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["user", "package", "locale", "timezone", "keyboard", "windows_answers"]
    )]
    pub seed_file: Option<PathBuf>,
    /// Answer what Windows Setup would ask; it takes the whole of the new disk. The password stands as it is in a CD image of
    /// the library: once Windows is installed, `sampan set VM seed=-` removes that
    #[arg(long, requires = "user")]
    pub windows_answers: bool,
    /// The edition on a CD with several, as "Windows 11 Pro"
    #[arg(long, value_name = "NAME", requires = "windows_answers")]
    pub edition: Option<String>,
    /// A file whose first line is Windows' product key
    #[arg(long, value_name = "FILE", requires = "windows_answers")]
    pub product_key_file: Option<PathBuf>,
    /// Let Windows 11 install without TPM and Secure Boot, which Microsoft does not support
    #[arg(long, requires = "windows_answers")]
    pub bypass_requirements: bool,
}
