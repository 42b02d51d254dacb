//! A device, written by `docs/streaming.md` and not by the crate's own code: what the page does in a browser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use ring::{digest, hkdf, hmac};
use serde_json::{Value, json};
use std::cell::Cell;

pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("is base64")
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf(salt: &[u8], secret: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    let info = [info];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    prk.expand(&info, Length(length)).expect("is short").fill(&mut out).expect("fills");
    out
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).expect("is random");
    bytes
}

/// What a device knows of a code.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: String,
    pub secret: Vec<u8>,
    /// The certificate's hash, where it was told.
    pub certificate: Option<Vec<u8>>,
}

impl Known {
    /// By the address.
    pub fn url(url: &str) -> Self {
        let part = |name: &str| {
            let fragment = url.split_once('#').expect("a fragment").1;
            let found = fragment.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
            found.expect("a part").to_owned()
        };
        Self { id: part("i"), secret: unb64(&part("s")), certificate: Some(unb64(&part("f"))) }
    }

    /// By the words.
    pub fn words(words: &str) -> Self {
        let hash = sha256(format!("sampan words 1 {words}").as_bytes());
        let id = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, secret: words.as_bytes().to_vec(), certificate: None }
    }
}

/// A device.
pub struct Device {
    pub name: String,
    key: EcdsaKeyPair,
    /// Set once it is paired.
    pub session: Cell<Option<[u8; 32]>>,
}

/// The first message, and what is kept for the rest.
pub struct Begun {
    pub message: Value,
    ephemeral: EphemeralPrivateKey,
    known: Known,
}

/// The rest.
#[derive(Debug)]
pub struct Agreed {
    pub second: Value,
    pub wait: Value,
    pub check: String,
    pub session: [u8; 32],
    pub host: Vec<u8>,
}

impl Device {
    pub fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
        Self { name: name.to_owned(), key, session: Cell::new(None) }
    }

    pub fn public(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }

    pub fn id(&self) -> String {
        sha256(&self.public())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `POST /pair/1`.
    pub fn begin(&self, known: &Known) -> Begun {
        let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).expect("a key");
        let public = ephemeral.compute_public_key().expect("a key");
        let message = json!({
            "id": known.id,
            "name": self.name,
            "device": b64(&self.public()),
            "ephemeral": b64(public.as_ref()),
            "nonce": b64(&random(16)),
        });
        Begun { message, ephemeral, known: known.clone() }
    }

    /// What follows from the answer; `None` where the host does not know the code, or is another one.
    pub fn agree(&self, begun: Begun, answer: &Value) -> Option<Agreed> {
        let Begun { message, ephemeral, known } = begun;
        let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
        let bytes = |value: &Value, name: &str| unb64(&text(value, name));
        let certificate = known.certificate.unwrap_or_else(|| bytes(answer, "certificate"));
        let fields: [Vec<u8>; 10] = [
            b"sampan pair 1".to_vec(),
            text(&message, "id").into_bytes(),
            certificate,
            text(&message, "name").into_bytes(),
            bytes(&message, "device"),
            bytes(&message, "ephemeral"),
            bytes(&message, "nonce"),
            bytes(answer, "ephemeral"),
            bytes(answer, "nonce"),
            bytes(answer, "host"),
        ];
        let mut all = Vec::new();
        for field in &fields {
            all.extend_from_slice(&u32::try_from(field.len()).expect("is short").to_be_bytes());
            all.extend_from_slice(field);
        }
        let transcript = sha256(&all);
        let theirs = UnparsedPublicKey::new(&ECDH_P256, fields[7].clone());
        let shared = agree_ephemeral(ephemeral, &theirs, <[u8]>::to_vec).expect("a point");
        let both = [shared, known.secret].concat();
        let mac = hkdf(&transcript, &both, b"sampan mac 1", 32);
        let of = |label: &str| hmac(&mac, &[label.as_bytes(), &transcript].concat());
        if of("host") != bytes(answer, "mac") {
            return None;
        }
        let digits: [u8; 4] = hkdf(&transcript, &both, b"sampan check 1", 4).try_into().expect("four");
        let exchange = text(answer, "exchange");
        Some(Agreed {
            second: json!({ "exchange": exchange, "mac": b64(&of("page")) }),
            wait: json!({ "exchange": exchange, "mac": b64(&of("wait")) }),
            check: format!("{:04}", u32::from_be_bytes(digits) % 10_000),
            session: hkdf(&transcript, &both, b"sampan device 1", 32).try_into().expect("32"),
            host: fields[9].clone(),
        })
    }

    /// What an offer is sent with.
    pub fn sign(&self, certificate: &[u8], nonce: &str, offer: &str) -> String {
        let nonce_bytes = unb64(nonce);
        let message = [b"sampan offer 1".as_slice(), certificate, &nonce_bytes, &sha256(offer.as_bytes())];
        let signature = self.key.sign(&SystemRandom::new(), &message.concat()).expect("signs");
        format!("{}.{nonce}.{}", self.id(), b64(signature.as_ref()))
    }

    /// Whether an answer is the host's.
    pub fn is_answer(host: &[u8], offer: &str, answer: &str, signature: &str) -> bool {
        let message =
            [b"sampan answer 1".as_slice(), &sha256(offer.as_bytes()), &sha256(answer.as_bytes())].concat();
        let key = ring::signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, host);
        key.verify(&message, &unb64(signature)).is_ok()
    }

    fn session_key(&self, (nonce, offer, answer): (&str, &str, &str)) -> Vec<u8> {
        let session = self.session.get().expect("is paired");
        hmac(
            &session,
            &[
                b"sampan session 1".as_slice(),
                &unb64(nonce),
                &sha256(offer.as_bytes()),
                &sha256(answer.as_bytes()),
            ]
            .concat(),
        )
    }

    /// What a request of a session is sent with.
    pub fn mac(&self, of: (&str, &str, &str), number: u64, method: &str, path: &str, body: &str) -> String {
        let message =
            [method.as_bytes(), b"\0", path.as_bytes(), b"\0", &number.to_be_bytes(), body.as_bytes()]
                .concat();
        format!("{number}.{}", b64(&hmac(&self.session_key(of), &message)))
    }

    /// What the answer to a restart of ICE is sent with.
    pub fn restart_mac(
        &self,
        of: (&str, &str, &str),
        number: u64,
        path: &str,
        body: &str,
        answer: &str,
    ) -> String {
        let (body, answer) = (sha256(body.as_bytes()), sha256(answer.as_bytes()));
        let parts = [
            b"sampan restart 1".as_slice(),
            b"\0",
            path.as_bytes(),
            b"\0",
            &number.to_be_bytes(),
            &body,
            &answer,
        ];
        b64(&hmac(&self.session_key(of), &parts.concat()))
    }
}
