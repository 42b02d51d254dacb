//! What the linker must know of a module whose host's engine gives the symbols of N-API.
//!
//! In ArkTS they are in `libace_napi.z.so`, which the module names. Its place is the NDK's, where `OHOS_NDK_HOME` says where that is;
//! else a stand-in with the names in `ace_napi.txt` is made, which is enough to link with.

use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: &str = "ace_napi.txt";

fn main() {
    println!("cargo::rerun-if-env-changed=OHOS_NDK_HOME");
    println!("cargo::rerun-if-changed={NAMES}");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_ENV") != "ohos" {
        napi_build::setup();
        return;
    }
    // The types are told for the host alone, which has them all.
    let place = match std::env::var_os("OHOS_NDK_HOME") {
        Some(ndk) => Path::new(&ndk)
            .join(format!("native/sysroot/usr/lib/{}-linux-ohos", variable("CARGO_CFG_TARGET_ARCH"))),
        None => stand_in(&PathBuf::from(variable("OUT_DIR"))),
    };
    println!("cargo::rustc-link-search=native={}", place.display());
}

/// A library with all the names and nothing behind them.
fn stand_in(folder: &Path) -> PathBuf {
    let names = std::fs::read_to_string(NAMES).unwrap_or_else(|error| panic!("{NAMES}: {error}"));
    let code: String = names
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|name| format!("void {name}(void) {{}}\n"))
        .collect();
    let source = folder.join("ace_napi.c");
    std::fs::write(&source, code).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let compiler = cc::Build::new().get_compiler();
    let mut command: Command = compiler.to_command();
    command.args(["-shared", "-fPIC", "-Wl,-soname,libace_napi.z.so", "-o"]);
    command.arg(folder.join("libace_napi.z.so")).arg(&source);
    match command.status() {
        Ok(status) if status.success() => folder.to_owned(),
        other => panic!("the stand-in for libace_napi.z.so cannot be made: {other:?}"),
    }
}
