//! A folder of the host's over 9p: what it holds is read and answered with a file in it.

use std::{fs, io};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::modules::Modules;

/// The file that is read, and the one that is written with the same bytes.
const QUESTION: &str = "/share/to-guest";
const ANSWER: &str = "/share/from-guest";

/// Mounts the folder with this tag, answers, and unmounts it.
///
/// # Errors
/// There is no such folder, it holds no question, or it takes no answer.
pub fn answer(tag: &str, modules: &mut Modules) -> io::Result<()> {
    modules.load_by_name("9p");
    fs::create_dir_all("/share")?;
    mount(tag, "/share", "9p", MountFlags::empty(), c"trans=virtio,version=9p2000.L")?;
    let answered = fs::read(QUESTION).and_then(|question| fs::write(ANSWER, question));
    // Also after a failure: a mounted folder keeps the machine's state from being saved.
    unmount("/share", UnmountFlags::empty())?;
    answered
}
