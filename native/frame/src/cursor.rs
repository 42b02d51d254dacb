//! The guest's hardware cursor, which travels apart from the picture.

use std::sync::Arc;

/// The shape of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The column that points, inside the shape.
    pub hot_x: u32,
    /// The row that points, inside the shape.
    pub hot_y: u32,
    /// `width * height` pixels of four bytes R, G, B, A with straight alpha.
    pub rgba: Vec<u8>,
    /// Equal for equal shapes, so that a viewer is sent each only once.
    pub hash: u64,
}

impl Cursor {
    /// The longest side of a cursor; hardware has at most 256.
    pub const MAX_SIDE: u32 = 512;

    /// A cursor from QEMU's pixels: 32-bit words of ARGB in host order, so bytes B, G, R, A.
    ///
    /// A hot spot outside the shape is moved to its nearest pixel. `None` if a side is not 1 to
    /// [`Cursor::MAX_SIDE`] or there are too few bytes. (QEMU `ui/cursor.c`, `include/ui/console.h`.)
    pub fn from_bgra(width: i32, height: i32, hot_x: i32, hot_y: i32, bgra: &[u8]) -> Option<Self> {
        let side = |n: i32| u32::try_from(n).ok().filter(|n| (1..=Self::MAX_SIDE).contains(n));
        let (width, height) = (side(width)?, side(height)?);
        let length = width as usize * height as usize * 4;
        let mut rgba = bgra.get(..length)?.to_vec();
        for pixel in rgba.chunks_exact_mut(4) {
            pixel.swap(0, 2);
        }
        let within = |n: i32, side: u32| u32::try_from(n).unwrap_or(0).min(side - 1);
        let (hot_x, hot_y) = (within(hot_x, width), within(hot_y, height));
        let hash = fnv1a(
            [width, height, hot_x, hot_y].iter().flat_map(|n| n.to_le_bytes()).chain(rgba.iter().copied()),
        );
        Some(Self { width, height, hot_x, hot_y, rgba, hash })
    }
}

/// Where the cursor is and what it looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorState {
    /// The column of the hot spot; it may lie outside the screen.
    pub x: i32,
    /// The row of the hot spot.
    pub y: i32,
    /// Whether the guest shows it.
    pub visible: bool,
    /// The last shape defined, if any.
    pub shape: Option<Arc<Cursor>>,
}

/// FNV-1a with 64 bits: the same on every host and run.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_rgba_and_equal_shapes_hash_alike() {
        let a = Cursor::from_bgra(1, 2, 0, 1, &[1, 2, 3, 4, 5, 6, 7, 8]).expect("valid");
        assert_eq!(a.rgba, [3, 2, 1, 4, 7, 6, 5, 8]);
        let b = Cursor::from_bgra(1, 2, 0, 1, &[1, 2, 3, 4, 5, 6, 7, 8, 99]).expect("valid");
        assert_eq!(a, b);
        let c = Cursor::from_bgra(1, 2, 0, 0, &[1, 2, 3, 4, 5, 6, 7, 8]).expect("valid");
        assert_ne!(a.hash, c.hash);
    }

    #[test]
    fn broken_shapes_are_refused_and_hot_spots_kept_inside() {
        assert!(Cursor::from_bgra(-1, 1, 0, 0, &[0; 16]).is_none());
        assert!(Cursor::from_bgra(i32::MAX, i32::MAX, 0, 0, &[0; 16]).is_none());
        assert!(Cursor::from_bgra(2, 2, 0, 0, &[0; 15]).is_none());
        let c = Cursor::from_bgra(2, 2, -5, 77, &[0; 16]).expect("valid");
        assert_eq!((c.hot_x, c.hot_y), (0, 1));
    }
}
