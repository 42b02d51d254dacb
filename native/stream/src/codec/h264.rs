//! H.264 by x264: constrained baseline in 4:2:0, High 4:4:4 Predictive in 4:4:4.

use super::planar::Sampling;
use super::x264::{Failure, MACROBLOCK, Planes, RawEncoder, Setup};
use super::{AccessUnit, Codec, EncodeError, Encoder, Kind, Picture, Planar, Settings};
use bytes::Bytes;
use sampan_frame::{Rect, Staging};

/// The most macroblocks of a picture: those of level 5.2, the highest that decoders commonly have (H.264 table A-1).
const MAX_MACROBLOCKS: usize = 36_864;

/// The quantiser of what moves. At 20 text has 50 dB while it scrolls (4:4:4); at 18 two more for as many bytes of text, but for more
/// of all else, and those are gone in a moment (docs/streaming.md has what was measured).
const MOVING: f32 = 20.0;

/// The quantiser of what rests. At 16 text gains 2 to 3 dB over what moves, at 12 five for twice the bytes.
const RESTING: f32 = 14.0;

/// The quantiser of a keyframe of what rests: whoever saw the differences before it sees no less afterwards.
const RESTING_KEY: f32 = 12.0;

/// By how much a frame's quantiser may be above what was wanted, on average, to count as wanted.
const TOLERANCE: f32 = 0.5;

/// From this many cores on a picture is cut into slices that are encoded at the same time.
const CORES_FOR_SLICES: usize = 8;

/// Levels, ten times: macroblocks of a picture and in a second at most (H.264 table A-1).
const LEVELS: [(u8, usize, usize); 11] = [
    (30, 1_620, 40_500),
    (31, 3_600, 108_000),
    (32, 5_120, 216_000),
    (40, 8_192, 245_760),
    (42, 8_704, 522_240),
    (50, 22_080, 589_824),
    (51, 36_864, 983_040),
    (52, 36_864, 2_073_600),
    (60, 139_264, 4_177_920),
    (61, 139_264, 8_355_840),
    (62, 139_264, 16_711_680),
];

/// Encodes for [`Codec::H264`] and [`Codec::H264Full`].
///
/// In 4:2:0 both sides of a coded picture are even, and cropping has even steps: an odd screen is coded one pixel larger and the
/// viewer, who knows the true size, cuts that off. In 4:4:4 every size is exact.
pub struct H264 {
    codec: Codec,
    raw: RawEncoder,
    picture: Planar,
    /// A byte for each macroblock, in rows: whether it is as it was.
    same: Vec<u8>,
}

impl H264 {
    /// An encoder for `codec`, one of the two.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`]; [`EncodeError::Library`].
    pub fn new(codec: Codec, settings: Settings) -> Result<Self, EncodeError> {
        let picture = Planar::new(settings.size, codec);
        let (width, height) = (picture.stride(), picture.rows());
        let area = width.div_ceil(MACROBLOCK) * height.div_ceil(MACROBLOCK);
        if area > MAX_MACROBLOCKS {
            return Err(EncodeError::TooLarge {
                codec,
                width: settings.size.width,
                height: settings.size.height,
                limit: "4096x2304",
            });
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let raw = RawEncoder::new(Setup {
            width,
            height,
            full: picture.sampling() == Sampling::Full,
            full_range: picture.full_range(),
            level: level(area, settings.max_fps),
            fps: settings.max_fps,
            quantiser: if settings.refined { RESTING_KEY } else { MOVING },
            // The first frame has its own bound.
            most: usize::MAX / 16,
            threads: if cores >= CORES_FOR_SLICES { 2 } else { 1 },
        })
        .map_err(|failure| failed(codec, failure))?;
        let (across, down) = raw.macroblocks();
        Ok(Self { codec, raw, picture, same: vec![0; across * down] })
    }

    /// The last picture as its viewers see it, but for what makes pixels of planes there.
    pub fn decoded(&self) -> Option<Staging> {
        self.picture.pixels(&[0, 1, 2].map(|plane| self.raw.decoded(plane)))
    }

    /// Marks the macroblocks that `damage` does not touch.
    fn mark(&mut self, damage: &[Rect]) {
        let (across, down) = self.raw.macroblocks();
        self.same.fill(1);
        for rect in damage.iter().filter(|rect| rect.width > 0 && rect.height > 0) {
            let side = |from: u32, length: u32, limit: usize| {
                let to = (from.saturating_add(length) as usize).div_ceil(MACROBLOCK).min(limit);
                (from as usize / MACROBLOCK).min(to)..to
            };
            let columns = side(rect.x, rect.width, across);
            for row in side(rect.y, rect.height, down) {
                self.same[row * across..][columns.clone()].fill(0);
            }
        }
    }
}

impl Encoder for H264 {
    fn codec(&self) -> Codec {
        self.codec
    }

    fn set_bitrate(&mut self, _: u32) -> Result<(), EncodeError> {
        // Each picture has its bound.
        Ok(())
    }

    fn encode(&mut self, picture: Picture<'_>, kind: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        self.picture.update(picture.pixels, picture.damage)?;
        self.mark(picture.damage);
        let codec = self.codec;
        let quantiser = match kind {
            Kind::Delta | Kind::Key => MOVING,
            Kind::Refined => RESTING,
            Kind::RefinedKey => RESTING_KEY,
        };
        self.raw.set(quantiser, picture.most).map_err(|failure| failed(codec, failure))?;
        let (y, u, v) = self.picture.planes();
        let (stride, chroma_stride) = (self.picture.stride(), self.picture.chroma_stride());
        let planes = Planes { y, u, v, stride, chroma_stride };
        let packet =
            self.raw.encode(planes, kind.is_key(), &self.same).map_err(|failure| failed(codec, failure))?;
        Ok(packet.map(|packet| AccessUnit {
            data: Bytes::copy_from_slice(packet.data),
            key: packet.key,
            settled: kind.is_refined() && packet.excess < TOLERANCE,
        }))
    }
}

/// The lowest level for pictures of so many macroblocks, so many times a second.
fn level(area: usize, fps: u32) -> u8 {
    let fits = |&&(_, most, rate): &&(u8, usize, usize)| area <= most && area * fps as usize <= rate;
    LEVELS.iter().find(fits).or(LEVELS.last()).map_or(62, |(level, ..)| *level)
}

fn failed(codec: Codec, failure: Failure) -> EncodeError {
    EncodeError::Library { codec, call: failure.call, code: failure.code }
}
