//! Locks itself in and tries to leave: a program of `tests/suite/sandbox.rs`. `locked_in FOLDER shares|alone`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod attempts;

#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder, shares] = args.as_slice() else { panic!("locked_in FOLDER shares|alone") };
    attempts::lock_in_and_try(folder.as_ref(), shares == "shares");
    println!("stayed inside");
}

/// HarmonyOS confines its native child processes itself, see `Cargo.toml`.
#[cfg(not(all(target_os = "linux", not(target_env = "ohos"))))]
fn main() {
    panic!("nothing to lock in by");
}
