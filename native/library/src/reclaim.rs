//! Merging images that no snapshot has any more into the one that is built on them.

use crate::block::{BlockLayer, OnProgress};
use crate::chain::backing_name;
use crate::error::{Error, Result};
use crate::id::FileName;
use crate::locked::Locked;
use crate::manifest::{Flattening, Manifest};
use crate::space;
use std::collections::BTreeSet;

/// One merge: `hidden` is needed by `above` alone.
struct Merge {
    hidden: FileName,
    above: FileName,
    /// Nothing is built on `above`, so it may give way to `hidden`.
    leaf: bool,
}

impl Locked {
    /// Bytes of images that only others of their bundle need: what [`Locked::reclaim`] may free some of.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn reclaimable(&self) -> Result<u64> {
        let merges = self.merges()?;
        merges.iter().try_fold(0u64, |sum, m| {
            let (below, above) = (self.image_path(&m.hidden), self.image_path(&m.above));
            Ok(sum.saturating_add(space::used(&below)?.min(space::used(&above)?)))
        })
    }

    /// Merges every image that is hidden and has one image built on it. The one that holds less is not always the one
    /// that is copied: an image that others name in their headers keeps its name. Returns how many are gone. Broken
    /// off at any moment, every state reads as before. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Cancelled`]; merges that were finished stay.
    pub fn reclaim(&mut self, layer: &dyn BlockLayer, progress: OnProgress<'_>) -> Result<usize> {
        if self.manifest().pending.is_some() {
            return Err(Error::SnapshotUnderWay);
        }
        let mut gone = 0;
        while let Some(merge) = self.merges()?.into_iter().next() {
            match merge.leaf {
                true => self.merge_down(layer, &merge, progress)?,
                false => self.merge_up(layer, &merge, progress)?,
            }
            self.collect();
            gone += 1;
        }
        Ok(gone)
    }

    fn merges(&self) -> Result<Vec<Merge>> {
        let m = self.manifest();
        let named = m.named_images();
        let used: BTreeSet<FileName> = self.library.images_used_by_others(self.id())?;
        let merge = |hidden: &FileName| {
            if named.contains(hidden) || used.contains(hidden) {
                return None;
            }
            let children = m.children(hidden);
            let [above] = children.as_slice() else { return None };
            let leaf = m.children(above).is_empty() && !used.contains(above);
            Some(Merge { hidden: hidden.clone(), above: above.clone(), leaf })
        };
        let mut merges: Vec<Merge> = m.images.keys().filter_map(merge).collect();
        // Downwards first: what is above usually holds less than what it is built on.
        merges.sort_by_key(|m| !m.leaf);
        Ok(merges)
    }

    /// What is above is copied into the hidden image, which takes its place. Until the manifest says so, what is above
    /// still hides all that is copied.
    fn merge_down(&mut self, layer: &dyn BlockLayer, merge: &Merge, progress: OnProgress<'_>) -> Result<()> {
        let (hidden, above) = (&merge.hidden, &merge.above);
        space::check(self.path(), space::used(&self.image_path(above))?)?;
        layer.commit(&self.open_chain(above)?, progress)?;
        self.fs().sync_file(&self.image_path(hidden))?;
        self.commit(|m| {
            let size = m.images.get(above).map_or(0, |i| i.size);
            if let Some(image) = m.images.get_mut(hidden) {
                image.size = image.size.max(size);
            }
            rename_image(m, above, hidden);
            Ok(())
        })
    }

    /// What the hidden image holds is copied into the one above, which others name and which therefore stays.
    fn merge_up(&mut self, layer: &dyn BlockLayer, merge: &Merge, progress: OnProgress<'_>) -> Result<()> {
        let (hidden, above) = (&merge.hidden, &merge.above);
        space::check(self.path(), space::used(&self.image_path(hidden))?)?;
        let onto = self.manifest().images.get(hidden).and_then(|i| i.base.clone());
        let backing = onto.as_ref().map(|base| self.backing(base)).transpose()?;
        let record = Flattening { image: above.clone(), onto };
        self.commit(|m| {
            m.flattening = Some(record);
            Ok(())
        })?;
        let chain = self.open_chain(above)?;
        let flattened = layer.flatten(&chain, 2, backing.as_ref(), progress);
        if flattened.is_ok() {
            self.fs().sync_file(&self.image_path(above))?;
        }
        // Failed or not, the header says how far it came.
        self.settle_flattening()?;
        Ok(flattened?)
    }

    /// Takes over what the header of an image says whose base was being copied into it.
    pub(crate) fn settle_flattening(&mut self) -> Result<()> {
        let Some(Flattening { image, onto }) = self.manifest().flattening.clone() else { return Ok(()) };
        let format = self.manifest().images.get(&image).map(|i| i.format);
        // An image that cannot be read is told when the machine starts.
        let header = format.and_then(|f| crate::chain::header(&self.image_path(&image), f).ok());
        let done = header.is_some_and(|h| h.backing_file == onto.as_ref().map(backing_name));
        self.commit(|m| {
            m.flattening = None;
            if done && let Some(record) = m.images.get_mut(&image) {
                record.base = onto;
            }
            Ok(())
        })
    }
}

/// Lets `to` stand wherever a state names `from`.
fn rename_image(m: &mut Manifest, from: &FileName, to: &FileName) {
    let snapshots = m.snapshots.values_mut().map(|s| &mut s.drives);
    let suspended = m.suspended.iter_mut().map(|s| &mut s.drives);
    let states = snapshots.chain(suspended).chain([&mut m.drives]);
    let removed = m.removed.iter_mut().map(|r| &mut r.image);
    states.flat_map(|d| d.values_mut()).chain(removed).filter(|i| *i == from).for_each(|i| i.clone_from(to));
}
