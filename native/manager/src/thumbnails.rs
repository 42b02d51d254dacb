//! Small pictures of machines: what a running one shows, what a suspended one showed, else the picture of the newest snapshot.

use crate::error::{Error, Result};
use crate::fault::PictureFault;
use crate::{Condition, FRESH, Manager, blocking};
use sampan_control::{ClientError, Picture, Reply, Reporter, Request};
use sampan_frame::Size;
use sampan_library::{Bundle, Manifest, SnapshotId, VmId};
use sampan_message::{Coded, Message};
use sampan_session::Screenshot;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Pixels from left to right: a card of 320, sharp on fine screens.
pub const WIDTH: u32 = 480;

/// How long a machine may take to make one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pixels of a picture that is decoded: 8192×4320. More would take more than a hundred megabytes.
const MAX_PIXELS: u64 = 8192 * 4320;

/// The last picture of each machine, and how many are decoded at a time.
pub(crate) struct Thumbnails {
    kept: Mutex<HashMap<VmId, Kept>>,
    /// One at a time: a picture may take a hundred megabytes while it is decoded.
    decoders: Semaphore,
}

/// One picture, for the first who asks to make and others to wait for.
type Kept = Arc<tokio::sync::Mutex<Option<(Instant, std::result::Result<Picture, Message>)>>>;

impl Default for Thumbnails {
    fn default() -> Self {
        Self { kept: Mutex::default(), decoders: Semaphore::new(1) }
    }
}

/// The newest snapshot that has a picture.
fn newest_picture(manifest: &Manifest) -> Option<&SnapshotId> {
    let pictured = manifest.snapshots.iter().filter(|(_, snapshot)| snapshot.thumbnail.is_some());
    pictured.max_by_key(|(_, snapshot)| snapshot.time).map(|(id, _)| id)
}

/// A name of the picture that a machine at rest has: another picture has another name.
pub fn picture_at_rest(manifest: &Manifest) -> Option<String> {
    let suspended = manifest.suspended.as_ref().and_then(|suspended| suspended.thumbnail.as_ref());
    let shown = suspended.map(|file| file.as_str().to_owned());
    shown.or_else(|| newest_picture(manifest).map(|id| id.as_str().to_owned()))
}

impl Manager {
    /// A machine's small picture. All who ask within a second get the same.
    ///
    /// # Errors
    /// [`Error::NoPicture`]; it cannot be had in time, or not be read.
    pub async fn thumbnail(&self, id: VmId) -> Result<Picture> {
        let kept = {
            let mut all = self.thumbnails().kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(id).or_default())
        };
        let mut kept = kept.lock().await;
        match &*kept {
            Some((at, made)) if self.now().duration_since(*at) < FRESH => {
                return made.clone().map_err(Error::Told);
            }
            _ => {}
        }
        let made = self.make_thumbnail(id).await;
        match &made {
            Ok(picture) => *kept = Some((self.now(), Ok(picture.clone()))),
            Err(Error::NoPicture | Error::Library(_)) => *kept = None,
            // A machine that hangs is not asked again at once.
            Err(error) => *kept = Some((self.now(), Err(error.message()))),
        }
        made
    }

    /// The small picture of a snapshot.
    ///
    /// # Errors
    /// [`Error::NoPicture`]; there is no such snapshot, or its picture cannot be read.
    pub async fn snapshot_picture(&self, id: VmId, snapshot: SnapshotId) -> Result<Picture> {
        let bundle = self.bundle(id).await?;
        let _decoder = self.thumbnails().decoders.acquire().await.map_err(|_| Error::Thread)?;
        blocking(move || small(&bundle.thumbnail(&snapshot)?.ok_or(Error::NoPicture)?)).await
    }

    async fn make_thumbnail(&self, id: VmId) -> Result<Picture> {
        // One that hangs is not asked again and again: each question takes a place in its queue.
        let bundle = self.bundle(id).await?;
        if let Condition::Silent { pid } = self.condition(&bundle, PATIENCE).await {
            return Err(Error::Client(ClientError::Silent { pid }));
        }
        let machine = self.machine_within(id, Some(PATIENCE)).await?;
        if machine.runs() {
            return match machine.call(Request::Thumbnail { width: WIDTH }, &Reporter::new()).await? {
                Reply::Picture(picture) => Ok(picture),
                _ => Err(Error::Client(crate::machine::unexpected())),
            };
        }
        let _decoder = self.thumbnails().decoders.acquire().await.map_err(|_| Error::Thread)?;
        blocking(move || small(&at_rest(&bundle)?)).await
    }

    /// Forgets the pictures of machines that are not in the library any more.
    pub(crate) fn forget_thumbnails(&self, there: impl Fn(VmId) -> bool) {
        let mut kept = self.thumbnails().kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|id, _| there(*id));
    }
}

fn at_rest(bundle: &Bundle) -> Result<Vec<u8>> {
    if let Some(picture) = bundle.suspended_thumbnail()? {
        return Ok(picture);
    }
    let id = newest_picture(bundle.manifest()).ok_or(Error::NoPicture)?;
    bundle.thumbnail(id)?.ok_or(Error::NoPicture)
}

/// A picture made small. The file may be anybody's: bundles are imported.
fn small(file: &[u8]) -> Result<Picture> {
    let unreadable =
        |why: &dyn std::fmt::Display| Error::BadPicture(PictureFault::Unreadable { why: why.to_string() });
    let limits = png::Limits { bytes: 8 << 20 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|e| unreadable(&e))?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::BadPicture(PictureFault::Pixels { width, height, most: MAX_PIXELS }));
    }
    let length = reader.output_buffer_size().ok_or_else(|| Error::BadPicture(PictureFault::TooLarge))?;
    let mut pixels = vec![0; length];
    let info = reader.next_frame(&mut pixels).map_err(|e| unreadable(&e))?;
    pixels.truncate(info.buffer_size());
    let rgb = match info.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => rgb_of(&pixels, 4, |p| [p[0], p[1], p[2]]),
        png::ColorType::Grayscale => rgb_of(&pixels, 1, |p| [p[0]; 3]),
        png::ColorType::GrayscaleAlpha => rgb_of(&pixels, 2, |p| [p[0]; 3]),
        png::ColorType::Indexed => return Err(Error::BadPicture(PictureFault::NoPalette)),
    };
    let size = Size::new(info.width, info.height).map_err(|e| unreadable(&e))?;
    let small = Screenshot { size, rgb }.smaller(WIDTH);
    Ok(Picture { width: small.size.width, height: small.size.height, png: small.to_png() })
}

/// Pixels of so many bytes as red, green and blue; `chunks_exact` gives the closure as many.
fn rgb_of(pixels: &[u8], bytes: usize, rgb: impl Fn(&[u8]) -> [u8; 3]) -> Vec<u8> {
    pixels.chunks_exact(bytes).flat_map(rgb).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, width: u32, height: u32, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(color);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(data).expect("data");
        drop(writer);
        out
    }

    fn decoded(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
        let info = reader.next_frame(&mut pixels).expect("decodes");
        (info.width, info.height, pixels)
    }

    #[test]
    fn pictures_of_every_kind_become_small_ones() {
        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        for (color, pixel) in [
            (Rgb, &[7, 7, 7][..]),
            (Rgba, &[7, 7, 7, 255][..]),
            (Grayscale, &[7][..]),
            (GrayscaleAlpha, &[7, 255][..]),
        ] {
            let file = png(color, 960, 10, &pixel.repeat(9600));
            let (width, height, pixels) = decoded(&small(&file).expect("is made small").png);
            assert_eq!((width, height), (480, 5), "{color:?}");
            assert!(pixels.iter().all(|byte| *byte == 7), "{color:?}");
        }
        let tiny = small(&png(Rgb, 1, 1, &[1, 2, 3])).expect("stays");
        assert_eq!(decoded(&tiny.png), (1, 1, vec![1, 2, 3]));
    }

    #[test]
    fn damaged_and_huge_pictures_are_refused_in_words() {
        let good = png(png::ColorType::Rgb, 64, 64, &[9; 64 * 64 * 3]);
        for cut in [0, 8, 20, 40, good.len() / 2] {
            let error = small(good.get(..cut).expect("within")).expect_err("is cut off").to_string();
            assert!(error.contains("cannot be read"), "{error}");
        }
        // A header that promises more pixels than are shown: the first chunk's width, and its checksum again.
        let mut huge = good;
        huge.splice(16..24, [0, 0, 0xf0, 0, 0, 0, 0xf0, 0]);
        let error = small(&huge).expect_err("is too large").to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
