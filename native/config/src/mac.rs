//! Hardware addresses of network cards.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A network card's address, such as `52:54:00:12:34:56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

/// A text that is no such address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no network card's address: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56, the first of them even"
)]
pub struct NotAMac(pub String);

impl MacAddress {
    /// An address under QEMU's own prefix, 52:54:00, for three bytes that should be random.
    ///
    /// ```
    /// assert_eq!(sampan_config::MacAddress::of([1, 2, 0xab]).to_string(), "52:54:00:01:02:ab");
    /// ```
    pub fn of(low: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0, low[0], low[1], low[2]])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let bad = || NotAMac(text.chars().take(40).collect());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|c| c.is_ascii_hexdigit()));
            *byte = part.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(bad)?;
        }
        // An odd first byte is a group's address (IEEE 802, 8.2); all zeros is QEMU's "choose one".
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(bad());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = NotAMac;

    fn try_from(text: String) -> Result<Self, NotAMac> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_and_nonsense_are_refused() {
        for bad in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "+1:54:00:12:34:56",
            "5:54:00:12:34:56",
            "52:54:00:12:34:56,x",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_address_go_both_ways(low: [u8; 3]) {
            let mac = MacAddress::of(low);
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }
}
