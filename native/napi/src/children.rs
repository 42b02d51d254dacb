//! The kinds of processes that machines run in: HarmonyOS's native child processes as the emulator wants them.

use sampan_emulator::{ChildRefused, HostKind, LibqemuDir, NativeChildren};
use sampan_manager::Hosts;
use sampan_message::Coded;
use sampan_ohos::ChildProcesses;
use std::ffi::CString;
use std::os::fd::RawFd;
use std::sync::Arc;

struct Children(ChildProcesses);

impl NativeChildren for Children {
    fn supported(&self) -> Result<(), ChildRefused> {
        match self.0.supported() {
            Some(false) => Err(ChildRefused::NotSupported),
            // Where nobody can be asked, the first start tells.
            Some(true) | None => Ok(()),
        }
    }

    fn start(&self, entry: &str, text: &CString, fds: &[(CString, RawFd)]) -> Result<i32, ChildRefused> {
        let entry = CString::new(entry).map_err(|_| ChildRefused::Code(401))?;
        self.0.start(&entry, text, fds).map_err(ChildRefused::Code)
    }

    fn kill(&self, pid: i32) {
        self.0.kill(pid);
    }
}

/// What this system has of them. It makes the process that forks are made by.
pub(crate) fn hosts(libqemu: LibqemuDir) -> Hosts {
    let children = ChildProcesses::load()
        .map(|children| Arc::new(Children(children)) as Arc<dyn NativeChildren>)
        .map_err(|error| error.message());
    let hosts = Hosts::new(libqemu, children);
    // The kinds are OpenHarmony's. On a PC, where the module is tested and previewed, machines run in the process of the engine unless a test chooses.
    if cfg!(not(target_env = "ohos")) {
        hosts.set_usual(Some(HostKind::InProcess));
    }
    hosts
}
