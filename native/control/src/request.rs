//! What a machine is asked or told.

use sampan_config::Mode;
use sampan_trust::Rights;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// One request. Bytes are base64 on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// The machine's condition. [`Reply::Status`](crate::Reply::Status).
    Status,
    /// The machine's condition now and after every change, until the connection closes. While nothing changes a space is
    /// sent every two seconds.
    Watch,
    /// What a display shows. [`Reply::Picture`](crate::Reply::Picture).
    Screenshot {
        /// Its number, from 1; without it the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<NonZeroU32>,
    },
    /// The same, made small for a list. [`Reply::Picture`](crate::Reply::Picture).
    Thumbnail {
        /// The most pixels from left to right.
        width: u32,
    },
    /// Type a text on the guest's keyboard: all of it or nothing. One with characters that it does not have is pasted, where the
    /// guest has a clipboard agent.
    Type {
        /// The text.
        text: String,
    },
    /// Press keys in this order and release them in the opposite one.
    Key {
        /// QEMU's names or their aliases (`native/input/keys.csv`).
        names: Vec<String>,
    },
    /// Put an absolute pointer on a pixel.
    Pointer {
        /// Pixels from the left edge.
        x: u32,
        /// Pixels from the top edge.
        y: u32,
    },
    /// Press a button and release it.
    Click {
        /// `left`, `middle`, `right`, `side` or `extra`.
        button: String,
    },
    /// Turn the wheel.
    Wheel {
        /// Notches towards the user.
        notches: i32,
    },
    /// Tell the guest the size of its screen; its driver may follow.
    Resize {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
    },
    /// Halt the CPUs.
    Pause,
    /// Let the CPUs run.
    Resume,
    /// Press the reset button. After the guest's power-off this starts it again.
    Reset,
    /// Press the power button, and ask the guest's agent: the guest shuts down when it is ready to.
    Powerdown,
    /// End the machine. The answer comes when it has ended.
    Quit,
    /// Turn this connection into the machine's serial port.
    Console,
    /// Save the memory to the bundle and end the machine; the next start goes on from there.
    Suspend,
    /// Keep the machine as it is now. [`Reply::Snapshot`](crate::Reply::Snapshot).
    Snapshot {
        /// Its name.
        name: String,
        /// A remark.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// Whether the memory is left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        disks_only: bool,
    },
    /// Change a snapshot's name and note.
    SnapshotEdit {
        /// Its id.
        snapshot: String,
        /// Its new name.
        name: String,
        /// Its new note.
        note: String,
    },
    /// Forget a snapshot.
    SnapshotDelete {
        /// Its id.
        snapshot: String,
    },
    /// Give the machine another name.
    Rename {
        /// The new name.
        name: String,
    },
    /// Change the machine's description. [`Reply::Applied`](crate::Reply::Applied).
    Configure {
        /// All of it: each section's JSON text by its file's name, as the bundle has them.
        sections: BTreeMap<String, String>,
    },
    /// Put a medium into a CD or floppy drive in the place of what is there, or take that out.
    Insert {
        /// The drive's id.
        drive: String,
        /// A medium of the library; without one the drive is emptied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        medium: Option<String>,
        /// Whether a guest that holds what is there is not asked to let go of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Make a disk larger.
    Grow {
        /// The drive's id.
        drive: String,
        /// Bytes, no fewer than it has.
        size: u64,
    },
    /// Lead ports of the host to the guest, now and at later starts.
    ForwardAdd {
        /// As `tcp:127.0.0.1:2222:22`.
        forward: String,
    },
    /// Take a forward away.
    ForwardRemove {
        /// As it was added.
        forward: String,
    },
    /// Change the performance mode, now and for later starts. [`Reply::Effect`](crate::Reply::Effect).
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// Say whether nobody looks at the machine. [`Reply::Effect`](crate::Reply::Effect).
    Background {
        /// True if nobody does.
        on: bool,
    },
    /// Set the password of the machine's VNC server.
    VncPassword {
        /// One to eight printable ASCII characters.
        password: String,
    },
    /// Run a program in the guest, by its agent. [`Reply::Execution`](crate::Reply::Execution).
    Exec {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What it reads on stdin, in base64.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stdin: String,
        /// How long it may run, in seconds.
        timeout: u64,
    },
    /// Copy a file into the guest. [`Reply::Copied`](crate::Reply::Copied).
    Push {
        /// The file on this host, by its full name.
        from: PathBuf,
        /// The file in the guest, which is replaced, by the guest agent. Without it the file is for whoever uses the guest's desktop: it
        /// goes to their downloads, or, where no desktop's agent answers, by the guest agent to a folder that all can read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// What it is called in the guest, where `to` does not say; otherwise as it is called here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Copy a file out of the guest, by its agent. [`Reply::Copied`](crate::Reply::Copied).
    Pull {
        /// The file in the guest.
        from: String,
        /// The file on this host, by its full name; it must not exist yet.
        to: PathBuf,
    },
    /// Who answers in the guest. [`Reply::Agent`](crate::Reply::Agent).
    Agent,
    /// What is in the guest's clipboard: the program in the guest that has it is asked now. [`Reply::Clipboard`](crate::Reply::Clipboard).
    ClipboardGet {
        /// Of which kind.
        kind: ClipboardKind,
    },
    /// Let the guest's programs paste something, until one of them copies something else.
    ClipboardSet {
        /// What it is.
        kind: ClipboardKind,
        /// It, in base64.
        data: String,
        /// Whether its source marked it as secret. Such is refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        secret: bool,
    },
    /// Show the screen to other devices, too, until the machine ends. [`Reply::Sharing`](crate::Reply::Sharing).
    StreamOn {
        /// One of this host's addresses; without one the one that leads out, or the one it was before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// The port; without one the one it was before, else any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// Whether it is shown again at later starts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lasting: bool,
    },
    /// Show it no more, now and at later starts; who sees it is sent away.
    StreamOff,
    /// Make a code that pairs one device. [`Reply::PairCode`](crate::Reply::PairCode).
    StreamPair,
    /// Answer a device that has used the code.
    StreamAnswer {
        /// The question's id.
        request: String,
        /// What the device may do; nothing is a no.
        rights: Rights,
    },
    /// Send a viewer away; its device may come again.
    StreamKick {
        /// The viewer's number.
        viewer: String,
    },
    /// Hand control of the guest to a viewer: from then on nobody else's input is taken.
    StreamGive {
        /// The viewer's number.
        viewer: String,
    },
    /// A device was revoked: send its viewers away.
    StreamRevoked {
        /// The device's id.
        device: String,
    },
    /// Publish the stream to a media server, until the machine ends, in the place of one from before. The answer comes when the server has taken
    /// it or not. [`Reply::Publishing`](crate::Reply::Publishing).
    StreamPublish {
        /// The server's WHIP address.
        url: String,
        /// The token that the server wants.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Whether plain http is taken for a server that is not this host.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        plain_http: bool,
        /// A PEM file, by its full name, with certificates that are trusted besides Mozilla's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<PathBuf>,
    },
    /// Publish it no more; the server is told.
    StreamUnpublish,
    /// Change how loud the machine is for everybody who listens, and whether the guest may listen to the microphone: now, and for
    /// later starts of a machine of the library. What is left out stays.
    Sound {
        /// The volume in per cent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume: Option<u8>,
        /// Whether it is silent, whatever its volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        muted: Option<bool>,
        /// Whether the guest may listen to the microphone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        microphone: Option<bool>,
    },
    /// Turn this connection into the machine's sound: see [`SoundStream`](crate::SoundStream).
    SoundStream {
        /// Whether the client hears what the guest plays.
        play: bool,
        /// Whether the guest hears what the client sends.
        record: bool,
    },
}

/// A kind of what a clipboard holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipboardKind {
    /// Text in UTF-8.
    Text,
    /// A picture as PNG.
    Png,
}

impl Request {
    /// Whether it may take longer than a moment. Such requests have places of their own.
    pub fn takes_long(&self) -> bool {
        matches!(
            self,
            Self::Type { .. }
                | Self::Console
                | Self::SoundStream { .. }
                | Self::Suspend
                | Self::Snapshot { .. }
                | Self::Grow { .. }
                | Self::Exec { .. }
                | Self::Push { .. }
                | Self::Pull { .. }
                | Self::ClipboardGet { .. }
                | Self::StreamPublish { .. }
                | Self::StreamUnpublish
        )
    }

    /// Whether it is given up when its client goes away: nobody else has any use for the answer, and the machine stays as
    /// it is.
    pub fn ends_with_its_client(&self) -> bool {
        matches!(
            self,
            Self::Exec { .. }
                | Self::Push { .. }
                | Self::Pull { .. }
                | Self::Agent
                | Self::ClipboardGet { .. }
        )
    }
}
