//! One connection: name, TCP, proxy, TLS, HTTP/1.1.

use super::{Client, host, status_error};
use crate::error::DownloadError;
use crate::fault::{BadAddress, BadAnswer, NoConnection};
use crate::settings::Timeouts;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use url::{Position, Url};

/// The head of an answer: real ones have one or two kilobytes.
const MAX_HEAD: usize = 64 << 10;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The next address is tried beside the first when that one is silent (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Characters of a proxy's words that go into a message.
const MAX_REASON: usize = 80;
const AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open connection to one server, or to a proxy for plain http to one server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: Driver,
    origin: url::Origin,
    /// Set when a proxy, not the server, reads our plain requests.
    forward: Option<Forward>,
}

struct Forward {
    authorization: Option<HeaderValue>,
}

/// The task that reads and writes for a connection, as long as somebody wants it.
struct Driver(AbortHandle);

impl Driver {
    fn start(driver: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        // Its errors reach whoever waits for an answer or reads the body.
        Self(tokio::spawn(async move { drop(driver.await) }).abort_handle())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
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
        self.send(Method::GET, url, headers, Bytes::new(), timeouts).await
    }

    pub async fn send(
        &mut self,
        method: Method,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        timeouts: &Timeouts,
    ) -> Result<Response<Incoming>, DownloadError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        // To a forwarding proxy the whole address is said (RFC 9112 section 3.2.2).
        let target = if self.forward.is_some() { &url[..Position::AfterQuery] } else { path };
        let mut request = Request::builder()
            .method(method)
            .uri(target.parse::<Uri>().map_err(|e| unusable(url, &e))?)
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, AGENT)
            .body(Full::new(body))
            .map_err(|e| unusable(url, &e))?;
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
    let why = with_sources(error);
    if error.is_parse() || error.is_parse_too_large() {
        DownloadError::Protocol { url: url.to_string(), why: BadAnswer::Parser { why } }
    } else {
        network(&host(url), &why)
    }
}

fn with_sources(error: &hyper::Error) -> String {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = format!("{why}: {inner}");
        source = inner.source();
    }
    why
}

fn network(host: &str, why: &dyn Display) -> DownloadError {
    DownloadError::Network { host: host.to_owned(), why: NoConnection::System { why: why.to_string() } }
}

fn unusable(url: &Url, why: &dyn Display) -> DownloadError {
    DownloadError::Url { url: url.to_string(), why: BadAddress::Parser { why: why.to_string() } }
}

pub(crate) fn silent(url: &Url, waited: Duration, doing: &'static str) -> DownloadError {
    DownloadError::Timeout { host: host(url), seconds: waited.as_secs(), doing }
}

impl Client {
    pub(crate) async fn connect(&self, url: &Url) -> Result<Connection, DownloadError> {
        let limit = self.timeouts.connect;
        match tokio::time::timeout(limit, self.open(url)).await {
            Ok(connection) => connection,
            Err(_) => Err(silent(url, limit, "a connection was made")),
        }
    }

    async fn open(&self, url: &Url) -> Result<Connection, DownloadError> {
        let secure = url.scheme() == "https";
        let uri = url.as_str().parse::<Uri>().map_err(|e| unusable(url, &e))?;
        let proxy = self.trust.proxy.as_ref().and_then(|matcher| matcher.intercept(&uri));
        // Url writes an IPv6 address in brackets; the resolver wants none.
        let name = host(url);
        let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let mut forward = None;
        let stream: Box<dyn Stream> = match &proxy {
            None => Box::new(tcp(&bare, port).await.map_err(|e| network(&name, &e))?),
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
                    Box::new(TokioIo::new(tunnel(stream, url, port, &via, authorization).await?))
                } else {
                    forward = Some(Forward { authorization });
                    Box::new(stream)
                }
            }
        };
        let stream: Box<dyn Stream> = if secure {
            let server = ServerName::try_from(bare).map_err(|e| unusable(url, &e))?;
            let tls = self.trust.tls.connect(server, stream).await;
            Box::new(tls.map_err(|e| tls_error(&name, &e))?)
        } else {
            stream
        };
        let (sender, driver) = Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(url, &e))?;
        Ok(Connection { sender, _driver: Driver::start(driver), origin: url.origin(), forward })
    }
}

fn tls_error(name: &str, error: &io::Error) -> DownloadError {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => {
            DownloadError::Certificate { host: name.to_owned(), why: error.to_string() }
        }
        _ => network(name, error),
    }
}

/// Connects to a name's addresses, or to the one address that it is (IPv6 without brackets).
async fn tcp(name: &str, port: u16) -> io::Result<TcpStream> {
    let stream = first(by_turns(tokio::net::lookup_host((name, port)).await?.collect())).await?;
    // What is sent is a whole request, or a whole step of TLS: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The addresses that are tried, the families by turns: where one of them leads nowhere, the other is second.
fn by_turns(all: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_v6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (a, b): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.is_ipv6() == first_v6);
    let mut order: Vec<_> = a.into_iter().enumerate().chain(b.into_iter().enumerate()).collect();
    order.sort_by_key(|(turn, _)| *turn);
    order.into_iter().map(|(_, address)| address).take(MAX_ADDRESSES).collect()
}

/// Tries addresses, each a little after the one before, and takes the first that answers (RFC 8305 section 5).
///
/// Not by `HttpConnector` of hyper-util (0.1.21): it lets only the two families race. Within one, the second
/// address waits until a silent first one has used up its share of the limit (of two, 10 of 20 s), and the first is
/// given up then even if it is only slow. Names of mirrors have several addresses of one family, and any may be down.
async fn first(order: Vec<SocketAddr>) -> io::Result<TcpStream> {
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

/// Asks the proxy for a tunnel to the server (CONNECT: RFC 9110 section 9.3.6).
///
/// By hyper's client and not by `Tunnel` of hyper-util (0.1.21), which does not tell with which status a proxy
/// refuses, and takes no success but 200.
async fn tunnel(
    stream: TcpStream,
    url: &Url,
    port: u16,
    via: &str,
    authorization: Option<HeaderValue>,
) -> Result<Upgraded, DownloadError> {
    // A proxy that breaks HTTP's rules is network trouble as well: another mirror would not help.
    let failed = |e: hyper::Error| network(via, &with_sources(&e));
    // Names in capitals, as curl writes them, should a proxy compare them letter by letter.
    let mut builder = Builder::new();
    builder.max_buf_size(MAX_HEAD).title_case_headers(true);
    let (mut sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let _driver = Driver::start(driver.with_upgrades());
    let target = format!("{}:{port}", host(url));
    let mut request = Request::connect(&target)
        .header(HOST, &target)
        .header(USER_AGENT, AGENT)
        .body(Empty::<Bytes>::new())
        .map_err(|e| unusable(url, &e))?;
    request.headers_mut().extend(authorization.map(|value| (PROXY_AUTHORIZATION, value)));
    let answer = sender.send_request(request).await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return hyper::upgrade::on(answer).await.map_err(failed);
    }
    // Only the user can help here, so no other try is made. It is the error that plain http gets, too.
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        && let Some(error) = status_error(url, &answer)
    {
        return Err(error);
    }
    // Some proxies say there what they block.
    let own = answer.extensions().get::<ReasonPhrase>().map(|r| String::from_utf8_lossy(r.as_bytes()));
    let reason = own.as_deref().or(status.canonical_reason()).unwrap_or_default();
    let reason: String = reason.chars().take(MAX_REASON).collect();
    Err(network(via, &format!("it refuses with HTTP {}: {reason}", status.as_u16())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("the test writes addresses")).collect()
    }

    #[test]
    fn families_are_tried_by_turns_and_not_without_end() {
        let all = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let order = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(by_turns(all), order);
        let all = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(by_turns(all.clone()), all);
        let many: Vec<_> = (1..=100).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        assert_eq!(by_turns(many.clone()), many[..MAX_ADDRESSES]);
        assert_eq!(by_turns(Vec::new()), []);
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next_of_its_family() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let silent = socket.listen(0).unwrap();
        let at = silent.local_addr().unwrap();
        // One connection fills a queue of length 0 that nobody accepts from; Linux drops what asks for another.
        let _filling = TcpStream::connect(at).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // Linux asks the silent one for two minutes.
        let limit = Duration::from_secs(60);
        let stream =
            tokio::time::timeout(limit, first(vec![at, good])).await.expect("not that long").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn addresses_that_all_refuse_are_an_error() {
        let refuses = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let error = first(vec![refuses; 3]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
