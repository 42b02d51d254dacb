//! Whether a running machine's memory can be saved, asked before anything is done for it.

use super::{Vm, VmError};
use sampan_config::{BlockedWhen, Blocker};

impl Vm {
    /// Refuses what QEMU would refuse once the guest stands still and files are made, in words that name the way out.
    pub(super) async fn check_migratable(&self) -> Result<(), VmError> {
        let reasons = self.session.blockers().await?;
        if reasons.is_empty() {
            return Ok(());
        }
        let words = words(&reasons, &self.document().state_blockers());
        Err(VmError::Refused(format!("the machine's memory cannot be saved now: {words}")))
    }
}

/// QEMU's reasons in the words of the machine's description, which has a way out for each that it knows; QEMU's own where
/// it knows none.
fn words(reasons: &[String], known: &[Blocker]) -> String {
    // `v9fs_attach` in hw/9pfs/9p.c; a tag has plain characters alone.
    let is_of = |blocker: &Blocker, reason: &str| reason.ends_with(&format!("mount_tag '{}'", blocker.part));
    let mounted: Vec<&Blocker> = known.iter().filter(|b| b.when == BlockedWhen::Mounted).collect();
    let others: Vec<&str> = reasons
        .iter()
        .map(String::as_str)
        .filter(|reason| !mounted.iter().any(|blocker| is_of(blocker, reason)))
        .collect();
    let in_use = mounted.into_iter().filter(|blocker| reasons.iter().any(|reason| is_of(blocker, reason)));
    let mut words: Vec<&str> = in_use.map(|blocker| blocker.words.as_str()).collect();
    if !others.is_empty() {
        let always = known.iter().filter(|blocker| blocker.when == BlockedWhen::Always);
        let always: Vec<&str> = always.map(|blocker| blocker.words.as_str()).collect();
        words.extend(if always.is_empty() { others } else { always });
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Document, Preset, ShareSection, ShareSecurity, SoundDevice};

    fn reason(tag: &str) -> String {
        format!(
            "Migration is disabled when VirtFS export path '/a' is mounted in the guest using mount_tag '{tag}'"
        )
    }

    #[test]
    fn only_what_is_in_the_way_is_named() {
        let mut document = Document::new("x", Preset::Linux, Arch::X86_64);
        for tag in ["work", "my_work", "books"] {
            document.shares.shares.push(ShareSection {
                tag: tag.into(),
                read_only: false,
                security: ShareSecurity::None,
            });
        }
        let said = words(&[reason("my_work")], &document.state_blockers());
        assert!(said.contains("folder my_work must") && said.contains("unmount"), "{said}");
        assert!(!said.contains("folder work") && !said.contains("books"), "{said}");
        document.sound.device = SoundDevice::Virtio;
        let device = "State blocked by non-migratable device '0000:00:05.0/virtio-sound'".to_owned();
        let said = words(&[device.clone(), reason("books")], &document.state_blockers());
        assert!(
            said.contains("folder books") && said.contains("use hda") && !said.contains("0000"),
            "{said}"
        );
        // What nobody foretold is told as QEMU has it.
        document.sound.device = SoundDevice::Hda;
        assert_eq!(words(std::slice::from_ref(&device), &document.state_blockers()), device);
    }
}
