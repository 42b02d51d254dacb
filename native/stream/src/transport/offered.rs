//! Connections to media servers, which take our offer (WHIP, RFC 9725). Nothing but reports comes back.

use super::candidates::{self, Candidates};
use super::sdp::{Chosen, SoundChoice, chosen, offered, offered_sound};
use super::webrtc::{
    Agreed, Begun, Other, PLAYOUT_DELAY, SoundTrack, TRANSPORT_CC, gathered, library, of_use, random_u32,
    screen_track,
};
use super::{Accepted, Offered, TransportError, Wake, WebRtc};
use async_trait::async_trait;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use std::net::IpAddr;
use std::sync::Arc;
use webrtc::error::Error;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};
use webrtc::rtp_transceiver::RtpTransceiver;

/// An offer that waits for its answer.
pub struct Waiting {
    begun: Begun,
    sdp: String,
    picture: Arc<dyn RtpTransceiver>,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    sound: Option<SoundTrack>,
    /// What a path is taken for of which nothing is reported.
    unknown_rate: u32,
    address: IpAddr,
}

impl Waiting {
    pub(super) async fn new(transport: &WebRtc, sound: bool, wake: Wake) -> Result<Self, TransportError> {
        let choices = offered();
        let first = choices.first().ok_or(TransportError::NoCodec)?;
        let sound_choice = sound.then(offered_sound);
        let codecs: Vec<_> = choices.iter().flat_map(WebRtc::codecs).collect();
        let rate = transport.first_rate(true);
        let mut begun =
            transport.begin(codecs.clone(), sound_choice.as_ref(), rate, Other::Server, wake).await?;
        let ssrc = random_u32()?;
        let track = screen_track(ssrc, first);
        let described = async {
            let picture = send_only(&begun.pc, track.clone()).await?;
            // The track has one format; all are offered.
            picture.set_codec_preferences(codecs).await.map_err(library)?;
            let sound = offer_sound(&begun.pc, sound_choice.as_ref()).await?;
            let offer = begun.pc.create_offer(None).await.map_err(library)?;
            begun.pc.set_local_description(offer).await.map_err(library)?;
            gathered(&mut begun.gathering).await?;
            let description = begun.pc.local_description().await.ok_or(TransportError::Closed)?;
            Ok((picture, sound, of_use(&description.sdp)))
        };
        let (picture, sound, sdp) = match described.await {
            Ok(described) => described,
            Err(error) => {
                // The driver's task and socket live until told otherwise.
                let _ = begun.pc.close().await;
                return Err(error);
            }
        };
        let (unknown_rate, address) = (transport.first_rate(false), transport.address());
        Ok(Self { begun, sdp, picture, track, ssrc, sound, unknown_rate, address })
    }

    async fn take(&self, answer: &str) -> Result<Chosen, TransportError> {
        let wrong = |error: Error| TransportError::Answer(error.to_string());
        let chosen = chosen(answer, TRANSPORT_CC)?;
        let sender = self.picture.sender().await.map_err(library)?.ok_or(TransportError::Closed)?;
        // The library keeps books of what is sent by the track's format, which is known only now; packets go on by the first track.
        sender.replace_track(screen_track(self.ssrc, &chosen.choice)).await.map_err(library)?;
        self.picture.set_codec_preferences(WebRtc::codecs(&chosen.choice)).await.map_err(library)?;
        let description = RTCSessionDescription::answer(candidates::of_answer(answer)).map_err(wrong)?;
        self.begun.pc.set_remote_description(description).await.map_err(wrong)?;
        Ok(chosen)
    }
}

async fn send_only(
    pc: &Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
) -> Result<Arc<dyn RtpTransceiver>, TransportError> {
    let direction = RTCRtpTransceiverDirection::Sendonly;
    let init = RTCRtpTransceiverInit { direction, streams: Vec::new(), send_encodings: Vec::new() };
    pc.add_transceiver_from_track(track as Arc<dyn TrackLocal>, Some(init)).await.map_err(library)
}

async fn offer_sound(
    pc: &Arc<dyn PeerConnection>,
    sound: Option<&SoundChoice>,
) -> Result<Option<SoundTrack>, TransportError> {
    let Some(sound) = sound else { return Ok(None) };
    let sound = SoundTrack::new(sound)?;
    send_only(pc, sound.track.clone()).await?;
    Ok(Some(sound))
}

#[async_trait]
impl Offered for Waiting {
    fn sdp(&self) -> &str {
        &self.sdp
    }

    async fn answered(self: Box<Self>, answer: &str) -> Result<Accepted, TransportError> {
        let chosen = match self.take(answer).await {
            Ok(chosen) => chosen,
            Err(error) => {
                self.give_up().await;
                return Err(error);
            }
        };
        if !chosen.choice.reports_arrivals {
            self.begun.flow.set_target(self.unknown_rate);
        }
        let playout = chosen.has_extension(PLAYOUT_DELAY);
        let agreed = Agreed {
            track: self.track,
            ssrc: self.ssrc,
            sound: self.sound.filter(|_| chosen.sound),
            choice: chosen.choice,
            playout,
            candidates: Candidates::new(self.address),
            remote: answer.to_owned(),
        };
        let mut accepted = self.begun.agreed(agreed)?;
        accepted.voice = None;
        Ok(accepted)
    }

    async fn give_up(self: Box<Self>) {
        if let Err(error) = self.begun.pc.close().await {
            log::debug!("closing an offer: {error}");
        }
    }
}
