//! Connections by the `webrtc` crate.

use super::addresses::one_of_each;
use super::candidates::Candidates;
use super::channels::{self, Channels};
use super::estimate::Estimate;
use super::offered::Waiting;
use super::pace::{Notify, Pace, Shown};
use super::restart::{Credentials, fragment, restarted};
use super::sdp::{Choice, SoundChoice, choose, choose_sound};
use super::tcp::ViewerRuntime;
use super::{
    Accepted, Channel, Connection, Flow, Frame, MediaTransport, Offered, PeerEvent, TransportError, Wake,
};
use crate::codec::Codec;
use crate::sound::{self, VoicePacket};
use async_trait::async_trait;
use rtc::interceptor::{
    CongestionControlBuilder, NackResponderBuilder, ReceiverReportBuilder, Registry, SenderReportBuilder,
    Slot, TwccSenderBuilder,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::playout_delay_extension::PlayoutDelayExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::error::Error;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceConnectionState, RTCIceGatheringState, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder,
};

pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(super) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// Events that may wait for the viewer's task; a page that sends faster is slowed down by SCTP.
const EVENTS: usize = 256;

/// A path on which DTLS takes so long is probed before a picture is put on it.
const FAR: Duration = Duration::from_millis(80);

/// Bytes of messages that may wait for a viewer.
const MESSAGE_BACKLOG: usize = 1 << 20;

/// Packets kept for retransmission: about two megabytes, more than a second at the highest rate.
const RESEND_PACKETS: u16 = 2048;

/// Packets of what a viewer says that may wait for its task: a third of a second of Chromium's.
const VOICE_PACKETS: usize = 16;

/// What a path must take, in bits per second, for packets of sound to be sent again with those after them: three times 96 kb/s.
const REDUNDANT_RATE: u32 = 2_000_000;

/// What a path is taken for, in bits per second, of which a viewer tells nothing.
const UNKNOWN_RATE: u32 = 6_000_000;

/// How long ICE may take to gather candidates of sockets that are already bound.
const GATHERING: Duration = Duration::from_secs(5);

/// Without a sign of life for this long a path counts as interrupted, and after the second time as failed: time for a viewer whose
/// network has gone to find another one and begin ICE anew.
const ICE_DISCONNECTED: Duration = Duration::from_secs(4);
const ICE_FAILED: Duration = Duration::from_secs(26);

/// The same of a media server, which is offered the stream anew then: whoever watches it waits.
const ICE_SERVER_FAILED: Duration = Duration::from_secs(4);

/// How often a media server's candidate is tried, every 200 ms, instead of for the 1.4 s that the crate takes for enough: a server may need a moment
/// between its answer and its first check.
const SERVER_CHECKS: u16 = 40;

/// Bit rates in bits per second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// What a connection begins with.
    pub initial: u32,
    /// What the estimate never goes below.
    pub least: u32,
    /// What it never goes above.
    pub most: u32,
}

/// Makes connections whose candidates are a UDP port and a TCP port on one address.
pub struct WebRtc {
    address: IpAddr,
    /// More of them, for connections to media servers.
    others: Vec<IpAddr>,
    rates: Rates,
    /// Whether this host's other addresses are candidates, too, for browsers on this host.
    same_host: bool,
}

impl WebRtc {
    /// A transport that binds to `address`.
    pub fn new(address: IpAddr, rates: Rates) -> Self {
        Self { address, others: Vec::new(), rates, same_host: false }
    }

    /// For a browser on this host that does not connect to loopback addresses: UDP ports on this host's other addresses, too, on which
    /// nobody else is heard.
    pub fn for_same_host(address: IpAddr, rates: Rates) -> Self {
        Self { address, others: Vec::new(), rates, same_host: true }
    }

    /// The same that binds to these addresses, too, where it offers.
    pub fn with(self, others: Vec<IpAddr>) -> Self {
        Self { others, ..self }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn codec(choice: &Choice) -> RTCRtpCodecParameters {
        let feedback =
            |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
        RTCRtpCodecParameters {
            rtp_codec: RTCRtpCodec {
                mime_type: match choice.codec {
                    Codec::H264 | Codec::H264Full => "video/H264",
                    Codec::Vp8 => "video/VP8",
                }
                .to_owned(),
                clock_rate: 90_000,
                channels: 0,
                sdp_fmtp_line: choice.fmtp.clone(),
                rtcp_feedback: vec![
                    feedback("nack", ""),
                    feedback("nack", "pli"),
                    feedback("ccm", "fir"),
                    feedback("transport-cc", ""),
                ],
            },
            payload_type: choice.payload_type,
        }
    }

    /// The same with the format of its retransmissions, if there is one.
    pub(super) fn codecs(choice: &Choice) -> Vec<RTCRtpCodecParameters> {
        let again = choice.rtx.map(|payload_type| {
            let rtp_codec = RTCRtpCodec {
                mime_type: "video/rtx".to_owned(),
                clock_rate: 90_000,
                channels: 0,
                sdp_fmtp_line: format!("apt={}", choice.payload_type),
                rtcp_feedback: Vec::new(),
            };
            RTCRtpCodecParameters { rtp_codec, payload_type }
        });
        [Self::codec(choice)].into_iter().chain(again).collect()
    }

    fn engine(codecs: Vec<RTCRtpCodecParameters>, sound: Option<&SoundChoice>) -> Result<MediaEngine, Error> {
        let mut engine = MediaEngine::default();
        if let Some(sound) = sound {
            let opus = sound_codec("audio/opus", &sound.fmtp);
            let opus = RTCRtpCodecParameters { rtp_codec: opus, payload_type: sound.opus };
            engine.register_codec(opus, RtpCodecKind::Audio)?;
            if let Some((payload_type, fmtp)) = &sound.red {
                let red = sound_codec("audio/red", fmtp);
                let red = RTCRtpCodecParameters { rtp_codec: red, payload_type: *payload_type };
                engine.register_codec(red, RtpCodecKind::Audio)?;
            }
        }
        for codec in codecs {
            engine.register_codec(codec, RtpCodecKind::Video)?;
        }
        for uri in [TRANSPORT_CC, PLAYOUT_DELAY] {
            let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
            engine.register_header_extension(extension, RtpCodecKind::Video, None)?;
        }
        Ok(engine)
    }

    fn chain(&self, flow: &Arc<Flow>, notify: Notify) -> Registry {
        let rate = |bits: u32| f64::from(bits);
        let (initial, Rates { least, most, .. }) = (flow.target(), self.rates);
        let estimate = Estimate::new(rate(initial), rate(least), rate(most));
        let estimator = Shown { inner: estimate, flow: flow.clone() };
        Registry::new()
            .with(Slot::CongestionControl, CongestionControlBuilder::new(estimator).build())
            .with(Slot::TwccSender, TwccSenderBuilder::new().build())
            .with(Slot::Pacer, Pace::new(flow.clone(), notify))
            .with(Slot::NackResponder, NackResponderBuilder::new().with_size(RESEND_PACKETS).build())
            .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
            .with(Slot::SenderReport, SenderReportBuilder::new().build())
    }
}

/// What a connection begins with, whoever offers.
pub(super) struct Begun {
    pub pc: Arc<dyn PeerConnection>,
    pub flow: Arc<Flow>,
    pub events: mpsc::Receiver<PeerEvent>,
    voice: mpsc::Receiver<VoicePacket>,
    channels: Arc<Channels>,
    pub gathering: watch::Receiver<bool>,
}

/// Whom a connection is with.
pub(super) enum Other<'a> {
    /// A viewer, who may say something and has these candidates.
    Viewer(Option<&'a SoundChoice>, &'a Candidates),
    /// A media server.
    Server,
}

impl WebRtc {
    /// What a path is taken for at first, of which arrivals are reported or not.
    pub(super) fn first_rate(&self, reports_arrivals: bool) -> u32 {
        let known = if reports_arrivals { self.rates.initial } else { UNKNOWN_RATE };
        known.clamp(self.rates.least, self.rates.most)
    }

    /// Makes a connection that knows these formats, and nothing yet of the other side's description.
    pub(super) async fn begin(
        &self,
        codecs: Vec<RTCRtpCodecParameters>,
        sound: Option<&SoundChoice>,
        rate: u32,
        other: Other<'_>,
        wake: Wake,
    ) -> Result<Begun, TransportError> {
        let flow = Arc::new(Flow::new(rate));
        // Until it is connected, what is sent would be lost.
        flow.set_muted(true);
        let (events, receiver) = mpsc::channel(EVENTS);
        let requests = events.clone();
        let notify = Notify {
            drained: wake,
            // A request that finds no room is repeated by the viewer.
            key: Box::new(move || drop(requests.try_send(PeerEvent::KeyRequest))),
        };
        let engine = Self::engine(codecs, sound).map_err(library)?;
        let (failed, checks) = match other {
            Other::Viewer(..) => (ICE_FAILED, None),
            Other::Server => (ICE_SERVER_FAILED, Some(SERVER_CHECKS)),
        };
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(failed), None)
            .with_ice_connection_attempts(None, checks)
            .build();
        let (done, gathering) = watch::channel(false);
        let channels = Arc::new(Channels::default());
        let (speak, voice) = mpsc::channel(VOICE_PACKETS);
        let speaks = match other {
            Other::Viewer(sound, _) => sound.cloned().map(|sound| (sound, speak)),
            Other::Server => None,
        };
        let handler = Arc::new(Handler {
            events,
            gathered: done,
            channels: channels.clone(),
            speaks,
            flow: flow.clone(),
            path: OnceLock::new(),
        });
        let also = match other {
            Other::Server => self.others.clone(),
            Other::Viewer(..) if self.same_host => one_of_each(),
            Other::Viewer(..) => Vec::new(),
        };
        let addresses = std::iter::once(self.address).chain(also).map(|address| (address, 0_u16)).collect();
        let builder = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_media_engine(engine)
            .with_setting_engine(settings)
            .with_interceptor_registry(self.chain(&flow, notify))
            .with_handler(handler)
            .with_udp_addrs(addresses)
            .with_data_channel_send_buffer_limit(MESSAGE_BACKLOG);
        let builder = match other {
            Other::Viewer(_, candidates) => builder.with_tcp_addrs(vec![(self.address, 0_u16)]).with_runtime(
                Arc::new(ViewerRuntime::new(candidates.from().clone(), self.same_host, flow.clone())),
            ),
            // Servers are reached by UDP; none connects to us.
            Other::Server => builder.with_runtime(Arc::new(ViewerRuntime::new(
                Arc::new(self.address.into()),
                false,
                flow.clone(),
            ))),
        };
        let pc: Arc<dyn PeerConnection> = Arc::new(builder.build().await.map_err(library)?);
        Ok(Begun { pc, flow, events: receiver, voice, channels, gathering })
    }
}

impl Begun {
    /// The connection, once both sides have agreed.
    pub(super) fn agreed(self, agreed: Agreed) -> Result<Accepted, TransportError> {
        let Agreed { choice, track, ssrc, sound, playout, candidates, remote } = agreed;
        let (codec, has_sound) = (choice.codec, sound.is_some());
        let flow = self.flow.clone();
        let connection = Arc::new(Peer {
            sound,
            flow: flow.clone(),
            pc: self.pc,
            track,
            ssrc,
            payload_type: choice.payload_type,
            playout,
            sequence: AtomicU16::new(random_u32()? as u16),
            channels: self.channels,
            candidates,
            remote: Mutex::new(remote),
            gathering: self.gathering,
            restarts: AtomicU32::new(0),
        });
        let voice = Some(self.voice);
        Ok(Accepted { codec, connection, events: self.events, flow, sound: has_sound, voice })
    }
}

/// What both sides have agreed on.
pub(super) struct Agreed {
    pub choice: Choice,
    pub track: Arc<TrackLocalStaticRTP>,
    pub ssrc: u32,
    pub sound: Option<SoundTrack>,
    /// Whether pictures say that they are to be shown at once.
    pub playout: bool,
    pub candidates: Candidates,
    /// The other side's description.
    pub remote: String,
}

#[async_trait]
impl MediaTransport for WebRtc {
    async fn accept(
        &self,
        offer: &str,
        from: IpAddr,
        sound: bool,
        wake: Wake,
    ) -> Result<(Accepted, String), TransportError> {
        let choice = choose(offer)?;
        let sound = choose_sound(offer).filter(|_| sound);
        let candidates = Candidates::new(from);
        let remote = candidates.of_offer(offer);
        let offer =
            RTCSessionDescription::offer(remote.clone()).map_err(|e| TransportError::Offer(e.to_string()))?;
        let rate = self.first_rate(choice.reports_arrivals);
        let other = Other::Viewer(sound.as_ref(), &candidates);
        let mut begun = self.begin(Self::codecs(&choice), sound.as_ref(), rate, other, wake).await?;
        begun.flow.set_probed(choice.reports_arrivals);
        let negotiated = negotiate(&mut begun, offer, &choice, sound.as_ref()).await;
        let (track, ssrc, sound, answer) = match negotiated {
            Ok(done) => done,
            Err(error) => {
                // The driver's task and socket live until told otherwise.
                let _ = begun.pc.close().await;
                return Err(error);
            }
        };
        let agreed = Agreed { choice, track, ssrc, sound, playout: true, candidates, remote };
        let mut accepted = begun.agreed(agreed)?;
        accepted.voice = accepted.voice.filter(|_| accepted.sound);
        Ok((accepted, answer))
    }

    async fn offer(&self, sound: bool, wake: Wake) -> Result<Box<dyn Offered>, TransportError> {
        Ok(Box::new(Waiting::new(self, sound, wake).await?))
    }
}

fn sound_codec(mime_type: &str, fmtp: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

async fn negotiate(
    begun: &mut Begun,
    offer: RTCSessionDescription,
    choice: &Choice,
    sound: Option<&SoundChoice>,
) -> Result<(Arc<TrackLocalStaticRTP>, u32, Option<SoundTrack>, String), TransportError> {
    let pc = &begun.pc;
    pc.set_remote_description(offer).await.map_err(|e| TransportError::Offer(e.to_string()))?;
    let ssrc = random_u32()?;
    let track = screen_track(ssrc, choice);
    pc.add_track(track.clone() as Arc<dyn TrackLocal>).await.map_err(library)?;
    let sound = sound.map(SoundTrack::new).transpose()?;
    if let Some(sound) = &sound {
        pc.add_track(sound.track.clone() as Arc<dyn TrackLocal>).await.map_err(library)?;
    }
    let answer = pc.create_answer(None).await.map_err(|e| TransportError::Offer(e.to_string()))?;
    pc.set_local_description(answer).await.map_err(library)?;
    gathered(&mut begun.gathering).await?;
    let description = pc.local_description().await.ok_or(TransportError::Closed)?;
    Ok((track, ssrc, sound, of_use(&description.sdp)))
}

/// The track of the picture in a format. Lost packets are sent again by the number that follows.
pub(super) fn screen_track(ssrc: u32, choice: &Choice) -> Arc<TrackLocalStaticRTP> {
    let rtx = choice.rtx.map(|_| RTCRtpRtxParameters { ssrc: ssrc.wrapping_add(1) });
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), rtx, ..Default::default() },
        codec: WebRtc::codec(choice).rtp_codec,
        ..Default::default()
    };
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "sampan".to_owned(),
        "screen".to_owned(),
        "screen".to_owned(),
        RtpCodecKind::Video,
        vec![encoding],
    )))
}

/// Sockets are bound already: this is quick, and an answer needs no trickling.
pub(super) async fn gathered(gathering: &mut watch::Receiver<bool>) -> Result<(), TransportError> {
    tokio::time::timeout(GATHERING, gathering.wait_for(|done| *done))
        .await
        .map_err(|_| TransportError::Library("gathering candidates took too long".to_owned()))?
        .map_err(|_| TransportError::Closed)?;
    Ok(())
}

/// A description without candidates by which we would connect to a viewer: we only listen.
pub(super) fn of_use(description: &str) -> String {
    let is_active = |line: &str| line.starts_with("a=candidate:") && line.contains(" tcptype active");
    description.split_inclusive('\n').filter(|line| !is_active(line)).collect()
}

pub(super) fn library(error: Error) -> TransportError {
    TransportError::Library(error.to_string())
}

pub(super) fn random_u32() -> Result<u32, TransportError> {
    getrandom::u32().map_err(|e| TransportError::Library(e.to_string()))
}

/// The way of sound to a viewer.
pub(super) struct SoundTrack {
    pub track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    opus: u8,
    red: Option<u8>,
    sequence: AtomicU16,
}

impl SoundTrack {
    pub fn new(sound: &SoundChoice) -> Result<Self, TransportError> {
        let ssrc = random_u32()?;
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec: sound_codec("audio/opus", &sound.fmtp),
            ..Default::default()
        };
        // A stream of its own: of tracks of one stream browsers hold back the picture until the sound is there.
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "sampan-sound".to_owned(),
            "sound".to_owned(),
            "sound".to_owned(),
            RtpCodecKind::Audio,
            vec![encoding],
        )));
        let (red, sequence) = (sound.red.as_ref().map(|(red, _)| *red), AtomicU16::new(random_u32()? as u16));
        Ok(Self { track, ssrc, opus: sound.opus, red, sequence })
    }

    /// The packet as it is sent where there is room for `rate` bits per second.
    fn packet(&self, packet: &sound::Packet, rate: u32) -> rtp::Packet {
        let red = self.red.filter(|_| rate >= REDUNDANT_RATE);
        let (payload_type, payload) = match red {
            Some(red) => (red, sound::pack(self.opus, &packet.before, &packet.data)),
            None => (self.opus, packet.data.clone()),
        };
        let header = rtp::header::Header {
            version: 2,
            // RFC 7587, section 4.1: the first packet after a silence.
            marker: packet.first,
            payload_type,
            sequence_number: self.sequence.fetch_add(1, Ordering::Relaxed),
            timestamp: packet.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        rtp::Packet { header, payload }
    }
}

/// Passes on what comes on a viewer's track of sound, until it ends.
async fn listen(track: Arc<dyn TrackRemote>, sound: SoundChoice, voice: mpsc::Sender<VoicePacket>) {
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let (payload_type, timestamp) = (packet.header.payload_type, packet.header.timestamp);
        let red = match &sound.red {
            Some((red, _)) if *red == payload_type => Some(sound.opus),
            _ if payload_type == sound.opus => None,
            _ => continue,
        };
        // Whoever takes them may be gone or busy: what is said is said now or not at all.
        if let Err(mpsc::error::TrySendError::Closed(_)) =
            voice.try_send(VoicePacket { timestamp, payload: packet.payload, red })
        {
            return;
        }
    }
}

struct Handler {
    events: mpsc::Sender<PeerEvent>,
    gathered: watch::Sender<bool>,
    channels: Arc<Channels>,
    /// Where what the viewer says goes to.
    speaks: Option<(SoundChoice, mpsc::Sender<VoicePacket>)>,
    flow: Arc<Flow>,
    /// When there was a path.
    path: OnceLock<Instant>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    /// Once there is a path the library makes the first message of DTLS, and after DTLS the first one of SCTP, but sends neither
    /// before its next timer: 150 ms later where nothing else happens.
    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        if state == RTCIceConnectionState::Connected {
            let _ = self.path.set(Instant::now());
        }
        self.flow.set_due();
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.flow.set_due();
        let event = match state {
            RTCPeerConnectionState::Connected => {
                // A path within the house takes what the first picture needs, and to wait for a report would cost more than the
                // connection did. DTLS took two round trips (RFC 6347, section 4.2) and the time of two signatures.
                let far = self.path.get().is_some_and(|path| path.elapsed() >= FAR);
                if !far {
                    self.flow.set_probed(false);
                }
                PeerEvent::Connected
            }
            RTCPeerConnectionState::Disconnected => PeerEvent::Interrupted,
            RTCPeerConnectionState::Failed => PeerEvent::Gone("the network path failed"),
            RTCPeerConnectionState::Closed => PeerEvent::Gone("the viewer closed the connection"),
            _ => return,
        };
        // This runs inside the driver, which must not wait for whoever reads the events.
        let events = self.events.clone();
        tokio::spawn(async move { events.send(event).await });
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if let Some((sound, voice)) = self.speaks.clone()
            && track.kind().await == RtpCodecKind::Audio
        {
            tokio::spawn(listen(track, sound, voice));
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let (events, channels) = (self.events.clone(), self.channels.clone());
        tokio::spawn(async move { channels::serve(channel, events, channels).await });
    }
}

struct Peer {
    pc: Arc<dyn PeerConnection>,
    sound: Option<SoundTrack>,
    flow: Arc<Flow>,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: u8,
    playout: bool,
    sequence: AtomicU16,
    channels: Arc<Channels>,
    candidates: Candidates,
    /// The viewer's description as it counts now; held while ICE is begun anew.
    remote: Mutex<String>,
    gathering: watch::Receiver<bool>,
    restarts: AtomicU32,
}

#[async_trait]
impl Connection for Peer {
    async fn send(&self, frame: &Frame) -> Result<(), TransportError> {
        // "Show it at once": no smoothing of a screen.
        let playout = [HeaderExtension::PlayoutDelay(PlayoutDelayExtension::new(0, 0))];
        let last = frame.payloads.len().saturating_sub(1);
        for (index, payload) in frame.payloads.iter().enumerate() {
            let header = rtp::header::Header {
                version: 2,
                marker: index == last,
                payload_type: self.payload_type,
                sequence_number: self.sequence.fetch_add(1, Ordering::Relaxed),
                timestamp: frame.timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            };
            let packet = rtp::Packet { header, payload: payload.clone() };
            // The receiver keeps the extension's last value: the first packet of a picture is enough.
            let extensions = if index == 0 && self.playout { &playout[..] } else { &[] };
            self.track.write_rtp_with_extensions(packet, extensions).await.map_err(library)?;
        }
        Ok(())
    }

    async fn send_sound(&self, packet: &sound::Packet) -> Result<(), TransportError> {
        let sound = self.sound.as_ref().ok_or(TransportError::Closed)?;
        let packet = sound.packet(packet, self.flow.target());
        sound.track.write_rtp(packet).await.map_err(library)
    }

    async fn say(&self, channel: Channel, text: &str) -> Result<(), TransportError> {
        let channel = self.channels.get(channel).ok_or(TransportError::Closed)?;
        channel.try_send_text(text).await.map_err(|error| match error {
            Error::ErrSendBufferFull => TransportError::Full,
            _ => TransportError::Closed,
        })
    }

    async fn add_candidates(&self, fragment: &str) -> Result<(), TransportError> {
        let fresh = self.candidates.of_fragment(fragment).ok_or(TransportError::TooManyFragments)?;
        for candidate in fresh {
            let init = RTCIceCandidateInit { candidate, sdp_mline_index: Some(0), ..Default::default() };
            self.pc.add_ice_candidate(init).await.map_err(|e| TransportError::Offer(e.to_string()))?;
        }
        Ok(())
    }

    async fn restart(&self, told: &str, from: IpAddr) -> Result<String, TransportError> {
        let offer_error = |e: Error| TransportError::Offer(e.to_string());
        let fresh = Credentials::of(told)
            .ok_or_else(|| TransportError::Offer("a restart needs ICE credentials".to_owned()))?;
        let mut remote = self.remote.lock().await;
        // Looked at before anything counts as begun.
        restarted(&remote, &fresh, &[])?;
        if !self.candidates.restart(from, Instant::now()) {
            return Err(TransportError::TooManyRestarts);
        }
        let theirs = self.candidates.of_fragment(told).ok_or(TransportError::TooManyFragments)?;
        let offer = restarted(&remote, &fresh, &theirs)?;
        let description = RTCSessionDescription::offer(offer.clone()).map_err(offer_error)?;
        self.pc.set_remote_description(description).await.map_err(offer_error)?;
        let answer = self.pc.create_answer(None).await.map_err(library)?;
        self.pc.set_local_description(answer).await.map_err(library)?;
        gathered(&mut self.gathering.clone()).await?;
        *remote = offer;
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let description = self.pc.local_description().await.ok_or(TransportError::Closed)?;
        Ok(fragment(&of_use(&description.sdp)))
    }

    fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        self.channels.clear();
        if let Err(error) = self.pc.close().await {
            log::debug!("closing a connection: {error}");
        }
    }
}
