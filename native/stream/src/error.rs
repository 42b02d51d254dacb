//! Failures of starting to serve.

use std::net::SocketAddr;

/// Why a [`Server`](crate::Server) could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Not a loopback address.
    #[error(
        "{0} is reachable by others, and viewers can be served on this machine only so far: listen on 127.0.0.1:0 or [::1]:0"
    )]
    NotLoopback(SocketAddr),
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
}
