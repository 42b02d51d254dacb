//! Pixel formats and their conversion to one canonical form.
//!
//! Canonical is what encoders and surfaces take: four bytes B, G, R, 0xff in memory. Alpha of a scanout means
//! nothing (there is nothing behind a screen), so it is dropped.
//!
//! Two code spaces name the same layouts and must not be mixed: QEMU sends **pixman** codes with `Scanout`,
//! `ScanoutMap` and `Update`, and **DRM fourcc** codes with `ScanoutDMABUF`. A pixman code describes a word in
//! host order, a fourcc one in little-endian order; every host we run on is little-endian, where they agree.

use crate::error::ScanoutError;

#[cfg(target_endian = "big")]
compile_error!("pixman codes are read as little-endian words; add the byte orders of this host first");

/// The layout of one pixel, named by its bytes **in memory order** (packed 16-bit formats by the bits of the
/// little-endian word, most significant first).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// B, G, R, unused. Pixman `x8r8g8b8`, DRM `XR24`. QEMU's usual surface.
    Bgrx8888,
    /// B, G, R, A. Pixman `a8r8g8b8`, DRM `AR24`.
    Bgra8888,
    /// R, G, B, unused. Pixman `x8b8g8r8`, DRM `XB24`.
    Rgbx8888,
    /// R, G, B, A. Pixman `a8b8g8r8`, DRM `AB24`.
    Rgba8888,
    /// Unused, R, G, B. Pixman `b8g8r8x8`, DRM `BX24`.
    Xrgb8888,
    /// A, R, G, B. Pixman `b8g8r8a8`, DRM `BA24`.
    Argb8888,
    /// Unused, B, G, R. Pixman `r8g8b8x8`, DRM `RX24`.
    Xbgr8888,
    /// A, B, G, R. Pixman `r8g8b8a8`, DRM `RA24`.
    Abgr8888,
    /// B, G, R in three bytes. Pixman `r8g8b8`, DRM `RG24`.
    Bgr888,
    /// R, G, B in three bytes. Pixman `b8g8r8`, DRM `BG24`.
    Rgb888,
    /// A 16-bit word of 5 bits red, 6 green, 5 blue. Pixman `r5g6b5`, DRM `RG16`.
    Rgb565,
    /// A 16-bit word of 5 bits blue, 6 green, 5 red. Pixman `b5g6r5`, DRM `BG16`.
    Bgr565,
    /// A 16-bit word of 1 bit unused, 5 bits red, 5 green, 5 blue. Pixman `x1r5g5b5`, DRM `XR15`.
    Xrgb1555,
}

/// Format, pixman code (`PIXMAN_FORMAT(bpp, type, a, r, g, b)` of `pixman.h`), DRM code (`drm_fourcc.h`).
const CODES: [(PixelFormat, u32, &[u8; 4]); 15] = [
    (PixelFormat::Bgrx8888, 0x2002_0888, b"XR24"),
    (PixelFormat::Bgra8888, 0x2002_8888, b"AR24"),
    (PixelFormat::Rgbx8888, 0x2003_0888, b"XB24"),
    (PixelFormat::Rgba8888, 0x2003_8888, b"AB24"),
    (PixelFormat::Xrgb8888, 0x2008_0888, b"BX24"),
    (PixelFormat::Argb8888, 0x2008_8888, b"BA24"),
    (PixelFormat::Xbgr8888, 0x2009_0888, b"RX24"),
    (PixelFormat::Abgr8888, 0x2009_8888, b"RA24"),
    (PixelFormat::Bgr888, 0x1802_0888, b"RG24"),
    (PixelFormat::Rgb888, 0x1803_0888, b"BG24"),
    (PixelFormat::Rgb565, 0x1002_0565, b"RG16"),
    (PixelFormat::Bgr565, 0x1003_0565, b"BG16"),
    (PixelFormat::Xrgb1555, 0x1002_0555, b"XR15"),
    // With one bit of alpha, which is dropped like any other.
    (PixelFormat::Xrgb1555, 0x1002_1555, b"AR15"),
    // PIXMAN_r8g8b8_sRGB and friends do not occur in QEMU; this one does, for surfaces made as sRGB.
    (PixelFormat::Bgra8888, 0x200a_8888, b"AR24"),
];

impl PixelFormat {
    /// The format of a pixman code, as in `Scanout`, `ScanoutMap` and `Update`.
    ///
    /// # Errors
    /// [`ScanoutError::PixmanFormat`] for a code that is not known.
    pub fn from_pixman(code: u32) -> Result<Self, ScanoutError> {
        let known = CODES.iter().find(|&&(_, pixman, _)| pixman == code);
        known.map(|&(format, ..)| format).ok_or(ScanoutError::PixmanFormat(code))
    }

    /// The format of a DRM fourcc, as in `ScanoutDMABUF`.
    ///
    /// # Errors
    /// [`ScanoutError::DrmFormat`] for a code that is not known.
    pub fn from_fourcc(code: u32) -> Result<Self, ScanoutError> {
        let known = CODES.iter().find(|&&(.., fourcc)| u32::from_le_bytes(*fourcc) == code);
        known.map(|&(format, ..)| format).ok_or(ScanoutError::DrmFormat { code })
    }

    /// Bytes of one pixel.
    pub fn bytes_per_pixel(self) -> u32 {
        match self {
            Self::Bgr888 | Self::Rgb888 => 3,
            Self::Rgb565 | Self::Bgr565 | Self::Xrgb1555 => 2,
            _ => 4,
        }
    }

    /// Whether the bytes are canonical but for the fourth, so that they can be copied as they are.
    pub(crate) fn is_bgr_in_place(self) -> bool {
        matches!(self, Self::Bgrx8888 | Self::Bgra8888)
    }

    /// Converts pixels to canonical B, G, R, 0xff: as many as both slices hold in full.
    pub fn convert(self, source: &[u8], target: &mut [u8]) {
        match self {
            Self::Bgrx8888 | Self::Bgra8888 => words(source, target, |v| v),
            Self::Rgbx8888 | Self::Rgba8888 => words(source, target, swap_red_blue),
            Self::Xbgr8888 | Self::Abgr8888 => words(source, target, |v| v >> 8),
            Self::Xrgb8888 | Self::Argb8888 => words(source, target, |v| swap_red_blue(v >> 8)),
            Self::Bgr888 => triples(source, target, |[b, g, r]| [b, g, r, 0xff]),
            Self::Rgb888 => triples(source, target, |[r, g, b]| [b, g, r, 0xff]),
            Self::Rgb565 => halves(source, target, |v| [five(v), six(v >> 5), five(v >> 11), 0xff]),
            Self::Bgr565 => halves(source, target, |v| [five(v >> 11), six(v >> 5), five(v), 0xff]),
            Self::Xrgb1555 => halves(source, target, |v| [five(v), five(v >> 5), five(v >> 10), 0xff]),
        }
    }
}

/// Sets the fourth byte of each pixel, which makes copied BGRX or BGRA canonical.
pub(crate) fn make_opaque(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<4>().0 {
        *pixel = (u32::from_le_bytes(*pixel) | 0xff00_0000).to_le_bytes();
    }
}

fn words(source: &[u8], target: &mut [u8], f: impl Fn(u32) -> u32) {
    for (s, t) in source.as_chunks::<4>().0.iter().zip(target.as_chunks_mut::<4>().0) {
        *t = (f(u32::from_le_bytes(*s)) | 0xff00_0000).to_le_bytes();
    }
}

fn triples(source: &[u8], target: &mut [u8], f: impl Fn([u8; 3]) -> [u8; 4]) {
    for (s, t) in source.as_chunks::<3>().0.iter().zip(target.as_chunks_mut::<4>().0) {
        *t = f(*s);
    }
}

fn halves(source: &[u8], target: &mut [u8], f: impl Fn(u16) -> [u8; 4]) {
    for (s, t) in source.as_chunks::<2>().0.iter().zip(target.as_chunks_mut::<4>().0) {
        *t = f(u16::from_le_bytes(*s));
    }
}

fn swap_red_blue(v: u32) -> u32 {
    (v & 0x0000_ff00) | ((v & 0xff) << 16) | ((v >> 16) & 0xff)
}

/// The lowest five bits widened to eight, so that full is 0xff and none is 0.
fn five(v: u16) -> u8 {
    let v = v & 0x1f;
    ((v << 3) | (v >> 2)) as u8
}

fn six(v: u16) -> u8 {
    let v = v & 0x3f;
    ((v << 2) | (v >> 4)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One pixel of red 0x10, green 0x20, blue 0x30 (alpha or padding 0x40) as each format lays it out.
    #[test]
    fn every_code_has_its_true_byte_order() {
        const WANT: [u8; 4] = [0x30, 0x20, 0x10, 0xff];
        let vectors: [(u32, &[u8; 4], [u8; 4]); 8] = [
            (0x2002_0888, b"XR24", [0x30, 0x20, 0x10, 0x40]),
            (0x2002_8888, b"AR24", [0x30, 0x20, 0x10, 0x40]),
            (0x2003_0888, b"XB24", [0x10, 0x20, 0x30, 0x40]),
            (0x2003_8888, b"AB24", [0x10, 0x20, 0x30, 0x40]),
            (0x2008_0888, b"BX24", [0x40, 0x10, 0x20, 0x30]),
            (0x2008_8888, b"BA24", [0x40, 0x10, 0x20, 0x30]),
            (0x2009_0888, b"RX24", [0x40, 0x30, 0x20, 0x10]),
            (0x2009_8888, b"RA24", [0x40, 0x30, 0x20, 0x10]),
        ];
        for (pixman, fourcc, bytes) in vectors {
            let by_pixman = PixelFormat::from_pixman(pixman).expect("known");
            let by_fourcc = PixelFormat::from_fourcc(u32::from_le_bytes(*fourcc)).expect("known");
            assert_eq!(by_pixman, by_fourcc, "{fourcc:?}");
            let mut out = [0; 4];
            by_pixman.convert(&bytes, &mut out);
            assert_eq!(out, WANT, "{by_pixman:?}");
        }
    }

    #[test]
    fn the_codes_of_the_protocol_are_these_numbers() {
        assert_eq!(PixelFormat::from_fourcc(0x3432_5258).ok(), Some(PixelFormat::Bgrx8888));
        assert_eq!(PixelFormat::from_fourcc(0x3432_4258).ok(), Some(PixelFormat::Rgbx8888));
        assert_eq!(PixelFormat::from_fourcc(0x3432_4241).ok(), Some(PixelFormat::Rgba8888));
        assert_eq!(PixelFormat::from_fourcc(0x3432_5241).ok(), Some(PixelFormat::Bgra8888));
        assert!(PixelFormat::from_fourcc(0x2002_0888).is_err(), "a pixman code is no fourcc");
        assert!(PixelFormat::from_pixman(0x3432_5258).is_err(), "a fourcc is no pixman code");
    }

    #[test]
    fn narrow_formats_reach_full_white_and_black() {
        let cases: [(PixelFormat, &[u8], [u8; 4]); 8] = [
            (PixelFormat::Rgb565, &[0xff, 0xff], [0xff, 0xff, 0xff, 0xff]),
            (PixelFormat::Rgb565, &[0x00, 0xf8], [0x00, 0x00, 0xff, 0xff]),
            (PixelFormat::Rgb565, &[0xe0, 0x07], [0x00, 0xff, 0x00, 0xff]),
            (PixelFormat::Bgr565, &[0x00, 0xf8], [0xff, 0x00, 0x00, 0xff]),
            (PixelFormat::Xrgb1555, &[0x00, 0x7c], [0x00, 0x00, 0xff, 0xff]),
            (PixelFormat::Xrgb1555, &[0x00, 0x80], [0x00, 0x00, 0x00, 0xff]),
            (PixelFormat::Bgr888, &[1, 2, 3], [1, 2, 3, 0xff]),
            (PixelFormat::Rgb888, &[1, 2, 3], [3, 2, 1, 0xff]),
        ];
        for (format, bytes, want) in cases {
            let mut out = [0; 4];
            format.convert(bytes, &mut out);
            assert_eq!(out, want, "{format:?} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn conversion_takes_any_lengths(source in prop::collection::vec(any::<u8>(), 0..40), length in 0usize..40) {
            for (format, ..) in CODES {
                let mut out = vec![7; length];
                format.convert(&source, &mut out);
                let pixels = (source.len() / format.bytes_per_pixel() as usize).min(length / 4);
                prop_assert!(out[..pixels * 4].iter().skip(3).step_by(4).all(|&a| a == 0xff));
                prop_assert!(out[pixels * 4..].iter().all(|&b| b == 7), "wrote beyond the pixels");
            }
        }
    }
}
