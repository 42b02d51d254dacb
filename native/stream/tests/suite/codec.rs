//! What the encoders make, read back by a decoder and by the standards' own tables.

use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use sampan_frame::{Rect, Size, Staging};
use sampan_stream::codec::{AccessUnit, Codec, EncodeError, Encoder, Kind, Picture, Settings, encoder};
use std::time::Duration;

fn settings(width: u32, height: u32) -> Settings {
    Settings { size: Size { width, height }, max_fps: 60, bitrate: 8_000_000 }
}

/// A grey picture with a bright square at the bottom right, where rounding and cropping would show.
fn picture(size: Size, bright: u8) -> Staging {
    let mut staging = Staging::new();
    staging.size = size;
    staging.pixels = vec![0x40; size.area() as usize * 4];
    for y in size.height - 8..size.height {
        for x in size.width - 8..size.width {
            let at = (y as usize * size.width as usize + x as usize) * 4;
            staging.pixels[at..at + 3].fill(bright);
        }
    }
    staging
}

fn encode(encoder: &mut Box<dyn Encoder>, pixels: &Staging, frame: u64, kind: Kind) -> AccessUnit {
    let damage = [pixels.size.rect()];
    let at = Duration::from_millis(frame * 17);
    let unit = encoder.encode(Picture { pixels, damage: &damage, at }, kind).expect("encodes");
    unit.expect("a picture")
}

#[test]
fn h264_of_any_size_decodes_to_the_screen_rounded_up_to_even() {
    for (width, height) in [(640, 480), (641, 480), (640, 481), (1365, 767), (17, 33), (1920, 1080), (16, 16)]
    {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::H264, settings(width, height)).expect("a size it takes");
        let mut decoder = Decoder::new().expect("a decoder");
        for frame in 0..4 {
            let pixels = picture(size, if frame % 2 == 0 { 0xff } else { 0xc0 });
            let kind = if frame == 2 { Kind::Refined } else { Kind::Delta };
            let unit = encode(&mut encoder, &pixels, frame, kind);
            assert_eq!(unit.key, frame == 0 || frame == 2, "{size} frame {frame}");
            let decoded =
                decoder.decode(&unit.data).expect("decodes").expect("at once: nothing is reordered");
            let (w, h) = decoded.dimensions();
            assert_eq!((w, h), (width.next_multiple_of(2) as usize, height.next_multiple_of(2) as usize));
            // Limited range: 16 + 219 * value / 255.
            let luma = |x: u32, y: u32| i32::from(decoded.y()[y as usize * decoded.strides().0 + x as usize]);
            let bright = if frame % 2 == 0 { 235 } else { 181 };
            assert!((luma(width - 4, height - 4) - bright).abs() < 12, "{size} frame {frame}");
            assert!((luma(w as u32 - 1, h as u32 - 1) - bright).abs() < 12, "the last column is repeated");
            assert!((luma(1, 1) - 71).abs() < 6, "{size} frame {frame}");
        }
    }
}

#[test]
fn h264_says_constrained_baseline_its_level_and_its_colours() {
    // Level limits in macroblocks per picture (H.264 table A-1).
    for (width, height, level) in
        [(640, 480, 30), (1280, 720, 31), (1920, 1080, 40), (2560, 1440, 50), (4096, 2304, 51)]
    {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::H264, settings(width, height)).expect("a size it takes");
        let unit = encode(&mut encoder, &picture(size, 0xff), 0, Kind::Key);
        let sps = sps::read(&unit.data);
        assert_eq!(sps.profile, 66, "baseline");
        assert!(sps.constraints & 0x40 != 0, "constrained");
        assert!(sps.level >= level, "{size}: level {} below {level}", sps.level);
        assert_eq!((sps.width, sps.height), (width, height));
        assert_eq!(sps.colours, Some((false, 1, 1, 1)), "limited range BT.709");
        assert_eq!(sps.reorder, Some(0), "shown as they come");
    }
}

#[test]
fn a_refined_picture_is_sharper_than_what_the_rate_allowed() {
    let size = Size { width: 1280, height: 720 };
    let mut pixels = picture(size, 0xff);
    for (i, pixel) in pixels.pixels.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % 1280, i / 1280);
        pixel[..3].fill(if (x * 7 + y * 13) % 11 < 4 && y % 16 < 11 { 0x10 } else { 0xe0 });
    }
    let error = |unit: &AccessUnit, decoder: &mut Decoder| -> f64 {
        let decoded = decoder.decode(&unit.data).expect("decodes").expect("a picture");
        let (stride, y) = (decoded.strides().0, decoded.y());
        let mut sum = 0.0;
        for (i, pixel) in pixels.pixels.chunks_exact(4).enumerate() {
            let ideal = 16.0 + 219.0 * f64::from(pixel[0]) / 255.0;
            sum += (f64::from(y[i / 1280 * stride + i % 1280]) - ideal).powi(2);
        }
        sum / size.area() as f64
    };
    let low = Settings { bitrate: 1_000_000, ..settings(1280, 720) };
    let mut encoder = encoder(Codec::H264, low).expect("a size it takes");
    let mut decoder = Decoder::new().expect("a decoder");
    let first = encode(&mut encoder, &pixels, 0, Kind::Key);
    let rough = error(&first, &mut decoder);
    let refined = encode(&mut encoder, &pixels, 1, Kind::Refined);
    let sharp = error(&refined, &mut decoder);
    assert!(refined.key && sharp * 4.0 < rough, "mean square error {rough} then {sharp}");
    // And the rate control is back afterwards.
    let next = encode(&mut encoder, &pixels, 2, Kind::Key);
    assert!(next.data.len() * 3 < refined.data.len() * 2, "{} then {}", refined.data.len(), next.data.len());
}

#[test]
fn the_bit_rate_can_be_changed_on_the_way() {
    let size = Size { width: 1280, height: 720 };
    let mut encoder = encoder(Codec::H264, settings(1280, 720)).expect("a size it takes");
    let mut pixels = picture(size, 0xff);
    let mut bytes = |encoder: &mut Box<dyn Encoder>, from: u64| -> usize {
        let mut total = 0;
        for frame in from..from + 40 {
            for (i, pixel) in pixels.pixels.chunks_exact_mut(4).enumerate() {
                let noise = (i as u64 * 2_654_435_761 + frame * 40_503) >> 7;
                pixel[..3].fill(0x80 + (noise as u8 & 0x1f));
            }
            total += encode(encoder, &pixels, frame, Kind::Delta).data.len();
        }
        total
    };
    encoder.set_bitrate(16_000_000).expect("accepted");
    let high = bytes(&mut encoder, 0);
    encoder.set_bitrate(2_000_000).expect("accepted");
    bytes(&mut encoder, 40);
    let low = bytes(&mut encoder, 80);
    assert!(low * 2 < high, "{high} bytes, then {low}");
}

#[test]
fn too_large_and_too_small_are_refused_in_words() {
    let refused =
        |codec, w, h| encoder(codec, settings(w, h)).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused(Codec::H264, 5120, 2880).contains("5120x2880"));
    assert!(refused(Codec::H264, 8, 480).contains("16x16"));
    assert!(encoder(Codec::H264, settings(3840, 2160)).is_ok());
}

#[test]
fn another_size_than_it_was_made_for_is_refused() {
    let mut encoder = encoder(Codec::H264, settings(320, 240)).expect("a size it takes");
    let pixels = picture(Size { width: 240, height: 320 }, 0);
    let picture = Picture { pixels: &pixels, damage: &[], at: Duration::ZERO };
    assert!(matches!(encoder.encode(picture, Kind::Key), Err(EncodeError::WrongSize { .. })));
}

#[cfg(feature = "vp8")]
#[test]
fn vp8_has_the_true_size_and_keyframes_when_asked() {
    for (width, height) in [(640, 480), (641, 481), (1365, 767), (17, 33)] {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::Vp8, settings(width, height)).expect("a size it takes");
        for frame in 0..4 {
            let pixels = picture(size, if frame % 2 == 0 { 0xff } else { 0xc0 });
            let kind = if frame == 2 { Kind::Refined } else { Kind::Delta };
            let unit = encode(&mut encoder, &pixels, frame, kind);
            // RFC 6386 section 9.1: the lowest bit of a keyframe is 0, its size follows the start code.
            assert_eq!(unit.data[0] & 1 == 0, unit.key);
            assert_eq!(unit.key, frame == 0 || frame == 2, "{size} frame {frame}");
            if unit.key {
                let side = |at: usize| u32::from(unit.data[at]) | (u32::from(unit.data[at + 1]) & 0x3f) << 8;
                assert_eq!((&unit.data[3..6], side(6), side(8)), (&[0x9d, 0x01, 0x2a][..], width, height));
            }
        }
        // Only the damaged rows are read: a refused size says that the rest was looked at.
        let pixels = picture(size, 0);
        let damage = [Rect { x: 0, y: 0, width: 4, height: 4 }];
        let at = Duration::from_secs(1);
        encoder.encode(Picture { pixels: &pixels, damage: &damage, at }, Kind::Delta).expect("encodes");
    }
}

/// Reads a sequence parameter set (H.264 section 7.3.2.1.1 and annex E.1.1) of the baseline profile.
mod sps {
    pub struct Sps {
        pub profile: u32,
        pub constraints: u32,
        pub level: u32,
        pub width: u32,
        pub height: u32,
        /// Full range, primaries, transfer, matrix.
        pub colours: Option<(bool, u32, u32, u32)>,
        /// Pictures that may be reordered.
        pub reorder: Option<u32>,
    }

    struct Bits {
        bytes: Vec<u8>,
        at: usize,
    }

    impl Bits {
        fn one(&mut self) -> u32 {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            u32::from(bit)
        }

        fn u(&mut self, n: u32) -> u32 {
            (0..n).fold(0, |value, _| value << 1 | self.one())
        }

        fn ue(&mut self) -> u32 {
            let zeros = (0..32).take_while(|_| self.one() == 0).count() as u32;
            (1 << zeros) - 1 + self.u(zeros)
        }
    }

    pub fn read(unit: &[u8]) -> Sps {
        let start =
            unit.windows(5).position(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1f == 7).expect("an SPS") + 5;
        let end = unit[start..].windows(3).position(|w| w == [0, 0, 1]).map_or(unit.len(), |n| start + n);
        let mut bytes = Vec::new();
        for &byte in &unit[start..end] {
            if byte != 3 || !bytes.ends_with(&[0, 0]) {
                bytes.push(byte);
            }
        }
        let mut b = Bits { bytes, at: 0 };
        let (profile, constraints, level) = (b.u(8), b.u(8), b.u(8));
        b.ue();
        b.ue();
        if b.ue() == 0 {
            b.ue();
        }
        b.ue();
        b.u(1);
        let (columns, rows) = ((b.ue() + 1) * 16, (b.ue() + 1) * 16);
        assert_eq!(b.u(1), 1, "frames, not fields");
        b.u(1);
        let crop = if b.u(1) == 1 { [b.ue(), b.ue(), b.ue(), b.ue()] } else { [0; 4] };
        let mut sps = Sps {
            profile,
            constraints,
            level,
            width: columns - 2 * (crop[0] + crop[1]),
            height: rows - 2 * (crop[2] + crop[3]),
            colours: None,
            reorder: None,
        };
        if b.u(1) == 1 {
            assert_eq!(b.u(1), 0, "no aspect ratio");
            assert_eq!(b.u(1), 0, "no overscan");
            if b.u(1) == 1 {
                b.u(3);
                let full = b.u(1) == 1;
                assert_eq!(b.u(1), 1, "colours are described");
                sps.colours = Some((full, b.u(8), b.u(8), b.u(8)));
            }
            assert_eq!(b.u(1) + b.u(1) + b.u(1) + b.u(1), 0, "no chroma place, timing, HRDs");
            b.u(1);
            if b.u(1) == 1 {
                b.u(1);
                for _ in 0..4 {
                    b.ue();
                }
                sps.reorder = Some(b.ue());
            }
        }
        sps
    }
}

#[test]
fn a_kept_keyframe_may_be_sent_again() {
    let size = Size { width: 640, height: 360 };
    let mut encoder = encoder(Codec::H264, settings(640, 360)).expect("a size it takes");
    let mut decoder = Decoder::new().expect("a decoder");
    let units: Vec<_> = (0..4)
        .map(|n| {
            encode(
                &mut encoder,
                &picture(size, 0x80 + n * 8),
                u64::from(n),
                if n == 1 { Kind::Refined } else { Kind::Delta },
            )
        })
        .collect();
    for n in [0, 1, 1, 2, 3] {
        assert!(decoder.decode(&units[n].data).expect("decodes").is_some(), "{n}");
    }
}
