//! Any field of a machine's description, of a running machine, too.

use super::{EditError, check};
use crate::downloads::there;
use crate::error::{Error, Result};
use crate::fault::FieldFault;
use crate::machine::unexpected;
use crate::{Machine, Manager, blocking};
use sampan_config::{DriveKind, DriveSection, Finding, Limits, VmConfig, VmConfigError};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::{Library, Sections, VmId};
use sampan_message::{Coded, Message};
use sampan_session::vm::{SEED_DRIVE, remove_seeds, seeds_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `section.field`, `section.list.0.field`, as the description has them; or `name`; `cdrom`, a medium's name or null; `seed`,
    /// which null takes out.
    pub field: String,
    /// The value as JSON. Text that is no JSON stands for itself.
    pub value: String,
}

/// What became of changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Parts of the description that count now.
    pub now: Vec<String>,
    /// Parts that count from the next start on.
    pub next_start: Vec<String>,
    /// What a person should know of what there is now.
    pub warnings: Vec<Finding>,
}

fn bad(field: &str, why: &FieldFault) -> Error {
    EditError::BadField { field: field.to_owned(), why: Message::of(why) }.into()
}

/// Makes one change. It blocks.
fn apply(library: &Library, document: &mut VmConfig, change: &Change) -> Result<()> {
    let field = change.field.as_str();
    let value = serde_json::from_str(&change.value).unwrap_or_else(|_| Value::String(change.value.clone()));
    match (field, value) {
        ("name", Value::String(name)) => document.system.name = name,
        // A name may look like a number.
        ("name", _) => document.system.name.clone_from(&change.value),
        ("cdrom", Value::Null) => cd(document)?.media = None,
        ("cdrom", _) => cd(document)?.media = Some(medium(library, &change.value)?),
        ("seed", Value::Null) => document.drives.drives.retain(|drive| drive.id != SEED_DRIVE),
        ("seed", _) => {
            return Err(bad(field, &FieldFault::SeedIsMadeWithMachine));
        }
        (_, value) => *document = with_field(document, field, value)?,
    }
    Ok(())
}

/// Makes one change of a description whose machine is to be made: what that is made of was chosen already. It blocks.
///
/// # Errors
/// The description is as it was then.
pub(crate) fn apply_to_new(library: &Library, document: &mut VmConfig, change: &Change) -> Result<()> {
    let mut changed = document.clone();
    apply(library, &mut changed, change)?;
    let (was, is) = (&document.system, &changed.system);
    let chosen = (&was.name, was.preset, was.arch, &was.uuid, was.version);
    if chosen != (&is.name, is.preset, is.arch, &is.uuid, is.version) {
        return Err(bad(&change.field, &FieldFault::ChosenOnce));
    }
    let disks = |document: &VmConfig| -> Vec<String> {
        let all = document.drives.drives.iter();
        all.filter(|drive| drive.kind == DriveKind::Disk).map(|drive| drive.id.clone()).collect()
    };
    if disks(document) != disks(&changed) {
        return Err(bad(&change.field, &FieldFault::DisksOfNew));
    }
    *document = changed;
    Ok(())
}

fn cd(document: &mut VmConfig) -> Result<&mut DriveSection> {
    let cd = document.drives.drives.iter_mut().find(|drive| drive.kind == DriveKind::Cdrom);
    Ok(cd.ok_or(EditError::NoCdDrive)?)
}

/// A medium as it is written in the library: names that look alike are one.
fn medium(library: &Library, name: &str) -> Result<String> {
    // A name that is quoted JSON, or the name itself.
    let name: String = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
    match there(library, &name)? {
        Some(medium) => Ok(medium.name),
        None => Ok(library.medium(&name)?.name),
    }
}

/// The description with another value of a field.
fn with_field(document: &VmConfig, field: &str, value: Value) -> Result<VmConfig> {
    let mut sections: Sections = document.to_files();
    let mut path = field.split('.');
    let section = path.next().unwrap_or_default();
    let no_section = || bad(field, &FieldFault::NoSection { section: section.to_owned() });
    let file = sections.get_mut(&format!("{section}.json")).ok_or_else(no_section)?;
    let mut root: Value =
        serde_json::from_str(file).map_err(|e| bad(field, &FieldFault::DoesNotFit { why: e.to_string() }))?;
    let mut at = &mut root;
    let mut steps = 0;
    for step in path {
        steps += 1;
        at = match at {
            Value::Array(items) => {
                let count = items.len();
                let item = step.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                let no_item = || FieldFault::NoNumber { step: step.to_owned(), below: count };
                item.ok_or_else(|| bad(field, &no_item()))?
            }
            // A field that has its default may not be there yet; one that is unknown is refused below.
            Value::Object(members) => members.entry(step).or_insert(Value::Null),
            _ => return Err(bad(field, &FieldFault::NothingBelow { step: step.to_owned() })),
        };
    }
    if steps == 0 {
        return Err(bad(field, &FieldFault::NameAField { section: section.to_owned() }));
    }
    *at = value;
    *file = root.to_string();
    VmConfig::from_files(&sections).map_err(|error| match error {
        // Nothing is damaged: it is the change that does not fit.
        VmConfigError::Field { words, .. } => bad(field, &FieldFault::DoesNotFit { why: words }),
        other => EditError::BadField { field: field.to_owned(), why: other.message() }.into(),
    })
}

/// CD and floppy drives that have something else in them than before.
fn changed_media<'a>(before: &'a VmConfig, now: &'a VmConfig) -> impl Iterator<Item = &'a DriveSection> {
    let was = |id: &str| before.drives.drives.iter().find(|drive| drive.id == id);
    now.drives.drives.iter().filter(move |drive| {
        matches!(drive.kind, DriveKind::Cdrom | DriveKind::Floppy)
            && was(&drive.id).is_some_and(|was| was.media != drive.media)
    })
}

impl Manager {
    async fn changed_document(&self, machine: &Machine, changes: Vec<Change>) -> Result<VmConfig> {
        let (library, mut document) = (self.library().clone(), machine.document()?);
        blocking(move || {
            for change in &changes {
                apply(&library, &mut document, change)?;
            }
            check(&document)?;
            Ok(document)
        })
        .await
    }

    /// What changes would make of a machine, without making them: what refuses it, what a person should confirm or know.
    ///
    /// # Errors
    /// A field that there is not, a value that it does not take; the description with them has a fault.
    pub async fn check_changes(&self, id: VmId, changes: Vec<Change>) -> Result<Vec<Finding>> {
        let machine = self.machine(id).await?;
        let document = self.changed_document(&machine, changes).await?;
        let library = self.library().clone();
        blocking(move || {
            let mut findings = Limits::check(&document, &crate::host::idle_figures(library.home())?);
            findings.extend(document.warnings());
            Ok(findings)
        })
        .await
    }

    /// Changes a machine. All of the description is checked before any of it is written. Of a running machine the name and
    /// what is in its drives change at once, most else at its next start.
    ///
    /// # Errors
    /// See [`Manager::check_changes`]; [`Error::Suspended`].
    pub async fn change(&self, id: VmId, changes: Vec<Change>) -> Result<Changed> {
        let machine = self.machine(id).await?;
        if !machine.runs() && machine.bundle().manifest().suspended.is_some() {
            return Err(Error::Suspended { name: machine.name().to_owned() });
        }
        let before = machine.document()?;
        let renamed = changes.iter().any(|change| change.field == "name");
        let document = self.changed_document(&machine, changes).await?;
        let seeds = seeds_of(machine.bundle());
        if renamed {
            machine.tell(Request::Rename { name: document.system.name.clone() }).await?;
        }
        if machine.runs() {
            for drive in changed_media(&before, &document) {
                let (drive, medium) = (drive.id.clone(), drive.media.clone());
                machine.tell(Request::Insert { drive, medium, force: false }).await?;
            }
        }
        let configure = Request::Configure { sections: document.to_files() };
        let Reply::Applied(applied) = machine.call(configure, &Reporter::new()).await? else {
            return Err(Error::Client(unexpected()));
        };
        let library = self.library().clone();
        blocking(move || {
            remove_seeds(&library, &seeds);
            Ok(())
        })
        .await?;
        self.changed();
        Ok(Changed { now: applied.now, next_start: applied.next_start, warnings: document.warnings() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, DisplayKind, Preset};

    #[test]
    fn fields_are_set_by_their_path_and_unknown_ones_refused() {
        let library_home = tempfile::tempdir().expect("a folder");
        let library = Library::open(library_home.path().join("library")).expect("a library");
        let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        let mut set = |field: &str, value: &str| {
            let change = Change { field: field.into(), value: value.into() };
            apply(&library, &mut document, &change).map(|()| document.clone())
        };
        assert_eq!(set("displays.device", "std").expect("is set").displays.device, DisplayKind::Std);
        assert!(set("network.cards.0.isolated", "true").expect("is set").network.cards[0].isolated);
        assert_eq!(set("cpu.model", "qemu64").expect("is set").cpu.model.as_deref(), Some("qemu64"));
        let before = set("name", "1234").expect("is set");
        assert_eq!(before.system.name, "1234");
        let unknown = set("displays.devise", "std").expect_err("is no field").to_string();
        assert!(unknown.contains("displays.devise") && !unknown.contains("backup"), "{unknown}");
        for (field, value) in [
            ("displays.devise", "std"),
            ("nothing.device", "std"),
            ("displays", "std"),
            ("displays.device", "holographic"),
            ("network.cards.7.isolated", "true"),
            ("memory.mib.more", "1"),
            ("cdrom", "nothing.iso"),
            ("seed", "new"),
        ] {
            assert!(set(field, value).is_err(), "{field}");
            assert_eq!(set("cdrom", "null").expect("is empty already"), before, "{field}");
        }
    }
}
