//! Machines on disk, with real images by `qemu-img`.

mod changes;
mod common;
mod copies;
mod crash;
mod disks;
mod elsewhere;
#[path = "../../../../tests/example.rs"]
mod example;
mod foreign;
mod images_agree;
mod machines;
mod powerloss;
mod snapshots;
mod strangers;
mod tampered;
mod tree;
