//! `ScanoutDMABUF` and `UpdateDMABUF` of the listener: pictures in GPU buffers.

use crate::call::{Call, arguments};
use crate::fault::DisplayFault;
use crate::picture::Picture;
use sampan_frame::{Geometry, PixelFormat, Scanout, Size};
use std::os::fd::OwnedFd;
use zbus::message::Body;

/// `DRM_FORMAT_MOD_LINEAR`. `DRM_FORMAT_MOD_INVALID` would mean "whatever the driver does", often tiles.
const LINEAR: u64 = 0;

pub(crate) fn decode<'m>(member: &str, body: &'m Body) -> Result<Option<Call<'m>>, DisplayFault> {
    Ok(Some(match member {
        "ScanoutDMABUF" => {
            let (file, width, height, stride, fourcc, modifier, y0_top): (zbus::OwnedFd, _, _, _, _, _, _) =
                arguments(member, body)?;
            Call::ScanoutDmabuf { file: file.into(), width, height, stride, fourcc, modifier, y0_top }
        }
        "UpdateDMABUF" => {
            let (x, y, width, height) = arguments(member, body)?;
            Call::UpdateDmabuf { x, y, width, height }
        }
        _ => return Ok(None),
    }))
}

impl Picture {
    /// `ScanoutDMABUF`. A buffer that cannot be read leaves nothing shown: what was before is no longer true.
    pub(crate) fn scanout_dmabuf(
        &mut self,
        file: OwnedFd,
        [width, height, stride]: [u32; 3],
        fourcc: u32,
        modifier: u64,
        y0_top: bool,
    ) -> Result<(), DisplayFault> {
        let mapped = map(file, [width, height, stride], fourcc, modifier, y0_top);
        match mapped {
            Ok(scanout) => {
                self.share(scanout);
                Ok(())
            }
            Err(fault) => {
                self.disable();
                Err(fault)
            }
        }
    }
}

fn map(
    file: OwnedFd,
    [width, height, stride]: [u32; 3],
    fourcc: u32,
    modifier: u64,
    y0_top: bool,
) -> Result<Scanout, DisplayFault> {
    if modifier != LINEAR {
        return Err(DisplayFault::Modifier(modifier));
    }
    let geometry = Geometry {
        size: Size::new(width, height)?,
        offset: 0,
        stride,
        format: PixelFormat::from_fourcc(fourcc)?,
        // Set means upside down; see `Picture::apply`.
        bottom_up: y0_top,
    };
    Ok(Scanout::map(file, geometry)?)
}
