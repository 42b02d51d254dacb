//! One call to the listener, whichever interface it came by, and its arguments.

use crate::fault::DisplayFault;
use std::os::fd::OwnedFd;
use zbus::message::Body;
use zbus::zvariant::Type;

/// One call to the listener, decoded; pixels are borrowed from the message.
#[derive(Debug)]
pub enum Call<'m> {
    /// A whole picture.
    Scanout {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from row to row.
        stride: u32,
        /// Pixman code.
        format: u32,
        /// `stride * height` bytes.
        data: &'m [u8],
    },
    /// A part of the picture.
    Update {
        /// Left column.
        x: i32,
        /// Top row.
        y: i32,
        /// Columns.
        width: i32,
        /// Rows.
        height: i32,
        /// Bytes from row to row in `data`.
        stride: u32,
        /// Pixman code.
        format: u32,
        /// `stride * height` bytes.
        data: &'m [u8],
    },
    /// The picture is in this file from now on.
    ScanoutMap {
        /// A memfd.
        file: OwnedFd,
        /// Bytes before the first row.
        offset: u32,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from row to row.
        stride: u32,
        /// Pixman code.
        format: u32,
    },
    /// A part of the shared picture changed.
    UpdateMap {
        /// Left column.
        x: i32,
        /// Top row.
        y: i32,
        /// Columns.
        width: i32,
        /// Rows.
        height: i32,
    },
    /// The picture is in this GPU buffer from now on.
    ScanoutDmabuf {
        /// A dmabuf.
        file: OwnedFd,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from row to row.
        stride: u32,
        /// DRM fourcc.
        fourcc: u32,
        /// DRM format modifier.
        modifier: u64,
        /// Whether the buffer's first row is the picture's last; see [`Picture::apply`].
        y0_top: bool,
    },
    /// A part of the GPU buffer changed. QEMU holds the guest's rendering until this is answered.
    UpdateDmabuf {
        /// Left column.
        x: i32,
        /// Top row.
        y: i32,
        /// Columns.
        width: i32,
        /// Rows.
        height: i32,
    },
    /// Nothing is shown.
    Disable,
    /// The cursor moved, appeared or went.
    MouseSet {
        /// Column of the shape's left edge.
        x: i32,
        /// Row of its upper edge.
        y: i32,
        /// Zero if it is hidden.
        on: i32,
    },
    /// The cursor has a new shape.
    CursorDefine {
        /// Columns.
        width: i32,
        /// Rows.
        height: i32,
        /// Column that points.
        hot_x: i32,
        /// Row that points.
        hot_y: i32,
        /// `width * height` pixels of B, G, R, A.
        data: &'m [u8],
    },
}

/// The arguments, which must have exactly the signature of `T`.
pub(crate) fn arguments<'m, T>(member: &str, body: &'m Body) -> Result<T, DisplayFault>
where
    T: serde::Deserialize<'m> + Type,
{
    body.deserialize().map_err(|e: zbus::Error| DisplayFault::Arguments {
        member: member.to_owned(),
        reason: e.to_string(),
    })
}

pub(crate) fn unknown(interface: &str, member: &str) -> DisplayFault {
    // Both are names of at most 255 characters by the D-Bus specification.
    DisplayFault::UnknownMember(format!("{interface}.{member}"))
}
