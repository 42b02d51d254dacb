//! Connections by the `webrtc` crate.

use super::candidates::Candidates;
use super::channels::{self, Channels};
use super::pace::{Notify, Pace, Shown};
use super::sdp::{Choice, choose};
use super::{Accepted, Channel, Connection, Flow, Frame, MediaTransport, PeerEvent, TransportError};
use crate::codec::Codec;
use async_trait::async_trait;
use rtc::interceptor::{
    CongestionControlBuilder, Gcc, NackResponderBuilder, Registry, SenderReportBuilder, Slot,
    TwccSenderBuilder,
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
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::error::Error;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription,
    SettingEngineBuilder,
};

const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// Events that may wait for the viewer's task; a page that sends faster is slowed down by SCTP.
const EVENTS: usize = 256;

/// Bytes of messages that may wait for a viewer.
const MESSAGE_BACKLOG: usize = 1 << 20;

/// Packets kept for retransmission: about two megabytes, more than a second at the highest rate.
const RESEND_PACKETS: u16 = 2048;

/// How long ICE may take to gather candidates of sockets that are already bound.
const GATHERING: Duration = Duration::from_secs(5);

/// Without a sign of life for this long a path counts as interrupted, and after the second time as failed.
const ICE_DISCONNECTED: Duration = Duration::from_secs(4);
const ICE_FAILED: Duration = Duration::from_secs(10);

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

/// Makes connections whose only candidate is a UDP port on one address.
pub struct WebRtc {
    address: IpAddr,
    rates: Rates,
}

impl WebRtc {
    /// A transport that binds to `address`.
    pub fn new(address: IpAddr, rates: Rates) -> Self {
        Self { address, rates }
    }

    fn codec(choice: &Choice) -> RTCRtpCodecParameters {
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

    fn engine(choice: &Choice, codec: &RTCRtpCodecParameters) -> Result<MediaEngine, Error> {
        let mut engine = MediaEngine::default();
        engine.register_codec(codec.clone(), RtpCodecKind::Video)?;
        if let Some(payload_type) = choice.rtx {
            let rtp_codec = RTCRtpCodec {
                mime_type: "video/rtx".to_owned(),
                clock_rate: 90_000,
                channels: 0,
                sdp_fmtp_line: format!("apt={}", choice.payload_type),
                rtcp_feedback: Vec::new(),
            };
            engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Video)?;
        }
        for uri in [TRANSPORT_CC, PLAYOUT_DELAY] {
            let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
            engine.register_header_extension(extension, RtpCodecKind::Video, None)?;
        }
        Ok(engine)
    }

    fn chain(&self, flow: &Arc<Flow>, notify: Notify) -> Registry {
        let rate = |bits: u32| f64::from(bits);
        let gcc = Gcc::new(rate(self.rates.initial), rate(self.rates.least), rate(self.rates.most));
        let estimator = Shown { inner: gcc, flow: flow.clone() };
        Registry::new()
            .with(Slot::CongestionControl, CongestionControlBuilder::new(estimator).build())
            .with(Slot::TwccSender, TwccSenderBuilder::new().build())
            .with(Slot::Pacer, Pace::new(flow.clone(), notify))
            .with(Slot::NackResponder, NackResponderBuilder::new().with_size(RESEND_PACKETS).build())
            .with(Slot::SenderReport, SenderReportBuilder::new().build())
    }
}

#[async_trait]
impl MediaTransport for WebRtc {
    async fn accept(
        &self,
        offer: &str,
        from: IpAddr,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Accepted, TransportError> {
        let choice = choose(offer)?;
        let codec = Self::codec(&choice);
        let candidates = Candidates::new(from);
        let offer = RTCSessionDescription::offer(candidates.of_offer(offer))
            .map_err(|e| TransportError::Offer(e.to_string()))?;
        let flow = Arc::new(Flow::new(self.rates.initial));
        // Until it is connected, what is sent would be lost.
        flow.set_muted(true);
        let (events, receiver) = mpsc::channel(EVENTS);
        let requests = events.clone();
        let notify = Notify {
            drained: wake,
            // A request that finds no room is repeated by the viewer.
            key: Box::new(move || drop(requests.try_send(PeerEvent::KeyRequest))),
        };
        let engine = Self::engine(&choice, &codec).map_err(library)?;
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), None)
            .build();
        let (gathered, mut gathering) = watch::channel(false);
        let channels = Arc::new(Channels::default());
        let handler = Arc::new(Handler { events, gathered, channels: channels.clone() });
        let pc = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_media_engine(engine)
            .with_setting_engine(settings)
            .with_interceptor_registry(self.chain(&flow, notify))
            .with_handler(handler)
            .with_udp_addrs(vec![(self.address, 0_u16)])
            .with_data_channel_send_buffer_limit(MESSAGE_BACKLOG)
            .build()
            .await
            .map_err(library)?;
        let pc: Arc<dyn PeerConnection> = Arc::new(pc);
        let negotiated = negotiate(&pc, offer, &choice, codec.rtp_codec, &mut gathering).await;
        let (track, ssrc, answer) = match negotiated {
            Ok(done) => done,
            Err(error) => {
                // The driver's task and socket live until told otherwise.
                let _ = pc.close().await;
                return Err(error);
            }
        };
        let connection = Arc::new(Peer {
            pc,
            track,
            ssrc,
            payload_type: choice.payload_type,
            sequence: AtomicU16::new(random_u32()? as u16),
            channels,
            candidates,
        });
        Ok(Accepted { answer, codec: choice.codec, connection, events: receiver, flow })
    }
}

async fn negotiate(
    pc: &Arc<dyn PeerConnection>,
    offer: RTCSessionDescription,
    choice: &Choice,
    codec: RTCRtpCodec,
    gathering: &mut watch::Receiver<bool>,
) -> Result<(Arc<TrackLocalStaticRTP>, u32, String), TransportError> {
    pc.set_remote_description(offer).await.map_err(|e| TransportError::Offer(e.to_string()))?;
    let ssrc = random_u32()?;
    let rtx = choice.rtx.map(|_| RTCRtpRtxParameters { ssrc: ssrc.wrapping_add(1) });
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), rtx, ..Default::default() },
        codec,
        ..Default::default()
    };
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "sampan".to_owned(),
        "screen".to_owned(),
        "screen".to_owned(),
        RtpCodecKind::Video,
        vec![encoding],
    )));
    pc.add_track(track.clone() as Arc<dyn TrackLocal>).await.map_err(library)?;
    let answer = pc.create_answer(None).await.map_err(|e| TransportError::Offer(e.to_string()))?;
    pc.set_local_description(answer).await.map_err(library)?;
    // Sockets are bound already: this is quick, and the answer needs no trickling.
    tokio::time::timeout(GATHERING, gathering.wait_for(|done| *done))
        .await
        .map_err(|_| TransportError::Library("gathering candidates took too long".to_owned()))?
        .map_err(|_| TransportError::Closed)?;
    let description = pc.local_description().await.ok_or(TransportError::Closed)?;
    Ok((track, ssrc, description.sdp))
}

fn library(error: Error) -> TransportError {
    TransportError::Library(error.to_string())
}

fn random_u32() -> Result<u32, TransportError> {
    getrandom::u32().map_err(|e| TransportError::Library(e.to_string()))
}

struct Handler {
    events: mpsc::Sender<PeerEvent>,
    gathered: watch::Sender<bool>,
    channels: Arc<Channels>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let event = match state {
            RTCPeerConnectionState::Connected => PeerEvent::Connected,
            RTCPeerConnectionState::Disconnected => PeerEvent::Interrupted,
            RTCPeerConnectionState::Failed => PeerEvent::Gone("the network path failed"),
            RTCPeerConnectionState::Closed => PeerEvent::Gone("the viewer closed the connection"),
            _ => return,
        };
        // This runs inside the driver, which must not wait for whoever reads the events.
        let events = self.events.clone();
        tokio::spawn(async move { events.send(event).await });
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let (events, channels) = (self.events.clone(), self.channels.clone());
        tokio::spawn(async move { channels::serve(channel, events, channels).await });
    }
}

struct Peer {
    pc: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: u8,
    sequence: AtomicU16,
    channels: Arc<Channels>,
    candidates: Candidates,
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
            let extensions = if index == 0 { &playout[..] } else { &[] };
            self.track.write_rtp_with_extensions(packet, extensions).await.map_err(library)?;
        }
        Ok(())
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

    async fn close(&self) {
        self.channels.clear();
        if let Err(error) = self.pc.close().await {
            log::debug!("closing a connection: {error}");
        }
    }
}
