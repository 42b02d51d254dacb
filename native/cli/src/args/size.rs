//! Sizes as people write them.

/// A size to be had, or by how much to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// That many bytes.
    To(u64),
    /// That many bytes more.
    By(u64),
}

/// `20G`, `512M`, `1.5T`, or bytes: binary units, as memory and disks of virtual machines have.
pub fn parse(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no size: write it as 20G, 512M or 1.5T");
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, shift) = match lower.char_indices().last() {
        Some((at, 'k')) => (&lower[..at], 10),
        Some((at, 'm')) => (&lower[..at], 20),
        Some((at, 'g')) => (&lower[..at], 30),
        Some((at, 't')) => (&lower[..at], 40),
        _ => (lower, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || (number.contains('.') && (!digits(fraction) || fraction.len() > 6 || shift == 0)) {
        return Err(bad());
    }
    let unit = 1_u64 << shift;
    let whole = whole.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)?;
    let part = match fraction {
        "" => 0,
        // At most 6 digits, times 2^40 at most: within 64 bits.
        _ => fraction.parse::<u64>().map_err(|_| bad())? * unit / 10_u64.pow(fraction.len() as u32),
    };
    whole.checked_add(part).filter(|size| *size > 0).ok_or_else(bad)
}

/// The same, where `+` means by how much.
pub fn parse_change(text: &str) -> Result<Change, String> {
    match text.strip_prefix('+') {
        Some(more) => parse(more).map(Change::By),
        None => parse(text).map(Change::To),
    }
}

/// A size for people: three digits and a unit.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_they_are_meant() {
        for (text, size) in [
            ("20G", 20 << 30),
            ("20 GiB", 20 << 30),
            ("1.5t", 3 << 39),
            ("512m", 512 << 20),
            ("4096", 4096),
            ("0.5k", 512),
        ] {
            assert_eq!(parse(&text.replace(' ', "")), Ok(size), "{text}");
        }
        for text in ["", "G", "-1G", "1.G", "1e3", "20X", "0", "99999999T", "1.5", "²G", "１G"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse_change("+1G"), Ok(Change::By(1 << 30)));
        assert_eq!(parse_change("1G"), Ok(Change::To(1 << 30)));
        assert_eq!(human(20 << 30), "20.0 GiB");
        assert_eq!(human(999), "999 bytes");
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "\\PC{0,20}") {
            let _ = parse_change(&text);
        }
    }
}
