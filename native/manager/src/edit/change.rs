//! Single changes of a description.

use crate::error::{Error, Result};
use crate::fault::Unfit;
use sampan_config::{DriveKind, Forward, VmConfig};

/// Leads ports of the host to the guest.
///
/// # Errors
/// The machine has no network card.
pub fn add_forward(document: &mut VmConfig, forward: Forward) -> Result<()> {
    let card = document
        .network
        .cards
        .first_mut()
        .ok_or_else(|| Error::unfit("network.cards", &Unfit::NoNetworkCard))?;
    card.forwards.push(forward);
    Ok(())
}

/// Takes a forward away.
///
/// # Errors
/// There is none like it.
pub fn remove_forward(document: &mut VmConfig, forward: Forward) -> Result<()> {
    let mut found = false;
    for card in &mut document.network.cards {
        let before = card.forwards.len();
        card.forwards.retain(|kept| *kept != forward);
        found |= card.forwards.len() != before;
    }
    if found {
        return Ok(());
    }
    Err(Error::unfit("network.cards", &Unfit::NoForward { forward: forward.to_string() }))
}

/// Puts a medium into a CD or floppy drive, or takes out what is there.
///
/// # Errors
/// There is no such drive.
pub fn insert(document: &mut VmConfig, drive: &str, medium: Option<String>) -> Result<()> {
    let takes_media = |kind| matches!(kind, DriveKind::Cdrom | DriveKind::Floppy);
    let mut drives = document.drives.drives.iter_mut();
    let found = drives.find(|section| section.id == drive && takes_media(section.kind));
    let why = || Unfit::NoMediaDrive { drive: drive.to_owned() };
    found.ok_or_else(|| Error::unfit("drives", &why()))?.media = medium;
    Ok(())
}
