//! Compiles the thread that QEMU runs on.

fn main() {
    println!("cargo::rerun-if-changed=c");
    let mut host = cc::Build::new();
    // `inside.h`: cargo passes on what the build script of `loader` says.
    host.includes(std::env::var_os("DEP_SAMPAN_LOADER_INCLUDE"));
    host.file("c/host.c").std("gnu11").warnings(true).extra_warnings(true).compile("sampan_host");
}
