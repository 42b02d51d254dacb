//! H.264 constrained baseline by OpenH264.

use super::openh264::{Failure, Planes, RawEncoder, Setup};
use super::{AccessUnit, Codec, EncodeError, Encoder, I420, Kind, Picture, Settings};
use bytes::Bytes;

/// The most pixels of a picture: OpenH264's `MAX_MBS_PER_FRAME` macroblocks of 256, which is level 5.2's limit too.
const MAX_PIXELS: u64 = 36_864 * 256;

/// The quantiser of a refined picture: text shows no artefacts at it, and a 1080p page of it stays below half a
/// megabyte.
const REFINED_QP: i32 = 20;

/// From this many cores on a picture is cut into slices that are encoded at the same time.
const CORES_FOR_SLICES: usize = 8;

/// Encodes for [`Codec::H264`].
///
/// In 4:2:0 both sides of a coded picture are even, and its cropping (which OpenH264 writes) has even steps: an odd
/// screen is coded one pixel larger and the viewer, who knows the true size, cuts that off.
pub struct H264 {
    raw: RawEncoder,
    picture: I420,
    bitrate: u32,
    out: Vec<u8>,
}

impl H264 {
    pub fn new(settings: Settings) -> Result<Self, EncodeError> {
        let picture = I420::new(settings.size, Codec::H264);
        let area = picture.stride() as u64 * picture.rows() as u64;
        if area > MAX_PIXELS {
            return Err(EncodeError::TooLarge {
                codec: Codec::H264,
                width: settings.size.width,
                height: settings.size.height,
                limit: "4096x2304",
            });
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let raw = RawEncoder::new(Setup {
            width: picture.stride() as u32,
            height: picture.rows() as u32,
            frame_rate: settings.max_fps as f32,
            bitrate: rate(settings.bitrate),
            refined_qp: REFINED_QP,
            threads: if cores >= CORES_FOR_SLICES { 2 } else { 1 },
        })
        .map_err(failed)?;
        Ok(Self { raw, picture, bitrate: settings.bitrate, out: Vec::new() })
    }
}

impl Encoder for H264 {
    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), EncodeError> {
        if bitrate != self.bitrate {
            self.raw.set_bitrate(rate(bitrate)).map_err(failed)?;
            self.bitrate = bitrate;
        }
        Ok(())
    }

    fn encode(&mut self, picture: Picture<'_>, kind: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        self.picture.update(picture.pixels, picture.damage)?;
        let (y, u, v) = self.picture.planes();
        let planes = Planes { y, u, v, stride: self.picture.stride() };
        let milliseconds = i64::try_from(picture.at.as_millis()).unwrap_or(i64::MAX);
        self.out.clear();
        let refined = kind == Kind::Refined;
        if refined {
            self.raw.set_refined(true).map_err(failed)?;
        }
        let result = self.raw.encode(planes, kind != Kind::Delta, milliseconds, &mut self.out);
        if refined {
            self.raw.set_refined(false).map_err(failed)?;
        }
        let key = result.map_err(failed)?;
        Ok(key.map(|key| AccessUnit { data: Bytes::copy_from_slice(&self.out), key }))
    }
}

fn rate(bitrate: u32) -> i32 {
    i32::try_from(bitrate).unwrap_or(i32::MAX)
}

fn failed(failure: Failure) -> EncodeError {
    EncodeError::Library { codec: Codec::H264, call: failure.call, code: failure.code }
}
