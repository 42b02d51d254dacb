//! The machines that run in this process, or are about to.

use crate::machine::LocalMachine;
use parking_lot::Mutex;
use sampan_library::VmId;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone)]
enum Stage {
    /// It is being started.
    Starting,
    /// It runs.
    Running(Arc<LocalMachine>),
}

/// By id.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<VmId, Stage>>);

impl Runs {
    /// The machine, if it runs here.
    pub(crate) fn local(&self, id: VmId) -> Option<Arc<LocalMachine>> {
        match self.0.lock().get(&id) {
            Some(Stage::Running(machine)) => Some(Arc::clone(machine)),
            Some(Stage::Starting) | None => None,
        }
    }

    /// Whether it is being started here.
    pub(crate) fn is_starting(&self, id: VmId) -> bool {
        matches!(self.0.lock().get(&id), Some(Stage::Starting))
    }

    /// Whether any is being started here.
    pub(crate) fn is_any_starting(&self) -> bool {
        self.0.lock().values().any(|stage| matches!(stage, Stage::Starting))
    }

    /// It is being started, until the guard is dropped or given the machine. `None` where it is already, or runs.
    pub(crate) fn starting(&self, id: VmId) -> Option<StartGuard<'_>> {
        let mut runs = self.0.lock();
        if runs.contains_key(&id) {
            return None;
        }
        runs.insert(id, Stage::Starting);
        Some(StartGuard { runs: self, id })
    }

    /// All that run here.
    pub(crate) fn all(&self) -> Vec<VmId> {
        let runs = self.0.lock();
        let running = runs.iter().filter(|(_, stage)| matches!(stage, Stage::Running(_)));
        running.map(|(id, _)| *id).collect()
    }

    /// It has ended.
    pub(crate) fn remove(&self, id: VmId) {
        self.0.lock().remove(&id);
    }
}

/// A machine that is being started.
pub(crate) struct StartGuard<'a> {
    runs: &'a Runs,
    id: VmId,
}

impl StartGuard<'_> {
    /// It runs.
    pub(crate) fn runs(self, machine: Arc<LocalMachine>) {
        self.runs.0.lock().insert(self.id, Stage::Running(machine));
    }
}

impl Drop for StartGuard<'_> {
    fn drop(&mut self) {
        let mut runs = self.runs.0.lock();
        if matches!(runs.get(&self.id), Some(Stage::Starting)) {
            runs.remove(&self.id);
        }
    }
}
