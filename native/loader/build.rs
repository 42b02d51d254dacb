//! Compiles what a library gets in place of libc's functions.

const FILES: [&str; 9] = ["inside", "threads", "keys", "stop", "wait", "signals", "fds", "streams", "memory"];

fn main() {
    println!("cargo::rerun-if-changed=c");
    // Cargo sets it to the package's folder.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::metadata=include={package}/c");
    let files = FILES.map(|name| format!("c/{name}.c"));
    cc::Build::new()
        .files(files)
        .std("gnu11")
        .warnings(true)
        .extra_warnings(true)
        // What musl's CMSG_NXTHDR() compares.
        .flag_if_supported("-Wno-sign-compare")
        .compile("sampan_inside");
}
