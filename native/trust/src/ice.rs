//! Servers by which a device finds a way to this host where there is no direct one: STUN (RFC 8489) and TURN (RFC 8656). The owner names them;
//! none is used otherwise.

use crate::error::TrustError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Servers that are kept at most: browsers warn of more than a few.
pub const MAX_ICE_SERVERS: usize = 4;

/// The longest address, user name or credential, in bytes.
const MAX_TEXT: usize = 256;

/// A server. What devices are told of it, they are told after they were let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// Its address: `stun:HOST[:PORT]`, `turn:HOST[:PORT][?transport=udp|tcp]`, or `turns:` likewise (RFC 7064, RFC 7065).
    pub url: String,
    /// The user name that a TURN server wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The credential that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("url", &self.url)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl IceServer {
    /// A server, if browsers take it as it is.
    ///
    /// # Errors
    /// [`TrustError::BadIceServer`].
    pub fn new(url: &str, username: Option<String>, credential: Option<String>) -> Result<Self, TrustError> {
        let wrong = |why| TrustError::BadIceServer { url: url.chars().take(MAX_TEXT).collect(), why };
        let (scheme, rest) =
            url.split_once(':').ok_or_else(|| wrong("it does not begin with stun:, turn: or turns:"))?;
        let is_turn = match scheme {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(wrong("it does not begin with stun:, turn: or turns:")),
        };
        let (host, transport) = rest.split_once('?').unwrap_or((rest, ""));
        let is_known = match transport {
            "" => !rest.contains('?'),
            "transport=udp" | "transport=tcp" => is_turn,
            _ => false,
        };
        if !is_known {
            return Err(wrong(
                "after the question mark only transport=udp or transport=tcp can stand, and of TURN alone",
            ));
        }
        if !is_place(host) || url.len() > MAX_TEXT {
            return Err(wrong("a host, and a port if it is not the usual one, is wanted"));
        }
        // They go into a header of the answer, between quotes.
        let fits = |text: &String| {
            !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(|c| (b' '..=b'~').contains(&c))
        };
        if is_turn && !(username.as_ref().is_some_and(fits) && credential.as_ref().is_some_and(fits)) {
            return Err(wrong(
                "a TURN server wants a user name and a credential, of printable ASCII characters",
            ));
        }
        if !is_turn && (username.is_some() || credential.is_some()) {
            return Err(wrong("a STUN server has no users"));
        }
        Ok(Self { url: url.to_owned(), username, credential })
    }

    /// The value of a `Link` header (RFC 8288) that tells a browser's page of it (RFC 9725, section 4.6).
    pub fn link(&self) -> String {
        let mut link = format!("<{}>; rel=\"ice-server\"", self.url);
        for (name, value) in [("username", &self.username), ("credential", &self.credential)] {
            if let Some(value) = value {
                let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
                link += &format!("; {name}=\"{quoted}\"");
            }
        }
        if self.credential.is_some() {
            link += "; credential-type=\"password\"";
        }
        link
    }
}

/// Whether this is `HOST` or `HOST:PORT`, with an IPv6 address in brackets.
fn is_place(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("v6", rest.strip_prefix(':').or(rest.is_empty().then_some("1")))
        }
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("1")),
        },
    };
    let is_name =
        !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.');
    is_name && port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(url: &str, user: bool) -> Result<IceServer, TrustError> {
        let text = |text: &str| user.then(|| text.to_owned());
        IceServer::new(url, text("ada"), text("se\\c\"ret"))
    }

    #[test]
    fn addresses_that_browsers_take() {
        for url in [
            "turn:example.org",
            "turn:192.0.2.1:3478?transport=udp",
            "turns:[2001:db8::1]:5349?transport=tcp",
            "turn:[::1]",
        ] {
            assert!(of(url, true).is_ok() && of(url, false).is_err(), "{url}");
        }
        for url in ["stun:example.org:3478", "stuns:example.org"] {
            assert!(of(url, false).is_ok() && of(url, true).is_err(), "{url}");
        }
        for bad in [
            "",
            "example.org",
            "http://example.org",
            "turn:",
            "turn:?transport=udp",
            "turn:a?transport=sctp",
            "turn:a?",
            "turn:a:0",
            "turn:a:b",
            "turn:a b",
            "turn:[a]",
            "turn:[::1]x",
            "turn:a>; rel=\"x",
            "turn:a\r\nb",
            "turn:a,b",
        ] {
            assert!(of(bad, true).is_err() && of(bad, false).is_err(), "{bad}");
        }
        assert!(of("stun:a?transport=udp", false).is_err());
    }

    #[test]
    fn a_header_holds_what_was_said() {
        let link = of("turn:a:1?transport=tcp", true).expect("a server").link();
        assert_eq!(
            link,
            r#"<turn:a:1?transport=tcp>; rel="ice-server"; username="ada"; credential="se\\c\"ret"; credential-type="password""#
        );
        assert_eq!(of("stun:a", false).expect("a server").link(), r#"<stun:a>; rel="ice-server""#);
        assert!(IceServer::new("turn:a", Some("a\nb".into()), Some("c".into())).is_err());
        let shown = format!("{:?}", of("turn:a", true).expect("a server"));
        assert!(!shown.contains("ret"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_header_or_none(url: String, user: String, word: String) {
            if let Ok(server) = IceServer::new(&url, Some(user), Some(word)) {
                prop_assert!(server.link().bytes().all(|c| (b' '..=b'~').contains(&c)));
            }
        }
    }
}
