//! Publishing a machine's stream to a media server by WHIP (RFC 9725): it is offered, answered, kept up, and taken away at the end.

use crate::Sentence;
use crate::share::{addresses, way_to};
use crate::time::now_ms;
use parking_lot::Mutex;
use sampan_control::{PublishState, Publishing};
use sampan_download::{Answer, DownloadError, Exchange, Proxy, Timeouts, Verb};
use sampan_message::{Coded, Message};
use sampan_stream::{Published, ServeError, Server};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The longest answer: descriptions have a few kilobytes.
const MAX_ANSWER: usize = 64 << 10;

/// How long media may take to flow after the server has answered.
const CONNECT: Duration = Duration::from_secs(15);

/// How long the server may take to be told of the end.
const FAREWELL: Duration = Duration::from_secs(3);

/// The wait before the first try after a loss. It doubles with each one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest of those waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest wait that a server may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// After so long without a loss the waits begin anew.
const STEADY: Duration = Duration::from_secs(60);

/// Addresses of this host's networks that are offered to a server on this host.
const MAX_ADDRESSES: usize = 4;

const SDP: &str = "application/sdp";

/// Where the stream is published.
#[derive(Clone)]
pub(super) struct Target {
    /// The server's WHIP address.
    pub url: String,
    /// The token that the server wants.
    pub token: Option<String>,
    /// Whether plain http is taken for a server that is not this host.
    pub plain_http: bool,
    /// A PEM file with certificates that are trusted besides Mozilla's.
    pub ca_file: Option<PathBuf>,
}

/// A stream that is published, until this is dropped.
pub(super) struct Publisher {
    told: Arc<Mutex<Publishing>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Publishes the stream; from then on it is kept up. `changed` is called whenever how far it is has changed.
    ///
    /// # Errors
    /// Why the server has not taken it.
    pub async fn begin(
        target: Target,
        server: &Arc<Server>,
        changed: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, Message> {
        let whip = Whip::new(target)?;
        let told = Arc::new(Mutex::new(Publishing {
            url: whip.target.url.clone(),
            state: PublishState::Connecting,
            since: now_ms(),
            codec: None,
            error: None,
            retry_at: None,
        }));
        let stop = watch::Sender::new(false);
        let work = Work {
            whip,
            server: Arc::downgrade(server),
            told: told.clone(),
            changed,
            stop: stop.subscribe(),
        };
        let taken = work.whip.publish(server).await.map_err(|failure| failure.why)?;
        told.lock().codec = taken.codec();
        let task = tokio::spawn(work.keep_up(taken));
        Ok(Self { told, stop, task })
    }

    /// How far it is.
    pub fn now(&self) -> Publishing {
        self.told.lock().clone()
    }

    /// Ends it, and waits until the server was told, or cannot be.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(FAREWELL * 2, &mut self.task).await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // The task tells the server, as long as the runtime is there.
        self.stop.send_replace(true);
    }
}

/// Why a try failed.
struct Failure {
    why: Message,
    /// Whether another try may succeed by itself.
    may_pass: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(sentence: &Sentence, may_pass: bool) -> Self {
        Self { why: Message::saying(sentence), may_pass, retry_after: None }
    }
}

/// What the server has taken.
struct Taken {
    published: Published,
    /// The address of the session.
    session: Option<String>,
    host: String,
}

impl Taken {
    /// What is sent, as it is told.
    fn codec(&self) -> Option<String> {
        let name = serde_json::to_value(self.published.codec()).ok()?;
        name.as_str().map(str::to_owned)
    }
}

/// One media server's WHIP address.
struct Whip {
    target: Target,
    exchange: Exchange,
}

impl Whip {
    fn new(target: Target) -> Result<Self, Message> {
        let timeouts = Timeouts::default();
        let roots = target.ca_file.as_deref();
        let exchange = Exchange::new(roots, &Proxy::Environment, timeouts, target.plain_http);
        let setup = |why: String| Message::saying(&Sentence::PublishSetup { why });
        let exchange = exchange.map_err(|error| match error {
            DownloadError::Start { why } => setup(why),
            other => other.message(),
        })?;
        // A header's value (RFC 9110, section 5.5), and nothing that would begin another header.
        let is_plain = |token: &String| !token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic());
        if !target.token.as_ref().is_none_or(is_plain) {
            return Err(setup("the token is empty, or has characters that HTTP does not carry".to_owned()));
        }
        Ok(Self { target, exchange })
    }

    fn headers(&self, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let token = self.target.token.iter().map(|token| ("authorization", format!("Bearer {token}")));
        more.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(token).collect()
    }

    /// Offers the stream and takes the answer (RFC 9725, section 4.2).
    async fn publish(&self, server: &Server) -> Result<Taken, Failure> {
        let url = &self.target.url;
        let (host, port) = self.exchange.check(url).map_err(|error| failed(url, &error))?;
        let (local, remote) = way(&host, port).await?;
        let unable = |error: ServeError| {
            let may_pass = !matches!(error, ServeError::NoStreamFormat);
            Failure { why: error.message(), may_pass, retry_after: None }
        };
        // A server on this host may take media by the addresses of its networks alone, as Janus does.
        let others = if local.is_loopback() { here() } else { Vec::new() };
        let offer = server.offer(local, others).await.map_err(unable)?;
        let headers = self.headers(&[("content-type", SDP), ("accept", SDP)]);
        let sent = self.exchange.send(Verb::Post, url, &headers, offer.sdp(), MAX_ANSWER).await;
        let answer = sent.map_err(|error| failed(&host, &error))?;
        let host = answer.host();
        if answer.status != 201 {
            return Err(refused(&host, &answer));
        }
        let session = answer.location().map_err(|error| bad_answer(&host, &error.to_string()));
        let kind = answer.header("content-type").unwrap_or_default();
        let is_sdp = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(SDP));
        let published = match (&session, is_sdp) {
            (Err(_), _) => None,
            (_, false) => {
                Some(Err(bad_answer(&host, &format!("it answers with {kind:?} instead of {SDP:?}"))))
            }
            _ => Some(offer.answered(&answer.body, remote).await.map_err(unable)),
        };
        let session = session?;
        match published {
            Some(Ok(published)) => Ok(Taken { published, session: Some(session), host }),
            Some(Err(failure)) => {
                self.farewell(&session).await;
                Err(failure)
            }
            None => Err(bad_answer(&host, "it has no address for the session")),
        }
    }

    /// Tells the server that the stream has ended (RFC 9725, section 4.2). What it says to that changes nothing.
    async fn farewell(&self, session: &str) {
        let headers = self.headers(&[]);
        let told = self.exchange.send(Verb::Delete, session, &headers, "", MAX_ANSWER);
        match tokio::time::timeout(FAREWELL, told).await {
            Ok(Ok(answer)) => log::debug!("the media server was told of the end: HTTP {}", answer.status),
            Ok(Err(error)) => log::info!("the media server was not told of the end: {error}"),
            Err(_) => log::info!("the media server was not told of the end: it is silent"),
        }
    }
}

/// The address of this host from which a server is reached, and the server's.
async fn way(host: &str, port: u16) -> Result<(IpAddr, IpAddr), Failure> {
    let unreachable =
        |why: String| Failure::new(&Sentence::PublishUnreachable { host: host.to_owned(), why }, true);
    let found =
        tokio::time::timeout(Timeouts::default().connect, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("its name is not found".to_owned())),
    };
    let ways = found.iter().filter_map(|at| Some((way_to(&at.to_string())?, at.ip())));
    // Media servers without IPv6 are more common than those without IPv4.
    ways.min_by_key(|(_, at)| at.is_ipv6()).ok_or_else(|| unreachable("no network leads there".to_owned()))
}

/// Addresses of this host's networks.
fn here() -> Vec<IpAddr> {
    let mut all = addresses();
    all.truncate(MAX_ADDRESSES);
    all
}

fn bad_answer(host: &str, why: &str) -> Failure {
    Failure::new(&Sentence::PublishAnswer { host: host.to_owned(), why: why.to_owned() }, true)
}

/// A request that had no answer.
fn failed(host: &str, error: &DownloadError) -> Failure {
    let may_pass = error.is_transient();
    let host = host.to_owned();
    let sentence = match error {
        DownloadError::Url { url, why } => {
            Sentence::PublishAddress { url: url.clone(), why: why.to_string() }
        }
        DownloadError::PlainHttp { .. } => Sentence::PublishUnprotected { host },
        DownloadError::Network { host, why } => {
            Sentence::PublishUnreachable { host: host.clone(), why: why.to_string() }
        }
        DownloadError::Timeout { host, seconds, .. } => {
            let why = format!("it was silent for {seconds} s");
            Sentence::PublishUnreachable { host: host.clone(), why }
        }
        DownloadError::Certificate { host, why } => {
            let why = format!("its certificate does not prove its name ({why})");
            Sentence::PublishUnreachable { host: host.clone(), why }
        }
        DownloadError::Redirect { why, .. } => Sentence::PublishAnswer { host, why: why.to_string() },
        DownloadError::Protocol { why, .. } => Sentence::PublishAnswer { host, why: why.to_string() },
        error => Sentence::PublishUnreachable { host, why: error.to_string() },
    };
    Failure::new(&sentence, may_pass)
}

/// An answer that refuses (RFC 9725, section 4.2).
fn refused(host: &str, answer: &Answer) -> Failure {
    let (host, status) = (host.to_owned(), u64::from(answer.status));
    let why = match answer.status {
        401 | 403 => Message::saying(&Sentence::PublishRefused { host, status }),
        404 | 410 => Message::saying(&Sentence::PublishNotFound { host, status }),
        406 => ServeError::NoStreamFormat.message(),
        200..=299 => {
            let why = format!("it answers with HTTP {status} instead of 201");
            Message::saying(&Sentence::PublishAnswer { host, why })
        }
        _ => Message::saying(&Sentence::PublishStatus { host, status }),
    };
    // A room may come back; what was told to be wrong stays wrong.
    let may_pass = !matches!(answer.status, 400 | 401 | 403 | 406 | 415 | 422);
    Failure { why, may_pass, retry_after: answer.retry_after() }
}

/// Keeps the stream published.
struct Work {
    whip: Whip,
    server: Weak<Server>,
    told: Arc<Mutex<Publishing>>,
    changed: Box<dyn Fn() + Send + Sync>,
    stop: watch::Receiver<bool>,
}

impl Work {
    fn tell(&self, change: impl FnOnce(&mut Publishing)) {
        {
            let mut told = self.told.lock();
            change(&mut told);
            told.since = now_ms();
        }
        (self.changed)();
    }

    async fn keep_up(mut self, first: Taken) {
        let mut taken = first;
        let mut waits = Waits::default();
        loop {
            let lost = self.watch(&mut taken, &mut waits).await;
            // Before the server is told: it may be gone, and media must not go on meanwhile.
            taken.published.end();
            if let Some(session) = taken.session.take() {
                self.whip.farewell(&session).await;
            }
            let Some(lost) = lost else { return };
            match self.again(lost, &mut waits).await {
                Some(again) => taken = again,
                None => return,
            }
        }
    }

    /// Watches a stream that was taken: why it was lost; nothing where it was told to end.
    async fn watch(&mut self, taken: &mut Taken, waits: &mut Waits) -> Option<Failure> {
        let codec = taken.codec();
        self.tell(|told| (told.state, told.codec, told.retry_at) = (PublishState::Connecting, codec, None));
        let lost = |why: &str| {
            let host = taken.host.clone();
            Failure::new(&Sentence::PublishLost { host, why: why.to_owned() }, true)
        };
        let connected = tokio::select! {
            connected = tokio::time::timeout(CONNECT, taken.published.connected()) => connected,
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        match connected {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Some(lost(why)),
            Err(_) => {
                let (host, seconds) = (taken.host.clone(), CONNECT.as_secs());
                return Some(Failure::new(&Sentence::PublishBlocked { host, seconds }, true));
            }
        }
        log::info!("the stream is published at {}", taken.host);
        self.tell(|told| (told.state, told.error) = (PublishState::Live, None));
        let since = Instant::now();
        let why = tokio::select! {
            why = taken.published.ended() => why,
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        if since.elapsed() >= STEADY {
            *waits = Waits::default();
        }
        Some(lost(why))
    }

    /// Tries until the server takes it again; nothing where it never will, or was told to end.
    async fn again(&mut self, lost: Failure, waits: &mut Waits) -> Option<Taken> {
        let mut failure = lost;
        loop {
            // The stream itself has ended, with the machine.
            self.server.upgrade()?;
            log::warn!("{}", failure.why);
            if !failure.may_pass {
                self.tell(|told| {
                    (told.state, told.error, told.retry_at) =
                        (PublishState::Refused, Some(failure.why), None);
                });
                let _ = self.stop.wait_for(|stop| *stop).await;
                return None;
            }
            let wait = waits.next(failure.retry_after);
            let at = now_ms().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.tell(|told| {
                (told.state, told.error, told.retry_at) =
                    (PublishState::Waiting, Some(failure.why), Some(at));
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
            let server = self.server.upgrade()?;
            let mut stop = self.stop.clone();
            let tried = tokio::select! {
                tried = self.whip.publish(&server) => tried,
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            match tried {
                Ok(taken) => return Some(taken),
                Err(again) => failure = again,
            }
        }
    }
}

/// The waits between tries, which grow.
#[derive(Debug, Default)]
struct Waits {
    last: Option<Duration>,
}

impl Waits {
    fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.last.map_or(FIRST_WAIT, |last| (last * 2).min(LONGEST_WAIT));
        self.last = Some(wait);
        asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_RETRY_AFTER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_have_an_end() {
        let mut waits = Waits::default();
        let seconds: Vec<u64> = (0..8).map(|_| waits.next(None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits.next(Some(Duration::from_secs(90))).as_secs(), 90, "as the server asks");
        assert_eq!(waits.next(Some(Duration::from_secs(86_400))), LONGEST_RETRY_AFTER);
        assert_eq!(waits.next(Some(Duration::ZERO)), LONGEST_WAIT);
    }
}
