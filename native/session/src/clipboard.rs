//! The guest's clipboard: its agent's port as QEMU tells of it, and pasting of text that has no keys.

use crate::block_ops::is_port_open;
use crate::displays::Displays;
use crate::state::{ClipboardStatus, Status};
use crate::{CommandError, State};
use sampan_config::{ClipboardPolicy, PasteKeys, VDAGENT_SOCKET};
use sampan_frame::Size;
use sampan_guest::{ClipboardKind, ClipboardStatus as Shown, GuestError, Pending};
use sampan_message::Coded;
use sampan_qmp::{Event, Qmp};
use sampan_vdagent::{
    ClipboardError, Content, FileError, FileSource, Kind, Monitor, Offer, Peer, Policy, Port, Selection,
};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often a change is told at most: a guest can fill its clipboard as often as it likes.
const PACE: Duration = Duration::from_millis(100);

/// How long a program of the guest's may take to give what it has copied, before its clipboard is used for something else.
const KEEPING: Duration = Duration::from_secs(2);

/// How long after a grab programs ask that look at every clipboard, such as a history of it.
const LOOKING: Duration = Duration::from_millis(200);

/// How long a program may take to paste, and how long if another one has what it needs already: the agent need not ask twice.
const PASTING: Duration = Duration::from_secs(4);
const PASTING_AGAIN: Duration = Duration::from_secs(1);

/// How long a text may be on its way, and how long a program takes to put it where it belongs.
const SENDING: Duration = Duration::from_secs(10);
const TAKING: Duration = Duration::from_millis(400);

/// How long a message may be on its way when the machine's memory is to be saved.
const SETTLING: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Settings {
    policy: ClipboardPolicy,
    paste: PasteKeys,
}

/// A guest's clipboard. It may have no agent at the moment: see [`ClipboardStatus::agent`].
pub struct Clipboard {
    peer: Peer,
    settings: Mutex<Settings>,
    /// What viewers are told of it.
    shown: watch::Sender<Shown>,
    /// One text is pasted at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Clipboard {
    /// On the other end of the port's chardev. Tells `status` of it until the machine ends.
    pub(crate) async fn start(
        socket: UnixStream,
        qmp: &Qmp,
        policy: ClipboardPolicy,
        paste: PasteKeys,
        status: watch::Sender<Status>,
    ) -> std::io::Result<Self> {
        // Before it is asked, so that nothing is missed in between.
        let events = qmp.events();
        let (port, told) = watch::channel(Port::default());
        note(&port, is_open(qmp).await);
        let peer = Peer::start(socket, told, allowed(policy))?;
        tokio::spawn(follow(qmp.clone(), events, port));
        status.send_modify(|status| status.clipboard = Some(ClipboardStatus::default()));
        let (to_guest, from_guest) = (policy.to_guest(), policy.from_guest());
        let shown = watch::Sender::new(Shown { to_guest, from_guest, ..Shown::default() });
        tokio::spawn(tell(peer.state(), status, shown.clone()));
        Ok(Self {
            peer,
            shown,
            settings: Mutex::new(Settings { policy, paste }),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Lets the guest's programs paste this, until one of them copies something else. It crosses when one pastes.
    ///
    /// # Errors
    /// [`ClipboardError`]; the guest's clipboard is as it was.
    pub async fn set(&self, content: Content) -> Result<(), ClipboardError> {
        self.peer.set(Selection::Clipboard, content.into()).await
    }

    /// What is in the guest's clipboard. The program in the guest that has it is asked now.
    ///
    /// # Errors
    /// [`ClipboardError`].
    pub async fn get(&self, kind: Kind) -> Result<Content, ClipboardError> {
        self.peer.get(Selection::Clipboard, kind).await
    }

    /// Gives the desktop's user a file, whichever way the clipboard is shared: somebody chose the file.
    ///
    /// # Errors
    /// [`FileError`]; the guest has nothing of it then.
    pub async fn send_file(&self, file: FileSource, progress: watch::Sender<u64>) -> Result<(), FileError> {
        self.peer.send_file(file, progress).await
    }

    /// Says how large the guest's screens should be, from left to right. Viewers show the first one alone.
    pub async fn set_sizes(&self, sizes: &[Size]) {
        tell_sizes(&self.peer, sizes).await;
    }

    /// Says so for every size that a viewer asks for, until the machine is gone.
    pub(crate) fn follow_sizes(&self, displays: &Displays) {
        let (peer, (mut changes, displays)) = (self.peer.clone(), displays.changes());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(sizes) = displays.upgrade().map(|displays| displays.wanted()) else { return };
                tell_sizes(&peer, &sizes).await;
            }
        });
    }

    /// The same as viewers need it.
    pub(crate) fn for_viewers(&self) -> Arc<dyn sampan_guest::Clipboard> {
        Arc::new(ForViewers { peer: self.peer.clone(), shown: self.shown.subscribe() })
    }

    /// Which way it is shared.
    pub fn policy(&self) -> ClipboardPolicy {
        self.settings().policy
    }

    /// Changes which way it is shared, and what pastes.
    pub async fn configure(&self, policy: ClipboardPolicy, paste: PasteKeys) {
        *self.settings() = Settings { policy, paste };
        self.shown.send_modify(|shown| {
            (shown.to_guest, shown.from_guest) = (policy.to_guest(), policy.from_guest());
        });
        self.peer.set_policy(allowed(policy)).await;
    }

    /// Whether text can be pasted now.
    pub(crate) fn can_paste(&self) -> bool {
        self.policy().to_guest() && self.peer.state().borrow().agent
    }

    /// Waits a moment for what is on its way.
    pub(crate) async fn settle(&self) {
        self.peer.settle(SETTLING).await;
    }

    /// What pastes.
    pub(crate) fn paste_keys(&self) -> PasteKeys {
        self.settings().paste
    }

    /// Puts a text into the guest's clipboard, has `press` press the keys that paste, and gives back what was there before.
    pub(crate) async fn paste(
        &self,
        text: &str,
        press: impl Future<Output = Result<(), CommandError>>,
    ) -> Result<(), CommandError> {
        let _turn = self.turn.lock().await;
        let ours = Offer::from(Content::text(text).map_err(ClipboardError::from)?);
        let kept = self.keep().await;
        let mut state = self.peer.state();
        let at_first = state.borrow_and_update().asked;
        // A terminal pastes what is marked where other programs paste what was copied.
        for selection in [Selection::Clipboard, Selection::Primary] {
            self.peer.set(selection, ours.clone()).await?;
        }
        sleep(LOOKING).await;
        let before = state.borrow_and_update().asked;
        let limit = if before > at_first { PASTING_AGAIN } else { PASTING };
        let pressed = press.await;
        let asks = timeout(limit, state.wait_for(|state| state.asked > before));
        let is_pasted = pressed.is_ok() && (asks.await.is_ok_and(|asked| asked.is_ok()) || before > at_first);
        if is_pasted {
            self.peer.settle(SENDING).await;
            sleep(TAKING).await;
        }
        self.peer.withdraw(Selection::Primary).await;
        // Not where a program of the guest's has copied something meanwhile.
        if self.peer.offered(Selection::Clipboard).await? == Some(ours) {
            if kept.is_empty() {
                self.peer.withdraw(Selection::Clipboard).await;
            } else {
                self.peer.set(Selection::Clipboard, kept).await?;
            }
        }
        pressed?;
        if is_pasted { Ok(()) } else { Err(CommandError::NotPasted(limit)) }
    }

    /// What the guest's clipboard holds, to be given back; nothing of what may not be taken from the guest.
    async fn keep(&self) -> Offer {
        if let Ok(Some(ours)) = self.peer.offered(Selection::Clipboard).await {
            return ours;
        }
        let kinds = self.peer.state().borrow().kinds;
        let mut kept = Offer::default();
        for kind in kinds.iter() {
            if let Ok(Ok(content)) = timeout(KEEPING, self.get(kind)).await {
                kept = kept.and(content);
            }
        }
        kept
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        // Every change is whole after one step.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tell_sizes(peer: &Peer, sizes: &[Size]) {
    peer.set_monitors(Monitor::row(sizes.iter().map(|size| (size.width, size.height)))).await;
}

/// The clipboard as viewers need it.
struct ForViewers {
    peer: Peer,
    shown: watch::Receiver<Shown>,
}

fn refused(error: &ClipboardError) -> GuestError {
    GuestError { code: error.code().into(), words: error.to_string() }
}

fn kind_of(kind: ClipboardKind) -> Kind {
    match kind {
        ClipboardKind::Text => Kind::Text,
        ClipboardKind::Png => Kind::Png,
    }
}

impl sampan_guest::Clipboard for ForViewers {
    fn status(&self) -> watch::Receiver<Shown> {
        self.shown.clone()
    }

    fn get(&self, kind: ClipboardKind) -> Pending<Vec<u8>> {
        let peer = self.peer.clone();
        Box::pin(async move {
            let content = peer.get(Selection::Clipboard, kind_of(kind)).await;
            Ok(content.map_err(|error| refused(&error))?.bytes().to_vec())
        })
    }

    fn set(&self, kind: ClipboardKind, content: Vec<u8>) -> Pending<()> {
        let peer = self.peer.clone();
        Box::pin(async move {
            let content = Content::new(kind_of(kind), &content).map_err(ClipboardError::from);
            let offer = Offer::from(content.map_err(|error| refused(&error))?);
            peer.set(Selection::Clipboard, offer).await.map_err(|error| refused(&error))
        })
    }
}

fn allowed(policy: ClipboardPolicy) -> Policy {
    Policy { to_guest: policy.to_guest(), from_guest: policy.from_guest() }
}

/// Whether the guest has opened the port, by QEMU's present word.
async fn is_open(qmp: &Qmp) -> bool {
    is_port_open(qmp, VDAGENT_SOCKET).await.unwrap_or(false)
}

fn note(port: &watch::Sender<Port>, open: bool) {
    port.send_if_modified(|port| {
        let news = port.open != open;
        if news {
            *port = Port { open, changes: port.changes + 1 };
        }
        news
    });
}

/// Tells whether the port is open until the monitor closes.
async fn follow(qmp: Qmp, mut events: Receiver<Event>, port: watch::Sender<Port>) {
    loop {
        match events.recv().await {
            Ok(event) if event.name == "VSERPORT_CHANGE" && event.text("id") == Some(VDAGENT_SOCKET) => {
                note(&port, event.flag("open") == Some(true));
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => note(&port, is_open(&qmp).await),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Has the status say what is known, until the clipboard or the machine is gone.
async fn tell(
    mut state: watch::Receiver<sampan_vdagent::State>,
    status: watch::Sender<Status>,
    shown: watch::Sender<Shown>,
) {
    let show = |known: sampan_vdagent::State| {
        shown.send_if_modified(|shown| {
            let Shown { to_guest, from_guest, .. } = *shown;
            let (agent, copied) = (known.agent, known.grabs);
            let (text, png) = (known.kinds.text, known.kinds.png);
            let now = Shown { agent, to_guest, from_guest, text, png, copied };
            std::mem::replace(shown, now) != now
        });
    };
    loop {
        let known = *state.borrow_and_update();
        show(known);
        let now = ClipboardStatus {
            agent: known.agent,
            kinds: known.kinds,
            copied: known.grabs,
            files: known.files,
            sizes: known.sizes,
        };
        status.send_if_modified(|status| {
            status.state != State::Ended && status.clipboard.replace(now) != Some(now)
        });
        sleep(PACE).await;
        if state.changed().await.is_err() {
            show(sampan_vdagent::State::default());
            status.send_if_modified(|status| {
                let gone = ClipboardStatus::default();
                status.clipboard.replace(gone) != Some(gone)
            });
            return;
        }
    }
}
