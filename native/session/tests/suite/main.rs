//! Running machines with a real QEMU.

mod common;
mod confined;
mod displays;
#[path = "../../../../tests/example.rs"]
mod example;
mod failures;
mod image_jobs;
mod images;
mod import;
mod keys;
mod kills;
mod machine;
mod operations;
mod performance;
mod running;
mod saved;
mod several;
mod sound;
mod vnc;
