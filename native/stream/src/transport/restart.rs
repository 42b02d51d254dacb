//! ICE restarts by fragments (RFC 8840, section 9; RFC 9725, section 4.3.3): what of a description changes, and nothing else.

use super::TransportError;

/// The credentials of one side's ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    ufrag: String,
    pwd: String,
}

impl Credentials {
    /// Those of a fragment or of a whole description; nothing where there are none, or none as RFC 8839, section 5.4 wants them.
    pub fn of(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.trim_end().strip_prefix(name));
        let is_ice =
            |value: &&str| value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/');
        let ufrag = value("a=ice-ufrag:").filter(is_ice).filter(|text| (4..=256).contains(&text.len()))?;
        let pwd = value("a=ice-pwd:").filter(is_ice).filter(|text| (22..=256).contains(&text.len()))?;
        Some(Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }
}

/// An offer as it was, with other credentials and candidates (`candidate:…`).
///
/// # Errors
/// [`TransportError::Offer`] if the credentials are those that it has.
pub fn restarted(offer: &str, fresh: &Credentials, candidates: &[String]) -> Result<String, TransportError> {
    if Credentials::of(offer).is_none_or(|before| before.ufrag == fresh.ufrag || before.pwd == fresh.pwd) {
        return Err(TransportError::Offer("a restart needs other ICE credentials".to_owned()));
    }
    let mut lines = String::with_capacity(offer.len() + 128 * candidates.len());
    let mut candidates = candidates.iter();
    for line in offer.lines().map(str::trim_end) {
        if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
            continue;
        } else if line.starts_with("a=ice-ufrag:") {
            lines.extend(["a=ice-ufrag:", fresh.ufrag.as_str()]);
        } else if line.starts_with("a=ice-pwd:") {
            lines.extend(["a=ice-pwd:", fresh.pwd.as_str()]);
        } else {
            lines.push_str(line);
        }
        lines.push_str("\r\n");
        // Everything goes one way (BUNDLE): the first section's are those of all.
        if line.starts_with("a=mid:") {
            candidates.by_ref().for_each(|candidate| lines.extend(["a=", candidate.as_str(), "\r\n"]));
        }
    }
    Ok(lines)
}

/// What a fragment tells of a description: its credentials, and the candidates of its first section.
pub fn fragment(description: &str) -> String {
    let mut lines = description.lines().map(str::trim_end);
    let mut found = Credentials::of(description)
        .map_or_else(String::new, |own| format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", own.ufrag, own.pwd));
    let media = lines.by_ref().find(|line| line.starts_with("m="));
    let section = lines.take_while(|line| !line.starts_with("m="));
    let of_use = |line: &&str| line.starts_with("a=mid:") || line.starts_with("a=candidate:");
    for line in media.into_iter().chain(section.filter(of_use)).chain(["a=end-of-candidates"]) {
        found.push_str(line);
        found.push_str("\r\n");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 192.0.2.1 1000 typ host\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:0123456789abcdefghijkl\r\na=mid:0\r\na=recvonly\r\na=end-of-candidates\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\na=mid:1\r\n";

    fn fresh() -> Credentials {
        Credentials::of("a=ice-ufrag:wxyz\r\na=ice-pwd:lkjihgfedcba9876543210\r\n").expect("credentials")
    }

    #[test]
    fn a_restart_changes_credentials_and_candidates_and_nothing_else() {
        let candidate = "candidate:2 1 udp 1 192.0.2.1 2000 typ host".to_owned();
        let offer = restarted(OFFER, &fresh(), &[candidate]).expect("other credentials");
        let expected = OFFER
            .replace("abcd\r\n", "wxyz\r\n")
            .replace("0123456789abcdefghijkl", "lkjihgfedcba9876543210")
            .replace("a=candidate:1 1 udp 1 192.0.2.1 1000 typ host\r\n", "")
            .replace("a=end-of-candidates\r\n", "")
            .replace("a=mid:0\r\n", "a=mid:0\r\na=candidate:2 1 udp 1 192.0.2.1 2000 typ host\r\n");
        assert_eq!(offer, expected);
        assert!(restarted(&offer, &fresh(), &[]).is_err(), "it is the same again");
    }

    #[test]
    fn a_fragment_has_what_a_restart_needs() {
        assert_eq!(
            fragment(OFFER),
            "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
             a=candidate:1 1 udp 1 192.0.2.1 1000 typ host\r\na=mid:0\r\na=end-of-candidates\r\n"
        );
        assert_eq!(Credentials::of(&fragment(OFFER)), Credentials::of(OFFER));
    }

    #[test]
    fn credentials_are_letters_and_long_enough() {
        for bad in ["abc", "ab cd", "ab\tcd", "abcd-", "", &"x".repeat(257)]
            .map(|ufrag| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghijkl\r\n"))
        {
            assert_eq!(Credentials::of(&bad), None, "{bad}");
        }
        assert_eq!(Credentials::of("a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String) {
            let _ = Credentials::of(&text);
            let _ = restarted(&text, &fresh(), &[]);
            let _ = fragment(&text);
        }
    }
}
