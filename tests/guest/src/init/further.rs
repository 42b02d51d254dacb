//! Displays beyond the first: each shows paper of its own colour, its number, and what is drawn on it.

use ::drm::buffer::{Buffer, DrmFourcc};
use ::drm::control::dumbbuffer::DumbBuffer;
use ::drm::control::{ClipRect, Device as _, Mode, connector, crtc, framebuffer};
use std::io;
use tiny_guest::Rect;
use tiny_guest::canvas::Canvas;
use tiny_guest::desk::{self, Desk};

use crate::drm::Card;

/// One of them.
pub struct Further {
    pub connector: connector::Handle,
    pub crtc: crtc::Handle,
    pub mode: Mode,
    pub size: (u32, u32),
    framebuffer: framebuffer::Handle,
    buffer: DumbBuffer,
}

impl Further {
    /// Shows a display's paper; `number` counts from 1.
    pub fn show(
        card: &Card,
        (connector, crtc, mode): (connector::Handle, crtc::Handle, Mode),
        number: u32,
    ) -> io::Result<Self> {
        let size = (u32::from(mode.size().0), u32::from(mode.size().1));
        let mut buffer = card.create_dumb_buffer(size, DrmFourcc::Xrgb8888, 32)?;
        paint(card, &mut buffer, size, |canvas| desk::paint_further(canvas, number))?;
        let framebuffer = card.add_framebuffer(&buffer, 24, 32)?;
        card.set_crtc(crtc, Some(framebuffer), (0, 0), &[connector], Some(mode))?;
        Ok(Self { connector, crtc, mode, size, framebuffer, buffer })
    }

    /// Draws a stroke, in pixels of this display.
    pub fn stroke(&mut self, card: &Card, from: (u32, u32), to: (u32, u32), pen: u32) -> io::Result<()> {
        let (width, height) = self.size;
        let rect = paint(card, &mut self.buffer, self.size, |canvas| Desk::stroke(canvas, from, to, pen))?;
        let edge = |v: u32| u16::try_from(v).unwrap_or(u16::MAX);
        let rect = rect.within(width, height);
        let clip = ClipRect::new(edge(rect.x), edge(rect.y), edge(rect.right()), edge(rect.bottom()));
        card.dirty_framebuffer(self.framebuffer, &[clip])
    }

    /// Takes the picture away; with `off` the display goes dark. Failing to free memory that nothing shows is not worth stopping for.
    pub fn remove(self, card: &Card, off: bool) {
        if off {
            let _ = card.set_crtc(self.crtc, None, (0, 0), &[], None);
        }
        let _ = card.destroy_framebuffer(self.framebuffer);
        let _ = card.destroy_dumb_buffer(self.buffer);
    }
}

fn paint(
    card: &Card,
    buffer: &mut DumbBuffer,
    (width, height): (u32, u32),
    paint: impl FnOnce(&mut Canvas<'_>) -> Rect,
) -> io::Result<Rect> {
    let stride = buffer.pitch() as usize;
    let mut pixels = card.map_dumb_buffer(buffer)?;
    Ok(paint(&mut Canvas::new(&mut pixels, stride, width, height)))
}
