//! What every server of a page of Sampan's has in common: it listens on this machine alone, under its own names, gives
//! nothing but the page's files to anyone without the token, and bounds what one client can take.
//!
//! | rule | where it is broken |
//! |---|---|
//! | `Host` is the listening address, or `localhost` with its port (against DNS rebinding) | 421 |
//! | `Origin`, where there is one, is the same | 403 |
//! | `Authorization: Bearer TOKEN`, compared in constant time | 401 |
//! | a request takes at most 15 s, its body included | 408 |
//! | a body has at most as many bytes as the site says | 413 |
//! | a head has at most 16 KiB and comes within 10 s | closed |
//! | a client reads: it takes something of an answer within 20 s | closed |
//! | 128 connections at a time, 32 of them from one address other than loopback | the one that has been idle for longest is closed, strangers to the token first |

mod crowd;
mod guard;
mod pages;
mod patience;
mod serve;

pub(crate) use guard::is_equal;
pub use guard::{Guard, Refusal, random_text, refuse};
pub use serve::{PeerAddress, serve, serve_with};

use crate::error::ServeError;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The page that shows one machine's screen.
pub const VIEWER: &str = "index.html";

/// The page that lists the machines.
pub const CONSOLE: &str = "console.html";

/// Listens on a loopback address; port 0 takes any that is free. The address is the one that it became.
///
/// # Errors
/// [`ServeError::NotLoopback`] or [`ServeError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    bind(address).await
}

/// The same on an address that others reach, for those who speak TLS on it. One that stands for all of a host's is refused: the
/// server must know by which name it is asked.
///
/// # Errors
/// [`ServeError::BadAddress`] or [`ServeError::Listen`].
pub async fn listen_beyond(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let ip = address.ip();
    let is_link_local = matches!(ip, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
    if ip.is_unspecified() || ip.is_multicast() || is_link_local {
        return Err(ServeError::BadAddress(ip));
    }
    bind(address).await
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let refused = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    Ok((listener, local))
}

/// Somebody else's words for a line of a log: bounded, and with what a terminal would obey written out.
pub fn escaped(words: &impl std::fmt::Display) -> String {
    /// Characters that are kept.
    const MOST: usize = 200;
    let words = words.to_string();
    let mut line: String = words.chars().take(MOST).flat_map(char::escape_debug).collect();
    if words.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

/// A site under the rules above: one of the pages at `/`, with its files, and the routes that need the token.
/// `max_body` is in bytes.
pub fn site(guard: Arc<Guard>, guarded: Router, page: &'static str, max_body: usize) -> Router {
    site_with(guard, guarded, Router::new(), page, max_body)
}

/// The same with routes that need no token: they look themselves at who asks.
pub fn site_with(
    guard: Arc<Guard>,
    guarded: Router,
    open: Router,
    page: &'static str,
    max_body: usize,
) -> Router {
    let guarded = guarded.layer(from_fn_with_state(guard.clone(), guard::token));
    open_site(guard, guarded.merge(open), page, max_body)
}

/// The same where the routes look themselves at who asks.
pub fn open_site(guard: Arc<Guard>, routes: Router, page: &'static str, max_body: usize) -> Router {
    let files = guard.clone();
    Router::new()
        .merge(routes)
        .fallback(get(move |uri: Uri| async move { pages::file(&files, page, &uri) }))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn_with_state(guard.clone(), guard::time_limit))
        .layer(from_fn_with_state(guard, guard::origin))
        .layer(from_fn(guard::headers))
}
