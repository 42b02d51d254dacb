//! A decoder that is not kin to the encoders.

use super::Seen;

/// OpenH264's.
#[cfg(not(target_env = "ohos"))]
pub struct Decoder(openh264::decoder::Decoder);

#[cfg(not(target_env = "ohos"))]
impl Decoder {
    pub fn new() -> Self {
        Self(openh264::decoder::Decoder::new().expect("a decoder"))
    }

    /// What a picture shows, if it can be decoded.
    pub fn decode(&mut self, unit: &[u8], key: bool) -> Option<Seen> {
        use openh264::formats::YUVSource;
        let picture = self.0.decode(unit).ok()??;
        let (width, height) = picture.dimensions();
        let rows = picture.y().chunks(picture.strides().0).take(height);
        let luma = rows.flat_map(|row| &row[..width]).copied().collect();
        Some(Seen { width, height, key, luma })
    }
}

/// None where the one above, which is C++, is not built: a picture that arrived is a picture, and shows nothing.
#[cfg(target_env = "ohos")]
pub struct Decoder;

#[cfg(target_env = "ohos")]
impl Decoder {
    pub fn new() -> Self {
        Self
    }

    pub fn decode(&mut self, _: &[u8], key: bool) -> Option<Seen> {
        Some(Seen { width: 0, height: 0, key, luma: Vec::new() })
    }
}
