//! Older versions become newer ones, one step at a time.
//!
//! Version 1 is what the program's first machines are when written down: the options of `sampan run`, one machine a
//! description. It was never released; the step from it keeps the way of migrating exercised. Each step is a pure
//! function from files to files, and its fixture stays in `tests/fixtures`.

use super::VmConfigError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The version that is written.
pub const CURRENT_VERSION: u32 = 2;

type Files = BTreeMap<String, Value>;

/// The step that starts from version `i + 1` stands at `i`.
const STEPS: [fn(Files) -> Result<Files, VmConfigError>; CURRENT_VERSION as usize - 1] = [from_1];

/// The version that `system.json` tells.
pub(super) fn version(system: &Value) -> Result<u32, VmConfigError> {
    let told = system.get("version");
    match told.and_then(Value::as_u64) {
        Some(found) if found > CURRENT_VERSION.into() => {
            Err(VmConfigError::TooNew { found, ours: CURRENT_VERSION })
        }
        Some(found @ 1..) => Ok(found as u32),
        _ => {
            let told = told.map_or_else(|| "nothing".to_owned(), Value::to_string);
            Err(VmConfigError::NoVersion(told.chars().take(40).collect()))
        }
    }
}

/// The files in the newest version's form.
pub(super) fn migrated(mut files: Files, from: u32) -> Result<Files, VmConfigError> {
    for step in STEPS.iter().skip(from.saturating_sub(1) as usize) {
        files = step(files)?;
    }
    Ok(files)
}

/// Version 1: a PC was `q35` and an Arm machine `virt`; disks were on virtio-blk, a CD on virtio-scsi, both in
/// the order of boot; UEFI's files were the program's own.
fn from_1(mut files: Files) -> Result<Files, VmConfigError> {
    let arch = required(&files, "system.json", "arch")?;
    let arm = arch == "aarch64";
    edit(&mut files, "system.json", &["version", "name", "arch"], |system| {
        system.insert("version".into(), json!(2));
        system.insert("machine".into(), json!(if arm { "virt" } else { "q35" }));
        system.insert("preset".into(), json!("linux"));
        Ok(())
    })?;
    edit(&mut files, "cpu.json", &["cpus"], |cpu| rename(cpu, "cpus", "count"))?;
    edit(&mut files, "memory.json", &["memory"], |memory| {
        memory.entry("memory").or_insert(json!(1024));
        rename(memory, "memory", "mib")
    })?;
    edit(&mut files, "firmware.json", &["firmware"], |firmware| {
        firmware.entry("firmware").or_insert(json!(if arm { "uefi" } else { "bios" }));
        rename(firmware, "firmware", "kind")
    })?;
    edit(&mut files, "drives.json", &["disks", "cdrom"], |drives| {
        let mut list = Vec::new();
        let cdrom = drives.remove("cdrom").filter(|media| !media.is_null());
        if let Some(media) = &cdrom {
            list.push(json!({
                "id": "cd0", "kind": "cdrom", "bus": "virtio-scsi", "boot": 0, "read_only": true, "media": media,
            }));
        }
        let disks = drives.remove("disks").unwrap_or_else(|| json!([]));
        let disks =
            disks.as_array().cloned().ok_or_else(|| wrong("drives.json", "disks", "should be a list"))?;
        for (number, id) in disks.into_iter().enumerate() {
            let boot = number + usize::from(cdrom.is_some());
            list.push(json!({
                "id": id, "kind": "disk", "bus": "virtio-blk", "boot": boot, "discard": true,
            }));
        }
        drives.insert("drives".into(), list.into());
        Ok(())
    })?;
    edit(&mut files, "displays.json", &["display"], |displays| rename(displays, "display", "device"))?;
    edit(&mut files, "extra.json", &["qemu"], |extra| rename(extra, "qemu", "arguments"))?;
    // What every machine had, and nobody could change.
    for (file, value) in [
        ("network.json", json!({ "cards": [{ "id": "net0", "device": "virtio" }] })),
        ("shares.json", json!({})),
        ("sound.json", json!({ "device": "none" })),
        ("input.json", json!({ "pointer": "usb-tablet", "keyboard": if arm { "usb" } else { "ps2" } })),
        ("serial.json", json!({ "console": "uart", "agent": "none" })),
        ("usb.json", json!({ "controller": "xhci" })),
        ("performance.json", json!({})),
    ] {
        if files.insert(file.to_owned(), value).is_some() {
            return Err(VmConfigError::Unknown(file.to_owned()));
        }
    }
    Ok(files)
}

/// Changes a file that may be left out. Fields that the version did not have are refused as in the newest one.
fn edit(
    files: &mut Files,
    file: &str,
    fields: &[&str],
    change: impl FnOnce(&mut Map<String, Value>) -> Result<(), VmConfigError>,
) -> Result<(), VmConfigError> {
    let value = files.entry(file.to_owned()).or_insert_with(|| json!({}));
    let object = value.as_object_mut().ok_or_else(|| wrong(file, ".", "should be an object, {…}"))?;
    if let Some(unknown) = object.keys().find(|key| !fields.contains(&key.as_str())) {
        let unknown: String = unknown.chars().take(80).collect();
        return Err(wrong(
            file,
            &unknown,
            &format!("is no field of version 1, which has {}", fields.join(", ")),
        ));
    }
    change(object)
}

/// Gives a field its new name; what is not there stays out.
fn rename(object: &mut Map<String, Value>, old: &str, new: &str) -> Result<(), VmConfigError> {
    if let Some(value) = object.remove(old) {
        object.insert(new.to_owned(), value);
    }
    Ok(())
}

fn required(files: &Files, file: &str, field: &str) -> Result<Value, VmConfigError> {
    let value = files.get(file).and_then(|value| value.get(field));
    value.cloned().ok_or_else(|| wrong(file, field, "is missing"))
}

fn wrong(file: &str, field: &str, words: &str) -> VmConfigError {
    VmConfigError::Field { file: file.to_owned(), field: field.to_owned(), words: words.to_owned() }
}
