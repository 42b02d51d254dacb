//! The stream as a media server relays it: we offer picture and sound, and nothing comes back. How the offer gets there and the answer back is
//! the caller's (WHIP, RFC 9725).

use crate::Server;
use crate::codec::Codec;
use crate::error::ServeError;
use crate::state::{JoinError, LateSeat, Seated, ServerState};
use crate::transport::{MediaTransport as _, Offered, TransportError, WebRtc};
use crate::viewers::{Client, Reserved};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// An offer that waits for a media server's answer. It holds the place of a viewer.
pub struct Offer {
    state: Arc<ServerState>,
    place: Option<Reserved>,
    waiting: Option<Box<dyn Offered>>,
    late: LateSeat,
    sdp: String,
}

/// A stream that a media server has taken. Dropping it ends it.
pub struct Published {
    state: Weak<ServerState>,
    id: String,
    codec: Codec,
    connected: watch::Receiver<bool>,
    over: JoinHandle<&'static str>,
    reason: Option<&'static str>,
}

impl Server {
    /// Offers the guest's first display, and its sound where it has some, to a media server. Media goes from `local`, an address of this host, or one of `others`.
    /// The server costs what a viewer costs, and has no part in driving.
    ///
    /// # Errors
    /// [`ServeError::NoRoom`], or [`ServeError::NotOffered`].
    pub async fn offer(&self, local: IpAddr, others: Vec<IpAddr>) -> Result<Offer, ServeError> {
        let state = self.state.clone();
        let place = state.viewers.reserve(None).map_err(|full| ServeError::NoRoom(full.to_string()))?;
        let (late, wake) = LateSeat::new();
        let transport = WebRtc::new(local, state.rates).with(others);
        let waiting = transport.offer(state.sound.is_some(), wake).await;
        let waiting = waiting.map_err(|error| ServeError::NotOffered(error.to_string()))?;
        let sdp = waiting.sdp().to_owned();
        Ok(Offer { state, place: Some(place), waiting: Some(waiting), late, sdp })
    }
}

impl Offer {
    /// Our description, with all candidates.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Takes the media server's answer; from then on the stream flows as soon as there is a path.
    ///
    /// # Errors
    /// [`ServeError::NoStreamFormat`] where it wants none of our formats, [`ServeError::BadStreamAnswer`].
    pub async fn answered(mut self, answer: &str, from: IpAddr) -> Result<Published, ServeError> {
        let (Some(place), Some(waiting)) = (self.place.take(), self.waiting.take()) else {
            return Err(ServeError::NotOffered("it was answered before".to_owned()));
        };
        let accepted = waiting.answered(answer).await.map_err(|error| match error {
            TransportError::NoCodec => ServeError::NoStreamFormat,
            error => ServeError::BadStreamAnswer(error.to_string()),
        })?;
        let codec = accepted.codec;
        let (state, shown) = (&self.state, self.state.displays.first().clone());
        let seated = state.seat(place, accepted, shown, Client::server(from), &self.late).await;
        let Seated { id, connected, over } = seated.map_err(|error| match error {
            JoinError::Random(error) => error,
            error => ServeError::NotOffered(error.to_string()),
        })?;
        Ok(Published { state: Arc::downgrade(&self.state), id, codec, connected, over, reason: None })
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // The library's task and sockets live until told otherwise.
        if let (Some(waiting), Ok(runtime)) = (self.waiting.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(waiting.give_up());
        }
    }
}

impl Published {
    /// What it is sent.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Waits until media flows.
    ///
    /// # Errors
    /// Why it never will.
    pub async fn connected(&mut self) -> Result<(), &'static str> {
        // What tells it goes with the task that would.
        if self.connected.wait_for(|connected| *connected).await.is_ok() {
            return Ok(());
        }
        Err(self.ended().await)
    }

    /// Waits until it has ended: why.
    pub async fn ended(&mut self) -> &'static str {
        if let Some(reason) = self.reason {
            return reason;
        }
        let reason = (&mut self.over).await.unwrap_or("its task has failed");
        *self.reason.insert(reason)
    }

    /// Ends it.
    pub fn end(&self) {
        if let Some(state) = self.state.upgrade() {
            state.dismiss(&self.id);
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.end();
    }
}
