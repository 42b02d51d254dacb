//! Finds x264, compiles the codecs' shims and lists the viewer page's files for embedding.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Names the folder of x264, built elsewhere or by hand.
const X264_VARIABLE: &str = "SAMPAN_X264_DIR";

fn main() {
    x264();
    println!("cargo::rustc-check-cfg=cfg(vp8)");
    // libvpx is the machine's own, and OpenHarmony has none: there viewers need H.264.
    let ohos = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "ohos");
    if env::var_os("CARGO_FEATURE_VP8").is_some() && !ohos {
        println!("cargo::rustc-cfg=vp8");
        vp8();
    }
    viewer();
}

/// Links the x264 that `scripts/x264/build` made.
fn x264() {
    println!("cargo::rerun-if-changed=src/codec/x264_shim.c");
    for variable in [X264_VARIABLE, "XDG_CACHE_HOME", "HOME"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let (folder, command) = x264_folder();
    // It is there whenever the library is, and changes with it.
    println!("cargo::rerun-if-changed={}", folder.join("BUILDINFO.json").display());
    let whole = ["libx264.a", "x264.h", "x264_config.h"].iter().all(|name| folder.join(name).is_file());
    assert!(
        whole,
        "x264 is not in {}: run {command}, or name its folder in {X264_VARIABLE}",
        folder.display()
    );
    // Beside the library that the script made; one of somebody's own may lack it.
    let licences = fs::read_to_string(folder.join("LICENSES.txt")).unwrap_or_default();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("licenses.txt");
    fs::write(&out, licences).unwrap_or_else(|error| panic!("cannot write {}: {error}", out.display()));
    cc::Build::new()
        .file("src/codec/x264_shim.c")
        .include(&folder)
        .opt_level(2)
        .warnings(true)
        .compile("sampan_x264_shim");
    // After the shim, which needs it.
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static=x264");
}

/// Where x264 is, and the command that makes it.
fn x264_folder() -> (PathBuf, String) {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    // As scripts/x264/build names them.
    let (name, command) = if target.ends_with("-linux-ohos") {
        (format!("{arch}-linux-ohos"), format!("scripts/x264/build --target {arch}-linux-ohos"))
    } else {
        (format!("{arch}-linux-gnu"), "scripts/x264/build".to_owned())
    };
    if let Some(folder) = env::var_os(X264_VARIABLE) {
        return (folder.into(), command);
    }
    let filled = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = filled("XDG_CACHE_HOME").or_else(|| filled("HOME").map(|home| home.join(".cache")));
    (cache.unwrap_or_default().join("sampan/x264").join(name).join("current"), command)
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
