//! Who may see and drive a machine's screen from another device.
//!
//! Everything here is protocol and files: no sockets, no runtime, no clock of its own; moments are parameters.
//!
//! - [`Identity`] is the host's: a P-256 key and a certificate, one for a library, made once.
//! - [`Gate`] is what one machine's server decides by: a code that pairs one device, the question to the owner, offers that
//!   are signed, and what is signed in answer.
//! - [`Store`] keeps the identity, the paired [`Device`]s, and where machines were shown, in a folder of the owner's alone.
//! - [`sharing`] holds what is told of it, as it goes over the control socket.
//!
//! The cryptography is `ring`'s: ECDH and ECDSA on P-256, HKDF and HMAC by SHA-256. `docs/streaming.md` has every message
//! byte by byte.
//!
//! **Invariant:** who does not know a code gets no say, and knows no more after trying than before; a code serves one
//! device, once; what is kept for strangers is bounded.
//!
//! ```
//! use sampan_trust::{Gate, Identity, Now};
//! use std::time::Instant;
//!
//! let identity = Identity::generate().unwrap();
//! let mut gate = Gate::new(&identity);
//! let code = gate.pair(Now { at: Instant::now(), unix: 0 }).unwrap();
//! assert_eq!(code.words.split(' ').count(), 8);
//! assert!(code.url("https://192.0.2.1:4433").len() < 512);
//! ```
#![forbid(unsafe_code)]

mod crypto;
mod error;
mod gate;
mod ice;
mod identity;
mod pairing;
pub mod sharing;
mod store;
mod words;

pub use crypto::{MAC_BYTES, Session, digest};
pub use error::TrustError;
#[doc(hidden)]
pub use error::samples;
pub use gate::{Connect, Gate, Now, Opened};
pub use ice::{IceServer, MAX_ICE_SERVERS};
pub use identity::Identity;
pub use pairing::{
    ANSWER, Code, FirstAnswer, FirstMessage, LIFETIME, NewDevice, SecondMessage, Step, TRIES, WaitMessage,
};
pub use sharing::{Right, Rights};
pub use store::{Device, Place, Store};
pub use words::{normalised, words};
