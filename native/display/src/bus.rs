//! D-Bus peer to peer, without a bus: authentication, calls and properties.

use crate::auth;
use crate::error::DisplayError;
use crate::wire::Wire;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zbus::connection::Builder;
use zbus::message::{Flags, Sequence};
use zbus::{Connection, DynamicType, Message, MessageStream, OwnedVariant, Variant};

/// How many received messages may wait. With the one being read and the one being handled it bounds the memory
/// of a flood; more would only make pictures older.
const QUEUE: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

/// The longest message about pictures: a D-Bus array of 64 MiB and its header.
pub(crate) const LARGEST_PICTURE: u64 = (64 << 20) + (64 << 10);

/// The longest message about anything else: properties and the answers to input.
pub(crate) const LARGEST_WORD: u64 = 1 << 20;

pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The properties of an interface.
pub(crate) type Properties = HashMap<String, OwnedVariant>;

/// Authenticates as the client and starts reading. No message is lost: the stream exists before the first is read.
///
/// `largest` is the longest message that is taken, in bytes; a longer one ends the connection.
pub(crate) async fn open(
    socket: UnixStream,
    largest: u64,
    patience: Duration,
) -> Result<(Connection, MessageStream), DisplayError> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(socket)?;
    let greeting = tokio::time::timeout(patience, auth::authenticate(&socket));
    let guid = greeting.await.map_err(|_| DisplayError::Silent)??;
    let builder = Builder::authenticated_socket(Wire::new(socket, largest), guid);
    let stream = builder.p2p().max_queued(QUEUE).method_timeout(patience).build_message_stream().await?;
    Ok((Connection::from(&stream), stream))
}

/// An interface's member, as `interface member`, for calls and their errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) interface: &'static str,
    pub(crate) name: &'static str,
    /// Both, for messages to people.
    pub(crate) text: &'static str,
}

/// Calls and waits for the answer.
pub(crate) async fn call<B>(
    connection: &Connection,
    path: &str,
    member: Member,
    body: &B,
) -> Result<Message, DisplayError>
where
    B: serde::Serialize + DynamicType,
{
    let reply = connection.call_method(None::<&str>, path, Some(member.interface), member.name, body).await;
    reply.map_err(|e| refused(member.text, e))
}

/// Calls without asking for an answer.
pub(crate) async fn cast<B>(
    connection: &Connection,
    path: &str,
    member: Member,
    body: &B,
) -> Result<(), DisplayError>
where
    B: serde::Serialize + DynamicType,
{
    let message = Message::method_call(path, member.name)
        .interface(member.interface)
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(body)?;
    Ok(connection.send(&message).await?)
}

/// All properties of an interface, and when they came, to be compared with changes.
pub(crate) async fn properties_at(
    connection: &Connection,
    path: &str,
    interface: &'static str,
) -> Result<(Properties, Sequence), DisplayError> {
    let reply = connection.call_method(None::<&str>, path, Some(PROPERTIES), "GetAll", &interface).await;
    let reply = reply.map_err(|e| refused(interface, e))?;
    Ok((reply.body().deserialize()?, reply.recv_position()))
}

/// A property of the type that is wanted, if it is there.
pub(crate) fn property<'a, T>(properties: &'a Properties, name: &str) -> Option<T>
where
    T: TryFrom<&'a Variant<'a>>,
{
    properties.get(name).and_then(|value| T::try_from(value).ok())
}

fn refused(call: &'static str, error: zbus::Error) -> DisplayError {
    match error {
        zbus::Error::MethodError(name, words, _) => {
            DisplayError::Refused { call, reason: words.unwrap_or_else(|| name.to_string()) }
        }
        zbus::Error::FDO(e) => DisplayError::Refused { call, reason: e.to_string() },
        zbus::Error::InputOutput(e) if e.kind() == std::io::ErrorKind::TimedOut => DisplayError::Silent,
        other => DisplayError::Bus(other),
    }
}
