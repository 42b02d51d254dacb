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
        Err(split(reasons, self.document().state_blockers()))
    }
}

/// QEMU's reasons as the machine's description knows them, which has a way out for each; QEMU's own words where it knows
/// none.
fn split(reasons: Vec<String>, blockers: Vec<Blocker>) -> VmError {
    // `v9fs_attach` in hw/9pfs/9p.c; a tag has plain characters alone.
    let is_of = |blocker: &Blocker, reason: &str| {
        blocker.when == BlockedWhen::Mounted && reason.ends_with(&format!("mount_tag '{}'", blocker.part))
    };
    let others = reasons.iter().filter(|reason| !blockers.iter().any(|blocker| is_of(blocker, reason)));
    let mut qemu: Vec<String> = others.cloned().collect();
    let is_mounted = |blocker: &Blocker| reasons.iter().any(|reason| is_of(blocker, reason));
    let (mut known, rest): (Vec<Blocker>, Vec<Blocker>) = blockers.into_iter().partition(is_mounted);
    let always: Vec<Blocker> =
        rest.into_iter().filter(|blocker| blocker.when == BlockedWhen::Always).collect();
    if !qemu.is_empty() && !always.is_empty() {
        known.extend(always);
        qemu.clear();
    }
    VmError::StateNotSavable { known, qemu }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset, ShareSection, ShareSecurity, SoundDevice, VmConfig};

    fn reason(tag: &str) -> String {
        format!(
            "Migration is disabled when VirtFS export path '/a' is mounted in the guest using mount_tag '{tag}'"
        )
    }

    fn words(reasons: &[String], document: &VmConfig) -> String {
        split(reasons.to_vec(), document.state_blockers()).to_string()
    }

    #[test]
    fn only_what_is_in_the_way_is_named() {
        let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        for tag in ["work", "my_work", "books"] {
            document.shares.shares.push(ShareSection {
                tag: tag.into(),
                read_only: false,
                security: ShareSecurity::None,
            });
        }
        let said = words(&[reason("my_work")], &document);
        assert!(said.contains("folder my_work must") && said.contains("unmount"), "{said}");
        assert!(!said.contains("folder work") && !said.contains("books"), "{said}");
        document.sound.device = SoundDevice::Virtio;
        let device = "State blocked by non-migratable device '0000:00:05.0/virtio-sound'".to_owned();
        let said = words(&[device.clone(), reason("books")], &document);
        assert!(
            said.contains("folder books") && said.contains("use hda") && !said.contains("0000"),
            "{said}"
        );
        // What nobody foretold is told as QEMU has it.
        document.sound.device = SoundDevice::Hda;
        let said = words(std::slice::from_ref(&device), &document);
        assert_eq!(said, format!("the machine's memory cannot be saved now: {device}"));
    }
}
