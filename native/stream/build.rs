//! Compiles the VP8 shim and lists the viewer page's files for embedding.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    if env::var_os("CARGO_FEATURE_VP8").is_some() {
        vp8();
    }
    viewer();
}

fn vp8() {
    println!("cargo::rerun-if-changed=src/codec/vpx_shim.c");
    let vpx = pkg_config::Config::new().atleast_version("1.8").probe("vpx").unwrap_or_else(|error| {
        panic!("libvpx is missing ({error}): install libvpx-dev, or build without the feature `vp8`")
    });
    cc::Build::new()
        .file("src/codec/vpx_shim.c")
        .includes(vpx.include_paths)
        .opt_level(2)
        .warnings(true)
        .compile("sampan_vpx_shim");
}

/// Writes `viewer.rs`: a table of (path, bytes) of every file below `viewer/dist`. The page is built by its own
/// tools; without it the table is empty and the server shows how to build it.
fn viewer() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let dist = root.join("viewer/dist");
    // A folder that is not there is watched through its parent.
    println!("cargo::rerun-if-changed=viewer/dist");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&dist, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name =
            file.strip_prefix(&dist).expect("collected below dist").to_string_lossy().replace('\\', "/");
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string())
            .expect("writing to a string does not fail");
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("viewer.rs");
    fs::write(&out, table).unwrap_or_else(|error| panic!("cannot write {}: {error}", out.display()));
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
