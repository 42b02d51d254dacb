//! Symbols and relocations of a mapped library, read with every bound checked.

use object::elf::{STT_GNU_IFUNC, STT_TLS};
use object::pod::{self, Pod};
use object::read::StringTable;
use object::read::elf::{GnuHashTable, HashTable, RelrIterator, Sym};

use crate::dynamic::{self, Dynamic, Relocation, Table};
use crate::elf::{Header, LE, word};
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};

/// What of a library's memory nobody writes: pieces, and where they begin relative to the library.
#[derive(Clone, Debug)]
pub(crate) struct View<'a>(pub(crate) Vec<(usize, &'a [u8])>);

impl<'a> View<'a> {
    /// From there to the end of its piece.
    fn rest(&self, at: usize) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(start, piece)| piece.get(at.checked_sub(*start)?..))
    }

    fn table<T: Pod>(&self, table: Table) -> Checked<&'a [T]> {
        if table.size == 0 {
            return Ok(&[]);
        }
        let bytes = self.rest(table.at).and_then(|rest| rest.get(..table.size));
        let bytes = bytes.ok_or(Damaged("has a table outside of its read-only part"))?;
        pod::slice_from_all_bytes(bytes).map_err(|()| Damaged("has a table that ends within an entry"))
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

/// The tables of one library.
#[derive(Clone, Debug)]
pub(crate) struct Tables<'a> {
    view: View<'a>,
    dynamic: &'a Dynamic,
    names: StringTable<'a>,
    /// And what lies behind them: how many there are, only a hash table says.
    symbols: &'a [dynamic::Symbol],
}

impl<'a> Tables<'a> {
    pub(crate) fn new(view: View<'a>, dynamic: &'a Dynamic) -> Checked<Self> {
        let names = StringTable::new(view.table(dynamic.names)?, 0, dynamic.names.size as u64);
        let symbols = view.rest(dynamic.symbols).unwrap_or_default();
        let whole = symbols.len() / size_of::<dynamic::Symbol>();
        let (symbols, _) = pod::slice_from_bytes(symbols, whole).unwrap_or_default();
        Ok(Self { view, dynamic, names, symbols })
    }

    /// The names of the libraries it asks for.
    pub(crate) fn needed(&self) -> impl Iterator<Item = Checked<&'a [u8]>> {
        self.dynamic.needed.iter().map(|at| self.name(u32::try_from(*at).unwrap_or(u32::MAX)))
    }

    fn name(&self, at: u32) -> Checked<&'a [u8]> {
        self.names.get(at).map_err(|()| Damaged("has a name without an end"))
    }

    pub(crate) fn symbol(&self, number: usize) -> Checked<Symbol<'a>> {
        let symbol = self.symbols.get(number);
        let symbol = symbol.ok_or(Damaged("has a relocation for a symbol that it has not"))?;
        if [STT_TLS, STT_GNU_IFUNC].contains(&symbol.st_type()) || symbol.is_absolute(LE) {
            return LoadErrorKind::unsupported("has a symbol of a kind that only the dynamic linker knows");
        }
        let value = (!symbol.is_undefined(LE)).then_some(word(symbol.st_value.get(LE)));
        Ok(Symbol { name: self.name(symbol.st_name.get(LE))?, value, weak: symbol.is_weak() })
    }

    /// Where the library defines this name. All symbols are looked at: a libqemu exports ten, and hashing would save
    /// nothing.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        (0..self.count()?)
            .filter_map(|number| self.symbol(number).ok())
            .find_map(|symbol| symbol.value.filter(|_| symbol.name == name))
    }

    /// How many symbols there are. `None`: it exports none, or its hash table is broken.
    fn count(&self) -> Option<usize> {
        let count = match (self.dynamic.gnu_hash, self.dynamic.hash) {
            (Some(table), _) => {
                let table = GnuHashTable::<Header>::parse(LE, self.view.rest(table)?).ok()?;
                // `object` counts up from there in 32 bits, unchecked.
                self.symbols.get(word(table.symbol_base().into()))?;
                table.symbol_table_length(LE)?
            }
            (None, Some(table)) => {
                HashTable::<Header>::parse(LE, self.view.rest(table)?).ok()?.symbol_table_length()
            }
            (None, None) => return None,
        };
        Some(word(count.into()).min(self.symbols.len()))
    }

    pub(crate) fn relocations(&self) -> Checked<impl Iterator<Item = &'a Relocation>> {
        let [data, functions] = self.dynamic.relocations;
        Ok(self.view.table(data)?.iter().chain(self.view.table(functions)?))
    }

    /// The places to which the library's address is added. After one that is not in the library nobody may ask for the
    /// next: `object` adds to it without a check.
    pub(crate) fn relative(&self) -> Checked<impl Iterator<Item = usize>> {
        let packed = self.view.table(self.dynamic.relative)?;
        Ok(RelrIterator::<Header>::new(LE, packed).map(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: usize = 0;
    const SYMBOLS: usize = 0x10;
    const HASH: usize = 0x100;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Names, the symbols "" and "f" (at 0x40), and then a table.
    fn library(table: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HASH];
        bytes[1] = b'f';
        let second = SYMBOLS + size_of::<dynamic::Symbol>();
        bytes[second..second + 12].copy_from_slice(&words(&[1, 1 << 16, 0x40]));
        bytes.extend_from_slice(table);
        bytes
    }

    fn find(dynamic: &Dynamic, table: &[u8]) -> Option<usize> {
        let names = Table { at: NAMES, size: 3 };
        let dynamic = Dynamic { symbols: SYMBOLS, names, ..dynamic.clone() };
        let library = library(table);
        Tables::new(View(vec![(0, &library)]), &dynamic).unwrap().find(b"f")
    }

    #[test]
    fn symbols_are_counted_by_either_hash_table() {
        let gnu = Dynamic { gnu_hash: Some(HASH), ..Dynamic::default() };
        // One bucket, symbols from 1 on, one word of filter, no shift; the bucket's first; a chain of one.
        assert_eq!(find(&gnu, &words(&[1, 1, 1, 0, 0, 0, 1, 1])), Some(0x40));
        assert_eq!(find(&gnu, &words(&[1, 1, 1, 0, 0, 0, 0, 1])), None, "it exports none");
        let old = Dynamic { hash: Some(HASH), ..Dynamic::default() };
        assert_eq!(find(&old, &words(&[1, 2, 1, 0, 0])), Some(0x40));
        assert_eq!(find(&Dynamic::default(), &[]), None);
    }

    #[test]
    fn a_broken_hash_table_finds_nothing() {
        let gnu = Dynamic { gnu_hash: Some(HASH), ..Dynamic::default() };
        let old = Dynamic { hash: Some(HASH), ..Dynamic::default() };
        let far = u32::MAX;
        for table in [
            &[][..],
            &[0; 8],
            &[1, far, 1, 0, 0, 0, far, 0, 0, 0],
            &[1, far - 1, 1, 0, 0, 0, far, 0, 0, 0],
            &[far, 1, 1, 0, 0, 0, 1, 1],
            &[1, 1, far, 0, 0, 0, 1, 1],
            &[1, 1, 1, far, 0, 0, far, 1],
            &[1, 1, 1, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(find(&gnu, &words(table)), None, "{table:?}");
        }
        for table in [&[][..], &[0, 0], &[far, far], &[1, far, 0], &[far, 1, 0]] {
            assert_eq!(find(&old, &words(table)), None, "{table:?}");
        }
        let outside = Dynamic { gnu_hash: Some(usize::MAX), ..Dynamic::default() };
        assert_eq!(find(&outside, &[]), None);
    }

    #[test]
    fn packed_places_are_unpacked_in_order() {
        let packed: Vec<u8> =
            [0x100u64, 0b1011, 1, 0b101].iter().flat_map(|word| word.to_le_bytes()).collect();
        let dynamic = Dynamic {
            relative: Table { at: HASH, size: packed.len() },
            symbols: SYMBOLS,
            ..Dynamic::default()
        };
        let library = library(&packed);
        let tables = Tables::new(View(vec![(0, &library)]), &dynamic).unwrap();
        let places: Vec<_> = tables.relative().unwrap().collect();
        assert_eq!(places, [0x100, 0x108, 0x118, 0x108 + 2 * 63 * 8 + 8]);
    }

    #[test]
    fn a_table_is_whole_and_within_one_piece() {
        let bytes = [0; 64];
        let view = View(vec![(0x1000, &bytes[..32]), (0x1020, &bytes[32..])]);
        assert_eq!(view.table::<Relocation>(Table { at: 0x1008, size: 24 }).unwrap().len(), 1);
        assert!(view.table::<Relocation>(Table { at: usize::MAX, size: 0 }).unwrap().is_empty());
        for (at, size) in [
            (0x1008, 23),
            (0x1010, 24),
            (0xff8, 24),
            (0x1040, 24),
            (0, 24),
            (usize::MAX, 24),
            (0x1000, usize::MAX),
        ] {
            assert!(view.table::<Relocation>(Table { at, size }).is_err(), "{at:#x}, {size}");
        }
    }
}
