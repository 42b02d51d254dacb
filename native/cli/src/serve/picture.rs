//! Small pictures of machines: what a running one shows, else what the newest snapshot's picture does.

use super::fault::Fault;
use super::machines::{Machine, Machines};
use crate::control::Request;
use crate::control::ask::{AskError, ask};
use axum::body::Bytes;
use base64::Engine as _;
use sampan_frame::Size;
use sampan_library::{Bundle, Manifest, SnapshotId};
use sampan_session::Screenshot;
use serde_json::Value;
use std::io::Cursor;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Pixels from left to right: a card of 320, twice as sharp on fine screens.
const WIDTH: u32 = 480;

/// How long a picture serves all who ask.
const KEPT: Duration = Duration::from_secs(1);

/// How long a machine may take to make one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pixels of a picture that is made smaller: 8192×4320. More would take more than a hundred megabytes.
const MAX_PIXELS: u64 = 8192 * 4320;

/// The last picture of a machine, or why there was none.
pub struct Picture {
    at: Instant,
    png: Result<Bytes, Fault>,
}

/// The newest snapshot that has a picture.
pub fn newest(manifest: &Manifest) -> Option<&SnapshotId> {
    let pictured = manifest.snapshots.iter().filter(|(_, snapshot)| snapshot.thumbnail.is_some());
    pictured.max_by_key(|(_, snapshot)| snapshot.time).map(|(id, _)| id)
}

/// A machine's picture as PNG. Whoever asks in the same second gets the same.
///
/// # Errors
/// There is none, or it cannot be had, in words.
pub async fn picture(machines: &Machines, machine: &Machine, bundle: Bundle) -> Result<Bytes, Fault> {
    if machine.silent.load(Ordering::Relaxed) {
        return Err(AskError::Silent.into());
    }
    let mut kept = machine.picture.lock().await;
    if let Some(picture) = kept.as_ref().filter(|picture| picture.at.elapsed() < KEPT) {
        return picture.png.clone();
    }
    let png = fresh(machines, bundle).await;
    *kept = Some(Picture { at: Instant::now(), png: png.clone() });
    png
}

async fn fresh(machines: &Machines, bundle: Bundle) -> Result<Bytes, Fault> {
    let shot = ask(bundle.path(), &Request::Screenshot, PATIENCE).await?;
    let _decoder = machines.decoders.acquire().await.map_err(Fault::failed)?;
    let made = tokio::task::spawn_blocking(move || match shot {
        Some(answer) => small(&bytes_of(&answer)?),
        None => small(&of_snapshot(&bundle)?),
    });
    made.await.map_err(Fault::failed)?
}

fn bytes_of(answer: &Value) -> Result<Vec<u8>, Fault> {
    let text = answer["png"].as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(text).map_err(unreadable)
}

fn of_snapshot(bundle: &Bundle) -> Result<Vec<u8>, Fault> {
    let none = || Fault::missing("the machine does not run, and no snapshot of it has a picture");
    let id = newest(bundle.manifest()).ok_or_else(none)?;
    bundle.thumbnail(id).map_err(Fault::failed)?.ok_or_else(none)
}

fn unreadable(error: impl std::fmt::Display) -> Fault {
    Fault::failed(format_args!("the machine's picture cannot be read: {error}"))
}

/// A picture made small, as PNG again. The file may be anybody's: bundles are imported.
fn small(file: &[u8]) -> Result<Bytes, Fault> {
    let limits = png::Limits { bytes: 8 << 20 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(unreadable)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(unreadable(format_args!(
            "it has {width}×{height} pixels, at most {MAX_PIXELS} are shown"
        )));
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or_else(|| unreadable("it is too large"))?];
    let info = reader.next_frame(&mut pixels).map_err(unreadable)?;
    pixels.truncate(info.buffer_size());
    let rgb = match info.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => strip(&pixels, 4, |p| [p[0], p[1], p[2]]),
        png::ColorType::Grayscale => strip(&pixels, 1, |p| [p[0]; 3]),
        png::ColorType::GrayscaleAlpha => strip(&pixels, 2, |p| [p[0]; 3]),
        png::ColorType::Indexed => return Err(unreadable("its palette is missing")),
    };
    let size = Size::new(info.width, info.height).map_err(unreadable)?;
    Ok(Screenshot { size, rgb }.smaller(WIDTH).to_png().into())
}

/// Pixels of so many bytes as red, green and blue; `chunks_exact` gives the closure as many.
fn strip(pixels: &[u8], bytes: usize, rgb: impl Fn(&[u8]) -> [u8; 3]) -> Vec<u8> {
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
            let (width, height, pixels) = decoded(&small(&file).expect("is made small"));
            assert_eq!((width, height), (480, 5), "{color:?}");
            assert!(pixels.iter().all(|byte| *byte == 7), "{color:?}");
        }
        let tiny = small(&png(Rgb, 1, 1, &[1, 2, 3])).expect("stays");
        assert_eq!(decoded(&tiny), (1, 1, vec![1, 2, 3]));
    }

    #[test]
    fn damaged_and_huge_pictures_are_refused_in_words() {
        let good = png(png::ColorType::Rgb, 64, 64, &[9; 64 * 64 * 3]);
        for cut in [0, 8, 20, 40, good.len() / 2] {
            let fault = small(good.get(..cut).expect("within")).expect_err("is cut off");
            assert!(fault.words.contains("cannot be read"), "{}", fault.words);
        }
        // A header that promises more pixels than are shown: the first chunk's width, and its checksum again.
        let mut huge = good;
        huge.splice(16..24, [0, 0, 0xf0, 0, 0, 0, 0xf0, 0]);
        let fault = small(&huge).expect_err("is too large");
        assert!(fault.words.contains("cannot be read"), "{}", fault.words);
    }
}
