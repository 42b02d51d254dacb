//! One connection: name, TCP, proxy, TLS, HTTP/1.1.

use super::{Client, host};
use crate::error::DownloadError;
use crate::settings::Timeouts;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use url::{Position, Url};

/// The head of an answer: real ones have one or two kilobytes.
const MAX_HEAD: usize = 64 << 10;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The next address is tried beside the first when that one is silent (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
const AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open connection to one server, or to a proxy for plain http to one server.
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
    origin: url::Origin,
    /// Set when a proxy, not the server, reads our plain requests.
    forward: Option<Forward>,
}

struct Forward {
    authorization: Option<HeaderValue>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Whether requests for this address may be sent here.
    pub fn serves(&self, url: &Url) -> bool {
        self.origin == url.origin() && !self.sender.is_closed()
    }

    pub async fn get(
        &mut self,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        timeouts: &Timeouts,
    ) -> Result<Response<Incoming>, DownloadError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        // To a forwarding proxy the whole address is said (RFC 9112 section 3.2.2).
        let target = if self.forward.is_some() { &url[..Position::AfterQuery] } else { path };
        let wrong =
            |why: &dyn std::fmt::Display| DownloadError::Url { url: url.to_string(), why: why.to_string() };
        let mut request = Request::get(target.parse::<Uri>().map_err(|e| wrong(&e))?)
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, AGENT)
            .body(Empty::new())
            .map_err(|e| wrong(&e))?;
        request.headers_mut().extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
        if let Some(value) = self.forward.as_ref().and_then(|f| f.authorization.clone()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let answer = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        match tokio::time::timeout(timeouts.answer, answer).await {
            Ok(answer) => answer.map_err(|e| broken(url, &e)),
            Err(_) => Err(silent(url, timeouts.answer, "it was asked for the file")),
        }
    }
}

/// Network trouble and broken rules are told apart: the second is no fault of the network.
pub(crate) fn broken(url: &Url, error: &hyper::Error) -> DownloadError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = format!("{why}: {inner}");
        source = inner.source();
    }
    if error.is_parse() || error.is_parse_too_large() {
        DownloadError::Protocol { url: url.to_string(), why }
    } else {
        DownloadError::Network { host: host(url), why }
    }
}

pub(crate) fn silent(url: &Url, waited: Duration, doing: &'static str) -> DownloadError {
    DownloadError::Timeout { host: host(url), seconds: waited.as_secs(), doing }
}

impl Client {
    pub(super) async fn connect(&self, url: &Url) -> Result<Connection, DownloadError> {
        let limit = self.timeouts.connect;
        match tokio::time::timeout(limit, self.open(url)).await {
            Ok(connection) => connection,
            Err(_) => Err(silent(url, limit, "a connection was made")),
        }
    }

    async fn open(&self, url: &Url) -> Result<Connection, DownloadError> {
        let secure = url.scheme() == "https";
        let uri: Uri = url.as_str().parse().map_err(|e: hyper::http::uri::InvalidUri| {
            DownloadError::Url { url: url.to_string(), why: e.to_string() }
        })?;
        let proxy = self.trust.proxy.as_ref().and_then(|matcher| matcher.intercept(&uri));
        let network = |host: &str, e: &dyn std::fmt::Display| DownloadError::Network {
            host: host.to_owned(),
            why: e.to_string(),
        };
        // Url writes an IPv6 address in brackets; the resolver wants none.
        let name = host(url);
        let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let mut forward = None;
        let stream = match &proxy {
            None => tcp(&bare, port).await.map_err(|e| network(&name, &e))?,
            Some(proxy) => {
                let via = format!("the proxy {}", proxy.uri().host().unwrap_or_default());
                if proxy.uri().scheme_str().is_some_and(|s| s != "http") {
                    return Err(network(&via, &"only http:// proxies are supported"));
                }
                let proxy_host = proxy.uri().host().unwrap_or_default().trim_matches(['[', ']']);
                let proxy_port = proxy.uri().port_u16().unwrap_or(80);
                let stream = tcp(proxy_host, proxy_port).await.map_err(|e| network(&via, &e))?;
                let authorization = proxy.basic_auth().cloned();
                if secure {
                    tunnel(stream, &name, port, authorization).await.map_err(|e| network(&via, &e))?
                } else {
                    forward = Some(Forward { authorization });
                    stream
                }
            }
        };
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = if secure {
            let server = ServerName::try_from(bare)
                .map_err(|e| DownloadError::Url { url: url.to_string(), why: e.to_string() })?;
            let tls = self.trust.tls.connect(server, stream).await;
            Box::new(tls.map_err(|e| tls_error(&name, &e))?)
        } else {
            Box::new(stream)
        };
        let (sender, driver) = Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(url, &e))?;
        // Errors of the driver reach whoever waits for an answer or reads the body.
        let driver = tokio::spawn(async move { drop(driver.await) }).abort_handle();
        Ok(Connection { sender, driver, origin: url.origin(), forward })
    }
}

fn tls_error(name: &str, error: &io::Error) -> DownloadError {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => {
            DownloadError::Certificate { host: name.to_owned(), why: error.to_string() }
        }
        _ => DownloadError::Network { host: name.to_owned(), why: error.to_string() },
    }
}

/// Tries the addresses of a name, each a little after the one before, and takes the first that answers.
async fn tcp(name: &str, port: u16) -> io::Result<TcpStream> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    // The families by turns: where one of them leads nowhere, the other is second.
    let first_v6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (mut a, mut b): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.is_ipv6() == first_v6);
    a.reverse();
    b.reverse();
    let mut order = Vec::new();
    while order.len() < MAX_ADDRESSES && (!a.is_empty() || !b.is_empty()) {
        order.extend(a.pop());
        order.extend(b.pop());
    }
    let mut order = order.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    tries.extend(order.next().map(TcpStream::connect));
    loop {
        tokio::select! {
            tried = tries.next() => match tried {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(e)) => last = e,
                None => {}
            },
            () = tokio::time::sleep(STAGGER), if order.len() > 0 => {}
        }
        tries.extend(order.next().map(TcpStream::connect));
        if tries.is_empty() {
            return Err(last);
        }
    }
}

/// CONNECT (RFC 9110 section 9.3.6).
async fn tunnel(
    mut stream: TcpStream,
    name: &str,
    port: u16,
    authorization: Option<HeaderValue>,
) -> io::Result<TcpStream> {
    let mut head =
        format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\nUser-Agent: {AGENT}\r\n")
            .into_bytes();
    if let Some(value) = authorization {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    // Byte by byte, so that nothing of the tunnel is taken; the answer is short.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= 8192 {
            return Err(io::Error::other("its answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = String::from_utf8_lossy(&answer);
    let status = status.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(stream),
        Some("407") => {
            Err(io::Error::other("it demands a login; put user and password into the proxy's address"))
        }
        _ => Err(io::Error::other(format!("it refuses: {}", status.chars().take(80).collect::<String>()))),
    }
}
