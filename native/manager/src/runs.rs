//! The machines that run in this process.

use crate::machine::LocalMachine;
use sampan_library::VmId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By id.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<VmId, Arc<LocalMachine>>>);

impl Runs {
    fn lock(&self) -> MutexGuard<'_, HashMap<VmId, Arc<LocalMachine>>> {
        // Every change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn local(&self, id: VmId) -> Option<Arc<LocalMachine>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn insert(&self, id: VmId, machine: Arc<LocalMachine>) {
        self.lock().insert(id, machine);
    }

    pub(crate) fn remove(&self, id: VmId) {
        self.lock().remove(&id);
    }
}
