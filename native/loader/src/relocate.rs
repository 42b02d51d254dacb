//! Linking: every place that depends on where the library is, or on where libc's functions are, is set.

use std::ffi::CString;

use crate::dynamic::Dynamic;
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};
use crate::mapping::Mapping;
use crate::tables::{Relocation, Tables};

#[cfg(target_arch = "x86_64")]
mod kinds {
    pub(super) const RELATIVE: u32 = 8;
    /// `R_X86_64_64`, `GLOB_DAT`, `JUMP_SLOT`; the latter two have an addend of 0.
    pub(super) const SYMBOL: [u32; 3] = [1, 6, 7];
}

#[cfg(target_arch = "aarch64")]
mod kinds {
    pub(super) const RELATIVE: u32 = 1027;
    /// `R_AARCH64_ABS64`, `GLOB_DAT`, `JUMP_SLOT`.
    pub(super) const SYMBOL: [u32; 3] = [257, 1025, 1026];
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
    tables.relative(|at| {
        let at = place(at)?;
        // SAFETY: it may be written; the rest is the caller's.
        unsafe { mapping.write(at, mapping.read(at).wrapping_add(base)) };
        Ok(())
    })?;
    for relocation in tables.relocations()? {
        let value = match relocation.kind {
            kinds::RELATIVE => base,
            kind if kinds::SYMBOL.contains(&kind) => address(&tables, base, relocation, resolve)?,
            other => {
                let what = format!("has a relocation of kind {other}, which our loader does not know");
                return LoadErrorKind::unsupported(what);
            }
        };
        let at = place(relocation.at)?;
        // SAFETY: it may be written; the rest is the caller's.
        unsafe { mapping.write(at, value.wrapping_add(relocation.addend)) };
    }
    Ok(())
}

fn address(
    tables: &Tables<'_>,
    base: usize,
    relocation: Relocation,
    resolve: &dyn Fn(&CString) -> Checked<Option<usize>>,
) -> Checked<usize> {
    let symbol = tables.symbol(relocation.symbol)?;
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
