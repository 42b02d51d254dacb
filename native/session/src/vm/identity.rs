//! What makes a copy a machine of its own.

use super::provisioning::{SEED_DRIVE, seed_of_copy};
use sampan_config::{MacAddress, VmConfig};
use sampan_library::{Bundle, Library, Sections, VmId};

/// What must not be twice in one network, on one licence server or in cloud-init's eyes: a machine's number, its cards'
/// addresses, and its seed.
#[derive(Debug)]
pub struct Identity {
    number: String,
    seed: Option<(String, Vec<u8>)>,
}

impl Identity {
    /// For a machine that comes from elsewhere, whose seed does not come along.
    pub fn random() -> Self {
        Self { number: VmId::random().to_string(), seed: None }
    }

    /// For a copy of this machine.
    pub fn of_copy(library: &Library, original: &Bundle) -> Self {
        let number = VmId::random().to_string();
        // A document that cannot be read has no seed that could be told.
        let document = original.document().ok().and_then(|sections| VmConfig::from_files(&sections).ok());
        let seed = document.and_then(|document| seed_of_copy(library, &document, &number));
        Self { number, seed }
    }

    /// The copy's seed, to be made with it: the medium's name and its bytes.
    pub fn seed(&self) -> Option<(String, Vec<u8>)> {
        self.seed.clone()
    }

    /// Gives it to a document, with the name if there is one. A document that cannot be read stays as it is, and says so
    /// when the machine is started.
    pub fn give(&self, name: Option<&str>, sections: &mut Sections) {
        let Ok(mut document) = VmConfig::from_files(sections) else { return };
        for card in document.network.cards.iter_mut().filter(|card| card.mac.is_some()) {
            card.mac = Some(random_mac());
        }
        if document.system.uuid.is_some() {
            document.system.uuid = Some(self.number.clone());
        }
        if let Some(name) = name {
            name.clone_into(&mut document.system.name);
        }
        if let Some((seed, _)) = &self.seed {
            for drive in document.drives.drives.iter_mut().filter(|drive| drive.id == SEED_DRIVE) {
                drive.media = Some(seed.clone());
            }
        }
        *sections = document.to_files();
    }
}

/// An address in QEMU's range.
fn random_mac() -> MacAddress {
    let random = VmId::random().to_string();
    let byte =
        |at: usize| random.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(1);
    MacAddress::of([byte(0), byte(2), byte(4)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset};

    #[test]
    fn a_copy_has_a_number_and_addresses_of_its_own() {
        let mut document = VmConfig::new("old", Preset::Linux, Arch::X86_64);
        document.system.uuid = Some(VmId::random().to_string());
        let address = MacAddress::of([1, 2, 3]);
        document.network.cards.iter_mut().for_each(|card| card.mac = Some(address));
        assert!(!document.network.cards.is_empty());
        let mut sections = document.to_files();
        let identity = Identity::random();
        identity.give(Some("new"), &mut sections);
        let copy = VmConfig::from_files(&sections).expect("is read");
        assert_eq!(copy.system.name, "new");
        assert_eq!(copy.system.uuid.as_deref(), Some(identity.number.as_str()));
        assert!(copy.network.cards.iter().all(|card| card.mac.is_some_and(|mac| mac != address)));

        // What has none gets none, and a document that is none stays.
        document.system.uuid = None;
        document.network.cards.iter_mut().for_each(|card| card.mac = None);
        let mut sections = document.to_files();
        identity.give(None, &mut sections);
        assert_eq!(sections, document.to_files());
        let mut broken = Sections::new();
        identity.give(Some("new"), &mut broken);
        assert!(broken.is_empty());
    }
}
