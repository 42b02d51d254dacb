//! The dynamic section: where a library's symbols, relocations and constructors are. What asks for more than
//! our loader does is refused.

use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};
use crate::program::field;

/// A table in the library's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) at: usize,
    /// In bytes.
    pub(crate) size: usize,
}

/// As far as it is of use. Addresses are what the file says: unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynamic {
    pub(crate) symbols: usize,
    pub(crate) names: Table,
    pub(crate) gnu_hash: Option<usize>,
    pub(crate) hash: Option<usize>,
    /// `Elf64_Rela`: data, and functions.
    pub(crate) relocations: [Table; 2],
    /// Packed relative relocations.
    pub(crate) relative: Table,
    pub(crate) init: Option<usize>,
    pub(crate) init_array: Table,
    /// Names of other libraries, as places in `names`.
    pub(crate) needed: Vec<usize>,
}

pub(crate) const SYMBOL: usize = 24;
pub(crate) const RELOCATION: usize = 24;

const DT_RELA_FORMAT: usize = 7;
const DF_TEXTREL: usize = 4;
const DF_STATIC_TLS: usize = 16;

impl Dynamic {
    /// Reads the section's bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Checked<Self> {
        let mut dynamic = Self::default();
        for entry in bytes.chunks_exact(16) {
            let tag = field(entry, 0, 8).ok_or(Damaged("has a broken dynamic section"))?;
            let value = field(entry, 8, 8).ok_or(Damaged("has a broken dynamic section"))?;
            if tag == 0 {
                break;
            }
            dynamic.take(tag, value)?;
        }
        if dynamic.symbols == 0 || dynamic.names.size == 0 {
            return Err(Damaged("has no dynamic symbols"));
        }
        Ok(dynamic)
    }

    /// Tags: System V ABI, "Dynamic Section", and its GNU and RELR additions.
    fn take(&mut self, tag: usize, value: usize) -> Checked<()> {
        let fits = match tag {
            9 => value == RELOCATION,
            11 => value == SYMBOL,
            20 => value == DT_RELA_FORMAT,
            30 => value & (DF_TEXTREL | DF_STATIC_TLS) == 0,
            37 => value == 8,
            // DT_REL, DT_TEXTREL, DT_PREINIT_ARRAY.
            17 | 22 | 32 => false,
            _ => true,
        };
        if !fits {
            return LoadErrorKind::unsupported(format!(
                "has a dynamic entry {tag} of {value:#x}, which only the dynamic linker knows"
            ));
        }
        match tag {
            1 => self.needed.push(value),
            2 => self.relocations[1].size = value,
            4 => self.hash = Some(value),
            5 => self.names.at = value,
            6 => self.symbols = value,
            7 => self.relocations[0].at = value,
            8 => self.relocations[0].size = value,
            10 => self.names.size = value,
            12 => self.init = Some(value),
            23 => self.relocations[1].at = value,
            25 => self.init_array.at = value,
            27 => self.init_array.size = value,
            35 => self.relative.size = value,
            36 => self.relative.at = value,
            0x6fff_fef5 => self.gnu_hash = Some(value),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(entries: &[(u64, u64)]) -> Vec<u8> {
        entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn entries_after_the_last_do_not_count() {
        let bytes = section(&[(1, 3), (5, 0x100), (10, 0x20), (6, 0x40), (0, 0), (1, 9), (22, 0)]);
        let dynamic = Dynamic::parse(&bytes).unwrap();
        assert_eq!(dynamic.needed, [3]);
        assert_eq!(dynamic.names, Table { at: 0x100, size: 0x20 });
    }

    #[test]
    fn what_only_the_dynamic_linker_does_is_refused() {
        let good = [(5, 0x100), (10, 0x20), (6, 0x40)];
        assert!(Dynamic::parse(&section(&good)).is_ok());
        for bad in [(22, 0), (17, 0x100), (30, 4), (30, 16), (9, 16), (20, 17), (11, 16)] {
            let refusal = Dynamic::parse(&section(&[&good[..], &[bad]].concat())).unwrap_err().to_string();
            assert!(refusal.contains("only the dynamic linker"), "{bad:?}: {refusal}");
        }
        assert!(Dynamic::parse(&section(&good[..1])).is_err());
    }
}
