//! Who may ask for what.

use super::crowd::Place;
use crate::error::ServeError;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The shortest token that a caller may choose: 16 letters of 6 bits are beyond guessing.
pub const MIN_TOKEN: usize = 16;

/// Bytes of a token made here.
const TOKEN_BYTES: usize = 24;

/// How long one request may take, its body included.
const REQUEST: Duration = Duration::from_secs(15);

/// The page runs its own scripts and styles, talks to its own server, and is framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self'; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// How a guard says no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// As a line of text.
    #[default]
    Text,
    /// As `{"error": "…"}`.
    Json,
}

/// The secret, and the names under which the server may be asked.
pub struct Guard {
    address: SocketAddr,
    scheme: &'static str,
    token: String,
    hosts: Vec<String>,
    refusal: Refusal,
}

impl Guard {
    /// A guard for a server on `address`; without a token it makes one.
    ///
    /// # Errors
    /// [`ServeError::WeakToken`] or [`ServeError::Random`].
    pub fn new(address: SocketAddr, token: Option<String>) -> Result<Self, ServeError> {
        let token = match token {
            Some(token) if is_strong(&token) => token,
            Some(_) => return Err(ServeError::WeakToken(MIN_TOKEN)),
            None => random_text(TOKEN_BYTES)?,
        };
        let hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        Ok(Self { address, scheme: "http", token, hosts, refusal: Refusal::default() })
    }

    /// A guard for a server on `address` that speaks TLS there, and whose routes look themselves at who asks.
    ///
    /// # Errors
    /// [`ServeError::Random`].
    pub fn beyond(address: SocketAddr) -> Result<Self, ServeError> {
        let mut hosts = vec![address.to_string()];
        if address.port() == 443 {
            // Browsers leave the scheme's own port out.
            hosts.push(match address.ip() {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            });
        }
        // Nothing is given for it: it is there so that nobody finds one that is empty.
        let token = random_text(TOKEN_BYTES)?;
        Ok(Self { address, scheme: "https", token, hosts, refusal: Refusal::default() })
    }

    /// Where the page is.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same guard, saying no in another form.
    #[must_use]
    pub fn refusing(mut self, refusal: Refusal) -> Self {
        self.refusal = refusal;
        self
    }

    /// The secret.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the page is, with the token in its fragment, which browsers do not send.
    pub fn url(&self) -> String {
        format!("{}/#token={}", self.base(), self.token)
    }

    /// No, in words.
    pub fn refuse(&self, status: StatusCode, words: impl std::fmt::Display) -> Response {
        match self.refusal {
            Refusal::Text => refuse(status, words),
            Refusal::Json => {
                (status, Json(serde_json::json!({ "error": words.to_string() }))).into_response()
            }
        }
    }

    /// Whether the `Host` header names this server. A name that merely resolves here is what DNS rebinding uses.
    fn host_is_ours(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(HOST).iter();
        let (Some(host), None) = (values.next(), values.next()) else { return false };
        self.hosts.iter().any(|ours| host.as_bytes().eq_ignore_ascii_case(ours.as_bytes()))
    }

    /// Whether the request comes from our own page, or from no page at all.
    fn origin_is_ours(&self, headers: &HeaderMap) -> bool {
        headers.get_all(ORIGIN).iter().all(|origin| {
            let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix(self.scheme));
            let host = host.and_then(|host| host.strip_prefix("://"));
            host.is_some_and(|host| self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host)))
        })
    }

    fn token_is_ours(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, given) = value.split_at(value.len().min(7));
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(given.ct_eq(self.token.as_bytes()))
    }
}

/// Whether two secrets are the same, in constant time.
pub(crate) fn is_equal(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

fn is_strong(token: &str) -> bool {
    token.len() >= MIN_TOKEN && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// So many random bytes as letters that need no escaping in a URL.
///
/// # Errors
/// [`ServeError::Random`].
pub fn random_text(bytes: usize) -> Result<String, ServeError> {
    use base64::Engine as _;
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(|e| ServeError::Random(e.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(buffer))
}

/// Refuses requests under other names or from other pages.
pub(super) async fn origin(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if !guard.host_is_ours(request.headers()) {
        return guard.refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this server goes by another name: open the URL as it was printed",
        );
    }
    if !guard.origin_is_ours(request.headers()) {
        return guard.refuse(StatusCode::FORBIDDEN, "this page may not ask for that");
    }
    next.run(request).await
}

/// Refuses requests without the token.
pub(super) async fn token(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if guard.token_is_ours(request.headers()) {
        if let Some(place) = request.extensions().get::<Place>() {
            place.is_known();
        }
        return next.run(request).await;
    }
    let mut response = guard
        .refuse(StatusCode::UNAUTHORIZED, "the token is missing or wrong: open the URL as it was printed");
    let scheme = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
    response
}

/// Ends requests that take too long.
pub(super) async fn time_limit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => guard.refuse(StatusCode::REQUEST_TIMEOUT, "the request took too long: try again"),
    }
}

/// Puts the headers on every answer that keep a browser strict.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An answer in words.
pub fn refuse(status: StatusCode, words: impl std::fmt::Display) -> Response {
    (status, format!("{words}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let address = "127.0.0.1:8080".parse().expect("an address");
        Guard::new(address, Some("0123456789abcdef".into())).expect("strong enough")
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn only_our_own_names() {
        let guard = guard();
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080"] {
            assert!(guard.host_is_ours(&headers(&[(HOST, host)])), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:8081", "evil.example:8080", "[::1]:8080", ""] {
            assert!(!guard.host_is_ours(&headers(&[(HOST, host)])), "{host}");
        }
        assert!(!guard.host_is_ours(&HeaderMap::new()));
        assert!(!guard.host_is_ours(&headers(&[(HOST, "localhost:8080"), (HOST, "evil.example")])));
    }

    #[test]
    fn only_our_own_pages() {
        let guard = guard();
        assert!(guard.origin_is_ours(&HeaderMap::new()), "a program sends no origin");
        assert!(guard.origin_is_ours(&headers(&[(ORIGIN, "http://localhost:8080")])));
        for origin in ["null", "http://localhost", "https://localhost:8080", "http://evil.example"] {
            assert!(!guard.origin_is_ours(&headers(&[(ORIGIN, origin)])), "{origin}");
        }
    }

    #[test]
    fn a_server_beyond_loopback_has_its_address_for_a_name() {
        for (address, hosts, origin) in [
            ("192.0.2.1:4433", &["192.0.2.1:4433"][..], "https://192.0.2.1:4433"),
            ("[2001:db8::1]:4433", &["[2001:db8::1]:4433"], "https://[2001:db8::1]:4433"),
            ("[2001:db8::1]:443", &["[2001:db8::1]:443", "[2001:db8::1]"], "https://[2001:db8::1]"),
        ] {
            let guard = Guard::beyond(address.parse().expect("an address")).expect("random");
            for host in hosts {
                assert!(guard.host_is_ours(&headers(&[(HOST, host)])), "{host}");
            }
            assert!(guard.origin_is_ours(&headers(&[(ORIGIN, origin)])), "{origin}");
            assert!(!guard.origin_is_ours(&headers(&[(ORIGIN, &origin.replace("https", "http"))])));
            for host in ["localhost:4433", "sampan.local:4433", "192.0.2.1", "192.0.2.2:4433", "2001:db8::1"]
            {
                assert!(!guard.host_is_ours(&headers(&[(HOST, host)])), "{host}");
            }
            assert!(!guard.origin_is_ours(&headers(&[(ORIGIN, "https://evil.example")])));
        }
    }

    #[test]
    fn only_with_the_token() {
        let guard = guard();
        assert!(guard.token_is_ours(&headers(&[(AUTHORIZATION, "Bearer 0123456789abcdef")])));
        for value in
            ["", "Bearer", "Bearer ", "0123456789abcdef", "Bearer 0123456789abcde", "Basic 0123456789abcdef"]
        {
            assert!(!guard.token_is_ours(&headers(&[(AUTHORIZATION, value)])), "{value}");
        }
        let address = "127.0.0.1:1".parse().expect("an address");
        assert!(matches!(Guard::new(address, Some("short".into())), Err(ServeError::WeakToken(_))));
        let guard = Guard::new(address, None).expect("random");
        assert!(guard.token().len() >= 32);
        assert_eq!(guard.url(), format!("http://127.0.0.1:1/#token={}", guard.token()));
    }
}
