//! Failures of serving.

use sampan_message::{Message, Params, coded, samples as samples_of};
use sampan_trust::TrustError;
use std::net::{IpAddr, SocketAddr};

/// Why something cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Not a loopback address.
    #[error(
        "{0} is reachable by others: the viewer with its token is served on this machine only, on 127.0.0.1:0 or [::1]:0; other devices are paired"
    )]
    NotLoopback(SocketAddr),
    /// An address that no other device can open.
    #[error("{0} is not one of this host's addresses that other devices can open: name one of those")]
    BadAddress(IpAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A token that would not be one.
    #[error("a token needs at least {0} letters, digits, '-' or '_': leave it out to have one made")]
    WeakToken(usize),
    /// The system gave no random bytes.
    #[error(
        "the system gives no random numbers ({0}): without them there is no secret to protect the viewer with"
    )]
    Random(String),
    /// The machine is not shown to other devices.
    #[error("the machine is not shown to other devices: turn that on first")]
    NotShared,
    /// There is no such viewer.
    #[error("there is no viewer {0} (any more)")]
    NoViewer(String),
    /// A viewer that may only watch was to drive.
    #[error("viewer {0} may only watch: pair its device anew and let it drive")]
    MayNotDrive(String),
    /// There are too many viewers.
    #[error("{0}")]
    NoRoom(String),
    /// The stream cannot be offered to a media server.
    #[error("the stream cannot be offered: {0}")]
    NotOffered(String),
    /// A media server takes none of the formats.
    #[error(
        "the media server takes neither H.264 (constrained baseline) nor VP8: set its room to one of them"
    )]
    NoStreamFormat,
    /// A media server's answer cannot be used.
    #[error("the media server's answer cannot be used: {0}")]
    BadStreamAnswer(String),
    /// TLS cannot be spoken with the host's certificate.
    #[error("the host's certificate cannot be used: {0}")]
    Tls(String),
    /// What is known of devices.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl ServeError {
    fn parts(&self) -> (&'static str, Params) {
        use sampan_message::Coded as _;
        match self {
            Self::NotLoopback(address) => ("not_loopback", Params::of("address", address.to_string())),
            Self::BadAddress(address) => ("bad_share_address", Params::of("address", address.to_string())),
            Self::Listen { address, source } => {
                ("listen_failed", Params::of("address", address.to_string()).with("why", source.to_string()))
            }
            Self::WeakToken(least) => ("weak_token", Params::of("least", *least)),
            Self::Random(_) => ("no_random_numbers", Params::new()),
            Self::NotShared => ("not_shared", Params::new()),
            Self::NoViewer(viewer) => ("no_viewer", Params::of("viewer", viewer.as_str())),
            Self::MayNotDrive(viewer) => ("viewer_may_not_drive", Params::of("viewer", viewer.as_str())),
            Self::NoRoom(why) => ("no_room_for_viewer", Params::of("why", why.as_str())),
            Self::NotOffered(why) => ("stream_not_offered", Params::of("why", why.as_str())),
            Self::NoStreamFormat => ("no_stream_format", Params::new()),
            Self::BadStreamAnswer(why) => ("bad_stream_answer", Params::of("why", why.as_str())),
            Self::Tls(why) => ("no_tls", Params::of("why", why.as_str())),
            Self::Trust(error) => (error.code(), error.params()),
        }
    }
}

coded!(ServeError);

fn after(error: &ServeError) -> Option<ServeError> {
    use ServeError as E;
    let address = SocketAddr::from(([192, 0, 2, 1], 4433));
    Some(match error {
        E::NotLoopback(_) => E::BadAddress(IpAddr::from([0, 0, 0, 0])),
        E::BadAddress(_) => E::Listen { address, source: std::io::ErrorKind::AddrInUse.into() },
        E::Listen { .. } => E::WeakToken(16),
        E::WeakToken(_) => E::NotShared,
        E::NotShared => E::NoViewer("3".into()),
        E::NoViewer(_) => E::MayNotDrive("3".into()),
        E::MayNotDrive(_) => E::NoRoom("there are 16 viewers already: close one of them".into()),
        E::NoRoom(_) => E::NotOffered("no socket".into()),
        E::NotOffered(_) => E::NoStreamFormat,
        E::NoStreamFormat => E::BadStreamAnswer("it has no fingerprint".into()),
        E::BadStreamAnswer(_) => E::Tls("no key".into()),
        // What it carries has its own list, and so has the text of the other.
        E::Tls(_) | E::Random(_) | E::Trust(_) => return None,
    })
}

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    samples_of(ServeError::NotLoopback(SocketAddr::from(([192, 0, 2, 1], 4433))), after)
}
