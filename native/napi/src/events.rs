//! What changes, told to whoever listens: the newest state of a thing replaces an older one that nobody has heard yet, so
//! nothing grows while the engine is busy, and nothing here waits for it.

mod sources;

use crate::api::clipboard::Clipboard;
use crate::api::screen::ScreenStatus;
use crate::api::sound::Sound;
use crate::api::stream::{Pairing, Viewers};
use crate::promise::to_js;
use crate::types::{JobInfo, Picture, Status, Summary};
use napi::Status as Called;
use napi::bindgen_prelude::{Either11, Env, Function, FunctionRef, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode::NonBlocking};
use napi_derive::napi;
use parking_lot::Mutex;
use sampan_manager::{Error, Unfit};
use sampan_message::Coded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// The most bytes of one serial port that wait for a busy engine; older ones are left out, as `offset` shows.
const MAX_SERIAL: usize = 1 << 20;

/// The kinds of events, by the names that pages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Machines,
    Machine,
    Job,
    Host,
    Thumbnail,
    Serial,
    Screen,
    Clipboard,
    Pairing,
    Viewers,
    Sound,
}

impl Kind {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "machines" => Self::Machines,
            "machine" => Self::Machine,
            "job" => Self::Job,
            "host" => Self::Host,
            "thumbnail" => Self::Thumbnail,
            "serial" => Self::Serial,
            "screen" => Self::Screen,
            "clipboard" => Self::Clipboard,
            "pairing" => Self::Pairing,
            "viewers" => Self::Viewers,
            "sound" => Self::Sound,
            _ => return None,
        })
    }
}

/// This host's figures.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Cores that programs may use.
    pub cores: u32,
    /// All memory, in MiB.
    pub memory: i64,
    /// Memory that can be had, in MiB.
    pub available: i64,
    /// Free space where the machines are, in bytes.
    pub disk: i64,
    /// `enough`, `low`, or `pause`: machines that run are paused before their writes fail.
    pub space: Space,
}

/// What to do about the free space.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Space {
    /// Nothing.
    Enough,
    /// Say so.
    Low,
    /// Machines are paused.
    Pause,
}

/// A new picture of a machine that is watched.
#[napi(object, object_from_js = false)]
pub struct Thumbnail {
    /// The machine.
    pub machine: String,
    /// What it shows.
    pub picture: Picture,
}

/// What a serial port has written.
#[napi(object, object_from_js = false)]
pub struct SerialOutput {
    /// The open port.
    pub serial: String,
    /// Bytes that it had written before these. More than were told means that some were left out.
    pub offset: i64,
    /// What it wrote.
    pub data: Uint8Array,
}

/// What is told.
#[derive(Clone, PartialEq)]
pub(crate) enum Payload {
    Machines(Vec<Summary>),
    Machine(Box<Status>),
    Job(JobInfo),
    Host(Figures),
    Thumbnail {
        machine: String,
        picture: Arc<sampan_control::Picture>,
    },
    /// Bytes, and how many there were before them.
    Serial {
        serial: String,
        offset: u64,
        data: Vec<u8>,
    },
    Screen(ScreenStatus),
    Clipboard(Clipboard),
    Pairing(Pairing),
    Viewers(Viewers),
    Sound(Sound),
}

/// What is told, as JavaScript gets it.
type Told = Either11<
    Vec<Summary>,
    Status,
    JobInfo,
    Figures,
    Thumbnail,
    SerialOutput,
    ScreenStatus,
    Clipboard,
    Pairing,
    Viewers,
    Sound,
>;

impl Payload {
    /// What it is about: its kind, and the one thing of that kind.
    fn key(&self) -> Key {
        let (kind, of) = match self {
            Self::Machines(_) => (Kind::Machines, ""),
            Self::Machine(status) => (Kind::Machine, status.summary.id.as_str()),
            Self::Job(job) => (Kind::Job, job.id.as_str()),
            Self::Host(_) => (Kind::Host, ""),
            Self::Thumbnail { machine, .. } => (Kind::Thumbnail, machine.as_str()),
            Self::Serial { serial, .. } => (Kind::Serial, serial.as_str()),
            Self::Screen(status) => (Kind::Screen, status.screen.as_str()),
            Self::Clipboard(clipboard) => (Kind::Clipboard, clipboard.machine.as_str()),
            Self::Pairing(pairing) => (Kind::Pairing, pairing.machine.as_str()),
            Self::Viewers(viewers) => (Kind::Viewers, viewers.machine.as_str()),
            Self::Sound(sound) => (Kind::Sound, sound.machine.as_str()),
        };
        (kind, of.to_owned())
    }

    /// This one with what waits of the same thing: bytes are appended, all else is replaced.
    fn after(self, waiting: Self) -> Self {
        match (waiting, self) {
            (Self::Serial { serial, mut offset, mut data }, Self::Serial { offset: at, data: more, .. })
                if offset + data.len() as u64 == at =>
            {
                data.extend(more);
                let over = data.len().saturating_sub(MAX_SERIAL);
                data.drain(..over);
                offset += over as u64;
                Self::Serial { serial, offset, data }
            }
            (_, newer) => newer,
        }
    }

    fn told(&self) -> Told {
        match self {
            Self::Machines(all) => Told::A(all.clone()),
            Self::Machine(status) => Told::B((**status).clone()),
            Self::Job(job) => Told::C(job.clone()),
            Self::Host(figures) => Told::D(figures.clone()),
            Self::Thumbnail { machine, picture } => {
                Told::E(Thumbnail { machine: machine.clone(), picture: Picture::from((**picture).clone()) })
            }
            Self::Serial { serial, offset, data } => Told::F(SerialOutput {
                serial: serial.clone(),
                offset: crate::types::int(*offset),
                data: Uint8Array::from(data.clone()),
            }),
            Self::Screen(status) => Told::G(status.clone()),
            Self::Clipboard(clipboard) => Told::H(clipboard.clone()),
            Self::Pairing(pairing) => Told::I(pairing.clone()),
            Self::Viewers(viewers) => Told::J(viewers.clone()),
            Self::Sound(sound) => Told::K(sound.clone()),
        }
    }
}

type Key = (Kind, String);

/// Wakes the engine. Its queue holds two: one that is being heard, and the next.
type Bell = ThreadsafeFunction<(), (), (), Called, false, true, 2>;

struct Listener {
    kind: Kind,
    callback: Arc<FunctionRef<Told, ()>>,
}

#[derive(Default)]
struct Listeners {
    last: u64,
    all: BTreeMap<u64, Listener>,
    bell: Option<Arc<Bell>>,
    /// What nobody has heard yet.
    waiting: BTreeMap<Key, Payload>,
    /// The newest of what lasts, for whoever begins to listen.
    present: BTreeMap<Key, Payload>,
    /// The bell was rung and was not heard yet.
    is_rung: bool,
    /// Machines whose pictures are wanted.
    watched: BTreeSet<String>,
}

/// Who listens, and what there is to tell them.
#[derive(Default)]
pub(crate) struct Hub {
    listeners: Mutex<Listeners>,
    /// Somebody has begun or ceased to listen, or there is something to look at.
    changed: Notify,
}

impl Hub {
    /// Tells something. Never waits.
    pub(crate) fn tell(&self, payload: Payload) {
        let mut listeners = self.listeners.lock();
        let key = payload.key();
        if !matches!(key.0, Kind::Serial) {
            if listeners.present.get(&key) == Some(&payload) {
                return;
            }
            listeners.present.insert(key.clone(), payload.clone());
        }
        if listeners.all.values().any(|listener| listener.kind == key.0) {
            let payload = match listeners.waiting.remove(&key) {
                Some(waiting) => payload.after(waiting),
                None => payload,
            };
            listeners.waiting.insert(key, payload);
            listeners.ring();
        }
    }

    /// Forgets what was told of things that there are not any more.
    fn keep_present(&self, kind: Kind, keep: impl Fn(&str) -> bool) {
        self.listeners.lock().present.retain(|(of, id), _| *of != kind || keep(id));
    }

    /// When the run began that was told of last.
    fn started(&self, machine: &str) -> Option<i64> {
        let listeners = self.listeners.lock();
        match listeners.present.get(&(Kind::Machine, machine.to_owned())) {
            Some(Payload::Machine(status)) => status.started,
            _ => None,
        }
    }

    /// Forgets what was told of a screen that is shown no more.
    pub(crate) fn forget_screen(&self, screen: &str) {
        self.keep_present(Kind::Screen, |id| id != screen);
    }

    /// Whether anybody listens to one of these.
    fn is_heard(&self, kinds: &[Kind]) -> bool {
        self.listeners.lock().all.values().any(|listener| kinds.contains(&listener.kind))
    }

    /// Has whoever looks for changes look now.
    pub(crate) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    /// The machines whose pictures are wanted from now on.
    pub(crate) fn watch(&self, machines: BTreeSet<String>) {
        self.listeners.lock().watched = machines;
        self.look_again();
    }

    fn watched(&self) -> BTreeSet<String> {
        self.listeners.lock().watched.clone()
    }

    fn add(&self, env: &Env, kind: Kind, callback: FunctionRef<Told, ()>) -> napi::Result<u64> {
        let mut listeners = self.listeners.lock();
        if listeners.bell.is_none() {
            let hear = env.create_function_from_closure::<(), (), _>("sampanEvents", |call| {
                crate::core::hub().hear(call.env);
                Ok(())
            })?;
            let bell = hear
                .build_threadsafe_function::<()>()
                .callee_handled::<false>()
                .weak::<true>()
                .max_queue_size::<2>()
                .build()?;
            listeners.bell = Some(Arc::new(bell));
        }
        listeners.last += 1;
        let id = listeners.last;
        listeners.all.insert(id, Listener { kind, callback: Arc::new(callback) });
        // It begins with the present.
        let present: Vec<(Key, Payload)> = listeners
            .present
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|(k, p)| (k.clone(), p.clone()))
            .collect();
        if !present.is_empty() {
            listeners.waiting.extend(present);
            listeners.ring();
        }
        drop(listeners);
        self.look_again();
        Ok(id)
    }

    fn remove(&self, id: u64) {
        let gone = self.listeners.lock().all.remove(&id);
        // A callback is let go of on the engine's thread, which this is, and not under the lock.
        drop(gone);
        self.look_again();
    }

    /// On the engine's thread: tells all that waits.
    fn hear(&self, env: &Env) {
        let (waiting, callbacks) = {
            let mut listeners = self.listeners.lock();
            listeners.is_rung = false;
            let callbacks: Vec<(Kind, Arc<FunctionRef<Told, ()>>)> =
                listeners.all.values().map(|l| (l.kind, Arc::clone(&l.callback))).collect();
            (std::mem::take(&mut listeners.waiting), callbacks)
        };
        for ((kind, _), payload) in waiting {
            for (_, callback) in callbacks.iter().filter(|(of, _)| *of == kind) {
                let told = callback.borrow_back(env).and_then(|function| function.call(payload.told()));
                // The page's own fault, which keeps nobody else from hearing.
                if let Err(error) = told {
                    log::error!("a listener to {kind:?} has failed: {error}");
                }
            }
        }
    }
}

impl Listeners {
    fn ring(&mut self) {
        if self.is_rung {
            return;
        }
        let Some(bell) = &self.bell else { return };
        match bell.call((), NonBlocking) {
            Called::Ok => self.is_rung = true,
            // Its engine ends; the next listener's brings another one.
            Called::Closing => self.bell = None,
            other => log::error!("the engine hears no events: {other}"),
        }
    }
}

/// Subscribes to what changes. It begins with the present, and the newest state of a thing replaces an older one that was not
/// heard yet. Gives back what ends the subscription.
#[napi(
    catch_unwind,
    ts_generic_types = "K extends keyof Events",
    ts_args_type = "kind: K, callback: (event: Events[K]) => void",
    ts_return_type = "() => void"
)]
pub fn on<'env>(
    env: &'env Env,
    kind: String,
    callback: Function<'_, Told, ()>,
) -> napi::Result<Function<'env, (), ()>> {
    let Some(kind) = Kind::by_name(&kind) else {
        let error = Error::unfit("kind", &Unfit::NoSuchEvent { kind });
        return Err(to_js(env, &error.message()));
    };
    let hub = crate::core::hub();
    let id = hub.add(env, kind, callback.create_ref()?)?;
    sources::start();
    env.create_function_from_closure("off", move |_| {
        crate::core::hub().remove(id);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(offset: u64, data: &[u8]) -> Payload {
        Payload::Serial { serial: "1".into(), offset, data: data.to_vec() }
    }

    fn parts(payload: Payload) -> (u64, Vec<u8>) {
        match payload {
            Payload::Serial { offset, data, .. } => (offset, data),
            _ => panic!("another kind"),
        }
    }

    #[test]
    fn what_a_port_writes_is_appended_and_bounded() {
        assert_eq!(parts(serial(5, b"lo").after(serial(2, b"hel"))), (2, b"hello".to_vec()));
        // A gap is no continuation: what waited is left out, and `offset` shows it.
        assert_eq!(parts(serial(9, b"x").after(serial(2, b"hel"))), (9, b"x".to_vec()));
        let (offset, data) =
            parts(serial(MAX_SERIAL as u64, b"tail").after(serial(0, &vec![b'a'; MAX_SERIAL])));
        assert_eq!((offset, data.len()), (4, MAX_SERIAL));
        assert!(data.ends_with(b"atail"));
    }

    #[test]
    fn all_else_is_replaced_by_the_newest_of_the_same_thing() {
        let list = |count: usize| Payload::Machines(Vec::with_capacity(count));
        assert!(matches!(list(1).after(list(2)), Payload::Machines(all) if all.is_empty()));
        let status = |screen: &str| {
            Payload::Screen(ScreenStatus {
                screen: screen.into(),
                state: crate::api::screen::ScreenState::Blank,
                width: None,
                height: None,
                why: None,
            })
        };
        assert_ne!(status("1").key(), status("2").key());
    }

    #[test]
    fn nobody_who_listens_means_nothing_waits() {
        let hub = Hub::default();
        for number in 0..1000 {
            hub.tell(serial(number, b"x"));
            hub.tell(Payload::Machines(Vec::new()));
        }
        let listeners = hub.listeners.lock();
        assert!(listeners.waiting.is_empty() && listeners.present.len() == 1);
    }
}
