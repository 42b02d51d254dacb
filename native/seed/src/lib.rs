//! Seeds: what a system reads at its first start to set itself up, on a small CD image built without other programs.
//!
//! [`Seed`] is for Linux and BSD images with cloud-init, [`WindowsAnswers`] for Windows Setup.
//!
//! **Invariant:** pure and deterministic, but for a password's salt; no value becomes a key, an element or a command.
//!
//! ```
//! use sampan_seed::{PasswordHash, Seed, User};
//!
//! let user = User {
//!     name: "ada".into(),
//!     password: Some(PasswordHash::new("secret")?),
//!     ssh_keys: vec![],
//!     sudo: true,
//!     shell: None,
//! };
//! let seed = Seed { instance: "vm-1".into(), hostname: "box".into(), user: Some(user), ..Seed::default() };
//! let image = seed.image()?;
//! assert!(image.len() < 100_000);
//! # Ok::<(), sampan_seed::SeedError>(())
//! ```
//!
//! `docs/seeds.md` tells which guest reads what, and what is not proven.
#![forbid(unsafe_code)]

mod cloud;
mod codes;
mod error;
pub mod iso;
mod password;
mod rule;
mod ssh_key;
mod windows;
mod xml;
mod yaml;

pub use cloud::{Keyboard, Seed, StaticNetwork, User, for_copy};
#[doc(hidden)]
pub use codes::samples;
pub use error::{Misfit, SeedError};
pub use password::PasswordHash;
pub use rule::{PasswordRule, ValueRule};
pub use ssh_key::{KeyError, Why as KeyFault, ssh_keys};
pub use windows::{DiskLayout, Processor, WindowsAnswers};
