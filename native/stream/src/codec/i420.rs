//! The picture an encoder reads, kept from frame to frame so that only what changed is converted.

use super::{Codec, EncodeError};
use sampan_frame::{Rect, Size, Staging};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgra_to_yuv420,
};

/// A picture in I420: planes of luma and of two chroma at half the size.
///
/// Its sides are the screen's rounded up to even numbers, because one chroma sample stands for two by two pixels; the
/// last column and row are repeated to fill them. The matrix is BT.709 or BT.601, the range limited.
pub struct I420 {
    screen: Size,
    stride: usize,
    rows: usize,
    matrix: YuvStandardMatrix,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl I420 {
    /// A black picture for a screen of `screen` pixels, with the matrix that decoders take `codec` to have: H.264 says
    /// BT.709 in its VUI, VP8 is BT.601 by its definition (RFC 6386 section 9.2).
    pub fn new(screen: Size, codec: Codec) -> Self {
        let stride = even(screen.width);
        let rows = even(screen.height);
        Self {
            screen,
            stride,
            rows,
            matrix: match codec {
                Codec::H264 => YuvStandardMatrix::Bt709,
                Codec::Vp8 => YuvStandardMatrix::Bt601,
            },
            y: vec![16; stride * rows],
            u: vec![128; stride * rows / 4],
            v: vec![128; stride * rows / 4],
        }
    }

    /// The screen's size.
    pub fn screen(&self) -> Size {
        self.screen
    }

    /// Bytes in a row of luma, and its number of columns; half of it is a row of chroma.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The rows of luma: half of it is the number of rows of chroma.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Luma, then the two chroma planes.
    pub fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.y, &self.u, &self.v)
    }

    /// Converts the rows that `damage` touches.
    ///
    /// # Errors
    /// [`EncodeError::WrongSize`] if `pixels` is not of the screen's size.
    pub fn update(&mut self, pixels: &Staging, damage: &[Rect]) -> Result<(), EncodeError> {
        let (width, height) = (self.screen.width as usize, self.screen.height as usize);
        if pixels.size != self.screen || pixels.pixels.len() < width * 4 * height {
            return Err(EncodeError::WrongSize { expected: self.screen, given: pixels.size });
        }
        for band in bands(damage, self.screen.height) {
            self.convert(&pixels.pixels, band)?;
        }
        Ok(())
    }

    /// Converts rows `from..to`: `from` is even, `to` is even or the screen's last row.
    fn convert(&mut self, pixels: &[u8], (from, to): (usize, usize)) -> Result<(), EncodeError> {
        let (width, height) = (self.screen.width as usize, self.screen.height as usize);
        let row = width * 4;
        let half = self.stride / 2;
        let to_even = to.next_multiple_of(2);
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y[from * self.stride..to * self.stride]),
            y_stride: self.stride as u32,
            u_plane: BufferStoreMut::Borrowed(&mut self.u[from / 2 * half..to_even / 2 * half]),
            u_stride: half as u32,
            v_plane: BufferStoreMut::Borrowed(&mut self.v[from / 2 * half..to_even / 2 * half]),
            v_stride: half as u32,
            width: self.screen.width,
            height: (to - from) as u32,
        };
        bgra_to_yuv420(
            &mut image,
            &pixels[from * row..to * row],
            row as u32,
            YuvRange::Limited,
            self.matrix,
            YuvConversionMode::Balanced,
        )
        .map_err(|_| EncodeError::WrongSize { expected: self.screen, given: self.screen })?;
        if self.stride > width {
            for line in self.y[from * self.stride..to * self.stride].chunks_exact_mut(self.stride) {
                line[width] = line[width - 1];
            }
        }
        if to == height && self.rows > height {
            self.y.copy_within((height - 1) * self.stride..height * self.stride, height * self.stride);
        }
        Ok(())
    }
}

fn even(side: u32) -> usize {
    side.next_multiple_of(2) as usize
}

/// The rows that `damage` touches as ascending, separate ranges that begin at even rows and end at even rows or at the
/// last one: chroma is shared by two rows, which therefore go together.
fn bands(damage: &[Rect], height: u32) -> Vec<(usize, usize)> {
    let mut bands: Vec<(usize, usize)> = damage
        .iter()
        .filter(|r| r.width > 0 && r.height > 0 && r.y < height)
        .map(|r| {
            let to = r.y.saturating_add(r.height).min(height).next_multiple_of(2).min(height);
            ((r.y & !1) as usize, to as usize)
        })
        .collect();
    bands.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(bands.len());
    for band in bands {
        match merged.last_mut() {
            Some(last) if band.0 <= last.1 => last.1 = last.1.max(band.1),
            _ => merged.push(band),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn staging(size: Size, seed: u8) -> Staging {
        let len = size.width as usize * size.height as usize * 4;
        Staging { size, pixels: (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect() }
    }

    fn whole(staging: &Staging) -> I420 {
        let mut picture = I420::new(staging.size, Codec::H264);
        picture.update(staging, &[staging.size.rect()]).expect("sizes agree");
        picture
    }

    proptest! {
        /// Converting only what changed gives the same picture as converting all of it.
        #[test]
        fn damage_is_enough(
            width in 16u32..70, height in 16u32..70,
            x in 0u32..70, y in 0u32..70, w in 1u32..70, h in 1u32..70,
        ) {
            let size = Size { width, height };
            let mut before = staging(size, 1);
            let after = staging(size, 99);
            let mut picture = whole(&before);
            let Some(rect) = (Rect { x, y, width: w, height: h }).intersect(size.rect()) else {
                return Ok(());
            };
            for row in rect.y..rect.bottom() {
                let at = |column: u32| ((row * width + column) * 4) as usize;
                let range = at(rect.x)..at(rect.right());
                before.pixels[range.clone()].copy_from_slice(&after.pixels[range]);
            }
            picture.update(&before, &[rect]).expect("sizes agree");
            let expected = whole(&before);
            prop_assert_eq!(picture.planes(), expected.planes());
        }

        #[test]
        fn bands_cover_the_damage_and_nothing_twice(
            rects in proptest::collection::vec((0u32..200, 1u32..90), 0..12), height in 1u32..150,
        ) {
            let damage: Vec<Rect> =
                rects.iter().map(|&(y, height)| Rect { x: 0, y, width: 1, height }).collect();
            let bands = bands(&damage, height);
            for pair in bands.windows(2) {
                prop_assert!(pair[0].1 < pair[1].0);
            }
            for (from, to) in &bands {
                prop_assert!(from % 2 == 0 && (to % 2 == 0 || *to == height as usize));
                prop_assert!(from < to && *to <= height as usize);
            }
            for row in 0..height {
                let damaged = damage.iter().any(|r| (r.y..r.bottom()).contains(&row));
                let covered = bands.iter().any(|(from, to)| (*from..*to).contains(&(row as usize)));
                prop_assert!(covered || !damaged);
            }
        }
    }

    #[test]
    fn black_and_white_are_limited_range() {
        let size = Size { width: 17, height: 17 };
        let mut pixels = staging(size, 0);
        pixels.pixels.fill(0xff);
        let picture = whole(&pixels);
        assert!(picture.planes().0.iter().all(|y| *y == 235));
        assert_eq!(picture.stride(), 18);
        pixels.pixels.fill(0);
        let picture = whole(&pixels);
        assert!(picture.planes().0.iter().all(|y| *y == 16));
        assert!(picture.planes().1.iter().chain(picture.planes().2).all(|c| *c == 128));
    }

    #[test]
    fn another_size_is_refused() {
        let mut picture = I420::new(Size { width: 32, height: 32 }, Codec::H264);
        let other = staging(Size { width: 16, height: 32 }, 0);
        assert!(matches!(picture.update(&other, &[]), Err(EncodeError::WrongSize { .. })));
    }
}
