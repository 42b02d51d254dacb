//! What the encoders make, read back by a decoder and by the standards' own tables.

#[cfg(not(target_env = "ohos"))]
use openh264::decoder::Decoder;
#[cfg(not(target_env = "ohos"))]
use openh264::formats::YUVSource;
use sampan_frame::{Rect, Size, Staging};
use sampan_stream::codec::{AccessUnit, Codec, EncodeError, Encoder, H264, Kind, Picture, Settings, encoder};
use std::time::Duration;

fn settings(width: u32, height: u32) -> Settings {
    Settings { size: Size { width, height }, max_fps: 60, bitrate: 8_000_000, refined: false }
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

/// More than any picture here takes.
const PLENTY: usize = 4_000_000;

fn encode(encoder: &mut Box<dyn Encoder>, pixels: &Staging, frame: u64, kind: Kind) -> AccessUnit {
    encode_within(encoder.as_mut(), pixels, frame, kind, PLENTY)
}

fn encode_within(
    encoder: &mut dyn Encoder,
    pixels: &Staging,
    frame: u64,
    kind: Kind,
    most: usize,
) -> AccessUnit {
    let damage = [pixels.size.rect()];
    let at = Duration::from_millis(frame * 17);
    let unit = encoder.encode(Picture { pixels, damage: &damage, at, most }, kind).expect("encodes");
    unit.expect("a picture")
}

/// Coloured strokes on paper, as an editor has them.
fn page(size: Size, seed: u32) -> Staging {
    let mut staging = Staging::new();
    staging.size = size;
    let inks = [[0x20, 0x20, 0x20], [0xc8, 0x30, 0x10], [0x10, 0x30, 0xd0], [0x18, 0x80, 0x18]];
    staging.pixels = (0..size.area() as u32)
        .flat_map(|i| {
            let (x, y) = (i % size.width, i / size.width);
            let glyph = ((y / 16) * 131 + (x / 8) * 71 + seed).wrapping_mul(2_654_435_761) >> 13;
            let ink = (x % 8 == glyph % 5 || y % 16 == 2 + glyph % 7) && y % 16 < 12 && glyph % 5 > 1;
            let [b, g, r] = if ink { inks[(x / 48) as usize % 4] } else { [0xf4, 0xf8, 0xf8] };
            [b, g, r, 0xff]
        })
        .collect();
    staging
}

/// Decibels between two pictures, of all three colours.
fn psnr(a: &Staging, b: &Staging) -> f64 {
    let square = |n: usize| if n % 4 == 3 { 0 } else { u64::from(a.pixels[n].abs_diff(b.pixels[n])).pow(2) };
    let sum: u64 = (0..a.pixels.len()).map(square).sum();
    10.0 * (255.0f64.powi(2) / (sum.max(1) as f64 / (a.size.area() * 3) as f64)).log10()
}

#[cfg(not(target_env = "ohos"))]
#[test]
fn h264_of_any_size_decodes_to_the_screen_rounded_up_to_even() {
    for (width, height) in [(640, 480), (641, 480), (640, 481), (1365, 767), (17, 33), (1920, 1080), (16, 16)]
    {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::H264, settings(width, height)).expect("a size it takes");
        let mut decoder = Decoder::new().expect("a decoder");
        for frame in 0..4 {
            let pixels = picture(size, if frame % 2 == 0 { 0xff } else { 0xc0 });
            let kind = if frame == 2 { Kind::Key } else { Kind::Delta };
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
fn full_chroma_says_its_profile_and_its_colours_and_has_every_size() {
    for (width, height) in [(640, 480), (641, 481), (1365, 767), (17, 33), (16, 16)] {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::H264Full, settings(width, height)).expect("a size it takes");
        let unit = encode(&mut encoder, &picture(size, 0xff), 0, Kind::Key);
        let sps = sps::read(&unit.data);
        assert_eq!(sps.profile, 244, "High 4:4:4 Predictive");
        assert_eq!((sps.width, sps.height), (width, height), "odd sizes are exact");
        assert_eq!(sps.colours, Some((true, 1, 1, 1)), "full range BT.709");
        assert_eq!(sps.reorder, Some(0), "shown as they come");
    }
}

/// What a viewer sees once the screen rests never gets worse, and text is as it was.
#[test]
fn no_picture_after_rest_is_worse_than_the_one_before() {
    let size = Size { width: 640, height: 360 };
    let one = Rect { x: 128, y: 96, width: 8, height: 16 };
    for (codec, sharp) in [(Codec::H264, 20.0), (Codec::H264Full, 45.0)] {
        // What it is allowed for each picture: plenty, and so little that refining takes several.
        for most in [PLENTY, 20_000] {
            let mut encoder = H264::new(codec, settings(640, 360)).expect("a size it takes");
            let mut pixels = page(size, 0);
            encode_within(&mut encoder, &pixels, 0, Kind::Key, most);
            let mut frame = 1;
            for seed in [1, 2] {
                // A page turned, then a glyph typed.
                pixels = page(size, seed);
                encode_within(&mut encoder, &pixels, frame, Kind::Delta, most);
                pixels.pixels[(96 * 640 + 128) * 4..][..32].fill(0x20);
                let at = Duration::from_millis(frame * 17 + 8);
                let typed = Picture { pixels: &pixels, damage: &[one], at, most };
                encoder.encode(typed, Kind::Delta).expect("encodes");
                let mut seen = psnr(&pixels, &encoder.decoded().expect("a picture"));
                let (mut settled, mut steps) = (false, 0);
                while !settled {
                    frame += 1;
                    let at = Duration::from_millis(frame * 17);
                    let still = Picture { pixels: &pixels, damage: &[], at, most };
                    let unit = encoder.encode(still, Kind::Refined).expect("encodes").expect("a picture");
                    assert!(!unit.key, "an IDR would begin anew");
                    let now = psnr(&pixels, &encoder.decoded().expect("a picture"));
                    assert!(now >= seen - 0.01, "{codec}, {most}: {seen:.2} dB, then {now:.2}");
                    (seen, settled, steps) = (now, unit.settled, steps + 1);
                    assert!(steps < 60, "{codec}, {most}: it has an end");
                }
                assert!(seen >= sharp, "{codec}, {most}: {seen:.1} dB");
                assert!(most == PLENTY || steps > 1, "the bound had an effect");
                frame += 1;
            }
            // Whoever comes now gets a keyframe, and nobody sees less than before.
            let before = psnr(&pixels, &encoder.decoded().expect("a picture"));
            let anew = Settings { refined: true, ..settings(640, 360) };
            let mut encoder = H264::new(codec, anew).expect("a size it takes");
            assert!(encode_within(&mut encoder, &pixels, frame, Kind::RefinedKey, PLENTY).key);
            let now = psnr(&pixels, &encoder.decoded().expect("a picture"));
            // Of 4:2:0 the colours that it lacks are by far the most of the difference.
            let spread = if codec == Codec::H264 { 0.1 } else { 0.01 };
            assert!(now >= before - spread, "{codec}: {before:.2} dB, then {now:.2} by a keyframe");
        }
    }
}

/// What was refined keeps its quality while something else changes.
#[test]
fn what_rests_is_not_made_worse_by_what_moves() {
    let size = Size { width: 640, height: 360 };
    let mut encoder = H264::new(Codec::H264Full, settings(640, 360)).expect("a size it takes");
    let mut pixels = page(size, 0);
    encode_within(&mut encoder, &pixels, 0, Kind::Key, PLENTY);
    encode_within(&mut encoder, &pixels, 1, Kind::Refined, PLENTY);
    let rest = psnr(&pixels, &encoder.decoded().expect("a picture"));
    for frame in 0..30 {
        let cell = Rect { x: 8 * frame, y: 176, width: 8, height: 8 };
        for row in 176..184 {
            pixels.pixels[(row * 640 + 8 * frame as usize) * 4..][..32].fill(frame as u8 * 8);
        }
        let at = Duration::from_millis(100 + u64::from(frame));
        let typed = Picture { pixels: &pixels, damage: &[cell], at, most: 10_000 };
        let unit = encoder.encode(typed, Kind::Delta).expect("encodes").expect("a picture");
        assert!(unit.data.len() < 4_000, "only what changed costs: {} bytes", unit.data.len());
    }
    let now = psnr(&pixels, &encoder.decoded().expect("a picture"));
    assert!(now > rest - 1.0, "{rest:.1} dB, then {now:.1}");
}

#[test]
fn a_picture_has_about_as_many_bytes_as_it_may() {
    let size = Size { width: 1280, height: 720 };
    for codec in [Codec::H264, Codec::H264Full] {
        let mut encoder = H264::new(codec, settings(1280, 720)).expect("a size it takes");
        for (frame, most) in [(0, 200_000), (1, 60_000), (2, 60_000), (3, 30_000), (4, 60_000)] {
            let kind = if frame == 0 { Kind::Key } else { Kind::Delta };
            let unit = encode_within(&mut encoder, &page(size, frame as u32), frame, kind, most);
            assert!(unit.data.len() < most * 5 / 4, "{codec}, {frame}: {} of {most}", unit.data.len());
        }
    }
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
    let picture = Picture { pixels: &pixels, damage: &[], at: Duration::ZERO, most: PLENTY };
    assert!(matches!(encoder.encode(picture, Kind::Key), Err(EncodeError::WrongSize { .. })));
}

#[cfg(vp8)]
#[test]
fn vp8_has_the_true_size_and_keyframes_when_asked() {
    for (width, height) in [(640, 480), (641, 481), (1365, 767), (17, 33)] {
        let size = Size { width, height };
        let mut encoder = encoder(Codec::Vp8, settings(width, height)).expect("a size it takes");
        for frame in 0..4 {
            let pixels = picture(size, if frame % 2 == 0 { 0xff } else { 0xc0 });
            let kind = if frame == 2 { Kind::RefinedKey } else { Kind::Delta };
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
        let part = Picture { pixels: &pixels, damage: &damage, at, most: PLENTY };
        encoder.encode(part, Kind::Delta).expect("encodes");
    }
}

/// Reads a sequence parameter set (H.264 section 7.3.2.1.1 and annex E.1.1) of the baseline or the High 4:4:4 Predictive profile.
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
            (0..n).fold(0, |value: u32, _| value.wrapping_shl(1) | self.one())
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
        let (mut bytes, mut zeros) = (Vec::new(), 0);
        for &byte in &unit[start..end] {
            // What prevents the emulation of a start code (section 7.4.1) counts as no byte, so another 3 may follow.
            if byte == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        let mut b = Bits { bytes, at: 0 };
        let (profile, constraints, level) = (b.u(8), b.u(8), b.u(8));
        b.ue();
        let full = profile == 244;
        if full {
            assert_eq!(b.ue(), 3, "4:4:4");
            assert_eq!((b.u(1), b.ue(), b.ue()), (0, 0, 0), "planes together, 8 bits of luma and chroma");
            assert_eq!((b.u(1), b.u(1)), (0, 0), "transformed, by no matrix of its own");
        }
        // The steps of cropping (table 6-1).
        let step = if full { 1 } else { 2 };
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
            width: columns - step * (crop[0] + crop[1]),
            height: rows - step * (crop[2] + crop[3]),
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
            assert_eq!(b.u(1), 0, "no chroma place");
            if b.u(1) == 1 {
                b.u(32);
                b.u(32);
                b.u(1);
            }
            assert_eq!(b.u(1) + b.u(1), 0, "no HRDs");
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

#[cfg(not(target_env = "ohos"))]
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
                if n == 1 { Kind::Key } else { Kind::Delta },
            )
        })
        .collect();
    for n in [0, 1, 1, 2, 3] {
        assert!(decoder.decode(&units[n].data).expect("decodes").is_some(), "{n}");
    }
}

#[cfg(vp8)]
#[test]
fn vp8_looks_at_blocks_that_changed_and_leaves_the_others() {
    let size = Size { width: 640, height: 480 };
    // A change of every row, of which the damage tells the leftmost column of blocks alone, or all.
    let changed = |damage: Rect| {
        let mut encoder = encoder(Codec::Vp8, settings(size.width, size.height)).expect("a size it takes");
        let still = page(size, 1);
        encode(&mut encoder, &still, 0, Kind::Key);
        // What a keyframe has left coarse is looked at a few times more.
        for frame in 1..12 {
            let at = Duration::from_millis(frame * 17);
            let still = Picture { pixels: &still, damage: &[], at, most: PLENTY };
            encoder.encode(still, Kind::Delta).expect("encodes");
        }
        let (other, at) = (page(size, 2), Duration::from_secs(1));
        let picture = Picture { pixels: &other, damage: &[damage], at, most: PLENTY };
        encoder.encode(picture, Kind::Delta).expect("encodes").expect("a picture").data.len()
    };
    let (part, all) = (changed(Rect { x: 3, width: 10, ..size.rect() }), changed(size.rect()));
    assert!(part * 8 < all, "{part} bytes for a fortieth of the screen, {all} for all of it");
}
