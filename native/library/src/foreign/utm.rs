//! UTM's bundles: a folder with `config.plist` and the disks (`ConfigurationVersion` 2 and 3: `Images`, 4: `Data`).

use super::note::word;
use super::plist::{Value, with_root};
use super::{Bus, DriveFault, ImportNote, ImportPlan, MAX_DESCRIPTION, token};
use crate::error::{ArchiveError, Error, Result, damaged, unsupported};
use crate::fault::{ArchiveFault, DescriptionFault};
use std::path::{Path, PathBuf};

pub(super) fn read(folder: &Path) -> Result<(PathBuf, ImportPlan)> {
    let path = folder.join("config.plist");
    if path.symlink_metadata().is_err() {
        return Err(Error::Archive { path: folder.to_path_buf(), source: ArchiveError::NoDescription });
    }
    let bytes = crate::fs::read_bounded(&path, MAX_DESCRIPTION)?;
    if bytes.starts_with(b"bplist") {
        return Err(unsupported(folder, DescriptionFault::BinaryPlist));
    }
    let text = String::from_utf8(bytes).map_err(|_| damaged(folder, ArchiveFault::PlistNotUtf8))?;
    let mut plan = parse_utm(&text).map_err(|why| unsupported(folder, why))?;
    if plan.name.is_none() {
        plan.name = Some(super::name_from(folder));
    }
    // The name of the folder is the machine's name in old versions, and its UEFI variables lie among the disks.
    let variables = ["Data", "Images"].map(|data| format!("{data}/efi_vars.fd"));
    plan.uefi_variables = variables.into_iter().find(|file| is_plain(folder, file));
    Ok((folder.to_path_buf(), plan))
}

/// Whether there is a file of that name, with no link on the way.
fn is_plain(folder: &Path, file: &str) -> bool {
    super::below(folder, file).is_ok_and(|path| path.is_file())
}

/// Reads the text of a `config.plist`. Disks are named relative to the bundle.
///
/// # Errors
///
/// Why it cannot be imported.
pub fn parse_utm(text: &str) -> std::result::Result<ImportPlan, DescriptionFault> {
    with_root(text, |root| {
        let backend = root.get("Backend").and_then(Value::text).unwrap_or("QEMU");
        let apple = root.get("isAppleVirtualization").is_some_and(Value::flag);
        if backend.eq_ignore_ascii_case("apple") || apple {
            return Err(DescriptionFault::Apple);
        }
        match root.get("ConfigurationVersion").and_then(Value::number) {
            Some(4) => Ok(current(root)),
            Some(2 | 3) => Ok(legacy(root)),
            Some(version @ (0 | 1)) => Err(DescriptionFault::TooOld { version }),
            Some(version) => Err(DescriptionFault::TooNew { version }),
            None => Err(DescriptionFault::NoVersion),
        }
    })
}

fn current(root: Value<'_, '_>) -> ImportPlan {
    let mut plan = ImportPlan::default();
    let text = |keys: &[&str]| root.at(keys).and_then(Value::text);
    let flag = |keys: &[&str]| root.at(keys).is_some_and(Value::flag);
    plan.named(text(&["Information", "Name"]).unwrap_or_default());
    plan.arch = text(&["System", "Architecture"]).and_then(token);
    plan.machine = text(&["System", "Target"]).and_then(token);
    let number = |keys: &[&str]| root.at(keys).and_then(Value::number);
    numbers(&mut plan, number(&["System", "MemorySize"]), number(&["System", "CPUCount"]));
    plan.uefi = Some(flag(&["QEMU", "UEFIBoot"]));
    if flag(&["QEMU", "TPMDevice"]) {
        plan.note(ImportNote::Tpm);
    }
    arguments(&mut plan, root.at(&["QEMU", "AdditionalArguments"]));
    if text(&["QEMU", "MachinePropertyOverride"]).is_some_and(|t| !t.is_empty()) {
        plan.note(ImportNote::MachineProperties);
    }
    for drive in root.get("Drive").into_iter().flat_map(Value::items) {
        let kind = drive.get("ImageType").and_then(Value::text).unwrap_or_default();
        let bus = bus(drive.get("Interface").and_then(Value::text).unwrap_or_default());
        let read_only = drive.get("ReadOnly").is_some_and(Value::flag);
        add(&mut plan, "Data", drive.get("ImageName").and_then(Value::text), kind, bus, read_only);
    }
    for nic in root.get("Network").into_iter().flat_map(Value::items) {
        let get = |key: &str| nic.get(key).and_then(Value::text);
        network(&mut plan, get("Mode"), get("Hardware"), get("MacAddress"));
        forwards(&mut plan, nic.get("PortForward"));
    }
    for mode in
        root.get("Serial").into_iter().flat_map(Value::items).filter_map(|port| port.get("Mode")?.text())
    {
        if mode.starts_with("Tcp") {
            plan.note(ImportNote::SerialPort);
        }
    }
    if text(&["Sharing", "DirectoryShareMode"]).is_some_and(|m| m != "None") {
        plan.note(ImportNote::Share);
    }
    plan
}

fn legacy(root: Value<'_, '_>) -> ImportPlan {
    let mut plan = ImportPlan::default();
    let text = |keys: &[&str]| root.at(keys).and_then(Value::text);
    plan.arch = text(&["System", "Architecture"]).and_then(token);
    plan.machine = text(&["System", "Target"]).and_then(token);
    let number = |keys: &[&str]| root.at(keys).and_then(Value::number);
    numbers(&mut plan, number(&["System", "Memory"]), number(&["System", "CPUCount"]));
    plan.uefi = root.at(&["System", "BootUefi"]).map(Value::flag);
    arguments(&mut plan, root.at(&["System", "AddArgs"]));
    forwards(&mut plan, root.at(&["Networking", "PortForward"]));
    if root.at(&["Sharing", "DirectorySharing"]).is_some_and(Value::flag) {
        plan.note(ImportNote::Share);
    }
    for drive in root.get("Drives").into_iter().flat_map(Value::items) {
        let get = |key: &str| drive.get(key).and_then(Value::text);
        let removable = drive.get("Removable").is_some_and(Value::flag);
        let file = get("ImagePath").filter(|_| !removable);
        let kind = match drive.get("Cdrom").is_some_and(Value::flag) {
            true => "cd",
            false => get("ImageType").unwrap_or("disk"),
        };
        add(&mut plan, "Images", file, kind, bus(get("InterfaceType").unwrap_or_default()), removable);
    }
    if root.at(&["Networking", "NetworkEnabled"]).is_none_or(Value::flag) && root.get("Networking").is_some()
    {
        let get = |key: &str| text(&["Networking", key]);
        network(&mut plan, get("NetworkMode"), get("NetworkCard"), get("NetworkCardMAC"));
    }
    plan
}

/// One by one: whoever imports it must see what it wanted of the host.
fn arguments(plan: &mut ImportPlan, arguments: Option<Value<'_, '_>>) {
    for argument in arguments.into_iter().flat_map(Value::items) {
        plan.note(ImportNote::Argument(word(argument.text().unwrap_or("?"))));
    }
}

fn forwards(plan: &mut ImportPlan, forwards: Option<Value<'_, '_>>) {
    for forward in forwards.into_iter().flat_map(Value::items) {
        let text = |key: &str| forward.get(key).and_then(Value::text).unwrap_or_default();
        let port = |key: &str| forward.get(key).and_then(Value::number).unwrap_or_default();
        let address = match text("HostAddress") {
            "" => String::new(),
            address => format!("{address}:"),
        };
        let protocol = text("Protocol").to_ascii_lowercase();
        let forward = format!("{protocol}:{address}{}:{}", port("HostPort"), port("GuestPort"));
        plan.note(ImportNote::Forward(word(&forward)));
    }
}

fn numbers(plan: &mut ImportPlan, memory: Option<u64>, cpus: Option<u64>) {
    plan.memory(memory);
    // Zero means "as many as the host thinks good".
    if cpus != Some(0) {
        plan.cpus(cpus);
    }
}

fn add(plan: &mut ImportPlan, folder: &str, file: Option<&str>, kind: &str, bus: Bus, read_only: bool) {
    let kind = kind.to_ascii_lowercase();
    let Some(file) = file.filter(|f| !f.is_empty()) else {
        return plan.note(ImportNote::EmptyDrive);
    };
    match kind.as_str() {
        "disk" | "cd" => plan.disk(&format!("{folder}/{file}"), bus, kind == "cd", read_only, None, false),
        other => plan.note(ImportNote::Drive(DriveFault::Kind { file: word(file), kind: word(other) })),
    }
}

fn network(plan: &mut ImportPlan, mode: Option<&str>, model: Option<&str>, mac: Option<&str>) {
    let mode = mode.unwrap_or("emulated").to_ascii_lowercase();
    if mode != "emulated" && mode != "shared" {
        plan.note(ImportNote::NetworkMode(word(&mode)));
    }
    plan.nic(model.and_then(token), mac);
}

fn bus(name: &str) -> Bus {
    match name.to_ascii_lowercase().as_str() {
        "virtio" => Bus::Virtio,
        "nvme" => Bus::Nvme,
        "ide" => Bus::Ide,
        "scsi" => Bus::Scsi,
        "usb" => Bus::Usb,
        "floppy" => Bus::Floppy,
        _ => Bus::Other,
    }
}
