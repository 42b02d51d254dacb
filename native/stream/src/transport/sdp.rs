//! What a viewer's offer says about the video that it can decode, and about sound.

use super::TransportError;
use crate::codec::Codec;

/// The format of an offer that is going to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its codec.
    pub codec: Codec,
    /// The viewer's payload type for it.
    pub payload_type: u8,
    /// The viewer's format parameters, repeated in the answer.
    pub fmtp: String,
    /// The payload type of its retransmissions (RFC 4588), if the viewer has one.
    pub rtx: Option<u8>,
    /// Whether the viewer tells when packets arrive (transport-wide feedback): without it nothing is known of its path.
    pub reports_arrivals: bool,
}

/// Chooses the video format: H.264 with a colour for every pixel (High 4:4:4 Predictive), then with a baseline profile, both with
/// several packets per picture, then VP8.
///
/// # Errors
/// [`TransportError::NoCodec`] if the offer has neither for us to send.
pub fn choose(offer: &str) -> Result<Choice, TransportError> {
    let section = section(offer, "m=video ").ok_or(TransportError::NoCodec)?;
    let formats: Vec<Format> = section.iter().filter_map(|line| Format::parse(line, &section)).collect();
    let best = formats.iter().filter_map(|f| Some((f.rank()?, f))).min_by_key(|(rank, _)| *rank);
    let (rank, format) = best.ok_or(TransportError::NoCodec)?;
    let apt = format!("apt={}", format.payload_type);
    let rtx = formats
        .iter()
        .find(|f| f.name.eq_ignore_ascii_case("rtx") && parameters(&f.fmtp).any(|p| p == apt))
        .map(|f| f.payload_type);
    let codec = match rank {
        FULL_RANK => Codec::H264Full,
        VP8_RANK => Codec::Vp8,
        _ => Codec::H264,
    };
    let reports_arrivals = reports(&section, format.payload_type);
    Ok(Choice { codec, payload_type: format.payload_type, fmtp: format.fmtp.clone(), rtx, reports_arrivals })
}

/// What we offer to a media server, in the order of preference. It hands on what it gets, so the format is one that every browser
/// decodes: no 4:4:4.
pub fn offered() -> Vec<Choice> {
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    let choice = |codec, payload_type, fmtp: &str| Choice {
        codec,
        payload_type,
        fmtp: fmtp.to_owned(),
        rtx: Some(payload_type + 1),
        reports_arrivals: true,
    };
    let mut all = vec![choice(Codec::H264, 102, h264)];
    if cfg!(vp8) {
        all.push(choice(Codec::Vp8, 96, ""));
    }
    all
}

/// The sound that we offer to a media server.
pub fn offered_sound() -> SoundChoice {
    SoundChoice {
        opus: 111,
        fmtp: "minptime=10;stereo=1;sprop-stereo=1;useinbandfec=1".to_owned(),
        red: None,
    }
}

/// What an answer to [`offered`] chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The format.
    pub choice: Choice,
    /// The URIs of header extensions that may be sent with the picture (RFC 8285).
    extensions: Vec<String>,
    /// Whether sound is wanted.
    pub sound: bool,
}

impl Chosen {
    /// Whether the header extension of this URI may be sent with the picture.
    pub fn has_extension(&self, uri: &str) -> bool {
        self.extensions.iter().any(|other| other == uri)
    }
}

/// Reads an answer: the first of its formats is the one to send (RFC 9429, section 5.11). `arrivals` is the URI of the extension without
/// which no arrivals are reported.
///
/// # Errors
/// [`TransportError::NoCodec`] if it wants no picture or in no format of ours; [`TransportError::Answer`].
pub fn chosen(answer: &str, arrivals: &str) -> Result<Chosen, TransportError> {
    let (media, section) = answered(answer, "m=video ").ok_or(TransportError::NoCodec)?;
    let formats: Vec<Format> = section.iter().filter_map(|line| Format::parse(line, &section)).collect();
    let ours = offered();
    let first =
        media.split_ascii_whitespace().skip(3).filter_map(|word| word.parse().ok()).find_map(|wanted: u8| {
            let format = formats.iter().find(|format| format.payload_type == wanted)?;
            let choice = ours.iter().find(|choice| choice.payload_type == wanted)?;
            let name = match choice.codec {
                Codec::H264 | Codec::H264Full => "H264",
                Codec::Vp8 => "VP8",
            };
            format.name.eq_ignore_ascii_case(name).then_some(choice)
        });
    let mut choice = first.ok_or(TransportError::NoCodec)?.clone();
    choice.rtx = choice.rtx.filter(|rtx| {
        let apt = format!("apt={}", choice.payload_type);
        formats.iter().any(|f| f.payload_type == *rtx && parameters(&f.fmtp).any(|p| p == apt))
    });
    let extensions: Vec<String> = section
        .iter()
        .filter_map(|line| line.strip_prefix("a=extmap:")?.split_ascii_whitespace().nth(1).map(str::to_owned))
        .collect();
    choice.reports_arrivals =
        reports(&section, choice.payload_type) && extensions.iter().any(|extension| extension == arrivals);
    let opus = offered_sound().opus;
    let sound = answered(answer, "m=audio ").is_some_and(|(_, section)| {
        let format =
            section.iter().filter_map(|line| Format::parse(line, &section)).find(|f| f.payload_type == opus);
        format.is_some_and(|format| format.name.eq_ignore_ascii_case("opus"))
    });
    Ok(Chosen { choice, extensions, sound })
}

/// The line and the section of a kind in an answer, unless it was refused (RFC 3264, section 6) or is not to be sent to.
fn answered<'a>(answer: &'a str, kind: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let line = answer.lines().find(|line| line.starts_with(kind))?;
    let port = line.strip_prefix(kind)?.split_ascii_whitespace().next()?;
    (port != "0").then_some(())?;
    Some((line, section(answer, kind)?))
}

/// Whether arrivals of this format's packets are reported (transport-wide feedback).
fn reports(section: &[&str], payload_type: u8) -> bool {
    let feedback = format!("a=rtcp-fb:{payload_type} transport-cc");
    section.iter().any(|line| *line == feedback || *line == "a=rtcp-fb:* transport-cc")
}

/// How sound goes to and from a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundChoice {
    /// The viewer's payload type for Opus.
    pub opus: u8,
    /// Its format parameters, repeated in the answer.
    pub fmtp: String,
    /// The same of redundant packets of it (RFC 2198), if the viewer knows such.
    pub red: Option<(u8, String)>,
}

/// The formats of sound, if the viewer offers to hear any: Opus, and redundant packets of nothing else.
pub fn choose_sound(offer: &str) -> Option<SoundChoice> {
    let section = section(offer, "m=audio ")?;
    let formats: Vec<Format> = section.iter().filter_map(|line| Format::parse(line, &section)).collect();
    let named = |name: &'static str| {
        formats.iter().filter(move |f| f.clock == SOUND_CLOCK && f.name.eq_ignore_ascii_case(name))
    };
    let opus = named("opus").next()?;
    let is_of_opus = |fmtp: &str| {
        let mut types = fmtp.split('/').peekable();
        types.peek().is_some() && types.all(|one| one.trim().parse() == Ok(opus.payload_type))
    };
    let red = named("red").find(|f| is_of_opus(&f.fmtp));
    let red = red.map(|f| (f.payload_type, f.fmtp.clone()));
    Some(SoundChoice { opus: opus.payload_type, fmtp: opus.fmtp.clone(), red })
}

/// RTP ticks of a second of Opus, whatever is in it (RFC 7587, section 4.1).
const SOUND_CLOCK: u32 = 48_000;

const FULL_RANK: u8 = 0;
const VP8_RANK: u8 = 3;

/// The lines of the first section of a kind that the viewer wants to receive.
fn section<'a>(offer: &'a str, kind: &str) -> Option<Vec<&'a str>> {
    let mut lines = offer.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with(kind) {
            continue;
        }
        let mut section = Vec::new();
        while let Some(line) = lines.next_if(|l| !l.starts_with("m=")) {
            section.push(line);
        }
        if !section.iter().any(|l| matches!(*l, "a=sendonly" | "a=inactive")) {
            return Some(section);
        }
    }
    None
}

struct Format {
    payload_type: u8,
    name: String,
    clock: u32,
    fmtp: String,
}

impl Format {
    /// Reads an `a=rtpmap` line (RFC 8866 section 6.6) and the `a=fmtp` line that goes with it.
    fn parse(line: &str, section: &[&str]) -> Option<Self> {
        let (payload_type, encoding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let payload_type: u8 = payload_type.parse().ok().filter(|pt| *pt < 128)?;
        let mut encoding = encoding.split('/');
        let name = encoding.next()?.to_owned();
        let clock = encoding.next()?.parse().ok()?;
        let prefix = format!("a=fmtp:{payload_type} ");
        let fmtp = section.iter().find_map(|l| l.strip_prefix(&prefix)).unwrap_or_default();
        Some(Self { payload_type, name, clock, fmtp: fmtp.to_owned() })
    }

    /// How welcome it is, the least first; `None` if we cannot send it.
    fn rank(&self) -> Option<u8> {
        if self.clock != 90_000 {
            return None;
        }
        if self.name.eq_ignore_ascii_case("VP8") {
            return cfg!(vp8).then_some(VP8_RANK);
        }
        if !self.name.eq_ignore_ascii_case("H264") {
            return None;
        }
        let value = |key: &str| {
            parameters(&self.fmtp).find_map(|p| p.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
        };
        if value("packetization-mode") != Some("1") {
            return None;
        }
        // RFC 6184 section 8.1: without it, baseline at level 1. The second byte holds the constraint flags; set 1
        // is what makes baseline constrained, set 3 what leaves High 4:4:4 Predictive nothing but intra pictures.
        let profile = value("profile-level-id").unwrap_or("42000a");
        let flags = u8::from_str_radix(profile.get(2..4)?, 16).ok()?;
        match u8::from_str_radix(profile.get(..2)?, 16).ok()? {
            0xf4 if flags & 0x10 == 0 => Some(FULL_RANK),
            0x42 => Some(if flags & 0x40 != 0 { 1 } else { 2 }),
            _ => None,
        }
    }
}

fn parameters(fmtp: &str) -> impl Iterator<Item = &str> {
    fmtp.split(';').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108 109 114\r\na=recvonly\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
        a=rtpmap:103 H264/90000\r\na=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n\
        a=rtpmap:104 rtx/90000\r\na=fmtp:104 apt=103\r\n\
        a=rtpmap:107 H264/90000\r\na=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\n\
        a=rtpmap:109 H264/90000\r\na=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
        a=rtpmap:114 rtx/90000\r\na=fmtp:114 apt=109\r\n";

    #[test]
    fn constrained_baseline_in_packets_comes_first() {
        let choice = choose(OFFER).expect("has H.264");
        assert_eq!((choice.codec, choice.payload_type, choice.rtx), (Codec::H264, 109, Some(114)));
        assert!(choice.fmtp.contains("42e01f"));
    }

    #[test]
    fn a_viewer_says_whether_it_tells_when_packets_arrive() {
        assert!(!choose(OFFER).expect("has H.264").reports_arrivals);
        for (line, reports) in [
            ("109 transport-cc", true),
            ("* transport-cc", true),
            ("96 transport-cc", false),
            ("109 nack", false),
        ] {
            let offer = format!("{OFFER}a=rtcp-fb:{line}\r\n");
            assert_eq!(choose(&offer).expect("has H.264").reports_arrivals, reports, "{line}");
        }
    }

    #[test]
    fn full_chroma_comes_before_that() {
        let full = |id| OFFER.replace("packetization-mode=1;profile-level-id=42001f", id);
        let choice = choose(&full("packetization-mode=1;profile-level-id=f4001f")).expect("has H.264");
        assert_eq!((choice.codec, choice.payload_type, choice.rtx), (Codec::H264Full, 103, Some(104)));
        assert!(choice.fmtp.contains("f4001f"));
        for no in
            ["packetization-mode=0;profile-level-id=f4001f", "packetization-mode=1;profile-level-id=f4101f"]
        {
            assert_eq!(choose(&full(no)).expect("has H.264").codec, Codec::H264);
        }
    }

    #[test]
    fn then_plain_baseline_then_vp8() {
        let without = OFFER.replace("packetization-mode=1;profile-level-id=42e01f", "packetization-mode=0");
        assert_eq!(choose(&without).expect("has H.264").payload_type, 103);
        #[cfg(vp8)]
        {
            let choice = choose(&OFFER.replace("H264", "H999")).expect("has VP8");
            assert_eq!((choice.codec, choice.payload_type, choice.rtx), (Codec::Vp8, 96, Some(97)));
        }
        assert_eq!(choose(&OFFER.replace("m=video", "m=audio")), Err(TransportError::NoCodec));
        assert_eq!(choose(&OFFER.replace("recvonly", "sendonly")), Err(TransportError::NoCodec));
    }

    const SOUND: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 63 111 9 0\r\na=sendrecv\r\na=rtpmap:63 red/48000/2\r\n\
        a=fmtp:63 111/111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n\
        a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n";

    #[test]
    fn opus_and_redundant_packets_of_it() {
        let whole = format!("{OFFER}{SOUND}");
        let choice = choose_sound(&whole).expect("has Opus");
        assert_eq!((choice.opus, choice.red), (111, Some((63, "111/111".to_owned()))));
        assert!(choice.fmtp.ends_with("stereo=1"));
        assert_eq!(choose(&whole).expect("has H.264").payload_type, 109, "the picture is as it was");
        for (from, to) in
            [("111/111", "111/0"), ("111/111", ""), ("red/48000", "red/8000"), ("rtpmap:63", "rtpmap:64")]
        {
            let choice = choose_sound(&whole.replace(from, to)).expect("has Opus");
            assert_eq!(choice.red, None, "{from} as {to}");
        }
        for (from, to) in
            [("opus", "speex"), ("sendrecv", "sendonly"), ("sendrecv", "inactive"), ("m=audio", "m=text")]
        {
            assert_eq!(choose_sound(&whole.replace(from, to)), None, "{from} as {to}");
        }
        assert_eq!(choose_sound(OFFER), None);
    }

    const ARRIVALS: &str = "urn:arrivals";
    const ANSWER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 102\r\na=recvonly\r\na=rtpmap:102 H264/90000\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtcp-fb:96 transport-cc\r\n\
        a=extmap:3 urn:arrivals\r\n";

    #[cfg(vp8)]
    #[test]
    fn the_first_format_of_an_answer_is_sent() {
        let of = |answer: &str| chosen(answer, ARRIVALS);
        let all = of(ANSWER).expect("an answer");
        assert_eq!((all.choice.codec, all.choice.payload_type, all.choice.rtx), (Codec::Vp8, 96, Some(97)));
        assert!(all.choice.reports_arrivals && all.has_extension(ARRIVALS) && all.sound);
        let h264 = of(&ANSWER.replace("SAVPF 96 97 102", "SAVPF 102 96 97")).expect("an answer").choice;
        assert_eq!(
            (h264.codec, h264.payload_type, h264.rtx, h264.reports_arrivals),
            (Codec::H264, 102, None, false)
        );
        for (from, to) in [("a=rtcp-fb:96 transport-cc\r\n", ""), (ARRIVALS, "urn:other")] {
            assert!(
                !of(&ANSWER.replace(from, to)).expect("an answer").choice.reports_arrivals,
                "without {from}"
            );
        }
        let mute = of(&ANSWER.replace("m=audio 9", "m=audio 0")).expect("an answer");
        assert!(!mute.sound && mute.choice.codec == Codec::Vp8);
        for (from, to) in [
            ("m=video 9", "m=video 0"),
            ("SAVPF 96 97 102", "SAVPF 45"),
            ("96 97 102\r\na=recvonly", "96 97 102\r\na=inactive"),
        ] {
            assert_eq!(of(&ANSWER.replace(from, to)), Err(TransportError::NoCodec), "{to}");
        }
        // Another codec at our number is none of ours.
        let other = ANSWER.replace("VP8", "AV1").replace(" 102\r", "\r");
        assert_eq!(of(&other), Err(TransportError::NoCodec));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(offer: String) {
            let _ = choose(&offer);
            let _ = chosen(&offer, ARRIVALS);
            let _ = choose_sound(&offer);
        }

        #[test]
        fn any_damage_is_answered(at in 0..OFFER.len(), with in "\\PC{0,8}") {
            let _ = choose(&format!("{}{with}{}", &OFFER[..at], &OFFER[(at + 1).min(OFFER.len())..]));
            let place = at % ANSWER.len();
            let _ = chosen(&format!("{}{with}{}", &ANSWER[..place], &ANSWER[place + 1..]), ARRIVALS);
            let at = at % SOUND.len();
            let _ = choose_sound(&format!("{}{with}{}", &SOUND[..at], &SOUND[at + 1..]));
        }
    }
}
