//! Compiles the stand-in to a shared library of its own, which tests load as the app loads the system's.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-changed=launcher");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    let library = Path::new(&out).join("libstand_in.so");
    let mut build = cc::Build::new();
    build.std("gnu11").warnings(true).extra_warnings(true).pic(true);
    let mut command = build.get_compiler().to_command();
    command.args(["-shared", "-pthread", "-Wl,-z,defs", "-o"]).arg(&library).args([
        "c/window.c",
        "c/vsync.c",
        "c/hilog.c",
        "c/node.c",
        "c/child.c",
        "c/audio.c",
        "c/cursor.c",
    ]);
    run(command);
    println!("cargo::rustc-env=STAND_IN_LIBRARY={}", library.display());

    let launcher = Path::new(&out).join("stand-in-launcher");
    let mut command = build.get_compiler().to_command();
    command.arg("-o").arg(&launcher).args(["launcher/launcher.c", "-ldl"]);
    run(command);
    println!("cargo::rustc-env=STAND_IN_LAUNCHER={}", launcher.display());
}

fn run(mut command: std::process::Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        other => println!("cargo::error={command:?} failed: {other:?}"),
    }
}
