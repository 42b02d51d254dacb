//! x264's C interface, by `x264_shim.c`: the one place where `unsafe` touches it.

#![allow(unsafe_code)]

use std::ffi::{c_float, c_int, c_uint};
use std::ptr::NonNull;

/// The shim's own structure, never looked into.
#[repr(C)]
struct Context {
    private: [u8; 0],
}

unsafe extern "C" {
    fn sampan_x264_open(
        width: c_uint,
        height: c_uint,
        full: c_int,
        full_range: c_int,
        level: c_int,
        fps: c_uint,
        kilobits: c_uint,
        quantiser: c_float,
        threads: c_uint,
    ) -> *mut Context;
    fn sampan_x264_set(context: *mut Context, quantiser: c_float, kilobits: c_uint) -> c_int;
    fn sampan_x264_encode(
        context: *mut Context,
        y: *const u8,
        u: *const u8,
        v: *const u8,
        stride: c_int,
        chroma_stride: c_int,
        key: c_int,
        same: *const u8,
        data: *mut *const u8,
        length: *mut usize,
        is_key: *mut c_int,
        excess: *mut c_float,
    ) -> c_int;
    fn sampan_x264_decoded(context: *const Context, plane: c_int, stride: *mut c_int) -> *const u8;
    fn sampan_x264_close(context: *mut Context);
}

/// The side of a macroblock in pixels.
pub const MACROBLOCK: usize = 16;

/// What an encoder is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Columns of luma; even in 4:2:0.
    pub width: usize,
    /// Rows of luma; even in 4:2:0.
    pub height: usize,
    /// Chroma is as large as luma (4:4:4), or half as wide and high (4:2:0).
    pub full: bool,
    /// Samples take all values of a byte, instead of 16 to 235 or 240.
    pub full_range: bool,
    /// The level (H.264 annex A) times ten.
    pub level: u8,
    /// Frames per second.
    pub fps: u32,
    /// The quantiser of the first frames, 0 to 51.
    pub quantiser: f32,
    /// The most bytes of the first frame.
    pub most: usize,
    /// Slices that are encoded at the same time.
    pub threads: u32,
}

/// The planes of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Luma, `stride` bytes a row.
    pub y: &'a [u8],
    /// Chroma, `chroma_stride` bytes a row.
    pub u: &'a [u8],
    /// Chroma, `chroma_stride` bytes a row.
    pub v: &'a [u8],
    /// Bytes in a row of luma.
    pub stride: usize,
    /// Bytes in a row of chroma.
    pub chroma_stride: usize,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Annex B.
    pub data: &'a [u8],
    /// An IDR picture.
    pub key: bool,
    /// By how much the bound on the frame's size raised its quantiser, on average.
    pub excess: f32,
}

/// A failed call of x264: its name, and what it answered.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The function.
    pub call: &'static str,
    /// Its answer.
    pub code: i32,
}

/// An x264 encoder.
pub struct RawEncoder {
    context: NonNull<Context>,
    setup: Setup,
}

// SAFETY: the encoder has no tie to the thread that made it, and `&mut self` on every call that changes it keeps two threads
// from using it at once.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    /// Makes an encoder.
    pub fn new(setup: Setup) -> Result<Self, Failure> {
        let failure = Failure { call: "x264_encoder_open", code: -1 };
        let side = |side: usize| {
            let fits = (1..=usize::from(u16::MAX)).contains(&side) && (setup.full || side.is_multiple_of(2));
            fits.then_some(side as c_uint).ok_or(failure)
        };
        let (width, height) = (side(setup.width)?, side(setup.height)?);
        // SAFETY: plain values; x264 checks them and answers null.
        let context = unsafe {
            sampan_x264_open(
                width,
                height,
                c_int::from(setup.full),
                c_int::from(setup.full_range),
                c_int::from(setup.level),
                setup.fps.clamp(1, 1000),
                kilobits(setup.most),
                setup.quantiser,
                setup.threads.clamp(1, 16),
            )
        };
        Ok(Self { context: NonNull::new(context).ok_or(failure)?, setup })
    }

    /// How many macroblocks a row of the picture has, and how many rows of them.
    pub fn macroblocks(&self) -> (usize, usize) {
        (self.setup.width.div_ceil(MACROBLOCK), self.setup.height.div_ceil(MACROBLOCK))
    }

    /// Sets the quantiser and the most bytes of the frames to come.
    pub fn set(&mut self, quantiser: f32, most: usize) -> Result<(), Failure> {
        // SAFETY: the context is live.
        match unsafe { sampan_x264_set(self.context.as_ptr(), quantiser, kilobits(most)) } {
            0 => Ok(()),
            code => Err(Failure { call: "x264_encoder_reconfig", code }),
        }
    }

    /// Encodes one picture; nothing comes of a picture that x264 leaves out. `same` has a 1 for each macroblock, in rows, that is
    /// as it was.
    pub fn encode(
        &mut self,
        planes: Planes<'_>,
        key: bool,
        same: &[u8],
    ) -> Result<Option<Packet<'_>>, Failure> {
        let Setup { width, height, full, .. } = self.setup;
        let (columns, rows) = if full { (width, height) } else { (width / 2, height / 2) };
        let holds = |plane: &[u8], stride: usize, columns: usize, rows: usize| {
            stride >= columns && plane.len() >= stride * (rows - 1) + columns
        };
        let (across, down) = self.macroblocks();
        if !holds(planes.y, planes.stride, width, height)
            || !holds(planes.u, planes.chroma_stride, columns, rows)
            || !holds(planes.v, planes.chroma_stride, columns, rows)
            || planes.stride > c_int::MAX as usize
            || planes.chroma_stride > c_int::MAX as usize
            || same.len() < across * down
        {
            return Err(Failure { call: "encode", code: -1 });
        }
        let mut data = std::ptr::null();
        let (mut length, mut is_key, mut excess) = (0, 0, 0.0);
        // SAFETY: the context is live; the planes hold every row that the sizes and strides name, and `same` a byte for each
        // macroblock (checked above); they are only read (x264 writes to its copy alone, `b_mb_info_update` is off) and outlive
        // the call, after which x264 has let go of them, since it delays no picture; the results are valid for writing.
        let code = unsafe {
            sampan_x264_encode(
                self.context.as_ptr(),
                planes.y.as_ptr(),
                planes.u.as_ptr(),
                planes.v.as_ptr(),
                planes.stride as c_int,
                planes.chroma_stride as c_int,
                c_int::from(key),
                same.as_ptr(),
                &raw mut data,
                &raw mut length,
                &raw mut is_key,
                &raw mut excess,
            )
        };
        if code != 0 {
            return Err(Failure { call: "x264_encoder_encode", code });
        }
        if data.is_null() || length == 0 {
            return Ok(None);
        }
        // SAFETY: x264 keeps the payload until the next call, which needs `&mut self`.
        let data = unsafe { std::slice::from_raw_parts(data, length) };
        Ok(Some(Packet { data, key: is_key != 0, excess }))
    }

    /// A plane of the last picture as a decoder has it, and its bytes a row. In 4:2:0 there are two, and the second has U and
    /// V in turn.
    pub fn decoded(&self, plane: usize) -> Option<(&[u8], usize)> {
        let Setup { width, height, full, .. } = self.setup;
        let rows = if full || plane == 0 { height } else { height / 2 };
        let mut stride = 0;
        // SAFETY: the context is live; `stride` is valid for writing.
        let data = unsafe {
            sampan_x264_decoded(self.context.as_ptr(), c_int::try_from(plane).ok()?, &raw mut stride)
        };
        let stride = usize::try_from(stride).ok()?;
        if data.is_null() || stride < width {
            return None;
        }
        // SAFETY: x264 keeps the planes of its last picture until the next call, with so many rows of so many bytes.
        Some((unsafe { std::slice::from_raw_parts(data, stride * (rows - 1) + width) }, stride))
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the context is live and not used afterwards.
        unsafe { sampan_x264_close(self.context.as_ptr()) }
    }
}

fn kilobits(bytes: usize) -> c_uint {
    c_uint::try_from(bytes * 8 / 1000).unwrap_or(c_uint::MAX)
}
