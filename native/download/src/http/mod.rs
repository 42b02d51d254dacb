//! As much of HTTP/1.1 as downloads need: GET with ranges, redirects, proxies, TLS. One connection is one
//! [`Connection`], so that whoever loads decides how many there are.

mod connect;
mod headers;
mod trust;

pub(crate) use connect::{Connection, broken, silent};
pub(crate) use headers::{Validator, content_range, retry_after};
pub(crate) use trust::Trust;

use crate::error::{BadRedirect, DownloadError};
use crate::fault::BadAddress;
use crate::settings::Timeouts;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, LOCATION, RANGE};
use hyper::{Response, StatusCode};
use std::ops::Range;
use url::Url;

/// Redirects that are followed one after another; browsers follow 20.
const MAX_REDIRECTS: usize = 10;
/// The longest address that is taken; servers commonly refuse longer ones.
const MAX_URL: usize = 8192;

/// What every request needs.
pub(crate) struct Client {
    pub trust: Trust,
    pub timeouts: Timeouts,
}

/// One GET.
#[derive(Clone, Debug)]
pub(crate) struct Get {
    pub url: Url,
    /// Whether plain http is fine.
    pub plain_http: bool,
    /// The bytes that are wanted.
    pub range: Option<Range<u64>>,
    /// Send the range only if the file is still this one (RFC 9110 section 13.1.5).
    pub if_range: Option<Validator>,
}

/// A response whose body can be read, and where it came from.
pub(crate) struct Answer {
    /// The address after all redirects.
    pub url: Url,
    pub response: Response<Incoming>,
    /// Usable again once the body has been read to its end.
    pub connection: Connection,
}

/// An address that may be downloaded from.
pub(crate) fn address(text: &str, plain_http: bool) -> Result<Url, DownloadError> {
    let wrong = |why| DownloadError::Url { url: shown(text), why };
    if text.len() > MAX_URL {
        return Err(wrong(BadAddress::TooLong { most: MAX_URL }));
    }
    let url = Url::parse(text).map_err(|e| wrong(BadAddress::Parser { why: e.to_string() }))?;
    check(&url, plain_http)?;
    Ok(url)
}

fn check(url: &Url, plain_http: bool) -> Result<(), DownloadError> {
    let wrong = |why| DownloadError::Url { url: shown(url.as_str()), why };
    match url.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => return Err(DownloadError::PlainHttp { url: url.to_string() }),
        _ => return Err(wrong(BadAddress::Scheme)),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(BadAddress::NoHost));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(BadAddress::Login));
    }
    Ok(())
}

/// Addresses go into messages: not by the kilobyte.
fn shown(url: &str) -> String {
    url.chars().take(200).collect()
}

/// The host, for messages.
pub(crate) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

impl Client {
    /// Sends a GET and follows redirects; ends when the head of the last answer is there, whatever its status.
    pub async fn get(&self, get: &Get, reuse: Option<Connection>) -> Result<Answer, DownloadError> {
        let mut url = get.url.clone();
        let mut reuse = reuse;
        for _ in 0..=MAX_REDIRECTS {
            check(&url, get.plain_http)?;
            let fresh = reuse.as_ref().is_none_or(|c| !c.serves(&url));
            let mut connection = match reuse.take() {
                Some(connection) if !fresh => connection,
                _ => self.connect(&url).await?,
            };
            let mut response = self.request(&mut connection, &url, get).await;
            if response.is_err() && !fresh {
                // A server may close an idle connection at any moment (RFC 9112 section 9.5).
                connection = self.connect(&url).await?;
                response = self.request(&mut connection, &url, get).await;
            }
            let response = response?;
            let Some(next) = redirect(&url, &response)? else {
                refuse_encoding(&url, &response)?;
                return Ok(Answer { url, response, connection });
            };
            log::debug!("{url} leads to {next}");
            url = next;
        }
        let why = BadRedirect::TooMany(MAX_REDIRECTS);
        Err(DownloadError::Redirect { url: shown(get.url.as_str()), why })
    }

    async fn request(
        &self,
        connection: &mut Connection,
        url: &Url,
        get: &Get,
    ) -> Result<Response<Incoming>, DownloadError> {
        let mut headers = vec![(ACCEPT_ENCODING, HeaderValue::from_static("identity"))];
        if let Some(range) = get.range.as_ref().filter(|r| !r.is_empty()) {
            let text = format!("bytes={}-{}", range.start, range.end - 1);
            headers.extend(HeaderValue::try_from(text).ok().map(|value| (RANGE, value)));
            let validator = get.if_range.as_ref().and_then(|v| HeaderValue::try_from(v.as_str()).ok());
            headers.extend(validator.map(|value| (IF_RANGE, value)));
        }
        connection.get(url, headers, &self.timeouts).await
    }
}

fn redirect(url: &Url, response: &Response<Incoming>) -> Result<Option<Url>, DownloadError> {
    let leads_on = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !leads_on {
        return Ok(None);
    }
    follow(url, response.headers(), |url| shown(url.as_str())).map(Some)
}

/// The address in `Location`; what was protected stays so. `named` is how errors call the address that it came from.
pub(crate) fn follow(
    url: &Url,
    headers: &HeaderMap,
    named: impl Fn(&Url) -> String,
) -> Result<Url, DownloadError> {
    let refuse = |why| DownloadError::Redirect { url: named(url), why };
    let location = headers.get(LOCATION).ok_or_else(|| refuse(BadRedirect::Nowhere))?;
    let location = location.to_str().map_err(|_| refuse(BadRedirect::Unreadable))?;
    if location.len() > MAX_URL {
        return Err(refuse(BadRedirect::TooLong(MAX_URL)));
    }
    let mut next = url.join(location).map_err(|e| refuse(BadRedirect::NoAddress(e.to_string())))?;
    next.set_fragment(None);
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(refuse(BadRedirect::Unprotected));
    }
    Ok(next)
}

/// The file is wanted as it is; a coded one has other bytes, another length and other ranges.
fn refuse_encoding(url: &Url, response: &Response<Incoming>) -> Result<(), DownloadError> {
    let codings = response.headers().get_all(CONTENT_ENCODING);
    if !response.status().is_success() || codings.iter().all(|c| c == "identity" || c.is_empty()) {
        return Ok(());
    }
    Err(DownloadError::Encoded { url: shown(url.as_str()) })
}

/// The error that a status is, if it is one.
pub(crate) fn status_error(url: &Url, response: &Response<Incoming>) -> Option<DownloadError> {
    let status = response.status();
    if status.is_success() {
        return None;
    }
    let hint = match status.as_u16() {
        401 | 403 => "it demands a login or refuses this network; open the address in a browser",
        404 | 410 => "the file is not there (any more); look for a newer one",
        407 => "the proxy demands a login; put user and password into the proxy's address",
        408 | 425 | 429 | 500 | 502 | 503 | 504 => "it is busy or broken; try again later or another mirror",
        451 => "it may not be given out here; try another mirror",
        _ => "it does not give the file; check the address",
    };
    Some(DownloadError::Status {
        url: shown(url.as_str()),
        status: status.as_u16(),
        hint,
        retry_after: retry_after(response.headers()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_prove_nothing_are_refused() {
        assert!(address("https://example.org/a.iso", false).is_ok());
        assert!(address("http://example.org/a.iso", true).is_ok());
        assert!(matches!(address("http://example.org/", false), Err(DownloadError::PlainHttp { .. })));
        for bad in [
            "",
            "a.iso",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "https://",
            "https://u:p@example.org/",
            &format!("https://example.org/{}", "a".repeat(MAX_URL)),
        ] {
            assert!(matches!(address(bad, true), Err(DownloadError::Url { .. })), "{bad}");
        }
    }
}
