//! A message of every kind that this crate makes, for `docs/errors.md`.

use crate::client::ClientError;
use crate::socket::BindError;
use crate::wire::ParseError;
use sampan_message::{Coded, Message, samples as samples_of};
use std::io::{Error, ErrorKind};
use std::path::PathBuf;

fn of_client(last: &ClientError) -> Option<ClientError> {
    Some(match last {
        ClientError::Silent { .. } => ClientError::Gone,
        ClientError::Gone => ClientError::Unintelligible("EOF while parsing a value".into()),
        ClientError::Unintelligible(_) => ClientError::Name,
        ClientError::Name => ClientError::Io(Error::from(ErrorKind::BrokenPipe)),
        // What the machine refused with has its own code.
        ClientError::Io(_) | ClientError::Refused(_) => return None,
    })
}

fn of_bind(last: &BindError) -> Option<BindError> {
    let path = || PathBuf::from("/vms/debian/run/control");
    Some(match last {
        BindError::TooLong(_) => BindError::Taken(path()),
        BindError::Taken(_) => BindError::InUse(path()),
        BindError::InUse(_) => BindError::NoFolder(path()),
        BindError::NoFolder(_) => {
            BindError::Io { path: path(), source: Error::from(ErrorKind::PermissionDenied) }
        }
        BindError::Io { .. } => return None,
    })
}

/// A message of every kind that this crate makes.
#[doc(hidden)]
pub fn samples() -> Vec<Message> {
    let mut all = samples_of(ClientError::Silent { pid: Some(4242) }, of_client);
    all.extend(samples_of(BindError::TooLong("/vms/debian/run/control".into()), of_bind));
    all.push(ParseError::Version(1).message());
    all.push(ParseError::Invalid("missing field `command`".into()).message());
    all.extend(crate::server::samples());
    all
}
