//! The few primitives that everything here is made of, by `ring`.

use crate::error::TrustError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use subtle::ConstantTimeEq;

/// A point of P-256, uncompressed (SEC 1, 2.3.3): as WebCrypto's `raw` format has it.
pub(crate) const POINT_BYTES: usize = 65;

/// Bytes of a MAC, and of a hash.
pub const MAC_BYTES: usize = 32;

/// Bytes of an ECDSA signature: r and s, as WebCrypto has it (IEEE P1363).
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], TrustError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| TrustError::Random)?;
    Ok(bytes)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Exactly so many bytes.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Longer texts are refused before they are decoded.
    if text.len() > N * 4 / 3 + 4 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    bool::from(one.ct_eq(other))
}

pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; MAC_BYTES];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// A hash of fields, each with its length before it, so that no two lists of fields are the same bytes.
pub(crate) fn transcript(fields: &[&[u8]]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for field in fields {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(field);
    }
    digest(&bytes)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF (RFC 5869) by SHA-256.
pub(crate) fn derive<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<[u8; N], TrustError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let mut out = [0; N];
    let info = [info];
    let filled = prk.expand(&info, Length(N)).and_then(|okm| okm.fill(&mut out));
    filled.map_err(|_| TrustError::Random)?;
    Ok(out)
}

/// The key of one viewer's connection, by which what it asks for later is known to be its own.
#[derive(Clone)]
pub struct Session {
    key: [u8; 32],
    /// The greatest number so far.
    last: u64,
    /// Which of the [`WINDOW`] numbers up to it have come: the lowest bit stands for the greatest one.
    seen: u64,
}

/// Requests of one session may overtake each other by less than so many (as in RFC 4303, section 3.4.3).
const WINDOW: u64 = 64;

/// The number of the request that ends a session: it is made in advance, since a page that is closed has no time left, and
/// nothing can follow it.
pub(crate) const LAST: u64 = (1 << 53) - 1;

impl Session {
    /// `device` is the key that was agreed on when the device was paired.
    pub(crate) fn new(device: &[u8], nonce: &[u8], offer: &[u8; 32], answer: &[u8; 32]) -> Self {
        Self { key: mac(device, &[b"sampan session 1", nonce, offer, answer]), last: 0, seen: 0 }
    }

    /// What a request must carry: `NUMBER.MAC`.
    pub fn sign(&self, number: u64, method: &str, path: &str, body: &[u8]) -> String {
        format!("{number}.{}", encode(&self.mac(number, method, path, body)))
    }

    fn mac(&self, number: u64, method: &str, path: &str, body: &[u8]) -> [u8; MAC_BYTES] {
        mac(&self.key, &[method.as_bytes(), b"\0", path.as_bytes(), b"\0", &number.to_be_bytes(), body])
    }

    /// The host's mark on its answer to a request that carried `NUMBER.MAC` and was accepted; nothing for one that cannot have been.
    pub fn sign_answer(&self, carried: &str, path: &str, body: &[u8], answer: &[u8]) -> Option<String> {
        let number: u64 = carried.split_once('.')?.0.parse().ok()?;
        let (number, body, answer) = (number.to_be_bytes(), digest(body), digest(answer));
        // No method of HTTP has a space in it: this is never what a request carries.
        let parts = [b"sampan restart 1", b"\0".as_slice(), path.as_bytes(), b"\0", &number, &body, &answer];
        Some(encode(&mac(&self.key, &parts)))
    }

    /// Whether a request is the viewer's own and comes for the first time.
    pub fn accepts(&mut self, carried: &str, method: &str, path: &str, body: &[u8]) -> bool {
        let Some((number, given)) = carried.split_once('.') else { return false };
        let (Ok(number), Some(given)) = (number.parse::<u64>(), decode::<MAC_BYTES>(given)) else {
            return false;
        };
        let is_ours = equal(&self.mac(number, method, path, body), &given);
        // What ends the session may come at any time, and does no harm twice.
        is_ours && (number == LAST || (number < LAST && self.is_new(number)))
    }
}

impl Session {
    /// Whether a number comes for the first time, and is not so old that nobody knows.
    fn is_new(&mut self, number: u64) -> bool {
        if number > self.last {
            let step = number - self.last;
            self.seen = if step < WINDOW { self.seen << step } else { 0 };
            (self.last, self.seen) = (number, self.seen | 1);
            return true;
        }
        let age = self.last - number;
        let fresh = number > 0 && age < WINDOW && self.seen >> age & 1 == 0;
        if fresh {
            self.seen |= 1 << age;
        }
        fresh
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(after {})", self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(transcript(&[b"ab", b"c"]), transcript(&[b"a", b"bc"]));
        assert_ne!(transcript(&[b"a"]), transcript(&[b"a", b""]));
    }

    #[test]
    fn a_request_of_a_session_counts_once_and_as_it_was() {
        let mut session = Session::new(b"key", b"nonce", &[1; 32], &[2; 32]);
        let first = session.sign(1, "PATCH", "/whep/a", b"body");
        assert!(!session.accepts(&first, "PATCH", "/whep/a", b"other"));
        assert!(!session.accepts(&first, "PATCH", "/whep/b", b"body"));
        assert!(!session.accepts(&first, "DELETE", "/whep/a", b"body"));
        assert!(session.accepts(&first, "PATCH", "/whep/a", b"body"));
        assert!(!session.accepts(&first, "PATCH", "/whep/a", b"body"), "again");
        let end = session.sign(LAST, "DELETE", "/whep/a", b"");
        assert!(session.accepts(&end, "DELETE", "/whep/a", b""));
        let other = Session::new(b"key", b"nonce", &[1; 32], &[3; 32]);
        assert!(!session.accepts(&other.sign(2, "PATCH", "/whep/a", b""), "PATCH", "/whep/a", b""));
    }

    #[test]
    fn an_answer_belongs_to_its_request_and_is_no_request() {
        let mut session = Session::new(b"key", b"nonce", &[1; 32], &[2; 32]);
        let request = session.sign(7, "PATCH", "/whep/a", b"fragment");
        let sign = |carried: &str, path, body, answer| session.sign_answer(carried, path, body, answer);
        let signed = sign(&request, "/whep/a", b"fragment", b"answer").expect("has a number");
        let other = session.sign(8, "PATCH", "/whep/a", b"fragment");
        for (carried, path, body, answer) in [
            (&other, "/whep/a", b"fragment".as_slice(), b"answer".as_slice()),
            (&request, "/whep/b", b"fragment", b"answer"),
            (&request, "/whep/a", b"other", b"answer"),
            (&request, "/whep/a", b"fragment", b"other"),
        ] {
            assert_ne!(sign(carried, path, body, answer), Some(signed.clone()));
        }
        assert_eq!(sign("nonsense", "/whep/a", b"", b""), None);
        assert!(!session.accepts(&format!("7.{signed}"), "sampan restart 1", "/whep/a", b"fragment"));
    }

    #[test]
    fn requests_may_overtake_each_other_but_count_once() {
        let mut session = Session::new(b"key", b"nonce", &[1; 32], &[2; 32]);
        let mut accepts = |number| {
            let carried = session.sign(number, "PUT", "/whep/a/clipboard", b"x");
            session.accepts(&carried, "PUT", "/whep/a/clipboard", b"x")
        };
        assert!(!accepts(0));
        assert!(accepts(2) && accepts(1) && accepts(5) && accepts(3));
        for again in [1, 2, 3, 5] {
            assert!(!accepts(again), "{again}");
        }
        assert!(accepts(200) && accepts(137));
        assert!(!accepts(136), "too old to be known");
        assert!(!accepts(4) && !accepts(200) && !accepts(137));
        assert!(accepts(LAST - 1) && !accepts(300) && accepts(LAST) && accepts(LAST));
        assert!(!accepts(LAST + 1));
    }

    proptest! {
        /// Whatever comes in whatever order, no number counts twice.
        #[test]
        fn no_number_counts_twice(numbers in proptest::collection::vec(0_u64..200, 1..200)) {
            let mut session = Session::new(b"key", b"nonce", &[1; 32], &[2; 32]);
            let mut seen = std::collections::BTreeSet::new();
            for number in numbers {
                if session.is_new(number) {
                    prop_assert!(seen.insert(number));
                }
            }
        }

        #[test]
        fn any_text_is_no_request(text: String) {
            let mut session = Session::new(b"key", b"nonce", &[1; 32], &[2; 32]);
            prop_assert!(!session.accepts(&text, "PATCH", "/whep/a", b""));
        }
    }
}
