//! The connection as a whole: authentication, consoles, changes, and its end.

use crate::audio::{self, Sound};
use crate::bus::{self, Properties};
use crate::console::{Console, ConsoleKind, Listeners, Watch};
use crate::error::DisplayError;
use crate::fault::{DisplayFault, FaultKind, Faults};
use crate::vm::Vm;
use futures_util::StreamExt;
use parking_lot::Mutex;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream};

/// Consoles that are watched at most: QEMU's virtio-gpu has up to 16 heads, and a machine a few terminals.
const MAX_CONSOLES: usize = 24;

/// How long QEMU may take to answer. Its main loop may be busy for a second or two when a disk is slow or the
/// host is loaded; a call that takes longer than this will never be answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// The consoles that exist so far, for changes of their properties.
type Known = Arc<Mutex<Vec<Console>>>;

/// A machine's display. Dropped, it closes its connections, and QEMU forgets the listeners.
#[derive(Debug)]
pub struct Display {
    vm: Vm,
    consoles: Vec<Console>,
    sound: Option<Sound>,
    faults: Arc<Faults>,
    closed: watch::Receiver<bool>,
    /// Those of consoles that are always shown.
    _watches: Vec<Arc<Watch>>,
    /// Ended with it.
    _tasks: Tasks,
}

/// Tasks that end with their owner.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Tasks {
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push(tokio::spawn(task).abort_handle());
    }
}

impl Display {
    /// Connects over `main`, our end of a socket pair whose other end QEMU got by `add_client`, and starts to show
    /// every console but those of heads beyond a card's first, which are shown while [`Console::watch`] is held. Must run on a tokio runtime.
    ///
    /// # Errors
    /// [`DisplayError::Silent`] if QEMU does not answer, [`DisplayError::NoConsole`] if there is nothing to show,
    /// [`DisplayError::Bus`] if the other end closes or is no D-Bus display.
    pub async fn connect(main: UnixStream) -> Result<Self, DisplayError> {
        Self::connect_within(main, PATIENCE).await
    }

    /// As [`Display::connect`], with another limit than 20 s on each answer of QEMU's, then and later.
    ///
    /// # Errors
    /// As [`Display::connect`].
    pub async fn connect_within(main: UnixStream, patience: Duration) -> Result<Self, DisplayError> {
        let (connection, stream) = bus::open(main, bus::LARGEST_WORD, patience).await?;
        let faults = Arc::<Faults>::default();
        let known = Known::default();
        let (ended, closed) = watch::channel(false);
        let mut tasks = Tasks::default();
        // From now on changes are followed; consoles join as they become known.
        tasks.spawn(follow(stream, known.clone(), ended));

        let vm = Vm::read(&connection).await?;
        let (budget, closing) = (Arc::default(), closed.clone());
        let listeners = Listeners { patience, budget, faults: faults.clone(), closed: closing };
        let (mut consoles, mut watches) = (Vec::new(), Vec::new());
        let mut failed = None;
        for (n, &id) in vm.consoles.iter().enumerate() {
            if n >= MAX_CONSOLES {
                faults.note(&DisplayFault::Console(id));
                break;
            }
            let console = Console::new(connection.clone(), id, listeners.clone());
            known.lock().push(console.clone());
            match read_and_watch(&console).await {
                Ok(watch) => {
                    watches.extend(watch);
                    consoles.push(console);
                }
                Err(e) => {
                    log::debug!("display: console {id}: {e}");
                    faults.note(&DisplayFault::Console(id));
                    failed = Some(e);
                    if connection.is_closed() {
                        break;
                    }
                }
            }
        }
        // What a person wants to see comes first; QEMU numbers consoles in the order of their devices.
        consoles.sort_by_key(|c| (c.kind() != ConsoleKind::Graphic, c.id()));
        if consoles.is_empty() {
            return Err(failed.unwrap_or(DisplayError::NoConsole));
        }
        let sound =
            audio::connect(&connection, patience, &faults, &mut tasks).await.unwrap_or_else(|error| {
                // A machine that is seen is of use without being heard.
                faults.note(&DisplayFault::SoundClosed(error.to_string()));
                None
            });
        Ok(Self { vm, consoles, sound, faults, closed, _watches: watches, _tasks: tasks })
    }

    /// The machine's name as QEMU knows it; empty if it has none.
    pub fn vm_name(&self) -> &str {
        &self.vm.name
    }

    /// The machine's UUID.
    pub fn vm_uuid(&self) -> &str {
        &self.vm.uuid
    }

    /// The consoles, graphic ones first; there is at least one.
    pub fn consoles(&self) -> &[Console] {
        &self.consoles
    }

    /// What the guest plays and records; `None` for a machine without a sound card.
    pub fn sound(&self) -> Option<&Sound> {
        self.sound.as_ref()
    }

    /// What QEMU or its guest sent that was refused or ignored, by kind.
    pub fn faults(&self) -> Vec<(FaultKind, u64)> {
        self.faults.counts()
    }

    /// Returns once QEMU has closed the connection: it ended, or another client took its place.
    ///
    /// Pictures stay as they were last.
    pub async fn closed(&self) {
        // An error means the sender is gone, and it goes only with the connection.
        let _ = self.closed.clone().wait_for(|&closed| closed).await;
    }

    /// Whether [`Display::closed`] would return at once.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

/// Reads what the console is, and watches it unless it is a further head, which the guest need not use.
async fn read_and_watch(console: &Console) -> Result<Option<Arc<Watch>>, DisplayError> {
    console.read().await?;
    if console.head() > 0 {
        return Ok(None);
    }
    console.watch().await.map(Some)
}

/// Follows the changes of properties until the connection ends.
async fn follow(mut stream: MessageStream, known: Known, ended: watch::Sender<bool>) {
    let connection = Connection::from(&stream);
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() == Type::Signal {
            changed(&message, &known);
        }
    }
    drop(connection);
    ended.send_replace(true);
}

fn changed(message: &Message, known: &Known) {
    let header = message.header();
    let is = |name: Option<&str>, want| name == Some(want);
    if !is(header.member().map(|m| m.as_str()), "PropertiesChanged")
        || !is(header.interface().map(|i| i.as_str()), bus::PROPERTIES)
    {
        return;
    }
    let known = known.lock();
    let console = header.path().and_then(|path| known.iter().find(|c| c.path() == path.as_str()));
    let body = message.body();
    let Some(console) = console else { return };
    if let Ok((interface, properties, _)) = body.deserialize::<(&str, Properties, Vec<&str>)>() {
        console.note(interface, &properties, message.recv_position());
    }
}
