//! A display through `/dev/fb0`: what firmware set up where no card has a driver of its own.
//!
//! The size is fixed, there is no cursor plane, and what was painted is written to the device: QEMU finds it there by
//! its own tick.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use tiny_guest::Rect;
use tiny_guest::canvas::Canvas;

use crate::console;
use crate::display::Surface;

const CLASS: &str = "/sys/class/graphics/fb0";

/// The frame buffer device and a copy of its pixels.
pub struct Framebuffer {
    file: File,
    pixels: Vec<u8>,
    stride: usize,
    size: (u32, u32),
    driver: String,
}

impl Framebuffer {
    /// Opens the device, if there is one with 32-bit pixels.
    pub fn find() -> Option<Self> {
        let number = |name: &str| fs::read_to_string(format!("{CLASS}/{name}")).ok()?.trim().parse().ok();
        let virtual_size = fs::read_to_string(format!("{CLASS}/virtual_size")).ok()?;
        let (width, height) = virtual_size.trim().split_once(',')?;
        let size = (width.parse().ok()?, height.parse().ok()?);
        let (depth, stride): (usize, usize) = (number("bits_per_pixel")?, number("stride")?);
        if depth != 32 {
            console::say(&format!("sampan-guest: {CLASS} has {depth} bits a pixel, 32 are needed"));
            return None;
        }
        let file = OpenOptions::new().write(true).open("/dev/fb0").ok()?;
        let driver = fs::read_to_string(format!("{CLASS}/name")).unwrap_or_default().trim().to_owned();
        // The text console's blinking block would go on blinking over the picture.
        let _ = fs::write("/dev/tty0", "\x1b[?25l\x1b[2J");
        Some(Self { file, pixels: vec![0; stride * size.1 as usize], stride, size, driver })
    }

    /// The kernel's name of the device.
    pub fn driver(&self) -> &str {
        &self.driver
    }
}

impl Surface for Framebuffer {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn canvas(&mut self) -> Canvas<'_> {
        Canvas::new(&mut self.pixels, self.stride, self.size.0, self.size.1)
    }

    fn flush(&mut self, rects: &[Rect]) -> io::Result<()> {
        for rect in rects.iter().map(|r| r.within(self.size.0, self.size.1)) {
            for y in rect.y..rect.bottom() {
                let start = y as usize * self.stride + rect.x as usize * 4;
                self.file.write_all_at(&self.pixels[start..start + rect.w as usize * 4], start as u64)?;
            }
        }
        Ok(())
    }

    fn move_pointer(&mut self, _x: u32, _y: u32) -> bool {
        false
    }
}
