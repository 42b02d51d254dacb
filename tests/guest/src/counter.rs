//! The frame counter: 32 bits as black and white blocks in the top left corner of the screen.
//!
//! 20 × 2 blocks of 16 × 16 pixels cover 320 × 32 pixels. The first four blocks of the upper row are the marker
//! white, black, white, white, then follow bits 31 to 16; the first four of the lower row are the check, then bits
//! 15 to 0. White is 1. The check is the exclusive or of the counter's eight hexadecimal digits and [`CHECK`], so that
//! an all-black or all-white corner, and most frames torn in the middle, are refused.
//!
//! A block of 16 × 16 pixels is a whole H.264 macroblock in black or white: its middle survives any sane quality.

use crate::rect::Rect;

/// Side of a block in pixels.
pub const BLOCK: u32 = 16;
/// Blocks in a row.
pub const COLUMNS: u32 = 20;
/// Rows of blocks.
pub const ROWS: u32 = 2;
/// Width of the strip in pixels.
pub const WIDTH: u32 = BLOCK * COLUMNS;
/// Height of the strip in pixels.
pub const HEIGHT: u32 = BLOCK * ROWS;
/// The pixels that the counter covers.
pub const STRIP: Rect = Rect::new(0, 0, WIDTH, HEIGHT);
/// The marker, most significant bit first.
pub const MARKER: u32 = 0b1011;
/// What the check digit of 0 is.
pub const CHECK: u32 = 0b0101;

/// Mean luma up to which a block is black.
const BLACK: u32 = 80;
/// Mean luma from which a block is white.
const WHITE: u32 = 175;

/// The check digit of a counter.
#[must_use]
pub const fn check(counter: u32) -> u32 {
    let folded = counter ^ (counter >> 16);
    let folded = folded ^ (folded >> 8);
    ((folded ^ (folded >> 4)) & 0xf) ^ CHECK
}

/// The two rows as numbers of [`COLUMNS`] bits, the leftmost block being the most significant.
const fn rows(counter: u32) -> [u32; ROWS as usize] {
    [(MARKER << 16) | (counter >> 16), (check(counter) << 16) | (counter & 0xffff)]
}

/// Every block of a counter with its colour, `true` for white.
pub fn blocks(counter: u32) -> impl Iterator<Item = (Rect, bool)> {
    (0_u32..).zip(rows(counter)).flat_map(|(row, bits)| {
        (0..COLUMNS).map(move |column| {
            let rect = Rect::new(column * BLOCK, row * BLOCK, BLOCK, BLOCK);
            (rect, bits >> (COLUMNS - 1 - column) & 1 == 1)
        })
    })
}

/// Reads the counter of a picture of `width` × `height` pixels whose brightness (0–255) `luma(x, y)` tells.
///
/// `None` when there is no counter, when a block is neither black nor white, or when the check does not fit: a torn or
/// badly damaged frame is never taken for another one.
pub fn decode(luma: impl FnMut(u32, u32) -> u8, width: u32, height: u32) -> Option<u32> {
    decode_scaled(luma, width, height, 1.0)
}

/// As [`decode`], for a picture that was scaled by `scale` on its way, keeping its top left corner.
pub fn decode_scaled(
    mut luma: impl FnMut(u32, u32) -> u8,
    width: u32,
    height: u32,
    scale: f64,
) -> Option<u32> {
    let block = f64::from(BLOCK) * scale;
    // Below four pixels a block has no middle that its neighbours leave alone.
    if !(4.0..=4096.0).contains(&block)
        || block * f64::from(COLUMNS) > f64::from(width)
        || block * f64::from(ROWS) > f64::from(height)
    {
        return None;
    }
    let mut found = [0_u32; ROWS as usize];
    for (row, bits) in (0_u32..).zip(found.iter_mut()) {
        for column in 0..COLUMNS {
            // 4 × 4 samples across the middle half of the block.
            let mut sum = 0;
            for sample in 0..16_u32 {
                let at = |index: u32, step: u32| {
                    (block * (f64::from(index) + 0.25 + f64::from(step) * 0.5 / 3.0)) as u32
                };
                sum += u32::from(luma(at(column, sample % 4), at(row, sample / 4)));
            }
            let white = match sum / 16 {
                mean if mean <= BLACK => 0,
                mean if mean >= WHITE => 1,
                _ => return None,
            };
            *bits = *bits << 1 | white;
        }
    }
    let counter = found[0] << 16 | found[1] & 0xffff;
    (rows(counter) == found).then_some(counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u32 = 400;
    const H: u32 = 100;

    fn painted(counter: u32, black: u8, white: u8) -> Vec<u8> {
        let mut luma = vec![128; (W * H) as usize];
        for (block, bit) in blocks(counter) {
            for y in block.y..block.bottom() {
                for x in block.x..block.right() {
                    luma[(y * W + x) as usize] = if bit { white } else { black };
                }
            }
        }
        luma
    }

    fn read(luma: &[u8]) -> Option<u32> {
        decode(|x, y| luma[(y * W + x) as usize], W, H)
    }

    #[test]
    fn every_bit_survives() {
        for counter in (0..32).map(|bit| 1_u32 << bit).chain([0, 1, 0xffff, 0x1_0000, 0x1234_5678, u32::MAX])
        {
            assert_eq!(read(&painted(counter, 0, 255)), Some(counter), "{counter:#x}");
        }
    }

    #[test]
    fn video_range_and_noise_are_read_and_grey_is_not() {
        let mut luma = painted(77, 16, 235);
        for (i, pixel) in luma.iter_mut().enumerate() {
            *pixel = pixel.saturating_add((i * 37 % 31) as u8).saturating_sub((i * 53 % 29) as u8);
        }
        assert_eq!(read(&luma), Some(77));
        assert_eq!(read(&painted(77, 90, 160)), None);
    }

    #[test]
    fn plain_corners_and_torn_frames_are_refused() {
        for level in [0, 128, 255] {
            assert_eq!(read(&vec![level; (W * H) as usize]), None);
        }
        // The upper row of one frame over the lower row of the next.
        let (old, new) = (painted(0x0000_ffff, 0, 255), painted(0x0001_0000, 0, 255));
        let seam = (BLOCK * W) as usize;
        let torn: Vec<u8> = new[..seam].iter().chain(&old[seam..]).copied().collect();
        assert_eq!(read(&torn), None);
    }

    #[test]
    fn a_scaled_picture_is_read_with_its_scale_only() {
        let luma = painted(0xcafe_f00d, 0, 255);
        for scale in [0.5, 0.75, 1.5, 2.0] {
            let at = |v: u32| (f64::from(v) / scale) as u32;
            let (w, h) = ((f64::from(W) * scale) as u32, (f64::from(H) * scale) as u32);
            let shown = |x, y| luma[(at(y).min(H - 1) * W + at(x).min(W - 1)) as usize];
            assert_eq!(decode_scaled(shown, w, h, scale), Some(0xcafe_f00d), "{scale}");
            assert_eq!(decode(shown, w, h), None, "{scale}");
        }
    }

    #[test]
    fn a_picture_that_is_too_small_is_never_sampled() {
        assert_eq!(decode(|_, _| panic!("sampled"), WIDTH - 1, HEIGHT), None);
        assert_eq!(decode(|_, _| panic!("sampled"), WIDTH, HEIGHT - 1), None);
        assert_eq!(decode_scaled(|_, _| panic!("sampled"), 1 << 20, 1 << 20, f64::NAN), None);
    }
}
