//! QEMU's word for an output that its guest does not use.
//!
//! The display's interface does not tell whether an output of a card is on: in the place of a picture QEMU draws
//! "Display output is not active." (`dpy_gfx_replace_surface` and `qemu_create_placeholder_surface` in `ui/console.c`),
//! black and grey, in the middle of a surface of the size that was last shown. So this is recognized by its letters.

use sampan_frame::{Rect, Scanout};

/// Columns and rows of a letter of QEMU's font (`vgafont16` in `ui/vgafont.h`).
const LETTER: (u32, u32) = (8, 16);

/// Letters of the sentence.
const LETTERS: u32 = 29;

/// FNV-1a of the sentence as that font has it: a byte for eight pixels, the leftmost the highest bit, rows from the top.
const SENTENCE: u64 = 0x2336_4539_d2f1_2f19;

/// Whether a picture is that sentence. A picture of which the part in question cannot be read is not.
pub(crate) fn is_inactive(scanout: &Scanout) -> bool {
    let size = scanout.size();
    let (columns, rows) = (size.width / LETTER.0, size.height / LETTER.1);
    if columns < LETTERS || rows == 0 {
        return false;
    }
    let rect = Rect {
        x: (columns - LETTERS) / 2 * LETTER.0,
        y: (rows - 1) / 2 * LETTER.1,
        width: LETTERS * LETTER.0,
        height: LETTER.1,
    };
    let stride = size.width as usize * 4;
    // Zeroed memory is mapped lazily, so only the rows in question cost anything.
    let mut frame = vec![0; stride * size.height as usize];
    if scanout.read(rect, &mut frame, stride).is_err() {
        return false;
    }
    let rows = frame.chunks_exact(stride).skip(rect.y as usize).take(rect.height as usize);
    let left = rect.x as usize * 4;
    let pixels = rows.flat_map(|row| row[left..left + rect.width as usize * 4].chunks_exact(32));
    let hash = pixels.fold(0xcbf2_9ce4_8422_2325_u64, |hash, eight| {
        let lit = |pixel: &[u8]| pixel[..3] != [0, 0, 0];
        let byte = eight.chunks_exact(4).fold(0_u64, |byte, pixel| (byte << 1) | u64::from(lit(pixel)));
        (hash ^ byte).wrapping_mul(0x100_0000_01b3)
    });
    hash == SENTENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_frame::Size;

    #[test]
    fn other_pictures_are_none_of_it() {
        for (width, height) in [(1, 1), (231, 16), (232, 16), (640, 480)] {
            assert!(!is_inactive(&Scanout::blank(Size { width, height })), "{width} x {height}");
        }
    }
}
