//! The host's identity: a key, and the certificate that devices recognise it by.

use crate::crypto::{SIGNATURE_BYTES, digest};
use crate::error::TrustError;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::sync::Arc;

/// Who the host is, for all its machines. Clones are the same one.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    key: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    certificate: Vec<u8>,
    hash: [u8; 32],
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// [`TrustError::Random`].
    pub fn generate() -> Result<Self, TrustError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| TrustError::Random)?;
        let certificate = self_signed(pkcs8.as_ref()).ok_or(TrustError::Random)?;
        Self::of(pkcs8.as_ref().to_vec(), certificate).ok_or(TrustError::Random)
    }

    /// One that was made before: the key as PKCS #8 and the certificate, both in DER.
    pub(crate) fn of(pkcs8: Vec<u8>, certificate: Vec<u8>) -> Option<Self> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).ok()?;
        // The certificate is the key's: its public key stands in it as it is.
        let public = key.public_key().as_ref();
        if !certificate.windows(public.len()).any(|part| part == public) {
            return None;
        }
        let hash = digest(&certificate);
        Some(Self(Arc::new(Inner { key, pkcs8, certificate, hash })))
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.0.certificate
    }

    /// The key as PKCS #8 in DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0.pkcs8
    }

    /// The certificate's SHA-256, which is the host's id.
    pub fn hash(&self) -> &[u8; 32] {
        &self.0.hash
    }

    /// The same in the form in which browsers show it: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        let pairs: Vec<String> = self.0.hash.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// The public key: a point, uncompressed.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.key.public_key().as_ref()
    }

    /// Signs `message` (ECDSA on P-256 by SHA-256, r and s).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], TrustError> {
        let signature = self.0.key.sign(&SystemRandom::new(), message).map_err(|_| TrustError::Random)?;
        signature.as_ref().try_into().map_err(|_| TrustError::Random)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

/// A certificate that says nothing but its key. No browser finds a name of a local address in it, or an issuer that it knows:
/// a person accepts it once, and devices recognise it by its hash.
fn self_signed(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let key = KeyPair::try_from(pkcs8).ok()?;
    let mut params = CertificateParams::new(vec!["sampan.invalid".to_owned()]).ok()?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Sampan");
    params.distinguished_name = name;
    // Whoever recognises it does so by its hash, at whatever time it is.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    Some(params.self_signed(&key).ok()?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_its_key_and_certificate() {
        let made = Identity::generate().expect("is made");
        let again = Identity::of(made.pkcs8().to_vec(), made.certificate().to_vec()).expect("is the same");
        assert_eq!(made.hash(), again.hash());
        assert_eq!(made.fingerprint().len(), 95);
        let other = Identity::generate().expect("is made");
        assert!(Identity::of(made.pkcs8().to_vec(), other.certificate().to_vec()).is_none());
        assert!(Identity::of(b"no key".to_vec(), made.certificate().to_vec()).is_none());
    }
}
