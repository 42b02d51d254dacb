//! A code that pairs one device, from its making to the owner's answer.

use crate::crypto::{MAC_BYTES, POINT_BYTES, decode, derive, digest, encode, equal, mac, random, transcript};
use crate::error::TrustError;
use crate::gate::Now;
use crate::identity::Identity;
use crate::sharing::{PairRequest, Rights};
use crate::words::{self, words};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{self, ECDSA_P256_SHA256_FIXED};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a code can be used.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// How long the owner may take to answer a device that has used one.
pub const ANSWER: Duration = Duration::from_secs(120);

/// How often a code may be tried.
pub const TRIES: u32 = 5;

/// Characters of a device's name that are kept.
const MAX_NAME: usize = 64;

/// Bytes of a code's secret, and of what keeps two exchanges apart.
const SECRET: usize = 16;
const NONCE: usize = 16;

/// A code, as the owner shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    id: String,
    secret: [u8; SECRET],
    certificate: [u8; 32],
    /// Eight words, instead of the URL.
    pub words: String,
    /// Until when it can be used, in milliseconds since 1970.
    pub until: u64,
}

impl Code {
    /// The address that a device opens; `base` is the server's, as `https://192.0.2.1:4433`. What is behind `#` no browser sends.
    pub fn url(&self, base: &str) -> String {
        format!("{base}/#i={}&s={}&f={}", self.id, encode(&self.secret), encode(&self.certificate))
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({})", self.id)
    }
}

/// `POST /pair/1`: what a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstMessage {
    /// The code's id.
    pub id: String,
    /// What the device calls itself.
    pub name: String,
    /// The public key that it signs its offers with.
    pub device: String,
    /// A public key for this exchange alone.
    pub ephemeral: String,
    /// 16 random bytes.
    pub nonce: String,
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAnswer {
    /// The exchange's id.
    pub exchange: String,
    /// The host's public key for this exchange alone.
    pub ephemeral: String,
    /// 16 random bytes.
    pub nonce: String,
    /// The public key that the host signs its answers with.
    pub host: String,
    /// The SHA-256 of the host's certificate.
    pub certificate: String,
    /// HMAC(K, "host" ‖ T).
    pub mac: String,
}

/// `POST /pair/2`: the proof that the device knows the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondMessage {
    /// The exchange's id.
    pub exchange: String,
    /// HMAC(K, "page" ‖ T).
    pub mac: String,
}

/// `POST /pair/3`: has the owner answered?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitMessage {
    /// The exchange's id.
    pub exchange: String,
    /// HMAC(K, "wait" ‖ T).
    pub mac: String,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Step {
    /// The owner has not answered yet.
    Asking,
    /// The device is paired.
    Granted {
        /// Its id.
        device: String,
        /// What it may do.
        rights: Rights,
    },
    /// The owner said no.
    Refused,
    /// The owner did not answer in time.
    Expired,
}

/// What two sides have agreed on: the same only where both know the secret and have seen the same messages.
pub(crate) struct Keys {
    transcript: [u8; 32],
    mac: [u8; 32],
    /// Four digits that both show.
    pub(crate) check: String,
    /// What the device's later requests are known by.
    pub(crate) session: [u8; 32],
}

impl Keys {
    pub(crate) fn new(fields: &[&[u8]], shared: &[u8], secret: &[u8]) -> Result<Self, TrustError> {
        let transcript = transcript(fields);
        let both = [shared, secret].concat();
        let digits = u32::from_be_bytes(derive(&transcript, &both, b"sampan check 1")?) % 10_000;
        Ok(Self {
            mac: derive(&transcript, &both, b"sampan mac 1")?,
            session: derive(&transcript, &both, b"sampan device 1")?,
            check: format!("{digits:04}"),
            transcript,
        })
    }

    pub(crate) fn mac(&self, label: &str) -> [u8; MAC_BYTES] {
        mac(&self.mac, &[label.as_bytes(), &self.transcript])
    }

    fn is(&self, label: &str, given: &str) -> bool {
        decode::<MAC_BYTES>(given).is_some_and(|given| equal(&self.mac(label), &given))
    }
}

/// The fields of a transcript in their order, for both sides.
pub(crate) fn fields<'a>(
    first: &'a FirstMessage,
    keys: [&'a [u8]; 6],
    certificate: &'a [u8; 32],
) -> [&'a [u8]; 10] {
    let [device, ephemeral, nonce, host_ephemeral, host_nonce, host] = keys;
    [
        b"sampan pair 1",
        first.id.as_bytes(),
        certificate,
        first.name.as_bytes(),
        device,
        ephemeral,
        nonce,
        host_ephemeral,
        host_nonce,
        host,
    ]
}

/// An exchange that has begun.
struct Exchange {
    keys: Keys,
    name: String,
    key: [u8; POINT_BYTES],
}

/// A device that has shown that it knows the code.
struct Asked {
    exchange: String,
    begun: Exchange,
    request: PairRequest,
    at: Instant,
    answer: Option<Rights>,
}

/// A device as the owner lets it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// What it calls itself.
    pub name: String,
    /// The public key that it signs with.
    pub(crate) key: Vec<u8>,
    /// The key that was agreed on.
    pub(crate) session: Vec<u8>,
}

/// A device's id: the beginning of its key's hash.
pub(crate) fn device_id(key: &[u8]) -> String {
    digest(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A code and what has been done with it.
pub(crate) struct Pairing {
    code: Code,
    words_id: String,
    at: Instant,
    tries: u32,
    exchanges: BTreeMap<String, Exchange>,
    asked: Option<Asked>,
}

/// The id of a code's words, which whoever has the words can tell and nobody else.
pub(crate) fn words_id(words: &str) -> String {
    digest(format!("sampan words 1 {words}").as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

impl Pairing {
    pub(crate) fn new(identity: &Identity, now: Now) -> Result<Self, TrustError> {
        let words = words(&random::<{ words::BYTES }>()?);
        let until = now.unix + u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let code = Code {
            id: hex::encode(random::<8>()?),
            secret: random()?,
            certificate: *identity.hash(),
            words,
            until,
        };
        let words_id = words_id(&code.words);
        Ok(Self { code, words_id, at: now.at, tries: 0, exchanges: BTreeMap::new(), asked: None })
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// Until when a device may use it; `None` once that is over.
    pub(crate) fn code_until(&self, now: Now) -> Option<u64> {
        (self.asked.is_none() && self.tries < TRIES && self.is_fresh(now)).then_some(self.code.until)
    }

    fn is_fresh(&self, now: Now) -> bool {
        now.at.saturating_duration_since(self.at) < LIFETIME
    }

    /// The question to the owner, as long as it is one.
    pub(crate) fn request(&self, now: Now) -> Option<&PairRequest> {
        let asked = self.asked.as_ref()?;
        (asked.answer.is_none() && asked.is_fresh(now)).then_some(&asked.request)
    }

    pub(crate) fn first(
        &mut self,
        identity: &Identity,
        message: &FirstMessage,
        now: Now,
    ) -> Result<FirstAnswer, TrustError> {
        let secret = if message.id == self.code.id {
            self.code.secret.to_vec()
        } else if message.id == self.words_id {
            self.code.words.clone().into_bytes()
        } else {
            return Err(TrustError::NoCode);
        };
        if !self.is_fresh(now) {
            return Err(TrustError::NoCode);
        }
        if self.asked.is_some() {
            return Err(TrustError::CodeUsed);
        }
        if self.tries >= TRIES {
            return Err(TrustError::TooManyTries);
        }
        let form = |what| move || TrustError::Form(what);
        let key: [u8; POINT_BYTES] = decode(&message.device).ok_or_else(form("device"))?;
        let theirs: [u8; POINT_BYTES] = decode(&message.ephemeral).ok_or_else(form("ephemeral"))?;
        let nonce: [u8; NONCE] = decode(&message.nonce).ok_or_else(form("nonce"))?;
        if message.name.len() > 4 * MAX_NAME {
            return Err(TrustError::Form("name"));
        }
        check_point(&key).ok_or_else(form("device"))?;
        // Whatever comes of it: five exchanges are all there are.
        self.tries += 1;
        let ours = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
            .map_err(|_| TrustError::Random)?;
        let public = ours.compute_public_key().map_err(|_| TrustError::Random)?;
        let our_nonce = random::<NONCE>()?;
        let fields = fields(
            message,
            [&key, &theirs, &nonce, public.as_ref(), &our_nonce, identity.public()],
            identity.hash(),
        );
        let keys = agree_ephemeral(ours, &UnparsedPublicKey::new(&ECDH_P256, &theirs), |shared| {
            Keys::new(&fields, shared, &secret)
        })
        .map_err(|_| TrustError::Form("ephemeral"))??;
        let exchange = hex::encode(random::<8>()?);
        let answer = FirstAnswer {
            exchange: exchange.clone(),
            ephemeral: encode(public.as_ref()),
            nonce: encode(&our_nonce),
            host: encode(identity.public()),
            certificate: encode(identity.hash()),
            mac: encode(&keys.mac("host")),
        };
        self.exchanges.insert(exchange, Exchange { keys, name: shown(&message.name), key });
        Ok(answer)
    }

    /// `address` is where the device is.
    pub(crate) fn second(
        &mut self,
        message: &SecondMessage,
        address: &str,
        now: Now,
    ) -> Result<Step, TrustError> {
        if self.asked.is_some() {
            return Err(TrustError::CodeUsed);
        }
        // An exchange is over with its first proof, right or wrong.
        let begun = self.exchanges.remove(&message.exchange).ok_or(TrustError::NoCode)?;
        if !self.is_fresh(now) {
            return Err(TrustError::NoCode);
        }
        if !begun.keys.is("page", &message.mac) {
            return Err(TrustError::WrongCode);
        }
        let request = PairRequest {
            request: hex::encode(random::<8>()?),
            name: begun.name.clone(),
            address: address.to_owned(),
            check: begun.keys.check.clone(),
            until: now.unix + u64::try_from(ANSWER.as_millis()).unwrap_or(u64::MAX),
        };
        self.exchanges.clear();
        self.asked =
            Some(Asked { exchange: message.exchange.clone(), begun, request, at: now.at, answer: None });
        Ok(Step::Asking)
    }

    pub(crate) fn wait(&self, message: &WaitMessage, now: Now) -> Result<Step, TrustError> {
        let asked = self.asked.as_ref().filter(|asked| asked.exchange == message.exchange);
        let asked = asked.ok_or(TrustError::NoCode)?;
        if !asked.begun.keys.is("wait", &message.mac) {
            return Err(TrustError::WrongCode);
        }
        Ok(match asked.answer {
            Some(rights) if rights.is_none() => Step::Refused,
            Some(rights) => Step::Granted { device: device_id(&asked.begun.key), rights },
            None if asked.is_fresh(now) => Step::Asking,
            None => Step::Expired,
        })
    }

    /// The device that a question is about.
    pub(crate) fn asked(&self, request: &str, now: Now) -> Result<NewDevice, TrustError> {
        self.request(now).filter(|asked| asked.request == request).ok_or(TrustError::NoRequest)?;
        let asked = self.asked.as_ref().ok_or(TrustError::NoRequest)?;
        Ok(NewDevice {
            name: asked.begun.name.clone(),
            key: asked.begun.key.to_vec(),
            session: asked.begun.keys.session.to_vec(),
        })
    }

    /// The owner has answered.
    pub(crate) fn answered(&mut self, request: &str, rights: Rights) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.request.request == request) {
            asked.answer = Some(rights);
        }
    }
}

impl Asked {
    fn is_fresh(&self, now: Now) -> bool {
        now.at.saturating_duration_since(self.at) < ANSWER
    }
}

/// Whether it is a point of the curve: a signature of its own over nothing says so, for `ring` looks at the point first.
fn check_point(key: &[u8]) -> Option<()> {
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    agree_ephemeral(ours, &UnparsedPublicKey::new(&ECDH_P256, key), |_| ()).ok()
}

/// A name as it is kept: one line of bounded length.
fn shown(name: &str) -> String {
    let line: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    if line.is_empty() { "?".to_owned() } else { line }
}

/// Whether `signature` over `message` is by `key`.
pub(crate) fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature).is_ok()
}
