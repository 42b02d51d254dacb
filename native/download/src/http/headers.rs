//! The header fields that decide whether bytes belong together.

use hyper::header::{DATE, ETAG, HeaderMap, LAST_MODIFIED, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// Header values that are kept are at most this long, in bytes.
const MAX_VALUE: usize = 1024;

/// What tells two versions of a file apart, strong enough to join their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validator {
    /// A strong entity tag, with its quotes (RFC 9110 section 8.8.3).
    Etag(String),
    /// A modification date that is strong (RFC 9110 section 8.8.2.2).
    LastModified(String),
}

impl Validator {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Etag(text) | Self::LastModified(text) => text,
        }
    }

    /// The strong validator of an answer, if it has one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| v.len() <= MAX_VALUE);
        if let Some(tag) = text(ETAG) {
            if let [b'"', inner @ .., b'"'] = tag.as_bytes()
                && !inner.contains(&b'"')
            {
                return Some(Self::Etag(tag.to_owned()));
            }
            // A weak tag says that the content may differ in bytes; a date beside it cannot say more.
            if tag.starts_with("W/") {
                return None;
            }
        }
        // Two changes within one second have one date: a date is strong if it is older than the answer by a second.
        let (modified, date) = (text(LAST_MODIFIED)?, text(DATE)?);
        let age =
            httpdate::parse_http_date(date).ok()?.duration_since(httpdate::parse_http_date(modified).ok()?);
        (age.ok()? >= Duration::from_secs(1)).then(|| Self::LastModified(modified.to_owned()))
    }

    /// Whether an answer's fields contradict this validator. A 206 to an `If-Range` may leave `Last-Modified` out.
    pub(crate) fn contradicts(&self, headers: &HeaderMap) -> bool {
        let name = match self {
            Self::Etag(_) => ETAG,
            Self::LastModified(_) => LAST_MODIFIED,
        };
        headers.get(name).is_some_and(|value| value.as_bytes() != self.as_str().as_bytes())
    }
}

/// `Content-Range` of a 206 or a 416 (RFC 9110 section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// First byte and the byte after the last one; `None` in a 416.
    pub range: Option<(u64, u64)>,
    /// The whole file's length, if the server knows it.
    pub total: Option<u64>,
}

/// Reads a `Content-Range`; `None` if it breaks a rule.
pub fn content_range(value: &str) -> Option<ContentRange> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let number = |text: &str| {
        (text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let total = if total == "*" { None } else { Some(number(total)?) };
    if range == "*" {
        return Some(ContentRange { range: None, total: Some(total?) });
    }
    let (first, last) = range.split_once('-')?;
    let (first, end) = (number(first)?, number(last)?.checked_add(1)?);
    (first < end && total.is_none_or(|total| end <= total))
        .then_some(ContentRange { range: Some((first, end)), total })
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn only_strong_validators_join_bytes() {
        const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        let etag = |fields: &[_]| Validator::of(&map(fields));
        assert_eq!(etag(&[("etag", "\"a\"")]), Some(Validator::Etag("\"a\"".into())));
        assert_eq!(etag(&[("etag", "\"a\""), ("last-modified", OLD)]), Some(Validator::Etag("\"a\"".into())));
        assert_eq!(etag(&[("etag", "W/\"a\"")]), None);
        assert_eq!(etag(&[("etag", "W/\"a\""), ("last-modified", OLD), ("date", NEW)]), None);
        assert_eq!(etag(&[("last-modified", OLD)]), None, "without a date nothing is known");
        assert_eq!(etag(&[("last-modified", OLD), ("date", OLD)]), None, "the same second");
        assert_eq!(etag(&[("last-modified", NEW), ("date", OLD)]), None, "from the future");
        let date = Some(Validator::LastModified(OLD.into()));
        assert_eq!(etag(&[("last-modified", OLD), ("date", NEW)]), date);
        assert_eq!(etag(&[("etag", "a"), ("last-modified", OLD), ("date", NEW)]), date, "no tag at all");
    }

    #[test]
    fn a_range_is_read_by_the_rules() {
        let some = |first, end, total| Some(ContentRange { range: Some((first, end)), total });
        assert_eq!(content_range("bytes 0-9/10"), some(0, 10, Some(10)));
        assert_eq!(content_range("bytes 5-5/*"), some(5, 6, None));
        assert_eq!(content_range("bytes */10"), Some(ContentRange { range: None, total: Some(10) }));
        for bad in [
            "",
            "bytes",
            "bytes 0-10/10",
            "bytes 5-4/10",
            "bytes */*",
            "bytes -1-4/10",
            "items 0-1/2",
            "bytes 0-9",
            "bytes 0-+9/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-9/99999999999999999999",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_range_is_answered(text in "(bytes )?[0-9*/ -]{0,40}") {
            if let Some(ContentRange { range: Some((first, end)), total }) = content_range(&text) {
                prop_assert!(first < end && total.is_none_or(|t| end <= t));
            }
        }
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        assert_eq!(retry_after(&map(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        let past = map(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        assert_eq!(retry_after(&map(&[("retry-after", "soon")])), None);
    }
}
