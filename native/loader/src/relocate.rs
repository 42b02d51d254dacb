//! Linking: every place that depends on where the library is, or on where libc's functions are, is set.

use std::ffi::CString;

use crate::dynamic::{Dynamic, Relocation};
use crate::elf::{LE, word};
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};
use crate::mapping::Mapping;
use crate::tables::Tables;

#[cfg(target_arch = "x86_64")]
mod kinds {
    use object::elf;

    pub(super) const RELATIVE: u32 = elf::R_X86_64_RELATIVE;
    /// The latter two have an addend of 0.
    pub(super) const SYMBOL: [u32; 3] = [elf::R_X86_64_64, elf::R_X86_64_GLOB_DAT, elf::R_X86_64_JUMP_SLOT];
}

#[cfg(target_arch = "aarch64")]
mod kinds {
    use object::elf;

    pub(super) const RELATIVE: u32 = elf::R_AARCH64_RELATIVE;
    pub(super) const SYMBOL: [u32; 3] =
        [elf::R_AARCH64_ABS64, elf::R_AARCH64_GLOB_DAT, elf::R_AARCH64_JUMP_SLOT];
}

/// Sets all places; `resolve` gives the address of a name that is not the library's own.
///
/// # Safety
/// The library is mapped, not protected yet, and none of its code has run.
pub(crate) unsafe fn link(
    mapping: &Mapping,
    dynamic: &Dynamic,
    resolve: &dyn Fn(&CString) -> Checked<Option<usize>>,
) -> Checked<()> {
    let tables = Tables::new(mapping.view(), dynamic)?;
    let base = mapping.base().addr().get();
    let place = |at: usize| match mapping.may_write(at) {
        true => Ok(at),
        false => Err(Damaged("has a relocation in its code or outside of it")),
    };
    for at in tables.relative()? {
        let at = place(at)?;
        // SAFETY: it may be written; the rest is the caller's.
        unsafe { mapping.write(at, mapping.read(at).wrapping_add(base)) };
    }
    for relocation in tables.relocations()? {
        let value = match relocation.r_type(LE, false) {
            kinds::RELATIVE => base,
            kind if kinds::SYMBOL.contains(&kind) => address(&tables, base, relocation, resolve)?,
            other => {
                let what = format!("has a relocation of kind {other}, which our loader does not know");
                return LoadErrorKind::unsupported(what);
            }
        };
        let at = place(word(relocation.r_offset.get(LE)))?;
        let addend = word(relocation.r_addend.get(LE).cast_unsigned());
        // SAFETY: it may be written; the rest is the caller's.
        unsafe { mapping.write(at, value.wrapping_add(addend)) };
    }
    Ok(())
}

fn address(
    tables: &Tables<'_>,
    base: usize,
    relocation: &Relocation,
    resolve: &dyn Fn(&CString) -> Checked<Option<usize>>,
) -> Checked<usize> {
    let symbol = tables.symbol(word(relocation.r_sym(LE, false).into()))?;
    if let Some(value) = symbol.value {
        return Ok(base.wrapping_add(value));
    }
    let name = CString::new(symbol.name).map_err(|_| Damaged("has a symbol without a name"))?;
    match resolve(&name)? {
        Some(address) => Ok(address),
        None if symbol.weak => Ok(0),
        None => Err(LoadErrorKind::MissingSymbol { name: name.to_string_lossy().into() }),
    }
}

/// The constructors, in their order. They are code of the library, or the library is refused.
///
/// # Safety
/// [`link`] has succeeded.
pub(crate) unsafe fn constructors(mapping: &Mapping, dynamic: &Dynamic) -> Checked<Vec<*const ()>> {
    let wrong = || Damaged("has a constructor that is no code of its own");
    let base = mapping.base().addr().get();
    let mut found = Vec::new();
    if let Some(init) = dynamic.init {
        found.push(mapping.code(init).ok_or_else(wrong)?);
    }
    for index in 0..dynamic.init_array.size / 8 {
        let at = dynamic.init_array.at.checked_add(index * 8).filter(|at| mapping.may_write(*at));
        // SAFETY: it lies in a segment that is readable, and was linked.
        let address = unsafe { mapping.read(at.ok_or_else(wrong)?) };
        found.push(mapping.code(address.wrapping_sub(base)).ok_or_else(wrong)?);
    }
    Ok(found)
}
