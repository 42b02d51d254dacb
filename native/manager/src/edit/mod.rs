//! Changes of a machine at rest. Every change of a description goes through [`edit`], so that it is checked, refused while
//! the machine is suspended, and written as one step.

pub mod change;
mod disks;
pub(crate) mod error;
mod settings;
mod shares;
mod vnc;

pub use disks::{DiskInfo, Disks, Inside, NewSize, RemovedDisk};
pub use error::{Compacted, EditError};
pub(crate) use settings::apply_to_new;
pub use settings::{Change, Changed};
pub use shares::{NewShare, ShareInfo};
pub use vnc::VncInfo;

use crate::error::{Error, Result};
use crate::machine::document;
use sampan_config::VmConfig;
use sampan_library::Locked;
use sampan_message::Message;

/// Changes a machine's description: all of it, checked, or nothing.
///
/// # Errors
/// [`Error::Suspended`]; those of `change`; the first fault of the description that it makes.
pub fn edit(locked: &mut Locked, change: impl FnOnce(&mut VmConfig) -> Result<()>) -> Result<()> {
    if locked.suspended().is_some() {
        return Err(Error::Suspended { name: locked.name().to_owned() });
    }
    let mut document = document(locked)?;
    change(&mut document)?;
    check(&document)?;
    Ok(locked.set_document(&document.to_files())?)
}

/// Refuses a description with a fault.
///
/// # Errors
/// The first one.
pub fn check(document: &VmConfig) -> Result<()> {
    match document.check().into_iter().next() {
        Some(fault) => {
            let text = fault.to_string();
            let params = fault.message.params.with("field", fault.field);
            Err(Error::Told(Message { message: text, params, ..fault.message }))
        }
        None => Ok(()),
    }
}
