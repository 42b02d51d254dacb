//! Documents of machines.

use anyhow::{Context, Result};
use sampan_config::Document;
use sampan_library::Bundle;

/// A bundle's current document.
pub fn of(bundle: &Bundle) -> Result<Document> {
    let sections = bundle.document()?;
    Document::from_files(&sections).with_context(|| format!("the machine {}", bundle.name()))
}
