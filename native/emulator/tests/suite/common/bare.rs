//! Guests without a system, which do one thing and say on the serial port whether it was right: `+`, or `-`.

use super::{PATIENCE, in_process};
use sampan_emulator::{Arch, LaunchSpec, Launcher};
use std::io::Read;
use std::path::Path;

/// A PC whose first sector, put into a disk's file, is that program.
pub fn bare_pc(disk: &Path, program: &[u8]) -> LaunchSpec {
    let mut sectors = vec![0; 1 << 20];
    sectors[..program.len()].copy_from_slice(program);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(disk, sectors).expect("writes");
    let mut spec = LaunchSpec::new("pc", Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-display", "none"]);
    spec.args(["-cpu", "max,la57=off", "-accel", "tcg,thread=multi", "-serial", "chardev:serial"]);
    spec.args(["-drive", &format!("if=none,id=disk,format=raw,file={}", disk.display())]);
    spec.args(["-device", "ide-hd,drive=disk"]);
    spec
}

/// What the guest says on its serial port.
pub fn said(spec: LaunchSpec) -> u8 {
    let (ended, end) = std::sync::mpsc::channel();
    let running = in_process().launch(spec, Box::new(move |exit| drop(ended.send(exit)))).expect("starts");
    running.serial.set_read_timeout(Some(PATIENCE)).expect("is a socket");
    let mut byte = [0];
    (&running.serial).read_exact(&mut byte).expect("the guest says something");
    running.control.terminate();
    end.recv_timeout(PATIENCE).expect("ends");
    byte[0]
}
