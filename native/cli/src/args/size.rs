//! Sizes as people write them, and as this program writes them: one grammar for the whole program.

use sampan_config::MAX_MEMORY_MIB;

/// A size to be had, or by how much to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// That many bytes.
    To(u64),
    /// That many bytes more.
    By(u64),
}

/// Fewer bytes than this make no disk.
const LEAST_DISK: u64 = sampan_library::MIN_DRIVE;

/// A number, and the bytes of its unit where it has one.
struct Written {
    whole: u64,
    /// The digits behind the point.
    fraction: String,
    unit: Option<u64>,
}

impl Written {
    /// `20G`, `20 GB`, `20.0 GiB`, `512 bytes`, `2048`: binary units, as memory and disks of virtual machines have.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" => None,
            "b" | "byte" | "bytes" => Some(1),
            "k" | "kb" | "kib" => Some(1 << 10),
            "m" | "mb" | "mib" => Some(1 << 20),
            "g" | "gb" | "gib" => Some(1 << 30),
            "t" | "tb" | "tib" => Some(1 << 40),
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || (number.contains('.') && (!digits(fraction) || fraction.len() > 6)) {
            return None;
        }
        Some(Self { whole: whole.parse().ok()?, fraction: fraction.to_owned(), unit })
    }

    /// In bytes; a plain number is of `plain` bytes each.
    fn bytes(&self, plain: u64) -> Option<u64> {
        let unit = self.unit.unwrap_or(plain);
        let part = match self.fraction.as_str() {
            "" => 0,
            // A part of a byte is none.
            _ if unit == 1 => return None,
            // At most 6 digits, times 2^40 at most: within 64 bits.
            digits => digits.parse::<u64>().ok()? * unit / 10_u64.pow(digits.len() as u32),
        };
        self.whole.checked_mul(unit)?.checked_add(part).filter(|size| *size > 0)
    }
}

fn bad(text: &str) -> String {
    format!("{text:?} is no size: write it as 20G, 512M or 1.5T")
}

/// A disk's size in bytes. A plain number is of bytes; one that makes no disk was meant otherwise.
pub fn disk(text: &str) -> Result<u64, String> {
    let written = Written::read(text).ok_or_else(|| bad(text))?;
    let size = written.bytes(1).ok_or_else(|| bad(text))?;
    if size < LEAST_DISK {
        let meant = match written.unit {
            None => format!(", did you mean {}G?", written.whole),
            Some(_) => format!(": the least is {}", human(LEAST_DISK)),
        };
        return Err(format!("{} is too little for a disk{meant}", human(size)));
    }
    Ok(size)
}

/// Memory in MiB, which is what a plain number is of.
pub fn memory(text: &str) -> Result<u32, String> {
    let written = Written::read(text)
        .ok_or_else(|| format!("{text:?} is no size: write it as 4G, 512M, or a number of MiB"))?;
    let bytes = written.bytes(1 << 20).ok_or_else(|| bad(text))?;
    let mib = bytes >> 20;
    if mib == 0 {
        return Err(format!("{} is too little for a machine: write it as 4G, or 4096 for MiB", human(bytes)));
    }
    let too_much = || {
        let why = if written.unit.is_none() { ", and a number without a unit is of MiB" } else { "" };
        format!("{text} is too much: a machine has at most {MAX_MEMORY_MIB} MiB{why}; write it as 4G or 4096")
    };
    u32::try_from(mib).ok().filter(|mib| *mib <= MAX_MEMORY_MIB).ok_or_else(too_much)
}

/// A disk's size; where `+` comes first, by how much it grows.
pub fn disk_change(text: &str) -> Result<Change, String> {
    match text.trim().strip_prefix('+') {
        Some(more) => disk(more).map(Change::By),
        None => disk(text).map(Change::To),
    }
}

pub use sampan_message::human_bytes as human;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_they_are_meant() {
        for (text, size) in [
            ("20G", 20 << 30),
            ("20 GB", 20 << 30),
            ("20gb", 20 << 30),
            ("20.0 GiB", 20 << 30),
            (" 20\u{a0}GiB ", 20 << 30),
            ("1.5t", 3 << 39),
            ("512m", 512 << 20),
            ("2097152", 2 << 20),
            ("2097152 bytes", 2 << 20),
            ("2048.5k", 2048 * 1024 + 512),
        ] {
            assert_eq!(disk(text), Ok(size), "{text}");
        }
        for text in [
            "",
            "G",
            "-1G",
            "1.G",
            "1e3",
            "20X",
            "20 G B",
            "20GG",
            "20i",
            "0",
            "0G",
            "99999999T",
            "1.5",
            "²G",
            "１G",
            "1..5G",
            "20 G 5",
        ] {
            assert!(disk(text).is_err(), "{text}");
            assert_eq!(memory(text).ok(), if text == "1.5" { Some(1) } else { None }, "{text}");
        }
        assert_eq!(disk_change("+1 GiB"), Ok(Change::By(1 << 30)));
        assert_eq!(disk_change("1G"), Ok(Change::To(1 << 30)));
        assert_eq!(human(20 << 30), "20.0 GiB");
        assert_eq!(human(999), "999 bytes");
    }

    #[test]
    fn a_plain_number_is_mib_of_memory_and_no_tiny_disk() {
        for (text, mib) in
            [("2048", 2048), ("2G", 2048), ("2.0 GiB", 2048), ("1.5 g", 1536), ("512 MiB", 512)]
        {
            assert_eq!(memory(text), Ok(mib), "{text}");
        }
        let words = memory("2147483648").expect_err("bytes");
        assert!(words.contains("of MiB") && words.contains("4G"), "{words}");
        assert!(memory("2048 bytes").expect_err("too little").contains("2.0 KiB is too little"));
        for text in ["40", "+40"] {
            let words = disk_change(text).expect_err("too small");
            assert!(words.contains("did you mean 40G?"), "{words}");
        }
        assert!(!disk("40k").expect_err("too small").contains("did you mean"));
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "\\PC{0,20}") {
            let _ = (disk_change(&text), memory(&text));
        }

        #[test]
        fn what_is_printed_is_read_again(shift in 0u32..63, fill: u64) {
            let bytes = (1u64 << shift | fill & ((1 << shift) - 1)).max(LEAST_DISK);
            let again = disk(&human(bytes));
            prop_assert_eq!(again.clone().map(human), Ok(human(bytes)));
            prop_assert!(again.is_ok_and(|again| again.abs_diff(bytes) <= bytes / 18));
            let mib = (bytes >> 20).min(MAX_MEMORY_MIB.into());
            prop_assert_eq!(memory(&human(mib << 20)).map(|mib| human(u64::from(mib) << 20)), Ok(human(mib << 20)));
            // As `status` prints it.
            prop_assert_eq!(memory(&format!("{mib} MiB")).map(u64::from), Ok(mib));
        }
    }
}
