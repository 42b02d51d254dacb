//! The media of the library: images and CDs that machines are made of.

use super::{check_medium_name, content, forget_origin};
use crate::error::{Error, Result};
use crate::fault::Unfit;
use crate::findings::{Confirmed, confirm};
use crate::transfer::copying;
use crate::{Manager, blocking};
use sampan_config::{Finding, Severity};
use sampan_control::Reporter;
use sampan_library::image::Content;
use sampan_library::{IfNoReflink, Medium};
use sampan_message::Message;
use std::path::{Path, PathBuf};

/// A medium of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediumInfo {
    /// The medium.
    pub medium: Medium,
    /// The machines that name it, also those in the trash.
    pub used_by: Vec<String>,
}

/// What a person may not have meant: a file that is neither a CD nor a disk.
fn doubt(file: &Path) -> Result<Option<Finding>> {
    let content = content(file)?;
    let shown = file.display();
    let message = match (content, content.kind()) {
        (_, Some(kind)) => {
            Message::new("not_a_medium", format!("{shown}: this is {}: {}", kind.words(), kind.remedy()))
                .with("what", kind.name())
        }
        (Content::Unknown, _) => {
            Message::new("not_a_medium", format!("{shown}: this looks like neither a CD nor a disk image"))
        }
        _ => return Ok(None),
    };
    Ok(Some(Finding::new(Severity::Confirm, "medium", message.with("path", file))))
}

impl Manager {
    /// The media, by name.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn media(&self) -> Result<Vec<MediumInfo>> {
        let library = self.library().clone();
        blocking(move || {
            let info = |medium: Medium| {
                let used_by = library.medium_users(&medium.name)?;
                Ok(MediumInfo { medium, used_by })
            };
            library.media()?.into_iter().map(info).collect()
        })
        .await
    }

    /// Takes a file into the library; without a name by its own.
    ///
    /// # Errors
    /// [`Error::NeedsConfirm`] for what is neither a CD nor a disk image; the name cannot be used or is taken, no space.
    pub async fn add_medium(
        &self,
        file: PathBuf,
        name: Option<String>,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<Medium> {
        let (library, confirmed, reporter) = (self.library().clone(), confirmed.clone(), reporter.clone());
        let medium = blocking(move || {
            let own = file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let name = name.or(own).ok_or_else(|| Error::unfit("name", &Unfit::NameNotUnicode))?;
            check_medium_name(&name)?;
            confirm(Vec::from_iter(doubt(&file)?), &confirmed)?;
            Ok(library.add_medium(&file, &name, IfNoReflink::Link, &mut copying(&reporter))?)
        })
        .await?;
        self.changed();
        Ok(medium)
    }

    /// Removes a medium that no machine uses.
    ///
    /// # Errors
    /// There is none of the name, or a machine names it.
    pub async fn remove_medium(&self, name: &str) -> Result<()> {
        let (library, name) = (self.library().clone(), name.to_owned());
        blocking(move || {
            library.remove_medium(&name)?;
            forget_origin(&library, &name);
            Ok(())
        })
        .await?;
        self.changed();
        Ok(())
    }
}
