//! Single changes of a description.

use crate::error::{Error, Result};
use sampan_config::{Document, Forward};

/// Leads ports of the host to the guest.
///
/// # Errors
/// The machine has no network card.
pub fn add_forward(document: &mut Document, forward: Forward) -> Result<()> {
    let card = document.network.cards.first_mut().ok_or_else(|| Error::Invalid {
        field: "network.cards",
        why: "the machine has no network card, which a forward needs".into(),
    })?;
    card.forwards.push(forward);
    Ok(())
}

/// Takes a forward away.
///
/// # Errors
/// There is none like it.
pub fn remove_forward(document: &mut Document, forward: Forward) -> Result<()> {
    let mut found = false;
    for card in &mut document.network.cards {
        let before = card.forwards.len();
        card.forwards.retain(|kept| *kept != forward);
        found |= card.forwards.len() != before;
    }
    if found {
        return Ok(());
    }
    Err(Error::Invalid { field: "network.cards", why: format!("the machine has no forward {forward}") })
}
