//! OVF, the description in an appliance (DMTF DSP0243, versions 1 and 2), as VirtualBox and VMware write it.

use super::note::word;
use super::{Bus, DriveFault, ImportNote, ImportPlan, clean};
use crate::fault::DescriptionFault;
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

/// Bytes of a programmatic unit (DSP0004, annex C) in any spelling that is met: `byte * 2^20`, `bytes*2^20`,
/// `byte * 1024 * 1024`, `MegaBytes`, `MB`, `GiB`. What is called mega is 2^20 here: memory has no other.
fn unit(text: &str) -> Option<u64> {
    let text: String = text.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Some(1);
    }
    let mut named = false;
    let bytes = text.split('*').try_fold(1u64, |product, factor| {
        let value = match factor.split_once('^') {
            Some((base, power)) => base.parse::<u64>().ok()?.checked_pow(power.parse().ok()?)?,
            None => match factor.parse::<u64>() {
                Ok(number) => number,
                Err(_) => {
                    named = true;
                    named_unit(factor)?
                }
            },
        };
        product.checked_mul(value)
    })?;
    named.then_some(bytes)
}

/// `byte`, `kilobytes`, `mebibyte`, `gb`, `tib`.
fn named_unit(name: &str) -> Option<u64> {
    let power = |prefix: &str| match prefix {
        "" => Some(0),
        "k" | "ki" | "kilo" | "kibi" => Some(10),
        "m" | "mi" | "mega" | "mebi" => Some(20),
        "g" | "gi" | "giga" | "gibi" => Some(30),
        "t" | "ti" | "tera" | "tebi" => Some(40),
        _ => None,
    };
    let name = name.strip_suffix('s').unwrap_or(name);
    let prefix = name.strip_suffix("byte").or_else(|| name.strip_suffix('b'))?;
    Some(1 << power(prefix)?)
}

/// A reference to a file (DSP0243, 7.1).
#[derive(Clone, Copy)]
struct File<'a> {
    /// A URI, relative to the description.
    href: &'a str,
    gzip: bool,
}

struct Disk<'a> {
    file: Option<File<'a>>,
    size: Option<u64>,
    parent: bool,
}

/// Reads the text of an `.ovf`. Disks are named as they are there, relative to it.
///
/// # Errors
///
/// Why it cannot be imported.
pub fn parse_ovf(text: &str) -> Result<ImportPlan, DescriptionFault> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|e| DescriptionFault::Wrong { why: e.to_string() })?;
    let root = document.root_element();
    if root.tag_name().name() != "Envelope" {
        return Err(DescriptionFault::NoEnvelope);
    }
    let mut systems = named(root, "VirtualSystem");
    let system = systems.next().ok_or(DescriptionFault::NoMachine)?;
    if systems.next().is_some() {
        return Err(DescriptionFault::Several);
    }
    let mut plan = ImportPlan::default();
    plan.named(child(system, "Name").or_else(|| attribute(system, "id")).unwrap_or_default());
    plan.arch = Some(arch(system));
    plan.uefi = Some(uefi(system));
    let (mut files, mut disks) = (BTreeMap::new(), BTreeMap::new());
    for file in named(root, "File") {
        if let (Some(id), Some(href)) = (attribute(file, "id"), attribute(file, "href")) {
            let name = clean(href, 100);
            if attribute(file, "chunkSize").is_some() {
                return Err(DescriptionFault::InPieces { name });
            }
            if href.contains("://") {
                return Err(DescriptionFault::OnServer { name });
            }
            let gzip = match attribute(file, "compression").unwrap_or("identity") {
                "identity" | "" => false,
                "gzip" => true,
                other => {
                    return Err(DescriptionFault::Compressed { name, by: clean(other, 60) });
                }
            };
            files.insert(id, File { href, gzip });
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
    files: &BTreeMap<&str, File<'_>>,
    disks: &BTreeMap<&str, Disk<'_>>,
) -> Result<(), DescriptionFault> {
    const ITEMS: [&str; 3] = ["Item", "StorageItem", "EthernetPortItem"];
    let is_item = |n: &Node<'_, '_>| n.is_element() && ITEMS.contains(&n.tag_name().name());
    let items: Vec<Node<'_, '_>> = named(system, "VirtualHardwareSection")
        .flat_map(|s| s.children().filter(is_item))
        .take(512)
        .collect();
    let kind = |n: Node<'_, '_>| child(n, "ResourceType").and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    let controllers = controllers(&items, kind);
    let mut drives = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let quantity = child(*item, "VirtualQuantity").and_then(|q| q.parse::<u64>().ok());
        match kind(*item) {
            3 => plan.cpus(quantity),
            4 => {
                let said = child(*item, "AllocationUnits").unwrap_or("byte * 2^20");
                match unit(said).and_then(|unit| quantity?.checked_mul(unit)) {
                    Some(bytes) => plan.memory(Some(bytes >> 20)),
                    None => {
                        let quantity = child(*item, "VirtualQuantity").unwrap_or("nothing");
                        plan.note(ImportNote::MemoryUnit { quantity: word(quantity), unit: word(said) });
                    }
                }
            }
            10 => plan.nic(child(*item, "ResourceSubType").map(str::to_owned), child(*item, "Address")),
            kind @ (14..=17) => {
                let parent = child(*item, "Parent").and_then(|p| controllers.get(p));
                let place = child(*item, "AddressOnParent").and_then(|a| a.parse::<u32>().ok());
                let (rank, bus) = parent.map_or((usize::MAX, Bus::Other), |c| (c.rank, c.bus));
                let bus = if kind == 14 { Bus::Floppy } else { bus };
                drives.push((rank, place.unwrap_or(u32::MAX), at, bus, kind != 17));
            }
            5 | 6 | 20 | 23 | 24 | 35 => {}
            other => {
                let name =
                    child(*item, "ElementName").or_else(|| child(*item, "Caption")).unwrap_or("a device");
                plan.note(ImportNote::Device { name: word(name), resource_type: other });
            }
        }
    }
    // As the firmware finds them: the description may have them in any order.
    drives.sort_unstable_by_key(|(rank, place, at, ..)| (*rank, *place, *at));
    for (_, _, at, bus, cdrom) in drives {
        if let Some(item) = items.get(at) {
            drive(plan, *item, bus, cdrom, files, disks)?;
        }
    }
    Ok(())
}

struct Controller {
    bus: Bus,
    /// Its place among all controllers.
    rank: usize,
}

/// Controllers by their `InstanceID`. Those of a kind are in the order of their addresses, the kinds as they are described.
fn controllers<'a>(
    items: &[Node<'a, '_>],
    kind: impl Fn(Node<'_, '_>) -> u32,
) -> BTreeMap<&'a str, Controller> {
    let mut found: Vec<(usize, u32, &str, Bus)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let kind = kind(*item);
        let (Some(id), Some(bus)) = (child(*item, "InstanceID"), controller(kind, *item)) else { continue };
        let first = items
            .iter()
            .position(|other| child(*other, "ResourceType").and_then(|t| t.parse().ok()) == Some(kind));
        let address = child(*item, "Address").and_then(|a| a.parse().ok()).unwrap_or(u32::MAX);
        found.push((first.unwrap_or(at), address, id, bus));
    }
    found.sort_by_key(|(first, address, ..)| (*first, *address));
    (0..).zip(found).map(|(rank, (_, _, id, bus))| (id, Controller { bus, rank })).collect()
}

fn drive(
    plan: &mut ImportPlan,
    item: Node<'_, '_>,
    bus: Bus,
    cdrom: bool,
    files: &BTreeMap<&str, File<'_>>,
    disks: &BTreeMap<&str, Disk<'_>>,
) -> Result<(), DescriptionFault> {
    let Some(host) = child(item, "HostResource") else {
        if !cdrom {
            plan.note(ImportNote::Drive(DriveFault::NoImage));
        }
        return Ok(());
    };
    let host = host.strip_prefix("ovf:").unwrap_or(host);
    if let Some(id) = host.strip_prefix("/disk/") {
        let disk = disks.get(id).ok_or_else(|| DescriptionFault::NoDisk { name: clean(id, 100) })?;
        if disk.parent {
            return Err(DescriptionFault::Overlay);
        }
        match disk.file {
            Some(file) => plan.disk(file.href, bus, cdrom, cdrom, disk.size, file.gzip),
            None => plan.note(ImportNote::EmptyDisk(disk.size)),
        }
    } else if let Some(id) = host.strip_prefix("/file/") {
        let file = files.get(id).ok_or_else(|| DescriptionFault::NoFile { name: clean(id, 100) })?;
        plan.disk(file.href, bus, cdrom, cdrom, None, file.gzip);
    } else {
        plan.note(ImportNote::Drive(DriveFault::HostDevice(word(host))));
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
