//! The data channels that a page opens.

use super::{Channel, PeerEvent};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// The page's channels once they are there.
///
/// A channel keeps its connection alive, and the connection keeps its handler: whoever ends the connection has to
/// empty this, or nothing is ever freed.
#[derive(Default)]
pub struct Channels {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<dyn DataChannel>>,
    motion: Option<Arc<dyn DataChannel>>,
    closed: bool,
    /// Of which kinds a channel was refused already.
    refused: [bool; 3],
}

impl State {
    fn of(&mut self, channel: Channel) -> &mut Option<Arc<dyn DataChannel>> {
        match channel {
            Channel::Keys => &mut self.keys,
            Channel::Motion => &mut self.motion,
        }
    }
}

impl Channels {
    /// A channel, if the page has opened it.
    pub fn get(&self, channel: Channel) -> Option<Arc<dyn DataChannel>> {
        self.lock().of(channel).clone()
    }

    /// Keeps a channel; answers whether there was a place for it.
    fn put(&self, channel: Channel, object: &Arc<dyn DataChannel>) -> bool {
        let mut state = self.lock();
        let vacant = !state.closed && state.of(channel).is_none();
        if vacant {
            *state.of(channel) = Some(object.clone());
        }
        vacant
    }

    /// Notes that a channel of a kind was refused; answers whether it is the first.
    fn refuse(&self, kind: Option<Channel>) -> bool {
        let mut state = self.lock();
        let refused = match kind {
            Some(Channel::Keys) => &mut state.refused[0],
            Some(Channel::Motion) => &mut state.refused[1],
            None => &mut state.refused[2],
        };
        !std::mem::replace(refused, true)
    }

    /// Lets go of them; none is kept any more.
    pub fn clear(&self) {
        let channels = {
            let mut state = self.lock();
            state.closed = true;
            (state.keys.take(), state.motion.take())
        };
        // Freed outside of the lock: it may free the connection.
        drop(channels);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Passes on what comes through `channel` until it ends.
pub async fn serve(channel: Arc<dyn DataChannel>, events: mpsc::Sender<PeerEvent>, channels: Arc<Channels>) {
    let label = channel.label().await.unwrap_or_default();
    let kind = [Channel::Keys, Channel::Motion].into_iter().find(|kind| kind.label() == label);
    let kept = kind.filter(|kind| channels.put(*kind, &channel));
    let Some(kind) = kept else {
        if channels.refuse(kind) {
            let label = crate::web::escaped(&label);
            log::warn!(
                "a viewer opened a data channel that there is no use for ({label}): it and others like it are closed"
            );
        }
        let _ = channel.close().await;
        return;
    };
    while let Some(event) = channel.poll().await {
        let event = match event {
            DataChannelEvent::OnOpen => PeerEvent::Opened(kind),
            DataChannelEvent::OnMessage(message) if message.is_string => {
                PeerEvent::Message(kind, message.data.freeze())
            }
            DataChannelEvent::OnClose => break,
            _ => continue,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
    let _ = events.send(PeerEvent::Closed(kind)).await;
}
