//! Symbols and relocations of a mapped library, read with every bound checked.

use crate::dynamic::{Dynamic, RELOCATION, SYMBOL, Table};
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};
use crate::program::field;

/// What of a library's memory nobody writes: pieces, and where they begin relative to the library.
#[derive(Clone, Debug)]
pub(crate) struct View<'a>(pub(crate) Vec<(usize, &'a [u8])>);

impl<'a> View<'a> {
    fn bytes(&self, at: usize, size: usize) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(start, piece)| {
            let start = at.checked_sub(*start)?;
            piece.get(start..start.checked_add(size)?)
        })
    }

    fn number(&self, at: usize, size: usize) -> Option<usize> {
        field(self.bytes(at, size)?, 0, size)
    }

    fn table(&self, table: Table) -> Checked<&'a [u8]> {
        let bytes = if table.size == 0 { Some(&[][..]) } else { self.bytes(table.at, table.size) };
        bytes.ok_or(Damaged("has a table outside of its read-only part"))
    }
}

/// A symbol by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a [u8],
    /// Relative to the library; `None`: somebody else's.
    pub(crate) value: Option<usize>,
    pub(crate) weak: bool,
}

/// One place to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relocation {
    pub(crate) at: usize,
    pub(crate) kind: u32,
    pub(crate) symbol: usize,
    /// Wraps around, as in `Elf64_Sxword`.
    pub(crate) addend: usize,
}

/// `Elf64_Rela`. An address beyond what a `usize` holds is nowhere, and found to be so.
fn relocation(bytes: &[u8; RELOCATION]) -> Relocation {
    let words = bytes.as_chunks::<8>().0;
    let [at, info, addend] = [0, 1, 2].map(|i| u64::from_le_bytes(words[i]));
    let wide = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Relocation {
        at: wide(at),
        kind: (info & u64::from(u32::MAX)) as u32,
        symbol: wide(info >> 32),
        addend: wide(addend),
    }
}

/// The tables of one library.
#[derive(Clone, Debug)]
pub(crate) struct Tables<'a> {
    view: View<'a>,
    dynamic: &'a Dynamic,
    names: &'a [u8],
}

impl<'a> Tables<'a> {
    pub(crate) fn new(view: View<'a>, dynamic: &'a Dynamic) -> Checked<Self> {
        let names = view.table(dynamic.names)?;
        Ok(Self { view, dynamic, names })
    }

    /// The names of the libraries it asks for.
    pub(crate) fn needed(&self) -> impl Iterator<Item = Checked<&'a [u8]>> {
        self.dynamic.needed.iter().map(|at| self.name(*at))
    }

    fn name(&self, at: usize) -> Checked<&'a [u8]> {
        let rest = self.names.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0).ok_or(Damaged("has a name without an end"))?;
        Ok(&rest[..end])
    }

    pub(crate) fn symbol(&self, number: usize) -> Checked<Symbol<'a>> {
        const STT_TLS: usize = 6;
        const STT_GNU_IFUNC: usize = 10;
        const STB_WEAK: usize = 2;
        const SHN_ABS: usize = 0xfff1;
        let broken = || Damaged("has a relocation for a symbol that it has not");
        let at = number.checked_mul(SYMBOL).and_then(|offset| offset.checked_add(self.dynamic.symbols));
        let bytes = at.and_then(|at| self.view.bytes(at, SYMBOL)).ok_or_else(broken)?;
        let part = |at, size| field(bytes, at, size).ok_or_else(broken);
        let (name, info, section, value) = (part(0, 4)?, part(4, 1)?, part(6, 2)?, part(8, 8)?);
        if [STT_TLS, STT_GNU_IFUNC].contains(&(info & 15)) || section == SHN_ABS {
            return LoadErrorKind::unsupported("has a symbol of a kind that only the dynamic linker knows");
        }
        let value = (section != 0).then_some(value);
        Ok(Symbol { name: self.name(name)?, value, weak: info >> 4 == STB_WEAK })
    }

    /// Where the library defines this name.
    pub(crate) fn find(&self, name: &[u8]) -> Checked<Option<usize>> {
        let found = match (self.dynamic.gnu_hash, self.dynamic.hash) {
            (Some(table), _) => self.find_gnu(table, name),
            (None, Some(table)) => self.find_old(table, name),
            (None, None) => None,
        };
        found.map_or(Ok(None), |number| Ok(self.symbol(number)?.value))
    }

    fn is(&self, number: usize, name: &[u8]) -> bool {
        self.symbol(number).is_ok_and(|symbol| symbol.name == name && symbol.value.is_some())
    }

    /// Buckets hold a first symbol's number; a chain's last hash has the lowest bit set. The filter before them
    /// only saves time. A number beyond the table ends the search.
    fn find_gnu(&self, table: usize, name: &[u8]) -> Option<usize> {
        let word = |at: usize| self.view.number(table.checked_add(at)?, 4);
        let [buckets, first, filter] = [word(0)?, word(4)?, word(8)?];
        let start = filter.checked_mul(8)?.checked_add(16)?;
        let chains = buckets.checked_mul(4)?.checked_add(start)?;
        let wanted = name.iter().fold(5381u32, |h, byte| h.wrapping_mul(33).wrapping_add(u32::from(*byte)));
        let wanted = usize::try_from(wanted).ok()?;
        let bucket = wanted.checked_rem(buckets)?;
        let mut number = word(start.checked_add(bucket * 4)?)?;
        loop {
            let hash = word(number.checked_sub(first)?.checked_mul(4)?.checked_add(chains)?)?;
            if hash | 1 == wanted | 1 && self.is(number, name) {
                return Some(number);
            }
            if hash & 1 == 1 {
                return None;
            }
            number += 1;
        }
    }

    fn find_old(&self, table: usize, name: &[u8]) -> Option<usize> {
        let word = |at: usize| self.view.number(table.checked_add(at.checked_mul(4)?)?, 4);
        let [buckets, chains] = [word(0)?, word(1)?];
        let wanted = name.iter().fold(0u32, |h, byte| {
            let h = (h << 4).wrapping_add(u32::from(*byte));
            (h ^ (h >> 24 & 0xf0)) & 0x0fff_ffff
        });
        let mut number = word(usize::try_from(wanted).ok()?.checked_rem(buckets)?.checked_add(2)?)?;
        // No chain is longer than there are symbols: one that is goes in a circle.
        for _ in 0..chains {
            if number == 0 {
                break;
            }
            if self.is(number, name) {
                return Some(number);
            }
            number = word(number.checked_add(buckets)?.checked_add(2)?)?;
        }
        None
    }

    pub(crate) fn relocations(&self) -> Checked<impl Iterator<Item = Relocation>> {
        let [data, functions] = self.dynamic.relocations;
        let (data, functions) = (self.view.table(data)?, self.view.table(functions)?);
        let (data, functions) = (data.as_chunks::<RELOCATION>().0, functions.as_chunks().0);
        Ok(data.iter().chain(functions).map(relocation))
    }

    /// Calls `add` for each place to which the library's address is added: an even number is a place, an odd one
    /// a bit for each of the 63 words after.
    pub(crate) fn relative(&self, mut add: impl FnMut(usize) -> Checked<()>) -> Checked<()> {
        let mut next = 0usize;
        for word in self.view.table(self.dynamic.relative)?.chunks_exact(8) {
            let word = field(word, 0, 8).unwrap_or_default();
            if word & 1 == 0 {
                add(word)?;
                next = word.wrapping_add(8);
                continue;
            }
            for bit in (0..63).filter(|bit| word >> (bit + 1) & 1 == 1) {
                add(next.wrapping_add(bit * 8))?;
            }
            next = next.wrapping_add(63 * 8);
        }
        Ok(())
    }
}
