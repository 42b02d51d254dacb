//! Locks the machine `a` of a library, hands the lock to a child and kills itself: a program of `tests/suite/machines.rs`.
//! `killed_supervisor HOME`

use sampan_library::Library;
use std::process::Command;

fn main() {
    let home = std::env::args().nth(1).expect("killed_supervisor HOME");
    let library = Library::open(&home).expect("a library");
    let machine = library.lock(library.find("a").expect("found")).expect("locked");
    let lock = machine.lock_file().try_clone_to_owned().expect("a copy");
    let mut child = Command::new("sleep").arg("60").stdin(lock).spawn().expect("a child");
    std::fs::write(format!("{home}/pid"), child.id().to_string()).expect("written");
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    let _ = child.wait();
}
