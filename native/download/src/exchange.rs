//! Small requests to a server that a person has named, over the same connections as downloads: names, proxy, TLS and limits are theirs.

use crate::error::{BadRedirect, DownloadError};
use crate::fault::BadAnswer;
use crate::http::{Client, Trust, address, broken, follow, host, silent};
use crate::settings::{Proxy, Timeouts};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode, body::Incoming};
use std::path::Path;
use std::time::Duration;
use url::{Host, Url};

/// Redirects that are followed one after another.
const MAX_REDIRECTS: usize = 5;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Gives the server something (RFC 9110, section 9.3.3).
    Post,
    /// Takes it away again (RFC 9110, section 9.3.5).
    Delete,
}

/// An answer, as a whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The text, as far as it is UTF-8.
    pub body: String,
    url: Url,
    headers: HeaderMap,
}

impl Answer {
    /// A header field's value, if it is there and is ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Where the answer came from, after all redirects: without its query.
    pub fn host(&self) -> String {
        host(&self.url)
    }

    /// After how long the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers.contains_key(RETRY_AFTER).then(|| crate::http::retry_after(&self.headers)).flatten()
    }

    /// The address in `Location`, relative to where the answer came from. What was protected stays so.
    ///
    /// # Errors
    /// [`DownloadError::Redirect`] where there is none that can be used.
    pub fn location(&self) -> Result<String, DownloadError> {
        follow(&self.url, &self.headers, host).map(String::from)
    }
}

/// Sends requests.
pub struct Exchange {
    through: Client,
    /// For this host itself: no proxy leads there.
    direct: Client,
    plain_http: bool,
}

impl Exchange {
    /// `extra_roots` is a PEM file with certificates that are trusted besides Mozilla's. Plain http is taken for addresses of this host, and
    /// with `plain_http` for others, too.
    ///
    /// # Errors
    /// [`DownloadError::Start`].
    pub fn new(
        extra_roots: Option<&Path>,
        proxy: &Proxy,
        timeouts: Timeouts,
        plain_http: bool,
    ) -> Result<Self, DownloadError> {
        let client =
            |proxy| Ok::<_, DownloadError>(Client { trust: Trust::new(extra_roots, proxy)?, timeouts });
        Ok(Self { through: client(proxy)?, direct: client(&Proxy::Direct)?, plain_http })
    }

    /// The address and host that a text names, if requests may go there.
    ///
    /// # Errors
    /// [`DownloadError::Url`]; [`DownloadError::PlainHttp`].
    pub fn check(&self, text: &str) -> Result<(String, u16), DownloadError> {
        let url = self.address(text)?;
        let port = url.port_or_known_default().unwrap_or(443);
        Ok((host(&url).trim_matches(['[', ']']).to_owned(), port))
    }

    fn address(&self, text: &str) -> Result<Url, DownloadError> {
        let is_here = Url::parse(text).is_ok_and(|url| is_here(&url));
        address(text, self.plain_http || is_here)
    }

    /// Sends a request and reads the answer, of at most `most` bytes. A redirect that keeps the request as it is (307, 308) is followed; what it
    /// was authorised with goes along where the way is protected, or leads to the same server.
    ///
    /// # Errors
    /// What kept the answer away. An answer that refuses is none.
    pub async fn send(
        &self,
        verb: Verb,
        to: &str,
        headers: &[(&'static str, String)],
        body: &str,
        most: usize,
    ) -> Result<Answer, DownloadError> {
        let mut url = self.address(to)?;
        let mut fields = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            // Only what is asked for by a person can be no header: a token with a line's end in it.
            let value = HeaderValue::try_from(value).map_err(|_| DownloadError::Start {
                why: format!("the value of {name} has characters that HTTP does not carry"),
            })?;
            fields.push((HeaderName::from_static(name), value));
        }
        let method = match verb {
            Verb::Post => Method::POST,
            Verb::Delete => Method::DELETE,
        };
        for _ in 0..=MAX_REDIRECTS {
            let client = if is_here(&url) { &self.direct } else { &self.through };
            let mut connection = client.connect(&url).await?;
            let sent = Bytes::copy_from_slice(body.as_bytes());
            let sent = connection.send(method.clone(), &url, fields.clone(), sent, &client.timeouts);
            let response = sent.await?;
            let status = response.status();
            if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                return read(url, response, most, client.timeouts.read).await;
            }
            let next = follow(&url, response.headers(), host)?;
            // Plain http where it was not allowed is refused like any other.
            let next = self.address(next.as_str())?;
            if next.scheme() != "https" && next.origin() != url.origin() {
                fields.retain(|(name, _)| name != AUTHORIZATION);
            }
            log::debug!("{} leads to {}", host(&url), host(&next));
            url = next;
        }
        let why = BadRedirect::TooMany(MAX_REDIRECTS);
        Err(DownloadError::Redirect { url: host(&url), why })
    }
}

/// Whether an address is this host's own.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn read(
    url: Url,
    response: Response<Incoming>,
    most: usize,
    patience: Duration,
) -> Result<Answer, DownloadError> {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(patience, Limited::new(body, most).collect()).await;
    let body =
        body.map_err(|_| silent(&url, patience, "its answer was read"))?.map_err(|error| match error
            .downcast::<hyper::Error>(
        ) {
            Ok(error) => broken(&url, &error),
            Err(error) => {
                let why = match error.is::<LengthLimitError>() {
                    true => format!("it has more than {most} bytes"),
                    false => error.to_string(),
                };
                DownloadError::Protocol { url: host(&url), why: BadAnswer::Parser { why } }
            }
        })?;
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Answer { status: head.status.as_u16(), body, url, headers: head.headers })
}
