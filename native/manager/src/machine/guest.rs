//! A machine as its viewers need it: what its session has, and files, which go by whichever of the guest's agents takes them.

use super::LocalMachine;
use super::give::{NamedFile, give_file};
use super::pull::pull_file;
use sampan_control::{GivenTo, Progress, Reply, Reporter};
use sampan_frame::{Screen, Size};
use sampan_input::{Event, Locks};
use sampan_library::{Library, RESERVE};
use sampan_message::{Coded, Message};
use sampan_session::audio::{Input, Output};
use sampan_session::viewers::{
    Clipboard, Files, Given, Guest, GuestError, GuestStatus, Pending, Typed, Watched,
};
use sampan_session::vm::{Vm, VmError};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::sync::watch;

struct MachineGuest {
    session: Arc<dyn Guest>,
    machine: Weak<LocalMachine>,
}

impl LocalMachine {
    /// The machine as viewers need it.
    pub fn guest(&self) -> Arc<dyn Guest> {
        Arc::new(MachineGuest { session: self.session().guest(), machine: self.own() })
    }
}

impl Guest for MachineGuest {
    fn name(&self) -> String {
        self.session.name()
    }

    fn screen(&self) -> Arc<Screen> {
        self.session.screen()
    }

    fn displays(&self) -> Vec<Option<Size>> {
        self.session.displays()
    }

    fn watch(&self, display: usize) -> Option<Watched> {
        self.session.watch(display)
    }

    fn input(&self, event: Event) {
        self.session.input(event);
    }

    fn input_on(&self, display: usize, event: Event) {
        self.session.input_on(display, event);
    }

    fn text(&self, text: String) -> Typed {
        self.session.text(text)
    }

    fn locks(&self) -> watch::Receiver<Option<Locks>> {
        self.session.locks()
    }

    fn touch_screen(&self) -> bool {
        self.session.touch_screen()
    }

    fn resize(&self, size: Size, mm: (u16, u16)) {
        self.session.resize(size, mm);
    }

    fn resize_on(&self, display: usize, size: Size, mm: (u16, u16)) {
        self.session.resize_on(display, size, mm);
    }

    fn status(&self) -> watch::Receiver<GuestStatus> {
        self.session.status()
    }

    fn clipboard(&self) -> Option<Arc<dyn Clipboard>> {
        self.session.clipboard()
    }

    fn files(&self) -> Option<Arc<dyn Files>> {
        let machine = self.machine.upgrade()?;
        let (vm, library) = (machine.vm().ok()?, machine.library()?);
        Some(Arc::new(MachineFiles { vm, library }))
    }

    fn sound(&self) -> Option<Arc<Output>> {
        self.session.sound()
    }

    fn microphone(&self) -> Option<Arc<Input>> {
        self.session.microphone()
    }
}

struct MachineFiles {
    vm: Arc<Vm>,
    /// Files wait in it on this host: a system's folder for such may be memory.
    library: Library,
}

/// A file without a name, in the library. It blocks.
fn nameless(library: &Library) -> Result<(File, PathBuf), GuestError> {
    let folder = crate::share::spool_folder(library).map_err(|error| refused(error.message()))?;
    let file = tempfile::tempfile_in(&folder);
    let file = file.map_err(|source| refused(VmError::Io { path: folder.clone(), source }.message()))?;
    Ok((file, folder))
}

fn refused(message: Message) -> GuestError {
    GuestError { code: message.code, words: message.message }
}

impl Files for MachineFiles {
    fn spool(&self, bytes: u64) -> Result<File, GuestError> {
        self.has_room(bytes)?;
        nameless(&self.library).map(|(file, _)| file)
    }

    fn has_room(&self, bytes: u64) -> Result<(), GuestError> {
        let folder = crate::share::spool_folder(&self.library).map_err(|error| refused(error.message()))?;
        let free = sampan_library::free(&folder).map_err(|error| refused(error.message()))?;
        if free < RESERVE.saturating_add(bytes) {
            let (left, kept) = (free >> 20, RESERVE >> 20);
            let words = format!(
                "this host has {left} MiB left, of which {kept} MiB are kept for others: free some space on it"
            );
            return Err(GuestError { code: "host_disk_full".into(), words });
        }
        Ok(())
    }

    fn give(&self, file: File, size: u64, name: String, progress: watch::Sender<u64>) -> Pending<Given> {
        let vm = self.vm.clone();
        Box::pin(async move {
            let reporter = Reporter::new();
            let giving = give_file(&vm, NamedFile::nameless(file, size), &name, &reporter);
            match reported(giving, reporter.watch(), &progress).await.map_err(refused)? {
                Reply::Copied { to: Some(to), .. } if to != GivenTo::Downloads => Ok(Given::Path(to.place())),
                _ => Ok(Given::Downloads),
            }
        })
    }

    fn take(&self, path: String, progress: watch::Sender<u64>) -> Pending<(File, u64)> {
        let (vm, library) = (self.vm.clone(), self.library.clone());
        Box::pin(async move {
            let agent = vm.agent().map_err(|error| refused(error.message()))?;
            let made = tokio::task::spawn_blocking(move || nameless(&library)).await;
            let broken = |_| refused(Message::new("internal", "the work was broken off"));
            let (file, folder) = made.map_err(broken)??;
            let failed = |source| refused(VmError::Io { path: folder.clone(), source }.message());
            let sink = file.try_clone().map_err(failed)?;
            let reporter = Reporter::new();
            let taking = pull_file(agent, &path, sink, &folder, sampan_library::free, &reporter);
            let bytes = reported(taking, reporter.watch(), &progress).await.map_err(refused)?;
            Ok((file, bytes))
        })
    }
}

/// Work whose progress is told on the way.
async fn reported<T>(
    work: impl Future<Output = Result<T, Message>>,
    mut seen: watch::Receiver<Option<Progress>>,
    progress: &watch::Sender<u64>,
) -> Result<T, Message> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Ok(()) = seen.changed() => {
                let done = seen.borrow_and_update().as_ref().map_or(0, |progress| progress.done);
                progress.send_replace(done);
            }
        }
    }
}
