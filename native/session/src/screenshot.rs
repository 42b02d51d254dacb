//! A picture of a screen.

use crate::CommandError;
use sampan_frame::{Screen, Size, Staging};
use std::sync::Arc;

/// What a screen showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screenshot {
    /// Its size in pixels.
    pub size: Size,
    /// Red, green and blue of each pixel, rows from the top, without gaps.
    pub rgb: Vec<u8>,
}

impl Screenshot {
    /// Reads what `screen` shows now. Copies a whole picture: not for an event loop.
    pub(crate) fn take(screen: &Arc<Screen>) -> Result<Screenshot, CommandError> {
        let mut staging = Staging::new();
        let mut consumer = screen.attach(Box::new(|| {}));
        consumer.take(&mut staging)?.ok_or(CommandError::NoPicture)?;
        if screen.size().is_none() || staging.pixels.is_empty() {
            return Err(CommandError::NoPicture);
        }
        let rgb = staging.pixels.chunks_exact(4).flat_map(|bgrx| [bgrx[2], bgrx[1], bgrx[0]]).collect();
        Ok(Screenshot { size: staging.size, rgb })
    }

    /// The picture no wider than that, its shape kept. Each pixel is the mean of those it stands for.
    #[must_use]
    pub fn smaller(&self, width: u32) -> Screenshot {
        let from = self.size;
        if width == 0 || from.width <= width {
            return self.clone();
        }
        let height = (u64::from(from.height) * u64::from(width) / u64::from(from.width)).max(1) as u32;
        let edge = |at: u32, of: u32, to: u32| (u64::from(at) * u64::from(of) / u64::from(to)) as usize;
        let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
        for y in 0..height {
            let (top, bottom) = (edge(y, from.height, height), edge(y + 1, from.height, height));
            for x in 0..width {
                let (left, right) = (edge(x, from.width, width), edge(x + 1, from.width, width));
                let mut sum = [0_u64; 3];
                for row in top..bottom.max(top + 1) {
                    let begin = (row * from.width as usize + left) * 3;
                    let end = (row * from.width as usize + right) * 3;
                    for pixel in self.rgb.get(begin..end).unwrap_or_default().chunks_exact(3) {
                        sum.iter_mut().zip(pixel).for_each(|(sum, part)| *sum += u64::from(*part));
                    }
                }
                let count = ((bottom.max(top + 1) - top) * (right - left)).max(1) as u64;
                // A mean of bytes is a byte.
                rgb.extend(sum.map(|sum| (sum / count) as u8));
            }
        }
        Screenshot { size: Size { width, height }, rgb }
    }

    /// The picture as PNG (RFC 2083), compressed quickly rather than well.
    pub fn to_png(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.rgb))
            .expect("the size fits the data, and writing to memory cannot fail");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_picture_has_the_same_colours_and_shape() {
        let size = Size { width: 1000, height: 501 };
        let rgb =
            (0..501).flat_map(|_| (0..1000).flat_map(|x| if x < 500 { [250, 10, 0] } else { [0, 0, 90] }));
        let small = Screenshot { size, rgb: rgb.collect() }.smaller(100);
        assert_eq!(small.size, Size { width: 100, height: 50 });
        assert_eq!(small.rgb.len(), 100 * 50 * 3);
        assert_eq!((&small.rgb[..3], &small.rgb[297..300]), (&[250, 10, 0][..], &[0, 0, 90][..]));
        assert_eq!(small.smaller(200), small);
    }

    #[test]
    fn a_picture_comes_back_from_its_png() {
        let screen = Screen::new();
        assert!(matches!(Screenshot::take(&screen), Err(CommandError::NoPicture)));
        let size = Size { width: 3, height: 2 };
        screen.set_blank(size);
        let red = [0, 0, 255, 0];
        let at = sampan_frame::Rect { x: 2, y: 1, width: 1, height: 1 };
        screen.write(at, 4, sampan_frame::PixelFormat::Bgrx8888, &red).expect("writes");
        let shot = Screenshot::take(&screen).expect("a picture");
        assert_eq!(shot.size, size);
        let mut expected = vec![0; 18];
        expected[15] = 255;
        assert_eq!(shot.rgb, expected);
        let file = shot.to_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
        reader.next_frame(&mut pixels).expect("decodes");
        assert_eq!(pixels, expected);
    }
}
