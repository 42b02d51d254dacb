//! What one machine's server decides by.

use crate::crypto::{MAC_BYTES, SIGNATURE_BYTES, Session, decode, digest, encode, equal, mac, random};
use crate::error::TrustError;
use crate::identity::Identity;
use crate::pairing::{
    Code, FirstAnswer, FirstMessage, NewDevice, Pairing, SecondMessage, Step, WaitMessage, device_id,
    is_signed,
};
use crate::sharing::{PairRequest, Rights};
use crate::store::Device;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a nonce can be used.
const NONCE_LIFETIME: Duration = Duration::from_secs(30);

/// Nonces that were used and are remembered until they are too old: only paired devices use any.
const MAX_USED: usize = 1024;

/// A moment: for spans, and as people are told it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By a clock that only goes on.
    pub at: Instant,
    /// In milliseconds since 1970.
    pub unix: u64,
}

/// What a device asks to be connected with: `DEVICE.NONCE.SIGNATURE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The device's id.
    pub device: String,
    nonce: [u8; NONCE_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

/// When it ends (milliseconds since the gate was made), random bytes, and a MAC of both: what was given out need not be kept.
const NONCE_BYTES: usize = 8 + 16 + 16;

impl Connect {
    /// Reads what a device sent.
    ///
    /// # Errors
    /// [`TrustError::Form`].
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let mut parts = text.split('.');
        let (Some(device), Some(nonce), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TrustError::Form("authorization"));
        };
        if device.len() != 16 || !device.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TrustError::Form("device"));
        }
        Ok(Self {
            device: device.to_owned(),
            nonce: decode(nonce).ok_or(TrustError::Form("nonce"))?,
            signature: decode(signature).ok_or(TrustError::Form("signature"))?,
        })
    }

    /// What the device signs.
    fn message(&self, host: &[u8; 32], offer: &[u8; 32]) -> Vec<u8> {
        [b"sampan offer 1".as_slice(), host, &self.nonce, offer].concat()
    }
}

/// An answer to an offer, as it goes back.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The host's signature over both.
    pub signature: String,
    /// What the viewer's later requests are known by.
    pub session: Session,
}

/// Decides who gets in. One for each server that others than this host can reach.
pub struct Gate {
    identity: Identity,
    pairing: Option<Pairing>,
    key: Result<[u8; 32], ()>,
    begun: Option<Instant>,
    /// Nonces that were used, with when they are too old.
    used: BTreeMap<[u8; NONCE_BYTES], Instant>,
}

impl Gate {
    /// A gate of this host.
    pub fn new(identity: &Identity) -> Self {
        Self {
            identity: identity.clone(),
            pairing: None,
            key: random().map_err(drop),
            begun: None,
            used: BTreeMap::new(),
        }
    }

    /// A new code; one that was there before counts no more.
    ///
    /// # Errors
    /// [`TrustError::Random`].
    pub fn pair(&mut self, now: Now) -> Result<Code, TrustError> {
        let pairing = Pairing::new(&self.identity, now)?;
        let code = pairing.code().clone();
        self.pairing = Some(pairing);
        Ok(code)
    }

    /// Until when a code can be used, in milliseconds since 1970; `None` where there is none.
    pub fn code_until(&self, now: Now) -> Option<u64> {
        self.pairing.as_ref()?.code_until(now)
    }

    /// The question to the owner.
    pub fn request(&self, now: Now) -> Option<PairRequest> {
        self.pairing.as_ref()?.request(now).cloned()
    }

    /// `POST /pair/1`.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn first(&mut self, message: &FirstMessage, now: Now) -> Result<FirstAnswer, TrustError> {
        self.pairing.as_mut().ok_or(TrustError::NoCode)?.first(&self.identity, message, now)
    }

    /// `POST /pair/2`, from `address`.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn second(&mut self, message: &SecondMessage, address: &str, now: Now) -> Result<Step, TrustError> {
        self.pairing.as_mut().ok_or(TrustError::NoCode)?.second(message, address, now)
    }

    /// `POST /pair/3`.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn wait(&self, message: &WaitMessage, now: Now) -> Result<Step, TrustError> {
        self.pairing.as_ref().ok_or(TrustError::NoCode)?.wait(message, now)
    }

    /// The device that a question is about, to be kept before it is let in.
    ///
    /// # Errors
    /// [`TrustError::NoRequest`].
    pub fn asked(&self, request: &str, now: Now) -> Result<NewDevice, TrustError> {
        self.pairing.as_ref().ok_or(TrustError::NoRequest)?.asked(request, now)
    }

    /// The owner has answered; no rights are a no.
    pub fn answered(&mut self, request: &str, rights: Rights) {
        if let Some(pairing) = &mut self.pairing {
            pairing.answered(request, rights);
        }
    }

    fn nonce_mac(&self, head: &[u8]) -> Result<[u8; MAC_BYTES], TrustError> {
        let key = self.key.as_ref().map_err(|()| TrustError::Random)?;
        Ok(mac(key, &[b"nonce", head]))
    }

    /// A number for one offer.
    ///
    /// # Errors
    /// [`TrustError::Random`].
    pub fn nonce(&mut self, now: Now) -> Result<String, TrustError> {
        let begun = *self.begun.get_or_insert(now.at);
        let end = now.at.saturating_duration_since(begun) + NONCE_LIFETIME;
        let end = u64::try_from(end.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
        let head = [end.as_slice(), &random::<16>()?].concat();
        let tag = self.nonce_mac(&head)?;
        Ok(encode(&[head.as_slice(), &tag[..16]].concat()))
    }

    /// Lets a paired device in with an offer, once.
    ///
    /// # Errors
    /// [`TrustError::StaleNonce`], [`TrustError::WrongSignature`].
    pub fn admit(
        &mut self,
        connect: &Connect,
        device: &Device,
        offer: &[u8],
        now: Now,
    ) -> Result<(), TrustError> {
        let (head, tag) = connect.nonce.split_at(24);
        if !equal(&self.nonce_mac(head)?[..16], tag) {
            return Err(TrustError::StaleNonce);
        }
        let mut end = [0; 8];
        end.copy_from_slice(&head[..8]);
        let begun = self.begun.ok_or(TrustError::StaleNonce)?;
        let end = begun + Duration::from_millis(u64::from_be_bytes(end));
        self.used.retain(|_, end| *end > now.at);
        if now.at >= end || self.used.contains_key(&connect.nonce) || self.used.len() >= MAX_USED {
            return Err(TrustError::StaleNonce);
        }
        let message = connect.message(self.identity.hash(), &digest(offer));
        if device.id() != connect.device || !is_signed(device.key(), &message, &connect.signature) {
            return Err(TrustError::WrongSignature);
        }
        self.used.insert(connect.nonce, end);
        Ok(())
    }

    /// Signs an answer to the offer of a device that was let in.
    ///
    /// # Errors
    /// [`TrustError::Random`].
    pub fn open(
        &self,
        connect: &Connect,
        device: &Device,
        offer: &[u8],
        answer: &[u8],
    ) -> Result<Opened, TrustError> {
        let (offer, answer) = (digest(offer), digest(answer));
        let message = [b"sampan answer 1".as_slice(), &offer, &answer].concat();
        Ok(Opened {
            signature: encode(&self.identity.sign(&message)?),
            session: Session::new(device.session(), &connect.nonce, &offer, &answer),
        })
    }
}

/// The id that a new device is going to have.
impl NewDevice {
    /// The beginning of its key's hash.
    pub fn id(&self) -> String {
        device_id(&self.key)
    }
}
