//! `org.qemu.Display1.Audio`: the machine's sound card, if it has one.
//!
//! QEMU calls one listener for each direction (`audio/dbusaudio.c`): [`audio_out`] takes what the guest plays, [`audio_in`] answers
//! what it records. There is always a listener for the latter: without one the guest records whatever QEMU's memory holds.

use crate::bus::{self, Member, PROPERTIES};
use crate::display::Tasks;
use crate::error::DisplayError;
use crate::fault::{DisplayFault, Faults};
use crate::{audio_in, audio_out};
use futures_util::StreamExt;
use sampan_audio::{Described, Input, Output, StreamError};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zbus::message::{Body, Flags, Type};
use zbus::{Connection, Message, MessageStream, Variant};

const PATH: &str = "/org/qemu/Display1/Audio";
const INTERFACE: &str = "org.qemu.Display1.Audio";
const REGISTER_OUT: Member =
    Member { interface: INTERFACE, name: "RegisterOutListener", text: "Audio.RegisterOutListener" };
const REGISTER_IN: Member =
    Member { interface: INTERFACE, name: "RegisterInListener", text: "Audio.RegisterInListener" };

const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";

/// Whether the guest uses its sound card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// It plays, be it silence.
    pub is_playing: bool,
    /// It records, be it silence.
    pub is_recording: bool,
}

/// A machine's sound. Clones are the same sound.
#[derive(Clone, Debug)]
pub struct Sound {
    output: Arc<Output>,
    input: Arc<Input>,
    activity: watch::Sender<Activity>,
}

impl Sound {
    fn new() -> Self {
        let activity = watch::Sender::new(Activity::default());
        let (plays, records) = (activity.clone(), activity.clone());
        Self {
            output: Output::new(move |on| plays.send_modify(|activity| activity.is_playing = on)),
            input: Input::new(move |on| records.send_modify(|activity| activity.is_recording = on)),
            activity,
        }
    }

    /// What the guest plays.
    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// What the guest records.
    pub fn input(&self) -> &Arc<Input> {
        &self.input
    }

    /// Whether the guest plays or records, and every change of that.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// The emulator calls no more.
    fn over(&self) {
        self.activity.send_replace(Activity::default());
    }
}

/// Registers both listeners, and has `tasks` serve each. `None` for a machine without sound.
pub(crate) async fn connect(
    connection: &Connection,
    patience: Duration,
    faults: &Arc<Faults>,
    tasks: &mut Tasks,
) -> Result<Option<Sound>, DisplayError> {
    if bus::properties_at(connection, PATH, INTERFACE).await.is_err() {
        // QEMU has the object where an audiodev was named together with the display.
        return Ok(None);
    }
    let sound = Sound::new();
    for (member, direction) in [(REGISTER_OUT, Direction::Out), (REGISTER_IN, Direction::In)] {
        let listener = register(connection, member, patience).await?;
        // Before anything else is asked: QEMU's main loop waits until the listener has told its properties.
        tasks.spawn(serve(listener, direction, sound.clone(), faults.clone()));
    }
    Ok(Some(sound))
}

/// As for a console's listener: QEMU's main loop waits while we authenticate.
async fn register(
    connection: &Connection,
    member: Member,
    patience: Duration,
) -> Result<(Connection, MessageStream), DisplayError> {
    let (ours, theirs) = UnixStream::pair()?;
    let registering = async {
        let theirs = zbus::Fd::from(OwnedFd::from(theirs));
        bus::call(connection, PATH, member, &theirs).await
    };
    let (_, listener) = tokio::try_join!(registering, bus::open(ours, bus::LARGEST_WORD, patience))?;
    Ok(listener)
}

#[derive(Clone, Copy)]
enum Direction {
    Out,
    In,
}

/// What a call is answered with, if it wants an answer.
pub(crate) enum Answer {
    Done,
    /// What was recorded.
    Bytes(Vec<u8>),
    /// The properties of an interface; these have none but `Interfaces`.
    Properties(HashMap<&'static str, Variant<'static>>),
    Refused(&'static str, String),
}

/// Answers one call after the other until the connection ends.
async fn serve(
    (connection, mut stream): (Connection, MessageStream),
    direction: Direction,
    sound: Sound,
    faults: Arc<Faults>,
) {
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() != Type::MethodCall {
            continue;
        }
        let answer = handle(&message, direction, &sound, &faults);
        if message.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED) {
            continue;
        }
        let header = message.header();
        let sent = match answer {
            Answer::Done => connection.reply(&header, &()).await,
            Answer::Bytes(bytes) => connection.reply(&header, &Bytes(&bytes)).await,
            Answer::Properties(all) => connection.reply(&header, &all).await,
            Answer::Refused(name, words) => connection.reply_error(&header, name, &words).await,
        };
        if sent.is_err() {
            break;
        }
    }
    sound.over();
}

fn handle(message: &Message, direction: Direction, sound: &Sound, faults: &Faults) -> Answer {
    let header = message.header();
    let interface = header.interface().map(|name| name.as_str());
    let member = header.member().map(|name| name.as_str()).unwrap_or_default();
    if interface == Some(PROPERTIES) {
        return match member {
            "GetAll" => {
                Answer::Properties(HashMap::from([("Interfaces", Variant::from(Vec::<String>::new()))]))
            }
            _ => Answer::Refused(UNKNOWN_METHOD, "there are no such properties here".into()),
        };
    }
    let body = message.body();
    let handled = match direction {
        Direction::Out => audio_out::handle(interface, member, &body, &sound.output),
        Direction::In => audio_in::handle(interface, member, &body, &sound.input, faults),
    };
    handled.unwrap_or_else(|fault| {
        faults.note(&fault);
        let name =
            if matches!(fault, DisplayFault::UnknownMember(_)) { UNKNOWN_METHOD } else { INVALID_ARGS };
        Answer::Refused(name, fault.to_string())
    })
}

/// What both listeners are called with.
pub(crate) enum Call<'m> {
    Init(u64, Described),
    Fini(u64),
    SetEnabled(u64, bool),
    SetVolume(u64, bool, &'m [u8]),
}

impl<'m> Call<'m> {
    /// Decodes a call that both listeners have; `None` for another member.
    pub(crate) fn decode(member: &str, body: &'m Body) -> Result<Option<Self>, DisplayFault> {
        use crate::call::arguments;
        Ok(Some(match member {
            "Init" => {
                let (
                    id,
                    bits,
                    is_signed,
                    is_float,
                    rate,
                    channels,
                    bytes_per_frame,
                    bytes_per_second,
                    is_big_endian,
                ) = arguments(member, body)?;
                let described = Described {
                    bits,
                    is_signed,
                    is_float,
                    rate,
                    channels,
                    bytes_per_frame,
                    bytes_per_second,
                    is_big_endian,
                };
                Self::Init(id, described)
            }
            "Fini" => Self::Fini(arguments(member, body)?),
            "SetEnabled" => {
                let (id, is_enabled) = arguments(member, body)?;
                Self::SetEnabled(id, is_enabled)
            }
            "SetVolume" => {
                let (id, is_muted, volume) = arguments(member, body)?;
                Self::SetVolume(id, is_muted, volume)
            }
            _ => return Ok(None),
        }))
    }
}

impl From<StreamError> for DisplayFault {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Format(_) | StreamError::TooMany => Self::SoundStream(error),
            StreamError::Unknown | StreamError::Size { .. } => Self::SoundData(error),
        }
    }
}

/// Bytes that are written at once, and not one by one.
struct Bytes<'a>(&'a [u8]);

impl serde::Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl zbus::Type for Bytes<'_> {
    const SIGNATURE: &'static zbus::Signature = <&[u8] as zbus::Type>::SIGNATURE;
}
