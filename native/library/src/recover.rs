//! What a machine's next holder finishes of what interrupted the last one.

use crate::chain::header;
use crate::error::Result;
use crate::id::FileName;
use crate::locked::Locked;

impl Locked {
    pub(crate) fn recover(&mut self) -> Result<()> {
        self.settle_pending()?;
        self.settle_flattening()?;
        self.settle_sizes()
    }

    /// A drive may have been grown, here or by QEMU, without its manifest hearing of it: its header is right. An image
    /// that cannot be read is told when the machine starts, not here, so that it can still be repaired or deleted.
    fn settle_sizes(&mut self) -> Result<()> {
        let m = self.manifest();
        let grown: Vec<(FileName, u64)> = m
            .drives
            .values()
            .filter_map(|name| m.images.get(name).map(|record| (name, record)))
            .filter_map(|(name, record)| {
                let size = header(&self.image_path(name), record.format).ok()?.virtual_size;
                (size != record.size).then(|| (name.clone(), size))
            })
            .collect();
        if grown.is_empty() {
            return Ok(());
        }
        self.commit(|m| {
            for (name, size) in grown {
                if let Some(image) = m.images.get_mut(&name) {
                    image.size = size;
                }
            }
            Ok(())
        })
    }
}
