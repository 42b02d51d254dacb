//! Why something is refused or differs: what completes the text of an error, one of a closed set of our own sentences.

use crate::Params;
use std::fmt;

/// A reason inside an error or a finding, with a stable code of its own. An error puts it among its values as `reason`,
/// beside the reason's own values, so that a translation of the error can choose among translations of the reason.
///
/// What another program, the system or a parser said is not one: it stays a text, `why`, which a translation quotes.
/// [`reasons!`](crate::reasons) makes an enum of them.
pub trait Reason: fmt::Display + Sized {
    /// Its name for programs, in snake case. It is never renamed.
    fn code(&self) -> &'static str;

    /// The values of its words.
    fn values(&self) -> Params;

    /// `reason`, its code, and the values of its words.
    fn params(&self) -> Params {
        self.values().with("reason", self.code())
    }

    /// One of each, in which samples stand for the values.
    fn all() -> Vec<Self>;
}

/// Whether every one of the reasons has a code of its own, and one in snake case. For a test.
pub fn are_distinct<R: Reason>() -> bool {
    let codes: Vec<&str> = R::all().iter().map(Reason::code).collect();
    let unique: std::collections::BTreeSet<&str> = codes.iter().copied().collect();
    let is_name = |code: &str| {
        code.starts_with(|c: char| c.is_ascii_lowercase())
            && code.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    !codes.is_empty() && codes.len() == unique.len() && codes.into_iter().all(is_name)
}

/// An enum of [`Reason`]s: of each its name, its values with a sample, its code and its words, which are a format string of
/// the values.
///
/// ```
/// sampan_message::reasons! {
///     /// Why a door stays shut.
///     pub enum Shut {
///         Locked => "locked", "it is locked";
///         Heavy { kilograms: u32 = 900 } => "heavy", "it weighs {kilograms} kg";
///     }
/// }
/// use sampan_message::{Params, Reason};
/// let heavy = Shut::Heavy { kilograms: 400 };
/// assert_eq!(heavy.to_string(), "it weighs 400 kg");
/// assert_eq!(heavy.params(), Params::of("reason", "heavy").with("kilograms", 400_u32));
/// assert!(sampan_message::are_distinct::<Shut>());
/// ```
#[macro_export]
macro_rules! reasons {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($variant:ident $({ $($value:ident: $type:ty = $sample:expr),+ $(,)? })? => $code:literal, $words:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis enum $name {
            $(#[doc = $words] $variant $({ $(#[doc = concat!("The `", stringify!($value), "` of the words.")] $value: $type),+ })?,)+
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$variant $({ $($value),+ })? => write!(f, $words),)+
                }
            }
        }

        impl $crate::Reason for $name {
            fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }

            fn values(&self) -> $crate::Params {
                let params = $crate::Params::new();
                match self.clone() {
                    $(Self::$variant $({ $($value),+ })? => params $($(.with(stringify!($value), $value))+)?,)+
                }
            }

            fn all() -> ::std::vec::Vec<Self> {
                ::std::vec![$(Self::$variant $({ $($value: $sample),+ })?),+]
            }
        }
    };
}
