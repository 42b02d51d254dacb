//! The dynamic section: where a library's symbols, relocations and constructors are. What asks for more than
//! our loader does is refused.

use object::elf::{self, Dyn64, Rela64, Relr64, Sym64};
use object::pod;
use object::read::elf::Dyn;

use crate::elf::{LE, word};
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};

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

pub(crate) type Symbol = Sym64<LE>;
pub(crate) type Relocation = Rela64<LE>;
pub(crate) type Relative = Relr64<LE>;

/// The tags of packed relative relocations, which `object` does not name.
const DT_RELRSZ: u32 = 35;
const DT_RELR: u32 = 36;
const DT_RELRENT: u32 = 37;

impl Dynamic {
    /// Reads the section's bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Checked<Self> {
        let entries = pod::slice_from_all_bytes::<Dyn64<LE>>(bytes);
        let entries = entries.map_err(|()| Damaged("has a broken dynamic section"))?;
        let mut dynamic = Self::default();
        for entry in entries.iter().take_while(|entry| entry.d_tag.get(LE) != u64::from(elf::DT_NULL)) {
            // No tag that we know is longer.
            if let Some(tag) = entry.tag32(LE) {
                dynamic.take(tag, word(entry.d_val.get(LE)))?;
            }
        }
        if dynamic.symbols == 0 || dynamic.names.size == 0 {
            return Err(Damaged("has no dynamic symbols"));
        }
        Ok(dynamic)
    }

    /// Tags: System V ABI, "Dynamic Section", and its GNU and RELR additions.
    fn take(&mut self, tag: u32, value: usize) -> Checked<()> {
        let fits = match tag {
            elf::DT_RELAENT => value == size_of::<Relocation>(),
            elf::DT_SYMENT => value == size_of::<Symbol>(),
            elf::DT_PLTREL => value == elf::DT_RELA as usize,
            elf::DT_FLAGS => value & (elf::DF_TEXTREL | elf::DF_STATIC_TLS) as usize == 0,
            DT_RELRENT => value == size_of::<Relative>(),
            elf::DT_REL | elf::DT_TEXTREL | elf::DT_PREINIT_ARRAY => false,
            _ => true,
        };
        if !fits {
            return LoadErrorKind::unsupported(format!(
                "has a dynamic entry {tag} of {value:#x}, which only the dynamic linker knows"
            ));
        }
        match tag {
            elf::DT_NEEDED => self.needed.push(value),
            elf::DT_PLTRELSZ => self.relocations[1].size = value,
            elf::DT_HASH => self.hash = Some(value),
            elf::DT_STRTAB => self.names.at = value,
            elf::DT_SYMTAB => self.symbols = value,
            elf::DT_RELA => self.relocations[0].at = value,
            elf::DT_RELASZ => self.relocations[0].size = value,
            elf::DT_STRSZ => self.names.size = value,
            elf::DT_INIT => self.init = Some(value),
            elf::DT_JMPREL => self.relocations[1].at = value,
            elf::DT_INIT_ARRAY => self.init_array.at = value,
            elf::DT_INIT_ARRAYSZ => self.init_array.size = value,
            DT_RELRSZ => self.relative.size = value,
            DT_RELR => self.relative.at = value,
            elf::DT_GNU_HASH => self.gnu_hash = Some(value),
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
