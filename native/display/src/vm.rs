//! `org.qemu.Display1.VM`: which virtual machine this is and which consoles it has.

use crate::bus::{self, property};
use crate::error::DisplayError;
use zbus::Connection;

const PATH: &str = "/org/qemu/Display1/VM";
const INTERFACE: &str = "org.qemu.Display1.VM";

/// The machine's own description.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) consoles: Vec<u32>,
}

impl Vm {
    pub(crate) async fn read(connection: &Connection) -> Result<Self, DisplayError> {
        let (properties, _) = bus::properties_at(connection, PATH, INTERFACE).await?;
        let text = |name| property::<&str>(&properties, name).unwrap_or_default().to_owned();
        let consoles = properties.get("ConsoleIDs").and_then(|v| v.try_clone().ok());
        Ok(Self {
            name: text("Name"),
            uuid: text("UUID"),
            consoles: consoles.and_then(|v| Vec::<u32>::try_from(v).ok()).unwrap_or_default(),
        })
    }
}
