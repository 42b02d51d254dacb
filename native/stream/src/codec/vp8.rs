//! VP8 by libvpx: the fallback for viewers that decode no H.264.

use super::vpx::{Order, Planes, RawEncoder};
use super::{AccessUnit, Codec, EncodeError, Encoder, Kind, Picture, Planar, Settings};
use bytes::Bytes;

/// The longest side of a VP8 picture (14 bits, RFC 6386 section 9.1).
const MAX_SIDE: u32 = 16_383;

/// Encodes for [`Codec::Vp8`], odd sizes included.
pub struct Vp8 {
    raw: RawEncoder,
    picture: Planar,
    bitrate: u32,
    frame_milliseconds: u32,
    last: i64,
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
            bitrate: settings.bitrate,
            frame_milliseconds: 1000 / settings.max_fps.clamp(1, 1000),
            last: -1,
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

fn kilobits(bitrate: u32) -> u32 {
    (bitrate / 1000).max(1)
}

fn failed(call: &'static str, code: i32) -> EncodeError {
    EncodeError::Library { codec: Codec::Vp8, call, code }
}
