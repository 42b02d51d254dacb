//! Compiles the thread that QEMU runs on, and what our own loader gives a library in place of libc's functions.

const FILES: [&str; 10] =
    ["host", "inside", "threads", "keys", "stop", "wait", "signals", "fds", "streams", "memory"];

fn main() {
    println!("cargo::rerun-if-changed=c");
    let files = FILES.map(|name| format!("c/{name}.c"));
    cc::Build::new()
        .files(files)
        .std("gnu11")
        .warnings(true)
        .extra_warnings(true)
        // What musl's CMSG_NXTHDR() compares.
        .flag_if_supported("-Wno-sign-compare")
        .compile("sampan_host");
}
