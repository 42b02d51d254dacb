//! How frames and messages get to a viewer, apart from which library does it.

mod addresses;
mod candidates;
mod channels;
mod estimate;
mod flow;
mod nacks;
mod offered;
mod pace;
mod restart;
mod same_host;
mod sdp;
mod tcp;
mod webrtc;

pub use addresses::{addresses, way_to};
pub use flow::Flow;
pub use webrtc::{Rates, WebRtc};

use crate::codec::Codec;
use crate::sound::{Packet, VoicePacket};
use async_trait::async_trait;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// One encoded picture, cut into RTP payloads once for all viewers.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The payloads in their order; the last one closes the picture.
    pub payloads: Arc<[Bytes]>,
    /// Whether it can be decoded without any picture before it.
    pub key: bool,
    /// Its time in units of 1/90000 s; it wraps around.
    pub timestamp: u32,
    /// Whether this is the kept keyframe of a screen at rest.
    pub refined: bool,
}

/// The channels between a page and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Reliable and in order.
    Keys,
    /// Neither: the newest wins.
    Motion,
}

impl Channel {
    /// The label that the page gives it.
    pub fn label(self) -> &'static str {
        match self {
            Channel::Keys => "keys",
            Channel::Motion => "motion",
        }
    }
}

/// What a viewer's connection tells.
#[derive(Debug)]
pub enum PeerEvent {
    /// Media can flow.
    Connected,
    /// Nothing has come from it for a while.
    Interrupted,
    /// The connection is gone for good, with the reason in words.
    Gone(&'static str),
    /// A channel can be used.
    Opened(Channel),
    /// A channel was closed by the page.
    Closed(Channel),
    /// A text message came in.
    Message(Channel, Bytes),
    /// The viewer's decoder needs a keyframe (RTCP PLI or FIR).
    KeyRequest,
}

/// A failure of a viewer's connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The offer could not be read.
    #[error("the offer is not an SDP we can answer ({0}): reload the page")]
    Offer(String),
    /// The offer has no video that we can send.
    #[error(
        "the viewer offers neither H.264 (packetization-mode 1, baseline) nor VP8 video to receive: use another browser"
    )]
    NoCodec,
    /// The answer to an offer of ours cannot be used.
    #[error("the answer is not one to our offer ({0})")]
    Answer(String),
    /// The library failed.
    #[error("the WebRTC connection failed: {0}")]
    Library(String),
    /// The viewer sends fragments with candidates without end.
    #[error("the viewer has sent candidates too often: connect again")]
    TooManyFragments,
    /// The viewer restarts ICE without end.
    #[error("the path was begun anew a moment ago: wait half a second")]
    TooManyRestarts,
    /// The viewer does not take what it is sent.
    #[error("the viewer takes no more messages: it will be sent them later")]
    Full,
    /// The connection is closed.
    #[error("the connection is closed: connect again")]
    Closed,
}

/// What both sides have agreed on.
pub struct Accepted {
    /// The codec to send.
    pub codec: Codec,
    /// The connection, not yet established.
    pub connection: Arc<dyn Connection>,
    /// What it tells; bounded, so whoever reads slowly slows the page down.
    pub events: mpsc::Receiver<PeerEvent>,
    /// How fast the path takes bytes.
    pub flow: Arc<Flow>,
    /// Whether it takes sound.
    pub sound: bool,
    /// What the viewer says, where there is sound; what finds no room is lost.
    pub voice: Option<mpsc::Receiver<VoicePacket>>,
}

/// Makes connections to viewers.
#[async_trait]
pub trait MediaTransport: Send + Sync + 'static {
    /// Answers an offer from a viewer at `from`, with sound or without: the connection, and our SDP with all candidates. `wake` is called
    /// whenever the path can take bytes again; it must be quick.
    ///
    /// # Errors
    /// [`TransportError::Offer`] or [`TransportError::NoCodec`] if the offer is at fault.
    async fn accept(
        &self,
        offer: &str,
        from: IpAddr,
        sound: bool,
        wake: Wake,
    ) -> Result<(Accepted, String), TransportError>;

    /// Offers picture, and sound where there is some, to a media server that relays them: nothing is received but reports. `wake` as for
    /// [`MediaTransport::accept`].
    ///
    /// # Errors
    /// [`TransportError::Library`].
    async fn offer(&self, sound: bool, wake: Wake) -> Result<Box<dyn Offered>, TransportError>;
}

/// Called whenever a path can take bytes again.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// An offer of ours that waits for its answer. It is to be answered or given up.
#[async_trait]
pub trait Offered: Send + Sync {
    /// Our SDP, with all candidates.
    fn sdp(&self) -> &str;

    /// Takes the answer; the connection is closed where it is of no use.
    ///
    /// # Errors
    /// [`TransportError::Answer`].
    async fn answered(self: Box<Self>, answer: &str) -> Result<Accepted, TransportError>;

    /// Frees what it holds.
    async fn give_up(self: Box<Self>);
}

/// One viewer's connection.
#[async_trait]
pub trait Connection: Send + Sync + 'static {
    /// Sends one picture as a whole.
    ///
    /// # Errors
    /// [`TransportError::Closed`] or [`TransportError::Library`].
    async fn send(&self, frame: &Frame) -> Result<(), TransportError>;

    /// Sends one packet of sound, ahead of pictures that wait.
    ///
    /// # Errors
    /// [`TransportError::Closed`], also where no sound was agreed on, or [`TransportError::Library`].
    async fn send_sound(&self, packet: &Packet) -> Result<(), TransportError>;

    /// Sends a message, or refuses it if too many wait: it never blocks for long.
    ///
    /// # Errors
    /// [`TransportError::Full`] if the viewer is behind, [`TransportError::Closed`] if the channel is not open.
    async fn say(&self, channel: Channel, text: &str) -> Result<(), TransportError>;

    /// Adds the viewer's candidates (RFC 8840 fragment, or `candidate:` lines), as far as they are tried.
    ///
    /// # Errors
    /// [`TransportError::Offer`] if a candidate cannot be read; [`TransportError::TooManyFragments`].
    async fn add_candidates(&self, fragment: &str) -> Result<(), TransportError>;

    /// Begins ICE anew with the credentials and candidates of a fragment, for a viewer that asks from `from`; everything else stays.
    /// Our own, as a fragment.
    ///
    /// # Errors
    /// [`TransportError::Offer`] if it has no other credentials; [`TransportError::TooManyRestarts`];
    /// [`TransportError::Library`].
    async fn restart(&self, fragment: &str, from: IpAddr) -> Result<String, TransportError>;

    /// How often ICE was begun anew.
    fn restarts(&self) -> u32;

    /// Closes it and frees what it holds.
    async fn close(&self);
}

/// The 90 kHz clock of RTP video.
pub fn rtp_time(at: Duration) -> u32 {
    // Wraps by design (RFC 3550 section 5.1).
    (at.as_micros() * 9 / 100) as u32
}

/// The longest payload: with headers and extensions, encryption and UDP it stays below 1280 bytes, which every path
/// takes.
const PAYLOAD_BYTES: usize = 1160;

/// Cuts an access unit into RTP payloads (RFC 6184 and RFC 7741).
pub fn packetize(codec: Codec, unit: &Bytes) -> Arc<[Bytes]> {
    use rtc::rtp::packetizer::Payloader as _;
    let payloads = match codec {
        Codec::H264 | Codec::H264Full => {
            rtc::rtp::codec::h264::H264Payloader::default().payload(PAYLOAD_BYTES, unit)
        }
        Codec::Vp8 => rtc::rtp::codec::vp8::Vp8Payloader::default().payload(PAYLOAD_BYTES, unit),
    };
    // It fails only for a maximum of zero bytes.
    payloads.unwrap_or_default().into()
}
