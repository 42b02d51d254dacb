//! Compiles the thread that QEMU runs on.

fn main() {
    println!("cargo::rerun-if-changed=c");
    cc::Build::new().file("c/host.c").std("gnu11").warnings(true).extra_warnings(true).compile("sampan_host");
}
