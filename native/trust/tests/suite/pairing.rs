//! A device and a gate, with the clock as a parameter.

use crate::device::{Agreed, Device, Known, b64};
use proptest::prelude::*;
use sampan_message::Coded;
use sampan_trust::{
    ANSWER, Connect, FirstMessage, Gate, Identity, LIFETIME, Now, Right, Rights, SecondMessage, Step, TRIES,
    TrustError, WaitMessage,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BASE: &str = "https://192.0.2.1:4433";

struct Host {
    identity: Identity,
    gate: Gate,
    now: Now,
}

impl Host {
    fn new() -> Self {
        let identity = Identity::generate().expect("is made");
        let gate = Gate::new(&identity);
        Self { identity, gate, now: Now { at: Instant::now(), unix: 1_000_000 } }
    }

    fn later(&mut self, span: Duration) {
        self.now.at += span;
        self.now.unix += u64::try_from(span.as_millis()).expect("is short");
    }

    fn code(&mut self) -> (Known, Known) {
        let code = self.gate.pair(self.now).expect("is made");
        (Known::url(&code.url(BASE)), Known::words(&code.words))
    }

    fn first(&mut self, message: &Value) -> Result<Value, TrustError> {
        let message: FirstMessage = serde_json::from_value(message.clone()).expect("is one");
        Ok(json!(self.gate.first(&message, self.now)?))
    }

    fn second(&mut self, message: &Value) -> Result<Step, TrustError> {
        let message: SecondMessage = serde_json::from_value(message.clone()).expect("is one");
        self.gate.second(&message, "192.0.2.7", self.now)
    }

    fn wait(&self, message: &Value) -> Result<Step, TrustError> {
        let message: WaitMessage = serde_json::from_value(message.clone()).expect("is one");
        self.gate.wait(&message, self.now)
    }

    /// As far as a device comes that knows `known`.
    fn agree(&mut self, device: &Device, known: &Known) -> Result<Agreed, TrustError> {
        let begun = device.begin(known);
        let answer = self.first(&begun.message)?;
        Ok(device.agree(begun, &answer).expect("both know the code"))
    }

    /// A device that is paired.
    fn paired(&mut self, rights: Rights) -> (Device, sampan_trust::Device) {
        let (known, _) = self.code();
        let device = Device::new("phone");
        let agreed = self.agree(&device, &known).expect("is answered");
        self.second(&agreed.second).expect("is right");
        device.session.set(Some(agreed.session));
        let request = self.gate.request(self.now).expect("is asked");
        let new = self.gate.asked(&request.request, self.now).expect("waits");
        let kept = sampan_trust::Device::new(&new, "machine", rights, 0).expect("is one");
        self.gate.answered(&request.request, rights);
        (device, kept)
    }
}

fn code_of<T: std::fmt::Debug>(result: Result<T, TrustError>) -> &'static str {
    result.expect_err("is refused").code()
}

#[test]
fn a_device_is_paired_by_the_address_or_by_the_words() {
    for words in [false, true] {
        let mut host = Host::new();
        let (url, typed) = host.code();
        let known = if words { typed } else { url };
        let device = Device::new(" Ada's phone\u{1b}[2J ");
        let agreed = host.agree(&device, &known).expect("is answered");
        assert_eq!(host.gate.request(host.now), None, "nobody has shown that they know the code");
        assert_eq!(host.second(&agreed.second).expect("is right"), Step::Asking);
        let request = host.gate.request(host.now).expect("is asked");
        assert_eq!((request.name.as_str(), request.address.as_str()), ("Ada's phone[2J", "192.0.2.7"));
        assert_eq!(request.check, agreed.check, "both show the same digits");
        assert_eq!(host.wait(&agreed.wait).expect("waits"), Step::Asking);
        let rights: Rights = [Right::Drive].into_iter().collect();
        assert_eq!(host.gate.asked(&request.request, host.now).expect("waits").id(), device.id());
        host.gate.answered(&request.request, rights);
        let granted = Step::Granted { device: device.id(), rights };
        assert_eq!(host.wait(&agreed.wait).expect("is told"), granted);
        assert_eq!(host.gate.request(host.now), None);
        assert_eq!(code_of(host.gate.asked(&request.request, host.now)), "no_pairing_request");
    }
}

#[test]
fn who_is_refused_is_told_so() {
    let mut host = Host::new();
    let (known, _) = host.code();
    let agreed = host.agree(&Device::new("phone"), &known).expect("is answered");
    host.second(&agreed.second).expect("is right");
    let request = host.gate.request(host.now).expect("is asked");
    host.gate.answered(&request.request, Rights::NONE);
    assert_eq!(host.wait(&agreed.wait).expect("is told"), Step::Refused);
    assert_eq!(code_of(host.agree(&Device::new("other"), &known)), "pairing_code_used");
}

#[test]
fn the_sixth_guess_is_not_looked_at() {
    let mut host = Host::new();
    let (known, _) = host.code();
    let wrong = Known { secret: vec![7; 16], ..known.clone() };
    for _ in 0..TRIES {
        let device = Device::new("guess");
        let begun = device.begin(&wrong);
        let answer = host.first(&begun.message).expect("is answered");
        assert!(device.agree(begun, &answer).is_none(), "the host's proof tells nothing about the code");
        let guess = json!({ "exchange": answer["exchange"], "mac": b64(&[0; 32]) });
        assert_eq!(code_of(host.second(&guess)), "wrong_pairing_code");
        assert_eq!(code_of(host.second(&guess)), "no_pairing_code", "one guess an exchange");
    }
    assert_eq!(code_of(host.agree(&Device::new("owner"), &known)), "pairing_tried_too_often");
    assert_eq!(host.gate.code_until(host.now), None);
    let (fresh, _) = host.code();
    host.agree(&Device::new("owner"), &fresh).expect("a new code counts anew");
}

#[test]
fn who_does_not_know_the_codes_id_uses_up_no_try() {
    let mut host = Host::new();
    let (known, words) = host.code();
    for id in ["", "0000000000000000", &known.id[1..]] {
        let begun = Device::new("stranger").begin(&Known { id: id.to_owned(), ..known.clone() });
        for _ in 0..100 {
            assert_eq!(code_of(host.first(&begun.message)), "no_pairing_code");
        }
    }
    host.agree(&Device::new("owner"), &words).expect("is answered");
}

#[test]
fn of_two_devices_that_race_one_gets_in() {
    let mut host = Host::new();
    let (known, _) = host.code();
    let one = host.agree(&Device::new("one"), &known).expect("is answered");
    let two = host.agree(&Device::new("two"), &known).expect("is answered");
    host.second(&two.second).expect("comes first");
    assert_eq!(code_of(host.second(&one.second)), "pairing_code_used");
    assert_eq!(code_of(host.second(&two.second)), "pairing_code_used", "replayed");
    assert_eq!(host.gate.request(host.now).expect("is asked").name, "two");
    assert_eq!(code_of(host.wait(&one.wait)), "no_pairing_code");
    assert_ne!(one.check, two.check, "the digits tell them apart (one time in ten thousand they do not)");
}

#[test]
fn a_code_and_a_question_have_their_time() {
    let mut host = Host::new();
    let (known, _) = host.code();
    let agreed = host.agree(&Device::new("slow"), &known).expect("is answered");
    host.later(LIFETIME - Duration::from_millis(1));
    assert!(host.gate.code_until(host.now).is_some());
    host.later(Duration::from_millis(1));
    assert_eq!(host.gate.code_until(host.now), None);
    assert_eq!(code_of(host.second(&agreed.second)), "no_pairing_code");
    assert_eq!(code_of(host.agree(&Device::new("late"), &known)), "no_pairing_code");

    let (known, _) = host.code();
    let agreed = host.agree(&Device::new("phone"), &known).expect("is answered");
    host.second(&agreed.second).expect("is right");
    let request = host.gate.request(host.now).expect("is asked");
    host.later(ANSWER);
    assert_eq!(host.gate.request(host.now), None);
    assert_eq!(host.wait(&agreed.wait).expect("is told"), Step::Expired);
    assert_eq!(code_of(host.gate.asked(&request.request, host.now)), "no_pairing_request");
}

#[test]
fn a_new_code_ends_the_one_before() {
    let mut host = Host::new();
    let (old, _) = host.code();
    let agreed = host.agree(&Device::new("phone"), &old).expect("is answered");
    host.code();
    assert_eq!(code_of(host.second(&agreed.second)), "no_pairing_code");
    assert_eq!(code_of(host.agree(&Device::new("phone"), &old)), "no_pairing_code");
}

#[test]
fn whatever_is_altered_between_them_is_noticed() {
    let (altered, kept) = (b64(&[1; 16]), b64(&Device::new("other").public()));
    // On the way there: the device's proof is refused, for the host has seen something else.
    for (field, value) in [
        ("name", "evil".to_owned()),
        ("device", kept.clone()),
        ("nonce", altered.clone()),
        ("ephemeral", kept.clone()),
    ] {
        let mut host = Host::new();
        let (known, _) = host.code();
        let device = Device::new("phone");
        let begun = device.begin(&known);
        let mut message = begun.message.clone();
        message[field] = value.into();
        let answer = host.first(&message).expect("is answered");
        assert!(device.agree(begun, &answer).is_none(), "{field}");
    }
    // On the way back, the certificate's fingerprint among it.
    for (field, value) in [
        ("ephemeral", kept.clone()),
        ("nonce", altered),
        ("host", kept),
        ("mac", b64(&[0; 32])),
        ("certificate", b64(&[2; 32])),
    ] {
        for words in [false, true] {
            let mut host = Host::new();
            let (url, typed) = host.code();
            let device = Device::new("phone");
            let begun = device.begin(if words { &typed } else { &url });
            let mut answer = host.first(&begun.message).expect("is answered");
            answer[field] = value.clone().into();
            // By the address the device knows the certificate, and does not believe what it is told.
            let believes = field == "certificate" && !words;
            assert_eq!(device.agree(begun, &answer).is_some(), believes, "{field}");
        }
    }
    // Another host's certificate in the address: somebody stands in between.
    let mut host = Host::new();
    let (known, _) = host.code();
    let device = Device::new("phone");
    let begun = device.begin(&Known { certificate: Some(vec![3; 32]), ..known });
    let answer = host.first(&begun.message).expect("is answered");
    assert!(device.agree(begun, &answer).is_none());
}

#[test]
fn keys_that_are_none_are_refused_and_use_up_no_try() {
    let mut host = Host::new();
    let (known, _) = host.code();
    let device = Device::new("phone");
    let mut off_the_curve = device.public();
    off_the_curve[64] ^= 1;
    for field in ["device", "ephemeral"] {
        for bad in [String::new(), b64(&[4; 65]), b64(&off_the_curve), b64(&[0; 33]), "!".repeat(87)] {
            let mut message = device.begin(&known).message;
            message[field] = bad.into();
            let error = host.first(&message).expect_err("is none");
            assert_eq!(error.code(), "bad_pairing_message");
            if field == "ephemeral" {
                // That it is no point shows only when it is used.
                host = Host::new();
                break;
            }
        }
    }
}

#[test]
fn an_offer_counts_once_as_it_was_signed_and_for_a_while() {
    let mut host = Host::new();
    let (device, kept) = host.paired(Rights::ALL);
    let hash = *host.identity.hash();
    let connect = |text: &str| Connect::parse(text).expect("is one");
    let nonce = host.gate.nonce(host.now).expect("is made");
    let signed = connect(&device.sign(&hash, &nonce, "offer"));
    assert_eq!(code_of(host.gate.admit(&signed, &kept, b"other", host.now)), "wrong_signature");
    host.gate.admit(&signed, &kept, b"offer", host.now).expect("gets in");
    assert_eq!(code_of(host.gate.admit(&signed, &kept, b"offer", host.now)), "stale_nonce", "replayed");

    let nonce = host.gate.nonce(host.now).expect("is made");
    let elsewhere = connect(&device.sign(&[9; 32], &nonce, "offer"));
    assert_eq!(code_of(host.gate.admit(&elsewhere, &kept, b"offer", host.now)), "wrong_signature");
    let other = Device::new("other");
    let forged = other.sign(&hash, &nonce, "offer").replace(&other.id(), &device.id());
    assert_eq!(code_of(host.gate.admit(&connect(&forged), &kept, b"offer", host.now)), "wrong_signature");
    let made_up = connect(&device.sign(&hash, &b64(&[1; 40]), "offer"));
    assert_eq!(code_of(host.gate.admit(&made_up, &kept, b"offer", host.now)), "stale_nonce");
    let late = connect(&device.sign(&hash, &nonce, "offer"));
    host.later(Duration::from_secs(30));
    assert_eq!(code_of(host.gate.admit(&late, &kept, b"offer", host.now)), "stale_nonce");
    let elsewhere = Host::new().gate.nonce(host.now).expect("is made");
    let foreign = connect(&device.sign(&hash, &elsewhere, "offer"));
    assert_eq!(code_of(host.gate.admit(&foreign, &kept, b"offer", host.now)), "stale_nonce");
}

#[test]
fn an_answer_is_the_hosts_and_binds_both_sides() {
    let mut host = Host::new();
    let (device, kept) = host.paired(Rights::ALL);
    let nonce = host.gate.nonce(host.now).expect("is made");
    let offer = "a=ice-ufrag:one\r\na=fingerprint:sha-256 AA\r\n";
    let answer =
        "a=ice-ufrag:two\r\na=fingerprint:sha-256 BB\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n";
    let signed = Connect::parse(&device.sign(host.identity.hash(), &nonce, offer)).expect("is one");
    host.gate.admit(&signed, &kept, offer.as_bytes(), host.now).expect("gets in");
    let opened = host.gate.open(&signed, &kept, offer.as_bytes(), answer.as_bytes()).expect("is signed");
    let public = {
        let (known, _) = host.code();
        host.agree(&Device::new("other"), &known).expect("is answered").host
    };
    assert!(Device::is_answer(&public, offer, answer, &opened.signature));
    for (from, to) in [("ufrag:two", "ufrag:six"), ("sha-256 BB", "sha-256 BC"), ("192.0.2.1", "192.0.2.9")] {
        assert!(!Device::is_answer(&public, offer, &answer.replace(from, to), &opened.signature), "{from}");
    }
    for (from, to) in [("ufrag:one", "ufrag:six"), ("sha-256 AA", "sha-256 AC")] {
        assert!(!Device::is_answer(&public, &offer.replace(from, to), answer, &opened.signature), "{from}");
    }
    let mut session = opened.session;
    let mac = device.mac((&nonce, offer, answer), 1, "PATCH", "/whep/a", "body");
    assert!(session.accepts(&mac, "PATCH", "/whep/a", b"body"));
    assert!(!session.accepts(&mac, "PATCH", "/whep/a", b"body"), "replayed");
    // What the host says to it is known to be the host's, and to be said to this.
    let restarted = device.restart_mac((&nonce, offer, answer), 1, "/whep/a", "body", "told");
    assert_eq!(session.sign_answer(&mac, "/whep/a", b"body", b"told"), Some(restarted));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), text: String) {
        let _ = serde_json::from_slice::<FirstMessage>(&bytes);
        let _ = serde_json::from_slice::<SecondMessage>(&bytes);
        let _ = Connect::parse(&text);
        let _ = sampan_trust::normalised(&text);
    }

    #[test]
    fn any_texts_in_a_message_are_answered(
        name: String, device in "[A-Za-z0-9_-]{0,100}", ephemeral in "[A-Za-z0-9_-]{87}", nonce: String, exchange: String,
    ) {
        let mut host = Host::new();
        let (known, _) = host.code();
        let message = FirstMessage { id: known.id, name, device, ephemeral, nonce: nonce.clone() };
        prop_assert!(host.gate.first(&message, host.now).is_err());
        let message = SecondMessage { exchange: exchange.clone(), mac: nonce.clone() };
        prop_assert!(host.gate.second(&message, "192.0.2.7", host.now).is_err());
        let waits = host.gate.wait(&WaitMessage { exchange, mac: nonce }, host.now);
        prop_assert!(waits.is_err());
    }
}
