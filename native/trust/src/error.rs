//! Why a device is not let in, and why what is kept of devices cannot be read or written.

use sampan_message::{Message, Params, coded, io_code, samples as samples_of};
use std::path::PathBuf;

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The system gave no random bytes.
    #[error("the system gives no random numbers: nothing can be kept secret without them")]
    Random,
    /// What came is no message of this protocol.
    #[error("what the device sent cannot be understood ({0}): open the page anew")]
    Form(&'static str),
    /// There is no such code, or it is not to be had any more.
    #[error("this code is not valid any more: ask for a new one")]
    NoCode,
    /// A code that has been tried too often.
    #[error("this code was tried too often and is not valid any more: ask for a new one")]
    TooManyTries,
    /// Another device has used it.
    #[error("another device has used this code: ask for a new one")]
    CodeUsed,
    /// The device does not know the secret.
    #[error("the code is wrong: scan it again, or type its words as they are shown")]
    WrongCode,
    /// There is no such question to the owner.
    #[error("no device waits for this answer any more: have it ask again")]
    NoRequest,
    /// A device that is not known, or not any more.
    #[error("this device is not allowed to see the machine (any more): pair it again")]
    NotPaired,
    /// A nonce that is too old, made up or used.
    #[error("the connection was asked for with a number that is not valid any more: connect again")]
    StaleNonce,
    /// A signature that is not the device's.
    #[error("the connection was asked for with a wrong signature: connect again, or pair the device anew")]
    WrongSignature,
    /// There is no such device.
    #[error("there is no device {0}")]
    NoDevice(String),
    /// Several devices are called so.
    #[error("several devices are called {0}: name one by its id")]
    SeveralDevices(String),
    /// More devices than are kept.
    #[error("{0} devices are paired already: revoke one that is not needed any more")]
    TooManyDevices(usize),
    /// A server for ICE that browsers do not take.
    #[error("{url:?} is no server that a browser can use: {why}")]
    BadIceServer {
        /// As it was given.
        url: String,
        /// What does not fit.
        why: &'static str,
    },
    /// There is no such server for ICE.
    #[error("there is no server {0}")]
    NoIceServer(String),
    /// More servers for ICE than are kept.
    #[error("there are {0} servers already: remove one that is not needed any more")]
    TooManyIceServers(usize),
    /// A file that is not what we wrote.
    #[error("{}: this is not what Sampan wrote ({why}): move it away, and pair the devices anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl TrustError {
    fn parts(&self) -> (&'static str, Params) {
        let none = Params::new();
        match self {
            Self::Random => ("no_random_numbers", none),
            Self::Form(what) => ("bad_pairing_message", none.with("what", *what)),
            Self::NoCode => ("no_pairing_code", none),
            Self::TooManyTries => ("pairing_tried_too_often", none),
            Self::CodeUsed => ("pairing_code_used", none),
            Self::WrongCode => ("wrong_pairing_code", none),
            Self::NoRequest => ("no_pairing_request", none),
            Self::NotPaired => ("not_paired", none),
            Self::StaleNonce => ("stale_nonce", none),
            Self::WrongSignature => ("wrong_signature", none),
            Self::NoDevice(device) => ("no_device", none.with("device", device.as_str())),
            Self::SeveralDevices(device) => ("several_devices", none.with("device", device.as_str())),
            Self::TooManyDevices(most) => ("too_many_devices", none.with("most", *most)),
            Self::BadIceServer { url, why } => {
                ("bad_ice_server", none.with("url", url.as_str()).with("why", *why))
            }
            Self::NoIceServer(url) => ("no_ice_server", none.with("url", url.as_str())),
            Self::TooManyIceServers(most) => ("too_many_ice_servers", none.with("most", *most)),
            Self::Damaged { path, why } => {
                ("devices_damaged", none.with("path", path.as_path()).with("why", why.as_str()))
            }
            Self::Io { path, source } => {
                (io_code(source), none.with("path", path.as_path()).with("why", source.to_string()))
            }
        }
    }
}

coded!(TrustError);

fn after(error: &TrustError) -> Option<TrustError> {
    use TrustError as E;
    Some(match error {
        E::Random => E::Form("key"),
        E::Form(_) => E::NoCode,
        E::NoCode => E::TooManyTries,
        E::TooManyTries => E::CodeUsed,
        E::CodeUsed => E::WrongCode,
        E::WrongCode => E::NoRequest,
        E::NoRequest => E::NotPaired,
        E::NotPaired => E::StaleNonce,
        E::StaleNonce => E::WrongSignature,
        E::WrongSignature => E::NoDevice("phone".into()),
        E::NoDevice(_) => E::SeveralDevices("phone".into()),
        E::SeveralDevices(_) => E::TooManyDevices(crate::store::MAX_DEVICES),
        E::TooManyDevices(_) => E::BadIceServer {
            url: "http://example.org".into(),
            why: "it does not begin with stun:, turn: or turns:",
        },
        E::BadIceServer { .. } => E::NoIceServer("turn:example.org".into()),
        E::NoIceServer(_) => E::TooManyIceServers(crate::ice::MAX_ICE_SERVERS),
        E::TooManyIceServers(_) => {
            E::Damaged { path: "/library/stream/devices.json".into(), why: "EOF while parsing".into() }
        }
        E::Damaged { .. } => {
            let source = std::io::ErrorKind::BrokenPipe.into();
            E::Io { path: "/library/stream/devices.json".into(), source }
        }
        E::Io { .. } => return None,
    })
}

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    samples_of(TrustError::Random, after)
}
