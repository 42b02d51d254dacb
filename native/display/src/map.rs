//! `org.qemu.Display1.Listener.Unix.Map`: pictures in shared memory.

use crate::call::{Call, arguments, unknown};
use crate::fault::DisplayFault;
use crate::picture::Picture;
use sampan_frame::{Geometry, PixelFormat, Scanout, Size};
use std::os::fd::OwnedFd;
use zbus::message::Body;

pub(crate) const INTERFACE: &str = "org.qemu.Display1.Listener.Unix.Map";

pub(crate) fn decode<'m>(member: &str, body: &'m Body) -> Result<Call<'m>, DisplayFault> {
    Ok(match member {
        "ScanoutMap" => {
            let (file, offset, width, height, stride, format): (zbus::OwnedFd, _, _, _, _, _) =
                arguments(member, body)?;
            Call::ScanoutMap { file: file.into(), offset, width, height, stride, format }
        }
        "UpdateMap" => {
            let (x, y, width, height) = arguments(member, body)?;
            Call::UpdateMap { x, y, width, height }
        }
        _ => return Err(unknown(INTERFACE, member)),
    })
}

impl Picture {
    /// `ScanoutMap`. On an error QEMU, which waits for the answer, goes back to sending pixels.
    pub(crate) fn scanout_map(
        &mut self,
        file: OwnedFd,
        offset: u32,
        [width, height, stride]: [u32; 3],
        format: u32,
    ) -> Result<(), DisplayFault> {
        let geometry = Geometry {
            size: Size::new(width, height)?,
            offset: offset.into(),
            stride,
            format: PixelFormat::from_pixman(format)?,
            bottom_up: false,
        };
        self.share(Scanout::map(file, geometry)?);
        Ok(())
    }
}
