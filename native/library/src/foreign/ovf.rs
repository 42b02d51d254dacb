//! OVF, the description in an appliance (DMTF DSP0243, versions 1 and 2), as VirtualBox and VMware write it.

use super::{Bus, ImportPlan, clean};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;

const MAX_NODES: u32 = 50_000;

fn named<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

/// An attribute by its local name: programs differ in whether they write the prefix.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|a| a.name() == name).map(|a| a.value())
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|n| n.is_element() && n.tag_name().name() == name)?.text().map(str::trim)
}

/// Bytes of one unit: `byte * 2^20`, `MegaBytes`, `MB`.
fn unit(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase().replace(' ', "");
    if let Some(power) = text.strip_prefix("byte*2^") {
        return power.parse::<u32>().ok().filter(|p| *p < 63).map(|p| 1 << p);
    }
    Some(match text.as_str() {
        "" | "byte" | "bytes" => 1,
        "kilobytes" | "kb" => 1 << 10,
        "megabytes" | "mb" => 1 << 20,
        "gigabytes" | "gb" => 1 << 30,
        _ => return None,
    })
}

struct Disk<'a> {
    file: Option<&'a str>,
    size: Option<u64>,
    parent: bool,
}

/// Reads the text of an `.ovf`. Disks are named as they are there, relative to it.
///
/// # Errors
///
/// Why it cannot be imported, in words.
pub fn parse_ovf(text: &str) -> Result<ImportPlan, String> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|e| format!("its description is wrong: {e}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "Envelope" {
        return Err("its description is no OVF envelope".into());
    }
    let mut systems = named(root, "VirtualSystem");
    let system = systems.next().ok_or("it describes no machine")?;
    if systems.next().is_some() {
        return Err("it describes several machines: export them one by one".into());
    }
    let mut plan = ImportPlan::default();
    plan.named(child(system, "Name").or_else(|| attribute(system, "id")).unwrap_or_default());
    plan.arch = Some(arch(system));
    plan.uefi = Some(uefi(system));
    let (mut files, mut disks) = (BTreeMap::new(), BTreeMap::new());
    for file in named(root, "File") {
        if let (Some(id), Some(href)) = (attribute(file, "id"), attribute(file, "href")) {
            if attribute(file, "compression").is_some_and(|c| c != "identity")
                || attribute(file, "chunkSize").is_some()
            {
                return Err(format!(
                    "its file “{}” is compressed or in pieces: export it without",
                    clean(href, 100)
                ));
            }
            files.insert(id, href);
        }
    }
    for disk in named(root, "DiskSection").flat_map(|s| named(s, "Disk")) {
        let Some(id) = attribute(disk, "diskId") else { continue };
        let units = unit(attribute(disk, "capacityAllocationUnits").unwrap_or_default());
        let capacity = attribute(disk, "capacity").and_then(|c| c.parse::<u64>().ok());
        let size = units.and_then(|u| capacity?.checked_mul(u));
        let parent = attribute(disk, "parentRef").is_some();
        disks.insert(
            id,
            Disk { file: attribute(disk, "fileRef").and_then(|f| files.get(f).copied()), size, parent },
        );
    }
    hardware(&mut plan, system, &files, &disks)?;
    Ok(plan)
}

fn hardware(
    plan: &mut ImportPlan,
    system: Node<'_, '_>,
    files: &BTreeMap<&str, &str>,
    disks: &BTreeMap<&str, Disk<'_>>,
) -> Result<(), String> {
    const ITEMS: [&str; 3] = ["Item", "StorageItem", "EthernetPortItem"];
    let is_item = |n: &Node<'_, '_>| n.is_element() && ITEMS.contains(&n.tag_name().name());
    let items: Vec<Node<'_, '_>> = named(system, "VirtualHardwareSection")
        .flat_map(|s| s.children().filter(is_item))
        .take(512)
        .collect();
    let kind = |n: Node<'_, '_>| child(n, "ResourceType").and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    let controllers: BTreeMap<&str, Bus> =
        items.iter().filter_map(|n| Some((child(*n, "InstanceID")?, controller(kind(*n), *n)?))).collect();
    for item in &items {
        let quantity = child(*item, "VirtualQuantity").and_then(|q| q.parse::<u64>().ok());
        match kind(*item) {
            3 => plan.cpus = quantity.filter(|n| (1..=1024).contains(n)).and_then(|n| u32::try_from(n).ok()),
            4 => {
                let units = unit(child(*item, "AllocationUnits").unwrap_or("byte * 2^20"));
                let bytes = units.and_then(|u| quantity?.checked_mul(u));
                plan.memory_mib = bytes.map(|b| b >> 20).filter(|m| (1..=1 << 24).contains(m));
            }
            10 => plan.nic(child(*item, "ResourceSubType").map(str::to_owned), child(*item, "Address")),
            kind @ (14..=17) => {
                let bus =
                    child(*item, "Parent").and_then(|p| controllers.get(p).copied()).unwrap_or(Bus::Other);
                drive(plan, *item, if kind == 14 { Bus::Floppy } else { bus }, kind != 17, files, disks)?;
            }
            5 | 6 | 20 | 23 | 24 | 35 => {}
            other => {
                let name =
                    child(*item, "ElementName").or_else(|| child(*item, "Caption")).unwrap_or("a device");
                plan.note(format!("“{name}” was left out (resource type {other})"));
            }
        }
    }
    Ok(())
}

fn drive(
    plan: &mut ImportPlan,
    item: Node<'_, '_>,
    bus: Bus,
    cdrom: bool,
    files: &BTreeMap<&str, &str>,
    disks: &BTreeMap<&str, Disk<'_>>,
) -> Result<(), String> {
    let Some(host) = child(item, "HostResource") else {
        if !cdrom {
            plan.note("a disk without an image was left out");
        }
        return Ok(());
    };
    let host = host.strip_prefix("ovf:").unwrap_or(host);
    if let Some(id) = host.strip_prefix("/disk/") {
        let disk = disks.get(id).ok_or_else(|| format!("its disk “{}” is not described", clean(id, 100)))?;
        if disk.parent {
            return Err("one of its disks is an overlay of another: export it without snapshots".into());
        }
        match disk.file {
            Some(file) => plan.disk(file, bus, cdrom, cdrom, disk.size),
            None => plan.note(match disk.size {
                Some(size) => format!("an empty disk of {size} bytes was left out: make a new one"),
                None => "an empty disk was left out: make a new one".to_owned(),
            }),
        }
    } else if let Some(id) = host.strip_prefix("/file/") {
        let file = files.get(id).ok_or_else(|| format!("its file “{}” is not described", clean(id, 100)))?;
        plan.disk(file, bus, cdrom, cdrom, None);
    } else {
        plan.note(format!("a drive was left out: “{host}” is a device of the other machine"));
    }
    Ok(())
}

fn controller(kind: u32, item: Node<'_, '_>) -> Option<Bus> {
    let sub = child(item, "ResourceSubType").unwrap_or_default().to_ascii_lowercase();
    Some(match kind {
        5 => Bus::Ide,
        6 if sub.contains("virtio") => Bus::Virtio,
        6 => Bus::Scsi,
        20 if sub.contains("nvme") => Bus::Nvme,
        20 if sub.contains("virtio") => Bus::Virtio,
        20 => Bus::Sata,
        23 => Bus::Usb,
        _ => return None,
    })
}

/// OVF names the guest's system, not its processor: only Arm is told by the name.
fn arch(system: Node<'_, '_>) -> String {
    let sections = named(system, "OperatingSystemSection").chain(named(system, "OSType"));
    let said = sections.flat_map(|s| {
        let texts = s.descendants().filter_map(|n| n.text());
        texts.chain(s.attributes().map(|a| a.value())).map(str::to_ascii_lowercase)
    });
    let platform =
        named(system, "Platform").filter_map(|p| attribute(p, "architecture")).map(str::to_ascii_lowercase);
    let arm = said.chain(platform).any(|t| t.contains("arm64") || t.contains("aarch64") || t == "arm");
    if arm { "aarch64".into() } else { "x86_64".into() }
}

/// VMware's `Config key="firmware" value="efi"`, VirtualBox's `Firmware type="EFI"`.
fn uefi(system: Node<'_, '_>) -> bool {
    let vmware = |n: Node<'_, '_>| {
        attribute(n, "key") == Some("firmware")
            && attribute(n, "value").is_some_and(|v| v.eq_ignore_ascii_case("efi"))
    };
    let virtualbox =
        |n: Node<'_, '_>| attribute(n, "type").is_some_and(|t| t.to_ascii_uppercase().starts_with("EFI"));
    named(system, "Config").any(vmware) || named(system, "Firmware").any(virtualbox)
}
