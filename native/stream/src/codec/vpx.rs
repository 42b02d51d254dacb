//! libvpx's C interface, by `vpx_shim.c`: the one place where `unsafe` touches it.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_ulong};
use std::ptr::NonNull;

/// The side of a block (a macroblock, RFC 6386 section 2), in pixels.
pub const BLOCK: usize = 16;

/// The shim's own structure, never looked into.
#[repr(C)]
struct Context {
    private: [u8; 0],
}

unsafe extern "C" {
    fn sampan_vp8_open(
        width: c_uint,
        height: c_uint,
        kilobits: c_uint,
        threads: c_uint,
        code: *mut c_int,
    ) -> *mut Context;
    fn sampan_vp8_bitrate(context: *mut Context, kilobits: c_uint) -> c_int;
    fn sampan_vp8_active(context: *mut Context, map: *const u8, rows: c_uint, columns: c_uint) -> c_int;
    fn sampan_vp8_encode(
        context: *mut Context,
        y: *const u8,
        u: *const u8,
        v: *const u8,
        stride: c_int,
        half: c_int,
        milliseconds: i64,
        duration: c_ulong,
        key: c_int,
        refined: c_int,
        data: *mut *const u8,
        length: *mut usize,
        is_key: *mut c_int,
    ) -> c_int;
    fn sampan_vp8_close(context: *mut Context);
}

/// The planes of one picture in I420.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Luma, `stride` bytes a row.
    pub y: &'a [u8],
    /// Chroma, half of `stride` a row.
    pub u: &'a [u8],
    /// Chroma, half of `stride` a row.
    pub v: &'a [u8],
    /// Bytes in a row of luma, even.
    pub stride: usize,
}

/// When and how a picture is encoded.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its time in milliseconds, above that of the picture before.
    pub milliseconds: i64,
    /// How long it is expected to stay, in milliseconds.
    pub duration: u32,
    /// Whether it must be a keyframe.
    pub key: bool,
    /// Whether it is to be of high quality.
    pub refined: bool,
}

/// An initialised VP8 encoder. Failures are libvpx's `vpx_codec_err_t`.
pub struct RawEncoder {
    context: NonNull<Context>,
    width: usize,
    height: usize,
}

// SAFETY: the encoder has no tie to the thread that made it, and `&mut self` on every call keeps two threads from
// using it at once.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    /// Makes an encoder for `width` by `height` pixels, each at least 1 and at most 16383.
    pub fn new(width: u32, height: u32, kilobits: u32, threads: u32) -> Result<Self, i32> {
        let mut code = 0;
        // SAFETY: `code` is valid for writing; libvpx checks the sizes.
        let context = unsafe { sampan_vp8_open(width, height, kilobits, threads, &raw mut code) };
        let context = NonNull::new(context).ok_or(code)?;
        Ok(Self { context, width: width as usize, height: height as usize })
    }

    /// Sets the target bit rate in kilobits per second.
    pub fn set_bitrate(&mut self, kilobits: u32) -> Result<(), i32> {
        // SAFETY: the context is live.
        match unsafe { sampan_vp8_bitrate(self.context.as_ptr(), kilobits) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// Says which blocks may have changed since the last picture: a byte for each of 16 by 16 pixels, row by row. Without a map,
    /// and in keyframes, all may have. Failure if the map has another size.
    pub fn set_active(&mut self, map: Option<&[u8]>) -> Result<(), i32> {
        let (rows, columns) = (self.height.div_ceil(BLOCK), self.width.div_ceil(BLOCK));
        if map.is_some_and(|map| map.len() != rows * columns) {
            return Err(-1);
        }
        let map = map.map_or(std::ptr::null(), <[u8]>::as_ptr);
        // SAFETY: the context is live; the map has a byte for each block (checked above), and libvpx copies it.
        match unsafe { sampan_vp8_active(self.context.as_ptr(), map, rows as c_uint, columns as c_uint) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// Encodes one picture; answers its bytes and whether it is a keyframe, or nothing if there is no packet.
    pub fn encode(&mut self, planes: Planes<'_>, order: Order) -> Result<Option<(&[u8], bool)>, i32> {
        let half = planes.stride / 2;
        let (columns, rows) = (self.width.div_ceil(2), self.height.div_ceil(2));
        if planes.stride < self.width
            || half < columns
            || planes.y.len() < planes.stride * (self.height - 1) + self.width
            || planes.u.len() < half * (rows - 1) + columns
            || planes.v.len() < half * (rows - 1) + columns
        {
            return Err(-1);
        }
        let mut data = std::ptr::null();
        let mut length = 0;
        let mut is_key = 0;
        // SAFETY: the context is live; the planes hold every row that the sizes and strides name (checked above), are
        // only read, and outlive the call; the three results are valid for writing.
        let code = unsafe {
            sampan_vp8_encode(
                self.context.as_ptr(),
                planes.y.as_ptr(),
                planes.u.as_ptr(),
                planes.v.as_ptr(),
                planes.stride as c_int,
                half as c_int,
                order.milliseconds,
                c_ulong::from(order.duration),
                c_int::from(order.key),
                c_int::from(order.refined),
                &raw mut data,
                &raw mut length,
                &raw mut is_key,
            )
        };
        if code != 0 {
            return Err(code);
        }
        if data.is_null() || length == 0 {
            return Ok(None);
        }
        // SAFETY: libvpx keeps the packet until the next call, which needs `&mut self`.
        Ok(Some((unsafe { std::slice::from_raw_parts(data, length) }, is_key != 0)))
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the context is live and not used afterwards.
        unsafe { sampan_vp8_close(self.context.as_ptr()) }
    }
}
