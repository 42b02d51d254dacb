//! The codes of this crate's errors, and the values that their texts are made of. No password and no key is among them.

use crate::error::{Misfit, SeedError};
use crate::rule::{PasswordRule, ValueRule};
use crate::ssh_key::{KeyError, Why};
use sampan_message::{Coded, Message, Params, Reason, samples as samples_of};

impl SeedError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Value { field, value, rule } => {
                ("bad_value", Params::of("field", *field).with("value", &**value).with("rule", rule.code()))
            }
            Self::Password { rule } => ("bad_password", Params::of("rule", rule.code())),
            Self::Key { why } => why.parts(),
            Self::TooMany { field, count, limit } => {
                ("too_many", Params::of("what", *field).with("count", *count).with("most", *limit))
            }
            Self::File { name, why } => {
                ("seed_file_does_not_fit", Params::of("name", &**name).with("reason", why.name()))
            }
            Self::Random { why } => ("no_random_numbers", Params::of("why", &**why)),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Value { .. } => Self::Password { rule: PasswordRule::Typed },
            Self::Password { .. } => Self::Key { why: Why::Form },
            Self::Key { .. } => Self::TooMany { field: "packages", count: 200, limit: 100 },
            Self::TooMany { .. } => Self::File { name: "user-data".into(), why: Misfit::Size },
            Self::File { .. } => Self::Random { why: "operation not permitted".into() },
            Self::Random { .. } => return None,
        })
    }
}

impl KeyError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Private => ("private_key", Params::of("reason", "openssh")),
            Self::Putty => ("private_key", Params::of("reason", "putty")),
            Self::Form(form) => ("other_key_form", Params::of("form", *form)),
            Self::Other(what) => ("not_a_key", Params::of("reason", "other").with("what", &**what)),
            Self::Line { line, why } => {
                let (code, params) = why.parts();
                (code, params.with("line", *line))
            }
            Self::None => ("no_key", Params::new()),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Private => Self::Putty,
            Self::Putty => Self::Form("PEM"),
            Self::Form(_) => Self::Other("CERTIFICATE".into()),
            Self::Other(_) => Self::Line { line: 2, why: Why::Damaged },
            Self::Line { .. } => Self::None,
            Self::None => return None,
        })
    }
}

impl Why {
    fn parts(self) -> (&'static str, Params) {
        let code = match self {
            Self::Form | Self::Line => "not_a_key",
            Self::Option => "bad_key_option",
            Self::Dsa | Self::Short => "weak_key",
            Self::Base64 | Self::Type | Self::Damaged => "damaged_key",
        };
        (code, Params::of("reason", self.name()))
    }

    fn after(self) -> Option<Self> {
        Some(match self {
            Self::Form => Self::Option,
            Self::Option => Self::Dsa,
            Self::Dsa => Self::Base64,
            Self::Base64 => Self::Type,
            Self::Type => Self::Damaged,
            Self::Damaged => Self::Short,
            Self::Short => Self::Line,
            Self::Line => return None,
        })
    }
}

sampan_message::coded!(SeedError, KeyError, Why);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let value = SeedError::Value { field: "the user's name", value: "Ada".into(), rule: ValueRule::UserName };
    let mut all = samples_of(value, SeedError::after);
    all.extend(samples_of(KeyError::Private, KeyError::after));
    all.extend(samples_of(Why::Form, |why| why.after()));
    let value = |rule| SeedError::Value { field: "the user's name", value: "Ada".into(), rule }.message();
    all.extend(ValueRule::all().into_iter().map(value));
    all.extend(PasswordRule::all().into_iter().map(|rule| SeedError::Password { rule }.message()));
    let misfit = |why| SeedError::File { name: "user-data".into(), why }.message();
    all.extend([Misfit::Name, Misfit::Size, Misfit::Header, Misfit::Alike].map(misfit));
    all
}
