//! What may be a name: of a part, of a file, of a CPU.

/// The longest name of a part: with `-file` after it, QEMU's 31 characters of a node's name still hold it
/// (`node_name` in `include/block/block_int-common.h`), and so do the 20 of a disk's serial number.
pub(crate) const MAX_ID: usize = 20;

/// A part's name, which becomes QEMU's: a small letter, then small letters, digits and `_`. Without `-`, so that no
/// name of a person's can be one of those that are made from it (`disk0-file`).
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}

/// A CPU's model as QEMU lists them (`-cpu help`).
pub(crate) fn is_cpu_model(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

/// A CPU's property with its value: `la57=off`.
pub(crate) fn is_cpu_feature(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| is_cpu_model(name) && is_cpu_model(value))
}

/// A file's name without any folder in it.
pub(crate) fn is_file_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && !text.contains(['/', '\\'])
        && !text.contains(char::is_control)
}

/// A UUID in its usual form (RFC 9562, section 4).
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// Models of 32-bit PCs (`builtin_x86_defs` in `target/i386/cpu.c`): no 64-bit firmware or kernel runs on them.
pub(crate) fn is_32_bit_cpu(model: &str) -> bool {
    const MODELS: [&str; 9] =
        ["486", "pentium", "pentium2", "pentium3", "athlon", "qemu32", "kvm32", "coreduo", "n270"];
    // Each may be named with its version: `qemu32-v1`.
    let base = model.split_once("-v").map_or(model, |(base, _)| base);
    MODELS.contains(&base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_pass() {
        for good in ["a", "disk0", "a_b"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "0", "A", "disk-0", "a,b", "a=b", "a b", "ä", "a\0", "a23456789012345678901"] {
            assert!(!is_id(bad), "{bad}");
        }
        for bad in ["", ".", "..", "a/b", "../a", "a\\b", "-a", "a\nb", ".hidden"] {
            assert!(!is_file_name(bad), "{bad}");
        }
        assert!(is_file_name("debian 13, amd64.iso"));
        assert!(is_cpu_model("Skylake-Client-v1") && !is_cpu_model("max,la57=off") && !is_cpu_model("-x"));
        assert!(is_cpu_feature("la57=off") && !is_cpu_feature("la57") && !is_cpu_feature("a=b,c=d"));
        assert!(is_32_bit_cpu("qemu32-v1") && is_32_bit_cpu("pentium3") && !is_32_bit_cpu("qemu64"));
    }
}
