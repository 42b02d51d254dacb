//! From a bundle to what QEMU is started with.

use super::{Host, RunOptions, VmError};
use crate::log_ring::drain;
use crate::machine_log::MachineLog;
use sampan_config::{Arch, Channel, Disk, DiskFormat, FirmwareKind, HostPaths, VmConfig};
use sampan_emulator::{Access, Allowed, Confinement, LaunchError, LaunchSpec, Launcher};
use sampan_library::{CheckedChain, DriveId, Error as LibraryError, Layer, Library, Locked, SourceFormat};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The drive that holds UEFI's variables. No drive of a document can have this name: they have no `-`.
pub const UEFI_VARIABLES: &str = "fw-vars";

/// All that a start needs.
pub(super) struct Prepared {
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) spec: LaunchSpec,
    pub(super) document: VmConfig,
    pub(super) folder: PathBuf,
    /// The saved state to go on from.
    pub(super) memory: Option<PathBuf>,
    pub(super) throw_away: bool,
    pub(super) agent: Option<UnixStream>,
    pub(super) vdagent: Option<UnixStream>,
    pub(super) arguments: Vec<String>,
}

pub(super) fn prepare(host: &Host, locked: &mut Locked, options: &RunOptions) -> Result<Prepared, VmError> {
    let drives = locked.open_drives()?;
    if options.discard_state {
        locked.consume_suspended()?;
    }
    let suspended = locked.suspended();
    if suspended.is_some() && options.throw_away {
        return Err(VmError::Suspended);
    }
    let sections = match &suspended {
        Some((_, generation)) => locked.document_at(*generation)?,
        None => locked.document()?,
    };
    let mut document = VmConfig::from_files(&sections)?;
    locked.name().clone_into(&mut document.system.name);
    super::reach::check(&document, &locked.host()?.shares)?;
    let tops = if options.throw_away { locked.begin_throw_away(&host.images)? } else { BTreeMap::new() };
    let memory = suspended.map(|(memory, _)| memory);
    let prepared = build(host, locked, options, document, memory, &drives, &tops);
    if prepared.is_err() && options.throw_away {
        locked.end_throw_away();
    }
    prepared
}

fn build(
    host: &Host,
    locked: &Locked,
    options: &RunOptions,
    document: VmConfig,
    memory: Option<PathBuf>,
    drives: &BTreeMap<DriveId, CheckedChain>,
    tops: &BTreeMap<DriveId, PathBuf>,
) -> Result<Prepared, VmError> {
    let place = place(host, locked, &document, memory.is_some(), drives, tops)?;
    let machine = document.machine(&place)?;
    let arguments = machine.argv(std::slice::from_ref(&host.choice.accelerator))?;
    let mut spec = LaunchSpec::new(document.system.name.clone(), document.system.arch);
    spec.engine = host.choice.engine;
    spec.args(arguments.clone());
    let socket = || UnixStream::pair().map_err(crate::StartError::Io);
    let agent = if document.serial.agent == Channel::None {
        None
    } else {
        let (ours, theirs) = socket()?;
        spec.extra_fds.push((sampan_config::AGENT_SOCKET.into(), theirs.into()));
        Some(ours)
    };
    let vdagent = if document.serial.vdagent {
        let (ours, theirs) = socket()?;
        spec.extra_fds.push((sampan_config::VDAGENT_SOCKET.into(), theirs.into()));
        Some(ours)
    } else {
        None
    };
    for port in &document.serial.ports {
        let (ours, theirs) = socket()?;
        spec.extra_fds.push((port.id.clone(), theirs.into()));
        let id = port.id.clone();
        // Read always: a guest must not wait for us.
        let log = MachineLog::new(Arc::clone(&host.log));
        drain(ours, move |line| log.port(&id, line)).map_err(crate::StartError::Io)?;
    }
    spec.confinement = Some(Confinement { files: allowed(&document, &place, drives, tops)?, network: true });
    Ok(Prepared {
        launcher: Arc::clone(&host.launcher),
        spec,
        document,
        folder: locked.path().to_owned(),
        memory,
        throw_away: options.throw_away,
        agent,
        vdagent,
        arguments,
    })
}

/// All that QEMU may reach in a process of its own, each file by what was opened and checked. It writes the images that its
/// drives write to and no other file; it makes, renames and removes none, so that nothing in the machine's folder can be put in
/// the place of something that we open. Overlays of later snapshots, and memories, it gets as descriptors.
fn allowed(
    document: &VmConfig,
    place: &HostPaths,
    drives: &BTreeMap<DriveId, CheckedChain>,
    throw_away: &BTreeMap<DriveId, PathBuf>,
) -> Result<Vec<Allowed>, VmError> {
    let open = |path: &Path, access| -> Result<Allowed, VmError> {
        let opened = path.canonicalize().and_then(|path| Allowed::open(path, access));
        let refused = |source| LaunchError::NotAllowed { path: path.to_owned(), source };
        Ok(opened.map_err(refused).map_err(crate::StartError::from)?)
    };
    let mut allowed = Vec::new();
    for (id, chain) in drives {
        // What a run that leaves no trace writes goes to its overlay.
        let written = usize::from(!throw_away.contains_key(id));
        for (at, (Layer { path, .. }, pin)) in chain.layers().enumerate() {
            let access = if at < written { Access::Write } else { Access::Read };
            allowed.push(crate::images::allow(path, pin, access).map_err(LibraryError::from)?);
        }
    }
    for overlay in throw_away.values() {
        let refused = |source| LaunchError::NotAllowed { path: overlay.clone(), source };
        allowed
            .push(Allowed::open(overlay, Access::Write).map_err(refused).map_err(crate::StartError::from)?);
    }
    let images: Vec<&Path> =
        drives.values().flat_map(|chain| chain.iter().map(|layer| &*layer.path)).collect();
    let media = place.drives.values().map(|disk| &disk.file).chain(&place.kernel).chain(&place.initrd);
    for path in media {
        if !images.contains(&&**path) && !throw_away.values().any(|overlay| overlay == path) {
            allowed.push(open(path, Access::Read)?);
        }
    }
    for share in &document.shares.shares {
        if let Some(folder) = place.shares.get(&share.tag) {
            allowed.push(open(
                folder,
                if share.read_only { Access::Read } else { Access::Share(share.security) },
            )?);
        }
    }
    Ok(allowed)
}

fn place(
    host: &Host,
    locked: &Locked,
    document: &VmConfig,
    incoming: bool,
    drives: &BTreeMap<DriveId, CheckedChain>,
    tops: &BTreeMap<DriveId, PathBuf>,
) -> Result<HostPaths, VmError> {
    let mut place = HostPaths { shares: locked.host()?.shares, incoming, ..HostPaths::default() };
    let top = |id: &DriveId| -> Result<Disk, VmError> {
        let chain = drives.get(id).ok_or_else(|| VmError::NoImage(id.to_string()))?;
        // From the bottom up: each is built on the one before.
        let own = chain.iter().rev().fold(None, |base, layer| Some(disk(layer, base)));
        let own = own.ok_or_else(|| VmError::NoImage(id.to_string()))?;
        Ok(match tops.get(id) {
            Some(file) => Disk { file: file.clone(), format: DiskFormat::Qcow2, base: Some(Box::new(own)) },
            None => own,
        })
    };
    for drive in &document.drives.drives {
        let image = match &drive.media {
            Some(name) => {
                Some(Disk { file: media(&host.library, name)?, format: DiskFormat::Raw, base: None })
            }
            None if drive.kind == sampan_config::DriveKind::Disk => Some(top(&drive.id.parse()?)?),
            None => None,
        };
        place.drives.extend(image.map(|image| (drive.id.clone(), image)));
    }
    if document.firmware.kind == FirmwareKind::Uefi {
        let firmware = host.libqemu.firmware()?;
        place.uefi_code = Some(firmware.join(uefi_code(document.system.arch)));
        place.uefi_vars = Some(top(&UEFI_VARIABLES.parse()?)?);
    }
    if let Some(kernel) = &document.firmware.kernel {
        place.kernel = Some(media(&host.library, &kernel.kernel)?);
        place.initrd = kernel.initrd.as_ref().map(|name| media(&host.library, name)).transpose()?;
    }
    Ok(place)
}

/// UEFI's code for an architecture, in libqemu's folder of firmware.
pub fn uefi_code(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "OVMF_CODE_4M.fd",
        Arch::Aarch64 => "AAVMF_CODE.fd",
    }
}

/// The variables that a new machine begins with, raw.
pub fn uefi_variables(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "OVMF_VARS_4M.fd",
        Arch::Aarch64 => "AAVMF_VARS.fd",
    }
}

fn disk(layer: &Layer, base: Option<Disk>) -> Disk {
    let format = match layer.format {
        SourceFormat::Qcow2 => DiskFormat::Qcow2,
        // The library keeps no other.
        _ => DiskFormat::Raw,
    };
    Disk { file: layer.path.clone(), format, base: base.map(Box::new) }
}

fn media(library: &Library, name: &str) -> Result<PathBuf, VmError> {
    Ok(library.medium(name)?.path)
}
