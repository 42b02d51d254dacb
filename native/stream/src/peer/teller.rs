//! Keeps a page told of everything but the picture.

use super::sound::SoundStatus;
use crate::drive::People;
use crate::exchange::FileNews;
use crate::message::Tell;
use crate::screen::ScreenState;
use crate::transport::{Channel, Connection, TransportError};
use base64::Engine as _;
use sampan_frame::{Cursor, CursorState, Size};
use sampan_guest::{ClipboardStatus, GuestError, GuestStatus};
use sampan_input::Locks;
use sampan_trust::{Right, Rights};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shapes that a page remembers at least.
const SHAPES: usize = 64;

/// The longest side of a shape that is sent: more would exceed what a data channel takes in one message (256 KiB).
const SHAPE_SIDE: u32 = 192;

/// Positions go unreliably; one that has held this long is sent once more so that it arrives.
const CONFIRM: Duration = Duration::from_millis(100);

/// Bytes of new shapes in a second: keys' answers and pictures share the connection with a guest whose pointer never looks
/// the same. An arrow of 32 pixels takes 20 ms of it, the largest shape three quarters of a second.
const SHAPE_RATE: f64 = 256.0 * 1024.0;

/// What a page knows, and how to tell it the rest. Nothing queues here: what could not be sent is told later, in its
/// newest form.
pub struct Teller {
    connection: Arc<dyn Connection>,
    /// The viewer's number.
    label: String,
    name: String,
    rights: Vec<Right>,
    keys: bool,
    motion: bool,
    status: Option<GuestStatus>,
    people: Option<People>,
    displays: Option<(usize, usize)>,
    clipboard: Option<ClipboardStatus>,
    file: Option<FileNews>,
    sound: Option<SoundStatus>,
    locks: Option<Locks>,
    /// Why a text did not reach the guest; the last reason is enough.
    untyped: Option<GuestError>,
    size: Option<Option<Size>>,
    notice: Option<String>,
    shapes: VecDeque<u64>,
    /// When the next new shape may go.
    next_shape: Option<Instant>,
    /// The same, where one waits for it.
    shape_due: Option<Instant>,
    place: Option<Place>,
    sequence: u64,
    confirm: Option<Instant>,
}

/// How everything is now, but for the picture.
pub struct News<'a> {
    /// The guest's condition.
    pub status: &'a GuestStatus,
    /// Who sees it, and who drives it.
    pub people: &'a People,
    /// How many displays there are, and which the page sees, from 1.
    pub displays: (usize, usize),
    /// Whether the page may exchange files with it.
    pub files: bool,
    /// How far a file of the page's is.
    pub file: Option<&'a FileNews>,
    /// Its sound, for a page that can hear it.
    pub sound: Option<SoundStatus>,
    /// Its clipboard, for a page that may use it.
    pub clipboard: Option<ClipboardStatus>,
    /// Whether it has a touch screen.
    pub touch: bool,
    /// Which locks of its keyboard are on.
    pub locks: Option<Locks>,
    /// Size and cursor.
    pub screen: &'a ScreenState,
    /// Words of the encoder's.
    pub notice: &'a str,
}

#[derive(Clone, Copy, PartialEq)]
struct Place {
    x: i32,
    y: i32,
    visible: bool,
    shape: Option<u64>,
}

impl Place {
    fn of(cursor: &CursorState) -> Self {
        let shape = cursor.shape.as_ref().map(|shape| shape.hash);
        Self { x: cursor.x, y: cursor.y, visible: cursor.visible, shape }
    }
}

impl Teller {
    /// A page that knows nothing yet.
    pub fn new(connection: Arc<dyn Connection>, label: String, name: String, rights: Rights) -> Self {
        Self {
            connection,
            label,
            name,
            rights: rights.iter().collect(),
            keys: false,
            motion: false,
            status: None,
            people: None,
            displays: None,
            clipboard: None,
            file: None,
            sound: None,
            locks: None,
            untyped: None,
            size: None,
            notice: None,
            shapes: VecDeque::new(),
            next_shape: None,
            shape_due: None,
            place: None,
            sequence: 0,
            confirm: None,
        }
    }

    /// Notes that a channel can be used.
    pub fn opened(&mut self, channel: Channel) {
        *self.open(channel) = true;
    }

    /// Notes that it cannot any more.
    pub fn closed(&mut self, channel: Channel) {
        *self.open(channel) = false;
    }

    fn open(&mut self, channel: Channel) -> &mut bool {
        match channel {
            Channel::Keys => &mut self.keys,
            Channel::Motion => &mut self.motion,
        }
    }

    /// When [`Teller::tell`] wants to be called although nothing changed.
    pub fn confirm_at(&self) -> Option<Instant> {
        [self.confirm, self.shape_due].into_iter().flatten().min()
    }

    /// Notes that a text of the page's did not reach the guest.
    pub fn untyped(&mut self, error: GuestError) {
        self.untyped = Some(error);
    }

    /// Sends what the page does not know yet.
    pub async fn tell(&mut self, news: &News<'_>) {
        if !self.keys {
            return;
        }
        // A page that is behind gets the rest when it is not: the order of these is the order of their weight.
        let _ = self.try_tell(news).await;
    }

    async fn try_tell(
        &mut self,
        &News { status, people, displays, clipboard, files, file, sound, touch, locks, screen, notice }: &News<'_>,
    ) -> Result<(), TransportError> {
        if self.status.as_ref() != Some(status) {
            let (state, absolute) = (status.state, status.absolute);
            let tell = Tell::Status {
                state,
                detail: &status.detail,
                absolute,
                name: &self.name,
                rights: &self.rights,
                touch,
                files,
            };
            self.say(Channel::Keys, &tell).await?;
            self.status = Some(status.clone());
        }
        if self.people.as_ref() != Some(people) {
            let tell = Tell::People { you: &self.label, driver: people.driver.as_deref(), all: &people.all };
            self.say(Channel::Keys, &tell).await?;
            self.people = Some(people.clone());
        }
        if self.displays != Some(displays) {
            let (count, n) = displays;
            self.say(Channel::Keys, &Tell::Displays { count, n }).await?;
            self.displays = Some(displays);
            // What was told of another display is not known of this one. Shapes have names that are theirs alone.
            (self.size, self.notice, self.place, self.confirm) = (None, None, None, None);
        }
        if self.clipboard != clipboard {
            let ClipboardStatus { agent, to_guest: to, from_guest: from, text, png, copied } =
                clipboard.unwrap_or_default();
            self.say(Channel::Keys, &Tell::Clipboard { agent, to, from, text, png, copied }).await?;
            self.clipboard = clipboard;
        }
        if let Some(now) = file.filter(|now| self.file.as_ref() != Some(*now)) {
            self.say(Channel::Keys, &Tell::File(now)).await?;
            self.file = Some(now.clone());
        }
        if let Some(now @ SoundStatus { microphone, recording }) = sound
            && self.sound != sound
        {
            self.say(Channel::Keys, &Tell::Sound { microphone, recording }).await?;
            self.sound = Some(now);
        }
        if self.size != Some(screen.size) {
            let (w, h) = screen.size.map_or((0, 0), |size| (size.width, size.height));
            self.say(Channel::Keys, &Tell::Size { w, h }).await?;
            self.size = Some(screen.size);
        }
        if let Some(now @ Locks { caps, num, scroll }) = locks
            && self.locks != locks
        {
            self.say(Channel::Keys, &Tell::Locks { caps, num, scroll }).await?;
            self.locks = Some(now);
        }
        if let Some(GuestError { code, words }) = &self.untyped {
            self.say(Channel::Keys, &Tell::Untyped { code, text: words }).await?;
            self.untyped = None;
        }
        if self.notice.as_deref().unwrap_or_default() != notice {
            self.say(Channel::Keys, &Tell::Notice { text: notice }).await?;
            self.notice = Some(notice.to_owned());
        }
        self.tell_cursor(&screen.cursor).await
    }

    async fn tell_cursor(&mut self, cursor: &CursorState) -> Result<(), TransportError> {
        let now = Instant::now();
        let mut place = Place::of(cursor);
        self.shape_due = None;
        if let Some(shape) = cursor.shape.as_ref().filter(|shape| !self.shapes.contains(&shape.hash)) {
            self.shape_due = self.next_shape.filter(|at| *at > now);
            if self.shape_due.is_none() {
                let bytes = self.say_shape(shape).await?;
                self.next_shape = Some(now + Duration::from_secs_f64(bytes as f64 / SHAPE_RATE));
                if self.shapes.len() == SHAPES {
                    self.shapes.pop_front();
                }
                self.shapes.push_back(shape.hash);
            } else {
                // Until then the pointer looks as it did.
                place.shape = self.place.and_then(|place| place.shape);
            }
        }
        if self.place != Some(place) {
            // The first goes reliably: there may be no second.
            let first = self.place.is_none() || !self.motion;
            let channel = if first { Channel::Keys } else { Channel::Motion };
            match self.say_place(channel, place).await {
                // A lost one is confirmed below.
                Ok(()) | Err(TransportError::Full) => {}
                Err(error) => return Err(error),
            }
            self.place = Some(place);
            self.confirm = (!first).then_some(now + CONFIRM);
        } else if self.confirm.is_some_and(|at| at <= now) {
            self.confirm = Some(now + CONFIRM);
            self.say_place(Channel::Keys, place).await?;
            self.confirm = None;
        }
        Ok(())
    }

    /// Answers how many bytes it took.
    async fn say_shape(&self, shape: &Cursor) -> Result<usize, TransportError> {
        let (w, h) = (shape.width.min(SHAPE_SIDE), shape.height.min(SHAPE_SIDE));
        let mut cut = Vec::with_capacity(w as usize * h as usize * 4);
        for row in shape.rgba.chunks_exact(shape.width as usize * 4).take(h as usize) {
            cut.extend_from_slice(&row[..w as usize * 4]);
        }
        let Ok(png) = png_of(&cut, w, h).inspect_err(|error| log::warn!("a pointer's shape: {error}")) else {
            return Ok(0);
        };
        let png = base64::engine::general_purpose::STANDARD.encode(png);
        let hash = name_of(shape.hash);
        let (hx, hy) = (shape.hot_x.min(w - 1), shape.hot_y.min(h - 1));
        self.say(Channel::Keys, &Tell::Cursor { hash: &hash, w, h, hx, hy, png: &png }).await?;
        Ok(png.len())
    }

    async fn say_place(&mut self, channel: Channel, place: Place) -> Result<(), TransportError> {
        self.sequence += 1;
        let hash = place.shape.map(name_of);
        let Place { x, y, visible, .. } = place;
        let tell = Tell::CursorPos { s: self.sequence, x, y, visible, hash: hash.as_deref() };
        self.say(channel, &tell).await
    }

    async fn say(&self, channel: Channel, tell: &Tell<'_>) -> Result<(), TransportError> {
        self.connection.say(channel, &tell.text()).await
    }
}

/// A shape is mostly of one colour or none: as a PNG it takes a tenth of what its pixels do, which on a narrow path is time.
fn png_of(rgba: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgba)?;
    writer.finish()?;
    Ok(file)
}

fn name_of(hash: u64) -> String {
    format!("{hash:016x}")
}
