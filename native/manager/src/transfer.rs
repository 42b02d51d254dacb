//! Copies of machines, and machines that come and go as files.

use crate::error::{Error, Result};
use crate::{Manager, blocking};
use sampan_control::Reporter;
use sampan_library::{
    DriveId, MachineFile, NewClone, OnProgress, Progress, Sections, SnapshotId, VmId, machine_file,
};
use sampan_message::Message;
use sampan_session::vm::{Foreign, Identity, Imported, import_archive};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A machine that was made of another one or of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its id.
    pub id: VmId,
    /// Its name.
    pub name: String,
    /// What is not as it was, or must be known of it.
    pub notes: Vec<Message>,
}

/// How a machine is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneOptions {
    /// The copy's name.
    pub name: String,
    /// Whether the copy is built on the original's disks, which then must stay, rather than on copies of them.
    pub linked: bool,
    /// The snapshot that is copied; without one, the machine as it is.
    pub snapshot: Option<SnapshotId>,
}

/// Passes the library's progress on.
pub(crate) fn copying(reporter: &Reporter) -> impl FnMut(Progress) -> ControlFlow<()> + '_ {
    |Progress { done, total }| reporter.report("copy", done, total)
}

impl Manager {
    /// Copies a machine that does not run. The copy is a machine of its own: it has other numbers and addresses, and is
    /// another instance for cloud-init.
    ///
    /// # Errors
    /// The name is taken, the machine is in use, no space; no copy is left then.
    pub async fn clone_machine(
        &self,
        id: VmId,
        options: CloneOptions,
        reporter: &Reporter,
    ) -> Result<Arrived> {
        let (library, layer, reporter) =
            (self.library().clone(), self.block_layer(reporter)?, reporter.clone());
        let mut original = self.lock(id).await?;
        let arrived = blocking(move || {
            let CloneOptions { name, linked, snapshot } = options;
            let identity = Identity::of_copy(&library, &original);
            let mut change = |sections: &mut Sections| identity.give(Some(&name), sections);
            let (time, medium) = (crate::time::now(), identity.seed());
            let copy = NewClone { name: &name, time, change: &mut change, medium };
            let made = match linked {
                true => original.clone_linked(&layer, snapshot.as_ref(), copy)?,
                false => original.clone_full(&layer, snapshot.as_ref(), copy, &mut copying(&reporter))?,
            };
            Ok(Arrived { id: made.id(), name: made.name().to_owned(), notes: Vec::new() })
        })
        .await?;
        self.changed();
        Ok(arrived)
    }

    /// Makes a linked clone's disks independent of the machine that it was made of; how many images were filled.
    ///
    /// # Errors
    /// The machine is in use, no space; what was done before stays done.
    pub async fn detach(&self, id: VmId, drive: Option<DriveId>, reporter: &Reporter) -> Result<usize> {
        let (layer, reporter) = (self.block_layer(reporter)?, reporter.clone());
        let mut locked = self.lock(id).await?;
        blocking(move || Ok(locked.flatten(&layer, drive.as_ref(), &mut copying(&reporter))?)).await
    }

    /// Writes a machine into a file, which is there whole or not at all; how many bytes it has.
    ///
    /// # Errors
    /// The machine is in use, no space.
    pub async fn export(&self, id: VmId, file: PathBuf, reporter: &Reporter) -> Result<u64> {
        let (layer, reporter) = (self.block_layer(reporter)?, reporter.clone());
        let machine = self.lock(id).await?;
        blocking(move || {
            let file = std::path::absolute(&file).map_err(Error::io("the file's name"))?;
            Ok(machine.export(&layer, None, &file, &mut copying(&reporter))?.bytes)
        })
        .await
    }

    /// Takes over a machine from a file of our own, a UTM bundle, an OVF description or an OVA appliance. What in it reaches
    /// out of the machine (folders, ports, QEMU's arguments) is left out and told: a caller cannot forget that.
    ///
    /// # Errors
    /// The file is damaged or of an unknown kind, the name is taken, no space; no machine is left then.
    pub async fn import(&self, file: PathBuf, name: Option<String>, reporter: &Reporter) -> Result<Arrived> {
        let (library, layer, reporter) =
            (self.library().clone(), self.block_layer(reporter)?, reporter.clone());
        let libqemu = self.libqemu()?;
        let arrived = blocking(move || {
            let (name, time) = (name.as_deref(), crate::time::now());
            let mut report = copying(&reporter);
            let progress: OnProgress<'_> = &mut report;
            let Imported { machine, notes } = match machine_file(&file)? {
                MachineFile::Foreign => {
                    let firmware = libqemu.firmware()?;
                    Foreign::read(&file)?.import(&library, &layer, &firmware, name, time, progress)?
                }
                MachineFile::Own => import_archive(&library, &file, name, time, progress)?,
            };
            Ok(Arrived { id: machine.id(), name: machine.name().to_owned(), notes })
        })
        .await?;
        self.changed();
        Ok(arrived)
    }
}
