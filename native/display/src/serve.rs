//! Answers what QEMU calls on a listener's connection, one call after the other.

use crate::bus::PROPERTIES;
use crate::call::Call;
use crate::fault::{DisplayFault, Faults};
use crate::listener::{INTERFACE, INTERFACES, PATH};
use crate::picture::Picture;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;
use zbus::message::{Flags, Type};
use zbus::{Connection, Message, MessageStream, Variant};

const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";
const PEER: &str = "org.freedesktop.DBus.Peer";

/// What a call is answered with, if it wants an answer.
enum Answer {
    Done,
    Properties(HashMap<&'static str, Variant<'static>>),
    Property(Variant<'static>),
    Error(&'static str, String),
}

/// Handles calls until the connection ends.
pub(crate) async fn serve(
    connection: Connection,
    mut stream: MessageStream,
    mut picture: Picture,
    faults: Arc<Faults>,
) {
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() != Type::MethodCall {
            continue;
        }
        let answer = handle(&message, &mut picture, &faults);
        if message.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED) {
            continue;
        }
        // The only wait in this loop, and only where the peer asked for the answer: if it does not read, it is
        // its own calls that wait.
        if send(&connection, &message, answer).await.is_err() {
            break;
        }
    }
}

fn handle(message: &Message, picture: &mut Picture, faults: &Faults) -> Answer {
    let header = message.header();
    let interface = header.interface().map(|name| name.as_str());
    let member = header.member().map(|name| name.as_str()).unwrap_or_default();
    match (interface, member) {
        (Some(PROPERTIES), _) => return property(message, member),
        (Some(PEER), "Ping") => return Answer::Done,
        _ => {}
    }
    if header.path().is_none_or(|path| path.as_str() != PATH) {
        faults.note(&DisplayFault::UnknownMember(member.to_owned()));
        return Answer::Error(UNKNOWN_OBJECT, format!("the only object here is {PATH}"));
    }
    let body = message.body();
    match Call::decode(interface, member, &body).and_then(|call| picture.apply(call)) {
        Ok(()) => Answer::Done,
        Err(fault) => {
            faults.note(&fault);
            let name =
                if matches!(fault, DisplayFault::UnknownMember(_)) { UNKNOWN_METHOD } else { INVALID_ARGS };
            Answer::Error(name, fault.to_string())
        }
    }
}

fn property(message: &Message, member: &str) -> Answer {
    let body = message.body();
    let interfaces = || Variant::from(INTERFACES.map(String::from).to_vec());
    match member {
        "GetAll" => match body.deserialize::<&str>() {
            Ok(INTERFACE) => Answer::Properties(HashMap::from([("Interfaces", interfaces())])),
            // Map has no properties, but QEMU asks; so may others.
            Ok(_) => Answer::Properties(HashMap::new()),
            Err(e) => Answer::Error(INVALID_ARGS, e.to_string()),
        },
        "Get" => match body.deserialize::<(&str, &str)>() {
            Ok((INTERFACE, "Interfaces")) => Answer::Property(interfaces()),
            _ => Answer::Error(INVALID_ARGS, "the only property here is Interfaces".into()),
        },
        _ => Answer::Error(UNKNOWN_METHOD, "the properties here are read-only".into()),
    }
}

async fn send(connection: &Connection, call: &Message, answer: Answer) -> zbus::Result<()> {
    let header = call.header();
    match answer {
        Answer::Done => connection.reply(&header, &()).await,
        Answer::Properties(all) => connection.reply(&header, &all).await,
        Answer::Property(value) => connection.reply(&header, &value).await,
        Answer::Error(name, words) => connection.reply_error(&header, name, &words).await,
    }
}
