//! The lines spoken on the virtio-serial port [`PORT`]: one JSON object each, commands in, messages out.
//!
//! `PROTOCOL.md` tells the same in words. Times are nanoseconds of the guest's `CLOCK_MONOTONIC`.

pub use crate::sound::{Heard, Tone};
use serde::{Deserialize, Serialize};

/// Name of the port.
pub const PORT: &str = "sampan.guest";
/// Version of the protocol, told in [`Message::Hello`].
pub const VERSION: u32 = 1;
/// Longest command line in bytes; a longer one is answered by an error.
pub const MAX_LINE: usize = 4096;

/// What the guest paints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// The screen at boot: keys, pointer, drawing, and a clock that ticks once a second.
    Desk,
    /// Nothing at all.
    Idle,
    /// A glyph for every key that goes down.
    Glyph,
    /// Text that moves up by 8 pixels a frame.
    Scroll,
    /// Every pixel changes in every frame.
    Full,
    /// A rectangle of moving picture that wanders.
    Rect,
}

/// A command from the host, with an optional `id` that comes back in the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
    /// Returned in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// What the host can ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub enum Command {
    /// Plays another workload.
    Workload {
        /// Which.
        name: Workload,
        /// Frames a second, 0 for as many as can be; [`Workload::default_fps`] when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fps: Option<u32>,
    },
    /// Asks for the guest's clock.
    Time,
    /// Asks for what the guest knows.
    State,
    /// Clears the drawing and the typed text.
    Clear,
    /// Takes a virtio network card out of the memory map and puts it back, so many times, while other CPUs read
    /// the HPET.
    Remap {
        /// How often.
        rounds: u32,
    },
    /// Mounts a folder of the host's, copies the file `to-guest` in it to `from-guest`, and unmounts it.
    Share {
        /// The folder's mount tag.
        tag: String,
    },
    /// Plays a tone to its end.
    Play(Tone),
    /// Records for so many milliseconds, and says what it was.
    Record {
        /// How long.
        ms: u32,
    },
    /// Powers the machine off.
    Poweroff,
    /// Restarts the machine.
    Reboot,
    /// Panics, to try what happens then.
    Panic,
}

/// What the guest says. Each form is known by the name of its first field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Message {
    /// The port was opened by the host.
    Hello {
        /// [`VERSION`].
        hello: u32,
        /// `x86_64`, `aarch64` or `x86`.
        arch: String,
    },
    /// A frame was painted and flushed.
    Paint {
        /// The frame's counter.
        paint: u32,
        /// Just before the display was told.
        t: u64,
        /// How long that call took, nanoseconds.
        d: u64,
        /// What changed: x, y, width, height.
        rect: [u32; 4],
        /// The key that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<u16>,
    },
    /// A key went down or up (repeats are left out).
    Key {
        /// evdev code.
        key: u16,
        /// Down or up.
        down: bool,
        /// When it was read.
        t: u64,
    },
    /// The pointer moved or a button changed.
    Pointer {
        /// Pixel.
        pointer: [u32; 2],
        /// Bit 0 left, 1 right, 2 middle, 3 side, 4 extra.
        buttons: u8,
        /// When it was read.
        t: u64,
    },
    /// The wheel turned.
    Wheel {
        /// Notches right and up, as evdev counts them.
        wheel: [i32; 2],
        /// When it was read.
        t: u64,
    },
    /// A finger touched, moved or left.
    Touch {
        /// Slot.
        touch: u32,
        /// Whether it touches.
        down: bool,
        /// Pixel.
        at: [u32; 2],
        /// When it was read.
        t: u64,
    },
    /// The screen has a new size (also told when the port opens).
    Size {
        /// Width and height in pixels.
        size: [u32; 2],
        /// When it was set.
        t: u64,
    },
    /// The displays are others than before.
    Displays {
        /// Width and height of each in pixels, from left to right.
        displays: Vec<[u32; 2]>,
        /// When they were found.
        t: u64,
    },
    /// Answer to [`Command::Time`].
    Time {
        /// The clock when the command was read.
        time_ns: u64,
        /// From the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// Answer to [`Command::State`].
    State {
        /// What the guest knows.
        state: State,
        /// From the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// Answer to every other command.
    Done {
        /// The command's name.
        done: String,
        /// When it was carried out.
        t: u64,
        /// From the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// Answer to [`Command::Record`].
    Heard {
        /// What was recorded.
        heard: Heard,
        /// From the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// Lines were lost because the host did not read.
    Dropped {
        /// How many.
        dropped: u64,
    },
    /// A command was not understood.
    Error {
        /// Why.
        error: String,
    },
}

/// What the guest knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What is played.
    pub workload: Workload,
    /// Frames a second asked for.
    pub fps: u32,
    /// The counter of the last frame.
    pub counter: u32,
    /// Width of the screen in pixels, 0 without one.
    pub width: u32,
    /// Height of the screen in pixels.
    pub height: u32,
    /// The kernel's driver of the display, empty without one.
    pub driver: String,
    /// Whether the pointer is on a cursor plane of its own (else it is drawn into the screen).
    pub cursor_plane: bool,
    /// The last key and whether it went down.
    pub key: Option<(u16, bool)>,
    /// Keys that are down.
    pub held: Vec<u16>,
    /// The text typed so far on the desk.
    pub text: String,
    /// The pointer's pixel.
    pub pointer: [u32; 2],
    /// Buttons as in [`Message::Pointer`].
    pub buttons: u8,
    /// Notches right and up since boot.
    pub wheel: [i32; 2],
    /// Where drawings stay: x, y, width, height.
    pub area: [u32; 4],
    /// Nanoseconds since boot.
    pub t: u64,
}

impl Workload {
    /// Frames a second when the command does not say.
    #[must_use]
    pub const fn default_fps(self) -> u32 {
        match self {
            Self::Desk | Self::Idle | Self::Glyph => 0,
            Self::Scroll | Self::Full | Self::Rect => 60,
        }
    }
}

impl Command {
    /// The command's name, as in the `cmd` field.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Workload { .. } => "workload",
            Self::Time => "time",
            Self::State => "state",
            Self::Clear => "clear",
            Self::Poweroff => "poweroff",
            Self::Reboot => "reboot",
            Self::Panic => "panic",
            Self::Remap { .. } => "remap",
            Self::Share { .. } => "share",
            Self::Play(_) => "play",
            Self::Record { .. } => "record",
        }
    }
}

/// Reads one line from the host.
///
/// # Errors
/// The words to answer when the line is no known command.
pub fn parse(line: &[u8]) -> Result<Request, String> {
    serde_json::from_slice(line).map_err(|error| format!("not a command: {error}"))
}

/// Writes one message as a line, with its line feed.
pub fn line(message: &Message, out: &mut Vec<u8>) {
    // A message holds only numbers, strings and lists of them: writing it to memory cannot fail.
    if serde_json::to_writer(&mut *out, message).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_documented() {
        let scroll = parse(br#"{"cmd":"workload","name":"scroll","fps":30,"id":7}"#);
        let expected =
            Request { command: Command::Workload { name: Workload::Scroll, fps: Some(30) }, id: Some(7) };
        assert_eq!(scroll, Ok(expected));
        assert_eq!(parse(br#"{"cmd":"time"}"#), Ok(Request { command: Command::Time, id: None }));
        for bad in [&b"{}"[..], b"", b"[", br#"{"cmd":"fly"}"#, br#"{"cmd":"workload","name":"x"}"#, b"\xff"]
        {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn messages_are_told_apart_by_their_first_field() {
        let state = State {
            workload: Workload::Idle,
            fps: 0,
            counter: 9,
            width: 640,
            height: 480,
            driver: "virtio_gpu".to_owned(),
            cursor_plane: true,
            key: Some((30, true)),
            held: vec![30],
            text: "a\"\\".to_owned(),
            pointer: [1, 2],
            buttons: 1,
            wheel: [0, -1],
            area: [0, 176, 640, 304],
            t: 3,
        };
        let all = [
            Message::Hello { hello: VERSION, arch: "x86_64".to_owned() },
            Message::Paint { paint: u32::MAX, t: u64::MAX, d: 0, rect: [0, 0, 320, 32], cause: Some(30) },
            Message::Paint { paint: 1, t: 2, d: 3, rect: [0; 4], cause: None },
            Message::Key { key: 30, down: true, t: 1 },
            Message::Pointer { pointer: [100, 200], buttons: 1, t: 1 },
            Message::Wheel { wheel: [0, -1], t: 1 },
            Message::Touch { touch: 0, down: true, at: [1, 2], t: 1 },
            Message::Size { size: [640, 480], t: 1 },
            Message::Displays { displays: vec![[640, 480], [800, 600]], t: 1 },
            Message::Time { time_ns: 5, id: Some(1) },
            Message::State { state, id: None },
            Message::Done { done: "workload".to_owned(), t: 1, id: None },
            Message::Dropped { dropped: 4 },
            Message::Error { error: "not a command".to_owned() },
        ];
        for message in all {
            let mut bytes = Vec::new();
            line(&message, &mut bytes);
            assert_eq!(bytes.iter().filter(|&&b| b == b'\n').count(), 1);
            assert_eq!(serde_json::from_slice::<Message>(&bytes).expect("reads back"), message);
        }
    }

    #[test]
    fn a_command_round_trips() {
        let request = Request { command: Command::Workload { name: Workload::Glyph, fps: None }, id: None };
        let text = serde_json::to_string(&request).expect("writes");
        assert_eq!(text, r#"{"cmd":"workload","name":"glyph"}"#);
        assert_eq!(parse(text.as_bytes()), Ok(request));
    }
}
