//! A machine's serial console.

use crate::core::{hub, id};
use crate::events::Payload;
use crate::promise::{Failure, promise};
use napi::bindgen_prelude::{Env, PromiseRaw, Uint8Array};
use napi_derive::napi;
use parking_lot::Mutex;
use sampan_manager::Error;
use sampan_session::Serial;
use std::collections::BTreeMap;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;

/// Pieces of input that wait while the guest reads nothing; more are refused.
const MAX_WAITING: usize = 256;

struct Open {
    input: mpsc::Sender<Vec<u8>>,
    tasks: [AbortHandle; 2],
}

#[derive(Default)]
struct Ports {
    last: u64,
    open: BTreeMap<String, Open>,
}

static PORTS: Mutex<Option<Ports>> = Mutex::new(None);

/// Opens the console of a running machine, with the last `bytes` of what it wrote before. What it writes is told as `serial` events
/// with this id. Comes to the id.
#[napi(namespace = "serial", catch_unwind)]
pub fn open(env: &Env, machine: String, bytes: u32) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        let machine = core.manager.running(id(&machine)?).await?;
        let local = machine.local().ok_or_else(|| Error::NotRunning { name: machine.name().to_owned() })?;
        let serial = local.session().serial().clone();
        let mut ports = PORTS.lock();
        let ports = ports.get_or_insert_default();
        ports.last += 1;
        let id = ports.last.to_string();
        let (input, typed) = mpsc::channel(MAX_WAITING);
        let tasks = [
            tokio::spawn(output(id.clone(), serial.clone(), bytes as usize)).abort_handle(),
            tokio::spawn(write_all(serial, typed)).abort_handle(),
        ];
        ports.open.insert(id.clone(), Open { input, tasks });
        Ok::<_, Failure>(id)
    })
}

async fn output(id: String, serial: Serial, bytes: usize) {
    let (before, mut output) = serial.console(bytes);
    let mut offset = 0;
    let mut tell = |data: &[u8], lost: u64| {
        offset += lost;
        hub().tell(Payload::Serial { serial: id.clone(), offset, data: data.to_vec() });
        offset += data.len() as u64;
    };
    tell(&before, 0);
    loop {
        match output.recv().await {
            Ok(piece) => tell(&piece, 0),
            // Pieces of an unknown length: that some are missing is what counts.
            Err(broadcast::error::RecvError::Lagged(pieces)) => tell(&[], pieces),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn write_all(serial: Serial, mut typed: mpsc::Receiver<Vec<u8>>) {
    while let Some(piece) = typed.recv().await {
        if serial.write(&piece).await.is_err() {
            return;
        }
    }
}

/// Types bytes at an open console.
#[napi(namespace = "serial", js_name = "write", catch_unwind)]
pub fn serial_write(serial: String, data: Uint8Array) {
    let ports = PORTS.lock();
    if let Some(open) = ports.as_ref().and_then(|ports| ports.open.get(&serial))
        && open.input.try_send(data.to_vec()).is_err()
    {
        log::warn!("a serial console reads nothing: {} bytes are left out", data.len());
    }
}

/// Closes a console.
#[napi(namespace = "serial", js_name = "close", catch_unwind)]
pub fn serial_close(serial: String) {
    let closed = PORTS.lock().as_mut().and_then(|ports| ports.open.remove(&serial));
    if let Some(open) = closed {
        open.tasks.iter().for_each(AbortHandle::abort);
    }
}
