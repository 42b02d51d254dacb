//! Landlock: which files may be opened.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};

use super::allowed::Kind;
use super::{Access, Allowed, Confinement, LockInError};

/// All that is asked for; a kernel that knows less does less.
const NEWEST: ABI = ABI::V6;

/// What QEMU and the C library read of the system, if it is there.
const READ: [&str; 8] = [
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    // -rtc base=localtime
    "/etc/localtime",
    "/usr/share/zoneinfo",
    // processors, memory nodes, huge pages
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/kernel/mm",
];

/// The same with a network: for slirp's name server, and names of addresses to listen on.
const READ_NAMES: [&str; 3] = ["/etc/gai.conf", "/etc/hosts", "/etc/nsswitch.conf"];

const WRITE: [&str; 2] = ["/dev/kvm", "/dev/null"];

const RESOLVER: &str = "/etc/resolv.conf";

/// Limits the calling thread; what is not limited, in words.
pub fn limit(firmware: &Path, confinement: &Confinement) -> Result<Option<String>, LockInError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let names = READ_NAMES.iter().map(PathBuf::from).chain(resolver()).filter(|_| confinement.network);
    let read = READ.iter().map(PathBuf::from).chain(names).map(|path| (path, Access::Read));
    let write = WRITE.iter().map(|path| (PathBuf::from(path), Access::Write));
    for (path, access) in read.chain(write) {
        if let Ok(allowed) = Allowed::followed(&path, access) {
            rules = rules.add_rule(rule(&allowed)).map_err(refused)?;
        }
    }
    let wrong = |path: &Path, reason: String| LockInError::Path { path: path.to_owned(), reason };
    let firmware = Allowed::followed(firmware, Access::Read).map_err(|e| wrong(firmware, e.to_string()))?;
    for allowed in std::iter::once(&firmware).chain(&confinement.files) {
        rules = rules.add_rule(rule(allowed)).map_err(|e| wrong(allowed.path(), e.to_string()))?;
    }
    let status = rules.restrict_self().map_err(refused)?;
    Ok((status.ruleset == RulesetStatus::NotEnforced).then(|| {
        "its files are not limited, as the kernel has no Landlock (Linux 5.13 or newer, with landlock in its lsm= list)"
            .to_owned()
    }))
}

/// Where the name server is written. systemd-resolved and others replace the file, so it is their folder that counts, unless that
/// is `/etc` itself.
fn resolver() -> Option<PathBuf> {
    let file = Path::new(RESOLVER).canonicalize().ok()?;
    match file.parent() {
        Some(folder) if folder != Path::new("/etc") && folder != Path::new("/") => Some(folder.to_owned()),
        _ => Some(file),
    }
}

fn rule(allowed: &Allowed) -> PathBeneath<BorrowedFd<'_>> {
    let rights = match allowed.kind() {
        Kind::File => file(allowed.access()),
        Kind::Folder => folder(allowed.access()),
        Kind::Device => file(allowed.access()) | AccessFs::IoctlDev,
    };
    PathBeneath::new(allowed.as_fd(), rights)
}

fn file(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => AccessFs::ReadFile.into(),
        Access::Write | Access::Share(_) => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
    }
}

/// Device nodes are made below no folder, and no programs are run from it.
fn folder(access: Access) -> BitFlags<AccessFs> {
    let write = AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym
        | AccessFs::MakeFifo
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    match access {
        Access::Read => file(access) | AccessFs::ReadDir,
        Access::Write | Access::Share(_) => file(access) | AccessFs::ReadDir | write,
    }
}

fn refused(error: RulesetError) -> LockInError {
    LockInError::Refused(format!("Landlock: {error}"))
}

/// The version that the kernel offers; 0 without Landlock.
pub fn version() -> u32 {
    // LANDLOCK_CREATE_RULESET_VERSION (linux/landlock.h)
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag the call takes no structure, and only returns a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, VERSION)
    };
    u32::try_from(version).unwrap_or_default()
}
