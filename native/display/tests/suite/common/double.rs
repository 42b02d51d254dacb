//! A peer that speaks D-Bus as QEMU does, and says what a test wants it to say.

use futures_util::StreamExt;
use sampan_display::{Display, DisplayError};
use sampan_frame::Staging;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use zbus::connection::Builder;
use zbus::message::{Flags, Type};
use zbus::{Connection, DynamicType, Guid, Message, MessageStream, Variant};

pub const LISTENER: &str = "org.qemu.Display1.Listener";
pub const MAP: &str = "org.qemu.Display1.Listener.Unix.Map";
pub const PATH: &str = "/org/qemu/Display1/Listener";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

pub const BGRX: u32 = 0x2002_0888;

/// How the double behaves while it is connected to.
#[derive(Clone, Debug)]
pub struct Manners {
    pub consoles: Vec<u32>,
    pub width: u32,
    pub height: u32,
    /// Waits so long before it answers the listener's authentication.
    pub slow: Duration,
    /// Refuses RegisterListener.
    pub refuse: bool,
    /// Keeps the listener's socket for the test, without authentication.
    pub raw: bool,
    /// Has a sound card.
    pub sound: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            consoles: vec![0],
            width: 64,
            height: 48,
            slow: Duration::ZERO,
            refuse: false,
            raw: false,
            sound: false,
        }
    }
}

/// The double, once it is connected.
pub struct Double {
    pub main: Connection,
    /// The connection of the last console's listener.
    pub listener: Option<Connection>,
    /// The same as a bare socket, for [`Manners::raw`].
    pub socket: Option<UnixStream>,
    /// What was called on its consoles: member and arguments.
    pub calls: Arc<Mutex<Vec<String>>>,
    /// The connections of the listeners of sound: out, then in.
    pub sound: Arc<Mutex<Vec<Connection>>>,
}

enum Listening {
    Bus(Connection),
    Raw(UnixStream),
}

pub async fn connect(manners: Manners) -> (Double, Result<Display, DisplayError>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let calls = Arc::<Mutex<Vec<String>>>::default();
    let sound = Arc::<Mutex<Vec<Connection>>>::default();
    let (tell, told) = oneshot::channel();
    let wants = manners.consoles.len();
    let served = tokio::spawn({
        let (calls, sound) = (calls.clone(), sound.clone());
        async move {
            let stream = Builder::unix_stream(theirs)
                .p2p()
                .server(Guid::generate())
                .build_message_stream()
                .await
                .unwrap();
            let main = Connection::from(&stream);
            tokio::spawn(serve(stream, main.clone(), manners, calls, sound, tell));
            main
        }
    });
    let display = tokio::time::timeout(super::PATIENCE, Display::connect(ours)).await.expect("an end");
    let main = served.await.unwrap();
    let mut double = Double { main, listener: None, socket: None, calls, sound };
    if display.is_ok() && wants > 0 {
        match told.await {
            Ok(Listening::Bus(connection)) => double.listener = Some(connection),
            Ok(Listening::Raw(socket)) => double.socket = Some(socket),
            Err(_) => {}
        }
    }
    (double, display)
}

/// A double and a display that get on well.
pub async fn connected(manners: Manners) -> (Double, Display) {
    let (double, display) = connect(manners).await;
    (double, display.unwrap())
}

async fn serve(
    mut stream: MessageStream,
    main: Connection,
    manners: Manners,
    calls: Arc<Mutex<Vec<String>>>,
    sound: Arc<Mutex<Vec<Connection>>>,
    tell: oneshot::Sender<Listening>,
) {
    let mut tell = Some(tell);
    // As many as are registered of however many there are.
    let mut left = manners.consoles.len().min(24);
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() != Type::MethodCall {
            continue;
        }
        let header = message.header();
        let member = header.member().unwrap().as_str().to_owned();
        let body = message.body();
        match member.as_str() {
            "GetAll" => {
                let interface: &str = body.deserialize().unwrap();
                if interface == "org.qemu.Display1.Audio" && !manners.sound {
                    let name = "org.freedesktop.DBus.Error.UnknownMethod";
                    main.reply_error(&header, name, &"no such object").await.unwrap();
                    continue;
                }
                main.reply(&header, &properties(interface, &manners)).await.unwrap();
            }
            "RegisterListener" if manners.refuse => {
                let name = "org.qemu.Display1.Error.Failed";
                main.reply_error(&header, name, &"this double does not want to").await.unwrap();
            }
            "RegisterListener" => {
                let fd: zbus::OwnedFd = body.deserialize().unwrap();
                let socket = UnixStream::from(OwnedFd::from(fd));
                tokio::time::sleep(manners.slow).await;
                left = left.saturating_sub(1);
                let listening = if manners.raw {
                    main.reply(&header, &()).await.unwrap();
                    Listening::Raw(tokio::task::spawn_blocking(|| authenticate(socket)).await.unwrap())
                } else {
                    main.reply(&header, &()).await.unwrap();
                    tokio::time::sleep(manners.slow).await;
                    let built = Builder::unix_stream(socket).p2p().server(Guid::generate()).build().await;
                    Listening::Bus(built.unwrap())
                };
                if left == 0
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(listening);
                }
            }
            "RegisterOutListener" | "RegisterInListener" => {
                let fd: zbus::OwnedFd = body.deserialize().unwrap();
                let socket = UnixStream::from(OwnedFd::from(fd));
                main.reply(&header, &()).await.unwrap();
                let built = Builder::unix_stream(socket).p2p().server(Guid::generate()).build().await;
                sound.lock().unwrap().push(built.unwrap());
            }
            _ => {
                let arguments = arguments(&message);
                calls.lock().unwrap().push(format!("{member}{arguments}"));
                if !message.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED) {
                    main.reply(&header, &()).await.unwrap();
                }
            }
        }
    }
}

fn arguments(message: &Message) -> String {
    let body = message.body();
    match body.signature().to_string().as_str() {
        "u" => format!("({})", body.deserialize::<u32>().unwrap()),
        "(uu)" | "uu" => format!("{:?}", body.deserialize::<(u32, u32)>().unwrap()),
        "(ii)" | "ii" => format!("{:?}", body.deserialize::<(i32, i32)>().unwrap()),
        "(utdd)" | "utdd" => format!("{:?}", body.deserialize::<(u32, u64, f64, f64)>().unwrap()),
        other => format!("({other})"),
    }
}

fn properties(interface: &str, manners: &Manners) -> HashMap<&'static str, Variant<'static>> {
    match interface {
        "org.qemu.Display1.VM" => HashMap::from([
            ("Name", Variant::from("double")),
            ("UUID", Variant::from("00000000-0000-0000-0000-000000000000")),
            ("ConsoleIDs", Variant::from(manners.consoles.clone())),
        ]),
        "org.qemu.Display1.Console" => HashMap::from([
            ("Label", Variant::from("double")),
            ("Head", Variant::from(0u32)),
            ("Type", Variant::from("Graphic")),
            ("Width", Variant::from(manners.width)),
            ("Height", Variant::from(manners.height)),
        ]),
        "org.qemu.Display1.Mouse" => HashMap::from([("IsAbsolute", Variant::from(false))]),
        "org.qemu.Display1.MultiTouch" => HashMap::from([("MaxSlots", Variant::from(10i32))]),
        _ => HashMap::new(),
    }
}

/// The server's side of the handshake by hand, for a test that goes on by hand.
fn authenticate(mut socket: UnixStream) -> UnixStream {
    socket.set_nonblocking(false).unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"BEGIN\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    socket.write_all(b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n").unwrap();
    socket
}

impl Double {
    pub fn listener(&self) -> &Connection {
        self.listener.as_ref().expect("a listener")
    }

    /// Calls the listener and waits for its answer, whose error words it returns.
    pub async fn call<B>(&self, interface: &str, member: &str, body: &B) -> Result<(), String>
    where
        B: serde::Serialize + DynamicType,
    {
        let call = self.listener().call_method(None::<&str>, PATH, Some(interface), member, body);
        let answer = tokio::time::timeout(super::PATIENCE, call).await.expect("an answer");
        answer.map(drop).map_err(|e| e.to_string())
    }

    /// Calls the listener as QEMU does, without asking for an answer.
    pub async fn cast<B>(&self, interface: &str, member: &str, body: &B)
    where
        B: serde::Serialize + DynamicType,
    {
        let message = Message::method_call(PATH, member)
            .interface(interface)
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .build(body)
            .unwrap();
        self.listener().send(&message).await.unwrap();
    }

    /// Says that properties of a console changed.
    pub async fn change(&self, interface: &str, changes: &[(&str, Variant<'_>)]) {
        let changes: HashMap<&str, &Variant<'_>> = changes.iter().map(|(k, v)| (*k, v)).collect();
        let body = (interface, changes, Vec::<&str>::new());
        let path = "/org/qemu/Display1/Console_0";
        self.main.emit_signal(None::<&str>, path, PROPERTIES, "PropertiesChanged", &body).await.unwrap();
    }

    /// What was called so far, which is forgotten then.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

/// Pixels written at once; a slice would be written byte by byte.
#[derive(Debug)]
pub struct Pixels<'a>(pub &'a [u8]);

impl serde::Serialize for Pixels<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl zbus::Type for Pixels<'_> {
    const SIGNATURE: &'static zbus::Signature = <&[u8] as zbus::Type>::SIGNATURE;
}

/// A shared file of these bytes.
pub fn memfd(bytes: &[u8]) -> File {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = File::from(memfd_create("double", MFdFlags::empty()).unwrap());
    file.write_all_at(bytes, 0).unwrap();
    file
}

pub fn pixel(staging: &Staging, x: u32, y: u32) -> [u8; 4] {
    staging.row(y)[x as usize * 4..][..4].try_into().unwrap()
}
