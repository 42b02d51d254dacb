//! From input devices' numbers to pixels.

/// The range of an absolute axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axis {
    /// Least value.
    pub min: i32,
    /// Greatest value.
    pub max: i32,
}

impl Axis {
    /// The pixel, of `size` pixels, that a value of this axis means.
    ///
    /// QEMU turns pixel `x` of a screen `size` pixels wide into `x * 0x7fff / size`, rounded down
    /// (`qemu_input_scale_axis` in `ui/input.c`). Rounding the inverse up gives back exactly `x`, for every size below
    /// the range; rounding it down, as one might expect, would miss by one pixel almost everywhere.
    #[must_use]
    pub fn pixel(self, value: i32, size: u32) -> u32 {
        let range = i64::from(self.max) - i64::from(self.min);
        if range <= 0 || size == 0 {
            return 0;
        }
        let offset = i64::from(value.clamp(self.min, self.max)) - i64::from(self.min);
        let up = (offset * i64::from(size) + range - 1) / range;
        u32::try_from(up).unwrap_or(0).min(size - 1)
    }
}

/// Moves a coordinate by a relative step, staying on a screen of `size` pixels.
#[must_use]
pub fn moved(at: u32, by: i32, size: u32) -> u32 {
    at.saturating_add_signed(by).min(size.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLET: Axis = Axis { min: 0, max: 0x7fff };

    /// What QEMU does with an absolute position in pixels.
    fn qemu(pixel: u32, size: u32) -> i32 {
        (i64::from(pixel) * 0x7fff / i64::from(size)) as i32
    }

    #[test]
    fn every_pixel_of_every_width_comes_back() {
        for size in
            (1..=200).chain([320, 639, 640, 800, 1023, 1024, 1365, 1366, 1920, 2560, 3840, 4095, 7680, 16384])
        {
            for pixel in 0..size {
                assert_eq!(TABLET.pixel(qemu(pixel, size), size), pixel, "{pixel} of {size}");
            }
        }
    }

    #[test]
    fn the_ends_stay_on_the_screen() {
        assert_eq!(TABLET.pixel(0, 1920), 0);
        assert_eq!(TABLET.pixel(0x7fff, 1920), 1919);
        assert_eq!(TABLET.pixel(-5, 1920), 0);
        assert_eq!(TABLET.pixel(i32::MAX, 1920), 1919);
        assert_eq!(Axis::default().pixel(3, 1920), 0);
        assert_eq!(Axis { min: i32::MIN, max: i32::MAX }.pixel(i32::MAX, 10), 9);
        assert_eq!(moved(5, -9, 10), 0);
        assert_eq!(moved(5, 9, 10), 9);
    }
}
