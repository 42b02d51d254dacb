//! The picture an encoder reads, kept from frame to frame so that only what changed is converted.

use super::{Codec, EncodeError};
use sampan_frame::{Rect, Size, Staging};
use yuv::{
    BufferStoreMut, YuvBiPlanarImage, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix, bgra_to_yuv420, bgra_to_yuv444, yuv_nv12_to_bgra, yuv444_to_bgra,
};

/// How many samples of chroma a picture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// One of each for two by two pixels (4:2:0).
    Half,
    /// One of each for every pixel (4:4:4).
    Full,
}

/// A picture in planes: luma, and two of chroma.
///
/// In 4:2:0 its sides are the screen's rounded up to even numbers, because one chroma sample stands for two by two pixels; the
/// last column and row are repeated to fill them. In 4:4:4 they are the screen's.
pub struct Planar {
    screen: Size,
    stride: usize,
    rows: usize,
    colours: Colours,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

/// How colours become samples.
#[derive(Clone, Copy)]
struct Colours {
    sampling: Sampling,
    range: YuvRange,
    matrix: YuvStandardMatrix,
}

impl Colours {
    /// Those that decoders take `codec` to have: H.264 says BT.709 and its range in its VUI, VP8 is limited BT.601 by its
    /// definition (RFC 6386 section 9.2).
    fn of(codec: Codec) -> Self {
        let (sampling, range, matrix) = match codec {
            Codec::H264 => (Sampling::Half, YuvRange::Limited, YuvStandardMatrix::Bt709),
            Codec::H264Full => (Sampling::Full, YuvRange::Full, YuvStandardMatrix::Bt709),
            Codec::Vp8 => (Sampling::Half, YuvRange::Limited, YuvStandardMatrix::Bt601),
        };
        Self { sampling, range, matrix }
    }
}

impl Planar {
    /// A black picture for a screen of `screen` pixels, as `codec` takes it.
    pub fn new(screen: Size, codec: Codec) -> Self {
        let colours = Colours::of(codec);
        let (stride, rows) = match colours.sampling {
            Sampling::Half => (even(screen.width), even(screen.height)),
            Sampling::Full => (screen.width as usize, screen.height as usize),
        };
        let area = stride * rows;
        let chroma = if colours.sampling == Sampling::Half { area / 4 } else { area };
        let black = if matches!(colours.range, YuvRange::Full) { 0 } else { 16 };
        Self {
            screen,
            stride,
            rows,
            colours,
            y: vec![black; area],
            u: vec![128; chroma],
            v: vec![128; chroma],
        }
    }

    /// The screen's size.
    pub fn screen(&self) -> Size {
        self.screen
    }

    /// How many samples of chroma there are.
    pub fn sampling(&self) -> Sampling {
        self.colours.sampling
    }

    /// Whether samples take all values of a byte, instead of 16 to 235 or 240.
    pub fn full_range(&self) -> bool {
        matches!(self.colours.range, YuvRange::Full)
    }

    /// Bytes in a row of luma, and its number of columns.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes in a row of chroma, and its number of columns.
    pub fn chroma_stride(&self) -> usize {
        self.across(self.stride)
    }

    /// The rows of luma.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// So many samples of luma, a row or a column of them, in samples of chroma.
    fn across(&self, luma: usize) -> usize {
        if self.colours.sampling == Sampling::Half { luma / 2 } else { luma }
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
        let half = self.colours.sampling == Sampling::Half;
        let chroma_stride = self.chroma_stride();
        let to_even = if half { to.next_multiple_of(2) } else { to };
        let chroma = self.across(from) * chroma_stride..self.across(to_even) * chroma_stride;
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y[from * self.stride..to * self.stride]),
            y_stride: self.stride as u32,
            u_plane: BufferStoreMut::Borrowed(&mut self.u[chroma.clone()]),
            u_stride: chroma_stride as u32,
            v_plane: BufferStoreMut::Borrowed(&mut self.v[chroma]),
            v_stride: chroma_stride as u32,
            width: self.screen.width,
            height: (to - from) as u32,
        };
        let convert = if half { bgra_to_yuv420 } else { bgra_to_yuv444 };
        convert(
            &mut image,
            &pixels[from * row..to * row],
            row as u32,
            self.colours.range,
            self.colours.matrix,
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

/// Planes as an encoder's decoder has them: bytes and bytes a row of each. In 4:2:0 there are two, the second with U and V in turn.
pub(super) type Decoded<'a> = [Option<(&'a [u8], usize)>; 3];

impl Planar {
    /// Pixels of the screen's size, as a viewer makes them of planes like these.
    pub(super) fn pixels(&self, decoded: &Decoded<'_>) -> Option<Staging> {
        let (width, height) = (self.screen.width, self.screen.height);
        let row = width * 4;
        let mut pixels = vec![0; row as usize * height as usize];
        let (y_plane, y_stride) = decoded[0]?;
        let (first, first_stride) = decoded[1]?;
        let (y_stride, chroma_stride) = (y_stride as u32, first_stride as u32);
        let Colours { range, matrix, sampling } = self.colours;
        let done = match sampling {
            Sampling::Half => {
                let (uv_plane, uv_stride) = (first, chroma_stride);
                let image = YuvBiPlanarImage { y_plane, y_stride, uv_plane, uv_stride, width, height };
                yuv_nv12_to_bgra(&image, &mut pixels, row, range, matrix, YuvConversionMode::Balanced)
            }
            Sampling::Full => {
                let (v_plane, v_stride) = decoded[2]?;
                let (u_plane, u_stride, v_stride) = (first, chroma_stride, v_stride as u32);
                let image =
                    YuvPlanarImage { y_plane, y_stride, u_plane, u_stride, v_plane, v_stride, width, height };
                yuv444_to_bgra(&image, &mut pixels, row, range, matrix)
            }
        };
        done.ok()?;
        Some(Staging { size: self.screen, pixels })
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

    fn whole(staging: &Staging) -> Planar {
        let mut picture = Planar::new(staging.size, Codec::H264);
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
    fn every_pixel_keeps_its_colour_in_full_sampling() {
        let size = Size { width: 17, height: 5 };
        let pixels = staging(size, 7);
        let mut picture = Planar::new(size, Codec::H264Full);
        picture.update(&pixels, &[size.rect()]).expect("sizes agree");
        assert_eq!((picture.stride(), picture.chroma_stride(), picture.rows()), (17, 17, 5));
        let (y, u, v) = picture.planes();
        let back = picture.pixels(&[Some((y, 17)), Some((u, 17)), Some((v, 17))]).expect("pixels");
        for (before, after) in pixels.pixels.chunks_exact(4).zip(back.pixels.chunks_exact(4)) {
            for channel in 0..3 {
                assert!(before[channel].abs_diff(after[channel]) <= 2, "{before:?} became {after:?}");
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
        let mut picture = Planar::new(Size { width: 32, height: 32 }, Codec::H264);
        let other = staging(Size { width: 16, height: 32 }, 0);
        assert!(matches!(picture.update(&other, &[]), Err(EncodeError::WrongSize { .. })));
    }
}
