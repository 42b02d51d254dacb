//! `org.qemu.Display1.Listener`: the calls that bring pictures and cursor.
//!
//! Members are matched to the letter (`ui/dbus-display1.xml` of QEMU): a name that differs in one letter would be
//! lost in silence, since QEMU asks for no reply.

use crate::call::{Call, arguments, unknown};
use crate::fault::DisplayFault;
use crate::picture::Picture;
use crate::{dmabuf, map};
use zbus::message::Body;

pub(crate) const PATH: &str = "/org/qemu/Display1/Listener";
pub(crate) const INTERFACE: &str = "org.qemu.Display1.Listener";

impl<'m> Call<'m> {
    /// Decodes a call by its interface and member.
    ///
    /// # Errors
    /// [`DisplayFault::UnknownMember`] for a name that is not one of the listener's, [`DisplayFault::Arguments`] if the arguments
    /// do not fit it.
    pub fn decode(interface: Option<&str>, member: &str, body: &'m Body) -> Result<Self, DisplayFault> {
        match interface {
            // D-Bus lets a caller leave the interface out.
            None | Some(INTERFACE) => match dmabuf::decode(member, body)? {
                Some(call) => Ok(call),
                None => decode(member, body),
            },
            Some(map::INTERFACE) => map::decode(member, body),
            Some(other) => Err(unknown(other, member)),
        }
    }
}

fn decode<'m>(member: &str, body: &'m Body) -> Result<Call<'m>, DisplayFault> {
    Ok(match member {
        "Scanout" => {
            let (width, height, stride, format, data) = arguments(member, body)?;
            Call::Scanout { width, height, stride, format, data }
        }
        "Update" => {
            let (x, y, width, height, stride, format, data) = arguments(member, body)?;
            Call::Update { x, y, width, height, stride, format, data }
        }
        "Disable" => Call::Disable,
        "MouseSet" => {
            let (x, y, on) = arguments(member, body)?;
            Call::MouseSet { x, y, on }
        }
        "CursorDefine" => {
            let (width, height, hot_x, hot_y, data) = arguments(member, body)?;
            Call::CursorDefine { width, height, hot_x, hot_y, data }
        }
        _ => return Err(unknown(INTERFACE, member)),
    })
}

/// The interfaces beyond [`INTERFACE`] that we implement, for its property `Interfaces`.
pub(crate) const INTERFACES: [&str; 1] = [map::INTERFACE];

impl Picture {
    /// Applies one call.
    ///
    /// `y0_top` of a dmabuf means the contrary of what it seems to say: where it is set, QEMU's own displays show
    /// the buffer's first row at the bottom (`ui/gtk-egl.c` and `ui/egl-headless.c`, which flip by it), and the
    /// plain guest memory of `hw/display/virtio-gpu-udmabuf.c`, whose first row is the top one, is sent without it.
    ///
    /// # Errors
    /// [`DisplayFault`] if the call was ignored or refused; the picture is as before then, but for a refused dmabuf, after
    /// which nothing is shown.
    pub fn apply(&mut self, call: Call<'_>) -> Result<(), DisplayFault> {
        match call {
            Call::Scanout { width, height, stride, format, data } => {
                self.scanout(width, height, stride, format, data)
            }
            Call::Update { x, y, width, height, stride, format, data } => {
                self.update([x, y, width, height], stride, format, data)
            }
            Call::ScanoutMap { file, offset, width, height, stride, format } => {
                self.scanout_map(file, offset, [width, height, stride], format)
            }
            Call::UpdateMap { x, y, width, height } | Call::UpdateDmabuf { x, y, width, height } => {
                self.update_shared([x, y, width, height])
            }
            Call::ScanoutDmabuf { file, width, height, stride, fourcc, modifier, y0_top } => {
                self.scanout_dmabuf(file, [width, height, stride], fourcc, modifier, y0_top)
            }
            Call::Disable => {
                self.disable();
                Ok(())
            }
            Call::MouseSet { x, y, on } => {
                self.move_cursor(x, y, on != 0);
                Ok(())
            }
            Call::CursorDefine { width, height, hot_x, hot_y, data } => {
                self.define_cursor([width, height], [hot_x, hot_y], data)
            }
        }
    }
}
