//! A small library for tests, compiled on the spot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use object::read::elf::FileHeader;

use crate::elf::{Header, LE};

/// The system's, or another for another processor.
pub(crate) fn compiler() -> Command {
    Command::new(std::env::var_os("SAMPAN_TEST_CC").unwrap_or("cc".into()))
}

/// Compiles `sample.c` into `folder`, with further options for the compiler.
pub(crate) fn compile(folder: &Path, options: &[&str]) -> PathBuf {
    let library = folder.join("libsample.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sample.c");
    let mut command = compiler();
    command.args([
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-nostdlib",
        "-fno-stack-protector",
    ]);
    if cfg!(target_arch = "aarch64") {
        // Else atomics are calls of functions that are in the compiler's own library.
        command.arg("-mno-outline-atomics");
    }
    command.args(["-Wl,-z,relro,-z,now,-z,separate-code,-Bsymbolic"]).args(options);
    assert!(command.arg(source).arg("-o").arg(&library).status().unwrap().success());
    library
}

/// The bytes of one.
pub(crate) fn library() -> Vec<u8> {
    static LIBRARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::read(compile(folder.path(), &[])).unwrap()
    });
    LIBRARY.clone()
}

/// Where the n-th program header of a kind is.
pub(crate) fn header(file: &[u8], kind: u32, n: usize) -> usize {
    let parsed = Header::parse(file).unwrap();
    let headers = parsed.program_headers(LE, file).unwrap().iter().enumerate();
    let (index, header) = headers.filter(|(_, header)| header.p_type.get(LE) == kind).nth(n).unwrap();
    usize::try_from(parsed.e_phoff.get(LE)).unwrap() + index * size_of_val(header)
}
