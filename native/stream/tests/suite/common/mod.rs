//! A viewer of our own: the same protocol as the page's, with an independent H.264 decoder behind it, and a network
//! in between that can lose packets or fall silent.

mod decoder;
pub mod guest;
pub mod network;

use decoder::Decoder;
use rtc::data_channel::RTCDataChannelInit;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp::codec::h264::H264Packet;
use rtc::rtp::packetizer::Depacketizer;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something, but not forever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends one request as it stands; `Host` and `Connection: close` are added unless `headers` has a host.
pub async fn http(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = request(address, line, headers, body);
    let stream = TcpStream::connect(address).await.expect("connects");
    exchange(stream, &request).await
}

/// A request as it is sent.
pub fn request(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    request
}

/// Sends a request over a connection and reads the answer to its end.
pub async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut bytes = Vec::new();
    // TLS may end without a farewell.
    let read = within("an HTTP answer", stream.read_to_end(&mut bytes)).await;
    assert!(!bytes.is_empty(), "no answer: {read:?}");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A decoded picture: its size and luma.
pub struct Seen {
    pub width: usize,
    pub height: usize,
    pub key: bool,
    pub luma: Vec<u8>,
}

impl Seen {
    /// The counter that [`guest::Painter`] draws: 32 blocks of 16 pixels, the highest bit first.
    pub fn counter(&self) -> u32 {
        (0..32).fold(0, |value, bit| {
            let white = self.luma[8 * self.width + bit * 16 + 8] > 128;
            value << 1 | u32::from(white)
        })
    }
}

/// A connected viewer.
pub struct Client {
    pub pc: Arc<dyn PeerConnection>,
    pub location: String,
    pub frames: mpsc::Receiver<Seen>,
    pub messages: mpsc::Receiver<String>,
    pub keys: Arc<dyn DataChannel>,
    pub motion: Arc<dyn DataChannel>,
    pub state: watch::Receiver<RTCPeerConnectionState>,
    /// Packets of sound.
    pub sounds: mpsc::Receiver<rtc::rtp::Packet>,
    /// Where what it says goes, if it has sound.
    pub voice: Option<Arc<TrackLocalStaticRTP>>,
    track: watch::Receiver<Option<Arc<dyn TrackRemote>>>,
    tracks: watch::Sender<Option<Arc<dyn TrackRemote>>>,
}

impl Client {
    /// Connects to a server whose URL is `url`. `answer` may rewrite the server's answer.
    pub async fn connect(url: &str, answer: impl FnOnce(String) -> String) -> Client {
        Self::connect_here(url, false, answer).await
    }

    /// The same of a viewer that hears and speaks.
    pub async fn connect_with_sound(url: &str) -> Client {
        Self::connect_here(url, true, |answer| answer).await
    }

    async fn connect_here(url: &str, sound: bool, answer: impl FnOnce(String) -> String) -> Client {
        let (address, token) = parts(url);
        Self::connect_as("127.0.0.1:0", sound, async |offer| {
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/sdp")];
            let response = http(address, "POST /whep", &headers, &offer).await;
            assert_eq!(response.status, 201, "{}", response.body);
            let location = response.header("location").expect("a location").to_owned();
            (location, answer(response.body))
        })
        .await
    }

    /// The same by a way of one's own: `post` takes the offer, and gives the viewer's path and the answer.
    pub async fn connect_by(
        local: &'static str,
        post: impl AsyncFnOnce(String) -> (String, String),
    ) -> Client {
        Self::connect_as(local, false, post).await
    }

    async fn connect_as(
        local: &'static str,
        sound: bool,
        post: impl AsyncFnOnce(String) -> (String, String),
    ) -> Client {
        let (handler, state, gathered, frames, track, sounds) = Handler::new();
        let tracks = handler.track.clone();
        let pc = PeerConnectionBuilder::new()
            .with_media_engine(engine())
            .with_interceptor_registry(
                register_default_interceptors(Registry::new(), &mut engine()).expect("a chain"),
            )
            .with_setting_engine(SettingEngineBuilder::new().with_include_loopback_candidate(true).build())
            .with_handler(Arc::new(handler))
            .with_udp_addrs(vec![local])
            .build()
            .await
            .expect("a connection");
        let pc: Arc<dyn PeerConnection> = Arc::new(pc);
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            streams: vec![],
            send_encodings: vec![],
        };
        pc.add_transceiver_from_kind(RtpCodecKind::Video, Some(init)).await.expect("a transceiver");
        let voice = sound.then(voice_track);
        if let Some(voice) = &voice {
            pc.add_track(voice.clone() as Arc<dyn TrackLocal>).await.expect("a track");
        }
        let keys = pc.create_data_channel("keys", None).await.expect("a channel");
        let unreliable =
            RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
        let motion = pc.create_data_channel("motion", Some(unreliable)).await.expect("a channel");
        let (sender, messages) = mpsc::channel(4096);
        for channel in [keys.clone(), motion.clone()] {
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(event) = channel.poll().await {
                    if let DataChannelEvent::OnMessage(message) = event {
                        let _ = sender.send(String::from_utf8_lossy(&message.data).into_owned()).await;
                    }
                }
            });
        }
        let offer = pc.create_offer(None).await.expect("an offer");
        pc.set_local_description(offer).await.expect("our own offer");
        let mut gathered = gathered;
        within("gathering", gathered.wait_for(|done| *done)).await.expect("gathers");
        let offer = pc.local_description().await.expect("an offer").sdp;
        let (location, answer) = post(offer).await;
        let description = RTCSessionDescription::answer(answer).expect("an answer");
        pc.set_remote_description(description).await.expect("their answer");
        Client { pc, location, frames, messages, keys, motion, state, sounds, voice, track, tracks }
    }

    /// The next decoded picture.
    pub async fn frame(&mut self) -> Seen {
        within("a picture", self.frames.recv()).await.expect("a picture")
    }

    /// The next message that contains `text`.
    pub async fn message(&mut self, text: &str) -> String {
        loop {
            let message = within(text, self.messages.recv()).await.expect("a message");
            if message.contains(text) {
                return message;
            }
        }
    }

    /// Asks for a keyframe as a decoder in need does.
    pub async fn ask_key(&mut self) {
        let track = self.track.wait_for(Option::is_some).await.expect("a track").clone().expect("a track");
        let media_ssrc = *track.ssrcs().await.first().expect("a stream");
        let request = rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication {
            sender_ssrc: 1,
            media_ssrc,
        };
        track.write_rtcp(vec![Box::new(request)]).await.expect("sends");
    }

    /// Begins ICE anew: a fragment of the new offer goes out by `patch`, and what comes back counts.
    pub async fn restart(&self, patch: impl AsyncFnOnce(String) -> String) {
        self.pc.restart_ice().await.expect("may restart");
        let offer = self.pc.create_offer(None).await.expect("an offer");
        self.pc.set_local_description(offer).await.expect("our own offer");
        let offer = self.pc.local_description().await.expect("an offer").sdp;
        let is_told = |line: &&str| {
            ["a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"].iter().any(|name| line.starts_with(name))
        };
        let fragment: Vec<&str> = offer.lines().filter(is_told).collect();
        let told = patch(fragment.join("\r\n") + "\r\n").await;
        let answer = self.pc.remote_description().await.expect("an answer").sdp;
        let new = |name: &str| told.lines().find(|line| line.starts_with(name)).expect("is told");
        let lines = answer.lines().map(|line| match line {
            line if line.starts_with("a=ice-ufrag:") => new("a=ice-ufrag:"),
            line if line.starts_with("a=ice-pwd:") => new("a=ice-pwd:"),
            line => line,
        });
        let answer = lines.collect::<Vec<_>>().join("\r\n") + "\r\n";
        let answer = RTCSessionDescription::answer(answer).expect("an answer");
        self.pc.set_remote_description(answer).await.expect("their answer");
    }

    /// Leaves in good order.
    pub async fn close(self) {
        self.pc.close().await.expect("closes");
        // The handler belongs to the connection, and the track to the handler.
        self.tracks.send_replace(None);
    }
}

/// A media server that has taken a stream.
pub struct MediaServer {
    pub pc: Arc<dyn PeerConnection>,
    pub answer: String,
    pub frames: mpsc::Receiver<Seen>,
    pub sounds: mpsc::Receiver<rtc::rtp::Packet>,
    tracks: watch::Sender<Option<Arc<dyn TrackRemote>>>,
}

impl MediaServer {
    /// Answers an offer.
    pub async fn take(offer: &str) -> Self {
        let (handler, _, mut gathered, frames, _, sounds) = Handler::new();
        let tracks = handler.track.clone();
        let pc = PeerConnectionBuilder::new()
            .with_media_engine(engine())
            .with_interceptor_registry(
                register_default_interceptors(Registry::new(), &mut engine()).expect("a chain"),
            )
            .with_setting_engine(SettingEngineBuilder::new().with_include_loopback_candidate(true).build())
            .with_handler(Arc::new(handler))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .expect("a connection");
        let pc: Arc<dyn PeerConnection> = Arc::new(pc);
        let offer = RTCSessionDescription::offer(offer.to_owned()).expect("an offer");
        pc.set_remote_description(offer).await.expect("their offer");
        let answer = pc.create_answer(None).await.expect("an answer");
        pc.set_local_description(answer).await.expect("our own answer");
        within("gathering", gathered.wait_for(|done| *done)).await.expect("gathers");
        let answer = pc.local_description().await.expect("an answer").sdp;
        Self { pc, answer, frames, sounds, tracks }
    }

    /// Leaves in good order.
    pub async fn close(self) {
        self.pc.close().await.expect("closes");
        self.tracks.send_replace(None);
    }
}

/// The address and the token of a URL.
pub fn parts(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").expect("http");
    let (address, token) = rest.split_once("/#token=").expect("a token");
    (address.parse().expect("an address"), token.to_owned())
}

/// The payload types of sound, and what a viewer's voice is known by.
pub const OPUS: u8 = 111;
pub const RED: u8 = 63;
pub const VOICE: u32 = 0x5eed;

fn sound_codec(mime_type: &str, fmtp: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

fn voice_track() -> Arc<TrackLocalStaticRTP> {
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(VOICE), ..Default::default() },
        codec: sound_codec("audio/opus", "minptime=10;useinbandfec=1"),
        ..Default::default()
    };
    let name = || "voice".to_owned();
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        name(),
        name(),
        name(),
        RtpCodecKind::Audio,
        vec![encoding],
    )))
}

fn engine() -> MediaEngine {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    let codec = |mime: &str, fmtp: &str, payload_type| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: 90_000,
            channels: 0,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: vec![
                feedback("nack", ""),
                feedback("nack", "pli"),
                feedback("ccm", "fir"),
                feedback("transport-cc", ""),
            ],
        },
        payload_type,
    };
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    let mut engine = MediaEngine::default();
    engine.register_codec(codec("video/H264", h264, 102), RtpCodecKind::Video).expect("a codec");
    engine.register_codec(codec("video/rtx", "apt=102", 103), RtpCodecKind::Video).expect("a codec");
    for (codec, payload_type) in [
        (sound_codec("audio/opus", "minptime=10;useinbandfec=1"), OPUS),
        (sound_codec("audio/red", "111/111"), RED),
    ] {
        let codec = RTCRtpCodecParameters { rtp_codec: codec, payload_type };
        engine.register_codec(codec, RtpCodecKind::Audio).expect("a codec");
    }
    let twcc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let extension =
        rtc::rtp_transceiver::rtp_sender::RTCRtpHeaderExtensionCapability { uri: twcc.to_owned() };
    engine.register_header_extension(extension, RtpCodecKind::Video, None).expect("an extension");
    engine
}

struct Handler {
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<bool>,
    frames: mpsc::Sender<Seen>,
    track: watch::Sender<Option<Arc<dyn TrackRemote>>>,
    sounds: mpsc::Sender<rtc::rtp::Packet>,
}

type Parts = (
    Handler,
    watch::Receiver<RTCPeerConnectionState>,
    watch::Receiver<bool>,
    mpsc::Receiver<Seen>,
    watch::Receiver<Option<Arc<dyn TrackRemote>>>,
    mpsc::Receiver<rtc::rtp::Packet>,
);

impl Handler {
    fn new() -> Parts {
        let (state, states) = watch::channel(RTCPeerConnectionState::New);
        let (gathered, gathering) = watch::channel(false);
        let (frames, seen) = mpsc::channel(4096);
        let (track, tracks) = watch::channel(None);
        let (sounds, heard) = mpsc::channel(4096);
        (Handler { state, gathered, frames, track, sounds }, states, gathering, seen, tracks, heard)
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if track.kind().await == RtpCodecKind::Audio {
            let sounds = self.sounds.clone();
            tokio::spawn(async move {
                while let Some(event) = track.poll().await {
                    if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                        // A test that listens to nobody has no use for them.
                        let _ = sounds.try_send(packet);
                    }
                }
            });
            return;
        }
        self.track.send_replace(Some(track.clone()));
        tokio::spawn(decode(track, self.frames.clone()));
    }
}

/// Packets that may be awaited before a picture is given up.
const REORDER: usize = 512;

/// Asks for a keyframe as a decoder in need does.
async fn ask_key(track: &Arc<dyn TrackRemote>) {
    let Some(media_ssrc) = track.ssrcs().await.first().copied() else { return };
    let request = rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication {
        sender_ssrc: 1,
        media_ssrc,
    };
    // The connection may be gone.
    let _ = track.write_rtcp(vec![Box::new(request)]).await;
}

/// Puts packets in order, pictures together, and decodes them. After a loss that nothing mends it asks for a keyframe and waits for
/// it, as browsers do.
async fn decode(track: Arc<dyn TrackRemote>, frames: mpsc::Sender<Seen>) {
    let mut decoder = Decoder::new();
    let mut depacketizer = H264Packet::default();
    let mut waiting: std::collections::BTreeMap<u64, rtc::rtp::Packet> = std::collections::BTreeMap::new();
    let mut next: Option<u64> = None;
    let (mut unit, mut broken) = (Vec::new(), true);
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let number = extend(next.unwrap_or(1 << 32), packet.header.sequence_number);
        if next.is_none() {
            next = Some(number);
        }
        waiting.insert(number, packet);
        while let Some(expected) = next {
            let packet = match waiting.remove(&expected) {
                Some(packet) => packet,
                None if waiting.len() > REORDER => {
                    (broken, next) = (true, waiting.keys().next().copied());
                    ask_key(&track).await;
                    unit.clear();
                    depacketizer = H264Packet::default();
                    continue;
                }
                None => break,
            };
            next = Some(expected + 1);
            if let Ok(bytes) = depacketizer.depacketize(&packet.payload) {
                unit.extend_from_slice(&bytes);
            }
            if !packet.header.marker {
                continue;
            }
            let unit = std::mem::take(&mut unit);
            let key = unit.windows(5).any(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1f == 7);
            broken &= !key;
            if broken {
                continue;
            }
            if let Some(seen) = decoder.decode(&unit, key)
                && frames.send(seen).await.is_err()
            {
                return;
            }
        }
        waiting.retain(|number, _| next.is_none_or(|next| *number >= next));
    }
}

/// The full number nearest to `reference` whose low 16 bits are `sequence`.
fn extend(reference: u64, sequence: u16) -> u64 {
    let delta = i64::from(sequence.wrapping_sub(reference as u16) as i16);
    reference.wrapping_add_signed(delta)
}
