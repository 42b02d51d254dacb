//! VP8 by libvpx: the fallback for viewers that decode no H.264.

use super::vpx::{BLOCK, Order, Planes, RawEncoder};
use super::{AccessUnit, Codec, EncodeError, Encoder, Kind, Picture, Planar, Settings};
use bytes::Bytes;
use sampan_frame::{Rect, Size};

/// The longest side of a VP8 picture (14 bits, RFC 6386 section 9.1).
const MAX_SIDE: u32 = 16_383;

/// In how many pictures a block that changed is looked at: where the bits were few, the first leaves it coarse, and beside
/// something that never rests no refined picture comes.
const LOOKS: u8 = 8;

/// Encodes for [`Codec::Vp8`], odd sizes included.
pub struct Vp8 {
    raw: RawEncoder,
    picture: Planar,
    size: Size,
    bitrate: u32,
    frame_milliseconds: u32,
    last: i64,
    /// For each block, row by row, in how many of the next pictures it is looked at.
    looks: Vec<u8>,
    /// The same as libvpx takes it.
    active: Vec<u8>,
}

impl Vp8 {
    pub fn new(settings: Settings) -> Result<Self, EncodeError> {
        let (width, height) = (settings.size.width, settings.size.height);
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(EncodeError::TooLarge {
                codec: Codec::Vp8,
                width,
                height,
                limit: "16383 pixels a side",
            });
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // More than one thread helps only where token partitions or rows are many.
        let threads = if cores >= 4 { 2 } else { 1 };
        let raw = RawEncoder::new(width, height, kilobits(settings.bitrate), threads)
            .map_err(|code| failed("vpx_codec_enc_init", code))?;
        Ok(Self {
            raw,
            picture: Planar::new(settings.size, Codec::Vp8),
            size: settings.size,
            bitrate: settings.bitrate,
            frame_milliseconds: 1000 / settings.max_fps.clamp(1, 1000),
            last: -1,
            looks: vec![LOOKS; blocks(width) * blocks(height)],
            active: Vec::new(),
        })
    }
}

impl Encoder for Vp8 {
    fn codec(&self) -> Codec {
        Codec::Vp8
    }

    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), EncodeError> {
        if bitrate != self.bitrate {
            self.raw
                .set_bitrate(kilobits(bitrate))
                .map_err(|code| failed("vpx_codec_enc_config_set", code))?;
            self.bitrate = bitrate;
        }
        Ok(())
    }

    fn encode(&mut self, picture: Picture<'_>, kind: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        self.picture.update(picture.pixels, picture.damage)?;
        self.look_at(picture.damage);
        // A refined picture comes back to what was left coarse, wherever that is; a keyframe has everything.
        let is_part = kind == Kind::Delta && self.looks.contains(&0);
        self.active.clear();
        self.active.extend(self.looks.iter().map(|&looks| u8::from(looks > 0)));
        if kind == Kind::Key {
            self.looks.fill(LOOKS);
        }
        self.looks.iter_mut().for_each(|looks| *looks = looks.saturating_sub(1));
        self.raw
            .set_active(is_part.then_some(&self.active))
            .map_err(|code| failed("vpx_codec_control(VP8E_SET_ACTIVEMAP)", code))?;
        let (y, u, v) = self.picture.planes();
        let planes = Planes { y, u, v, stride: self.picture.stride() };
        // libvpx refuses a time that does not rise.
        let milliseconds = i64::try_from(picture.at.as_millis()).unwrap_or(i64::MAX).max(self.last + 1);
        self.last = milliseconds;
        let order = Order {
            milliseconds,
            duration: self.frame_milliseconds.max(1),
            key: kind.is_key(),
            refined: kind.is_refined(),
        };
        let packet = self.raw.encode(planes, order).map_err(|code| failed("vpx_codec_encode", code))?;
        Ok(packet.map(|(data, key)| AccessUnit {
            data: Bytes::copy_from_slice(data),
            key,
            settled: kind.is_refined(),
        }))
    }
}

impl Vp8 {
    /// The blocks that `damage` touches are looked at from now on.
    fn look_at(&mut self, damage: &[Rect]) {
        let (columns, rows) = (blocks(self.size.width), blocks(self.size.height));
        for rect in damage {
            let left = (rect.x as usize / BLOCK).min(columns);
            let right = blocks(rect.right()).clamp(left, columns);
            for row in rect.y as usize / BLOCK..blocks(rect.bottom()).min(rows) {
                self.looks[row * columns + left..row * columns + right].fill(LOOKS);
            }
        }
    }
}

fn blocks(pixels: u32) -> usize {
    (pixels as usize).div_ceil(BLOCK)
}

fn kilobits(bitrate: u32) -> u32 {
    (bitrate / 1000).max(1)
}

fn failed(call: &'static str, code: i32) -> EncodeError {
    EncodeError::Library { codec: Codec::Vp8, call, code }
}
