//! Messages between the page and us: JSON texts on two data channels.
//!
//! What comes from a page is read strictly and into bounds: a message that is too long, has an unknown type, or a value
//! out of range is refused as a whole.

use crate::transport::Channel;
use sampan_frame::Size;
use sampan_input::{Button, Event, Key, TouchPhase};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The longest message that a page may send: a text of some hundred characters, whichever they are.
pub const MAX_MESSAGE: usize = 4096;

/// Notches that one wheel message may hold.
const MAX_NOTCHES: i64 = 100;

/// Fingers are numbered below this.
const MAX_SLOT: u64 = 64;

/// Digits of a viewer's number: `u64::MAX` has so many.
const MAX_DIGITS: usize = 20;

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Too long.
    #[error("a message of {0} bytes: at most {MAX_MESSAGE} are taken")]
    Long(usize),
    /// Not JSON of a form we know.
    #[error("a message that cannot be read: {0}")]
    Form(String),
    /// A value that means nothing here.
    #[error("a message whose {0} is out of range")]
    Range(&'static str),
}

/// What a page asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Input for the guest.
    Input(Event),
    /// A text to type.
    Text(String),
    /// To see another display, by its number from 0.
    Display(usize),
    /// Another resolution, at so many millimetres.
    Resize(Size, (u16, u16)),
    /// Control of the guest, which somebody else has.
    Ask,
    /// No control any more.
    Withdraw,
    /// Control for the viewer of this number.
    Give(String),
    /// No control for the viewer of this number, which asks for it.
    Refuse(String),
    /// Sound, or no more of it.
    Sound {
        /// To hear the guest.
        hear: bool,
        /// To be heard by it.
        speak: bool,
    },
}

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase", deny_unknown_fields)]
enum Keys {
    Key { code: String, down: bool },
    Button { button: u64, down: bool },
    Wheel { dx: i64, dy: i64 },
    Text { text: String },
    Touch { s: Option<u64>, phase: Phase, slot: u64, x: f64, y: f64, w: u32, h: u32 },
    Move { s: Option<u64>, x: u32, y: u32, w: u32, h: u32 },
    Rel { s: u64, dx: i64, dy: i64 },
    Release {},
    Resize { w: u32, h: u32, mmw: u16, mmh: u16 },
    Display { n: u32 },
    Ask {},
    Withdraw {},
    Give { to: String },
    Refuse { to: String },
    Sound { hear: bool, speak: bool },
}

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase", deny_unknown_fields)]
enum Motion {
    Move { s: u64, x: u32, y: u32, w: u32, h: u32 },
    Rel { s: u64, dx: i64, dy: i64 },
    Touch { s: u64, slot: u64, x: f64, y: f64, w: u32, h: u32 },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Begin,
    Update,
    End,
    Cancel,
}

/// Reads one page's messages, and knows which of its motions are old.
///
/// ```
/// use sampan_stream::{Channel, Reader};
/// let mut reader = Reader::default();
/// assert!(reader.read(Channel::Keys, br#"{"t":"key","code":"KeyA","down":true}"#).unwrap().is_some());
/// let motion = br#"{"t":"rel","s":7,"dx":10,"dy":-4}"#;
/// assert!(reader.read(Channel::Motion, motion).unwrap().is_some());
/// assert!(reader.read(Channel::Motion, motion).unwrap().is_none(), "it came twice");
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    moved: Option<u64>,
    /// Where the page last said that its pointer is.
    at: Option<Event>,
    turned: Option<u64>,
    total: (i64, i64),
    /// Fingers that are down, and the newest that is known of each.
    fingers: HashMap<u64, u64>,
}

impl Reader {
    /// Reads one message; `None` if it is older than one that was read before.
    ///
    /// # Errors
    /// [`MessageError`], and nothing of the message has any effect.
    pub fn read(&mut self, channel: Channel, text: &[u8]) -> Result<Option<Request>, MessageError> {
        if text.len() > MAX_MESSAGE {
            return Err(MessageError::Long(text.len()));
        }
        match channel {
            Channel::Keys => self.keys(parse(text)?),
            Channel::Motion => self.motion(parse(text)?),
        }
    }

    /// Motion that comes by the ordered channel belongs to what follows there, so it counts even if a newer one overtook it.
    fn keys(&mut self, message: Keys) -> Result<Option<Request>, MessageError> {
        let sequence = match message {
            Keys::Rel { s, dx, dy } => return self.turn(s, dx, dy),
            Keys::Move { s, .. } | Keys::Touch { s, .. } => s,
            _ => None,
        };
        let request = request(message)?;
        match (&request, sequence) {
            (Request::Input(event @ Event::Move { .. }), s) => {
                self.at = Some(*event);
                if let Some(s) = s {
                    newer(&mut self.moved, s);
                }
            }
            (Request::Input(Event::Touch { phase: TouchPhase::Begin | TouchPhase::Update, slot, .. }), s) => {
                self.fingers.insert(*slot, s.unwrap_or(0));
            }
            (Request::Input(Event::Touch { slot, .. }), _) => {
                self.fingers.remove(slot);
            }
            (Request::Input(Event::ReleaseAll), _) => self.fingers.clear(),
            // The same place on another display is another one.
            (Request::Display(_), _) => self.at = None,
            _ => {}
        }
        Ok(Some(request))
    }

    /// A page repeats its last motion when the pointer comes to rest, in case it was lost. Where it was not, the repetition says
    /// nothing: another window of the same person, or a program, may have moved the pointer on since.
    fn motion(&mut self, motion: Motion) -> Result<Option<Request>, MessageError> {
        match motion {
            Motion::Move { s, x, y, w, h } => {
                let event = place(x, y, w, h)?;
                let moves = newer(&mut self.moved, s) && self.at.replace(event) != Some(event);
                Ok(moves.then_some(Request::Input(event)))
            }
            Motion::Rel { s, dx, dy } => self.turn(s, dx, dy),
            Motion::Touch { s, slot, x, y, w, h } => {
                let event = finger(TouchPhase::Update, slot, (x, y), (w, h))?;
                // Of a finger that is up again, or not down yet, nothing is known to move.
                let newest = self.fingers.get_mut(&slot).filter(|newest| **newest < s);
                Ok(newest.map(|newest| {
                    *newest = s;
                    Request::Input(event)
                }))
            }
        }
    }

    /// The page sends totals, so that a lost message loses no motion.
    fn turn(&mut self, s: u64, dx: i64, dy: i64) -> Result<Option<Request>, MessageError> {
        let step = |total: i64, before: i64| {
            total.checked_sub(before).and_then(|d| i32::try_from(d).ok()).ok_or(MessageError::Range("motion"))
        };
        let (x, y) = (step(dx, self.total.0)?, step(dy, self.total.1)?);
        if !newer(&mut self.turned, s) {
            return Ok(None);
        }
        self.total = (dx, dy);
        Ok(((x, y) != (0, 0)).then_some(Request::Input(Event::Motion { dx: x, dy: y })))
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, MessageError> {
    serde_json::from_slice(text).map_err(|e| MessageError::Form(e.to_string()))
}

fn newer(last: &mut Option<u64>, sequence: u64) -> bool {
    let newer = last.is_none_or(|last| sequence > last);
    if newer {
        *last = Some(sequence);
    }
    newer
}

fn place(x: u32, y: u32, w: u32, h: u32) -> Result<Event, MessageError> {
    let frame = frame(w, h)?;
    if x >= w || y >= h {
        return Err(MessageError::Range("position"));
    }
    Ok(Event::Move { x, y, frame })
}

fn frame(w: u32, h: u32) -> Result<(u32, u32), MessageError> {
    Size::new(w, h).map(|_| (w, h)).map_err(|_| MessageError::Range("frame size"))
}

fn finger(
    phase: TouchPhase,
    slot: u64,
    (x, y): (f64, f64),
    (w, h): (u32, u32),
) -> Result<Event, MessageError> {
    let frame = frame(w, h)?;
    let inside = |at: f64, side: u32| at.is_finite() && at >= 0.0 && at <= f64::from(side);
    if !inside(x, w) || !inside(y, h) {
        return Err(MessageError::Range("position"));
    }
    if slot >= MAX_SLOT {
        return Err(MessageError::Range("slot"));
    }
    Ok(Event::Touch { phase, slot, x, y, frame })
}

fn request(message: Keys) -> Result<Request, MessageError> {
    Ok(Request::Input(match message {
        Keys::Key { code, down } => {
            Event::Key { key: Key::from_dom(&code).ok_or(MessageError::Range("key code"))?, down }
        }
        Keys::Button { button, down } => {
            let button = Button::from_dom(button).ok_or(MessageError::Range("button"))?;
            Event::Button { button, down }
        }
        Keys::Wheel { dx, dy } => {
            let notches = |n: i64| {
                i32::try_from(n).ok().filter(|_| n.abs() <= MAX_NOTCHES).ok_or(MessageError::Range("wheel"))
            };
            Event::Wheel { dx: notches(dx)?, dy: notches(dy)? }
        }
        Keys::Text { text } if text.is_empty() => return Err(MessageError::Range("text")),
        Keys::Text { text } => return Ok(Request::Text(text)),
        Keys::Touch { s: _, phase, slot, x, y, w, h } => {
            let phase = match phase {
                Phase::Begin => TouchPhase::Begin,
                Phase::Update => TouchPhase::Update,
                Phase::End => TouchPhase::End,
                Phase::Cancel => TouchPhase::Cancel,
            };
            finger(phase, slot, (x, y), (w, h))?
        }
        Keys::Move { s: _, x, y, w, h } => place(x, y, w, h)?,
        // The reader knows of what was turned before.
        Keys::Rel { .. } => return Err(MessageError::Range("motion")),
        Keys::Release {} => Event::ReleaseAll,
        Keys::Resize { w, h, mmw, mmh } => {
            let size = Size::new(w, h).map_err(|_| MessageError::Range("size"))?;
            return Ok(Request::Resize(size, (mmw, mmh)));
        }
        Keys::Display { n } => {
            let number = n.checked_sub(1).and_then(|n| usize::try_from(n).ok());
            return number.map(Request::Display).ok_or(MessageError::Range("display"));
        }
        Keys::Ask {} => return Ok(Request::Ask),
        Keys::Withdraw {} => return Ok(Request::Withdraw),
        Keys::Give { to } => return number(to).map(Request::Give),
        Keys::Refuse { to } => return number(to).map(Request::Refuse),
        Keys::Sound { hear, speak } => return Ok(Request::Sound { hear, speak }),
    }))
}

/// A viewer's number, as far as it can be one.
fn number(text: String) -> Result<String, MessageError> {
    let is_number = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && !text.is_empty() { Ok(text) } else { Err(MessageError::Range("viewer")) }
}

/// What we tell a page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum Tell<'a> {
    /// The guest's condition.
    Status {
        /// Its state.
        state: sampan_guest::GuestState,
        /// More in words.
        detail: &'a str,
        /// Whether positions are absolute.
        absolute: bool,
        /// The guest's name.
        name: &'a str,
        /// What the viewer may do.
        rights: &'a [sampan_trust::Right],
        /// Whether it has a touch screen.
        touch: bool,
        /// Whether the page may exchange files with it.
        files: bool,
    },
    /// Who sees the guest, and who drives it.
    People {
        /// The page's own number.
        you: &'a str,
        /// The number of the viewer that drives.
        driver: Option<&'a str>,
        /// All of them, the page among them.
        all: &'a [crate::drive::Person],
    },
    /// The displays there are, and which the page sees. What follows is about that one.
    Displays {
        /// How many there are, lit or dark.
        count: usize,
        /// The one that the page sees, from 1.
        n: usize,
    },
    /// How far a file of the page's is.
    File(&'a crate::exchange::FileNews),
    /// The guest's sound, which the page can hear.
    Sound {
        /// Whether the machine's settings let the guest hear a microphone.
        microphone: bool,
        /// Whether the guest records now.
        recording: bool,
    },
    /// What the page may exchange with the guest's clipboard.
    Clipboard {
        /// Whether an agent answers in the guest.
        agent: bool,
        /// Whether the guest may be given something.
        to: bool,
        /// Whether something may be taken from the guest.
        from: bool,
        /// Whether it holds a text that may be taken.
        text: bool,
        /// The same of a picture.
        png: bool,
        /// How often a program of the guest's has filled it.
        copied: u64,
    },
    /// Which locks of its keyboard are on.
    Locks {
        /// Caps Lock.
        caps: bool,
        /// Num Lock.
        num: bool,
        /// Scroll Lock.
        scroll: bool,
    },
    /// A text of this page's did not reach the guest.
    Untyped {
        /// The reason for programs.
        code: &'a str,
        /// The same in words.
        text: &'a str,
    },
    /// The true size of the screen; 0 by 0 if it is off.
    Size {
        /// Columns.
        w: u32,
        /// Rows.
        h: u32,
    },
    /// A cursor's shape, once.
    Cursor {
        /// Its name from now on.
        hash: &'a str,
        /// Columns.
        w: u32,
        /// Rows.
        h: u32,
        /// The column that points.
        hx: u32,
        /// The row that points.
        hy: u32,
        /// A PNG of it in base64.
        png: &'a str,
    },
    /// Where the cursor is.
    CursorPos {
        /// Rises with every message.
        s: u64,
        /// The column it points at.
        x: i32,
        /// The row it points at.
        y: i32,
        /// Whether it shows.
        visible: bool,
        /// Its shape.
        hash: Option<&'a str>,
    },
    /// Words to show above the picture; empty takes them away.
    Notice {
        /// The words.
        text: &'a str,
    },
}

impl Tell<'_> {
    /// The message's text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(channel: Channel, text: &str) -> Result<Option<Request>, MessageError> {
        Reader::default().read(channel, text.as_bytes())
    }

    fn input(channel: Channel, text: &str) -> Event {
        match read(channel, text) {
            Ok(Some(Request::Input(event))) => event,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_kind_of_message() {
        use Channel::{Keys, Motion};
        let key = Key::from_dom("KeyA").expect("known");
        assert_eq!(input(Keys, r#"{"t":"key","code":"KeyA","down":true}"#), Event::Key { key, down: true });
        assert_eq!(
            input(Keys, r#"{"t":"button","button":2,"down":false}"#),
            Event::Button { button: Button::Right, down: false }
        );
        assert_eq!(input(Keys, r#"{"t":"wheel","dx":0,"dy":-3}"#), Event::Wheel { dx: 0, dy: -3 });
        assert_eq!(input(Keys, r#"{"t":"release"}"#), Event::ReleaseAll);
        assert_eq!(
            input(Keys, r#"{"t":"touch","phase":"update","slot":1,"x":1.5,"y":2,"w":10,"h":20}"#),
            Event::Touch { phase: TouchPhase::Update, slot: 1, x: 1.5, y: 2.0, frame: (10, 20) }
        );
        let place = Event::Move { x: 3, y: 4, frame: (640, 480) };
        assert_eq!(input(Keys, r#"{"t":"move","x":3,"y":4,"w":640,"h":480}"#), place);
        assert_eq!(input(Motion, r#"{"t":"move","s":1,"x":3,"y":4,"w":640,"h":480}"#), place);
        assert_eq!(
            read(Keys, r#"{"t":"text","text":"中文 \ud83d\ude00"}"#),
            Ok(Some(Request::Text("中文 😀".into())))
        );
        assert_eq!(
            read(Keys, r#"{"t":"resize","w":801,"h":600,"mmw":200,"mmh":150}"#),
            Ok(Some(Request::Resize(Size { width: 801, height: 600 }, (200, 150))))
        );
        assert_eq!(read(Keys, r#"{"t":"ask"}"#), Ok(Some(Request::Ask)));
        assert_eq!(read(Keys, r#"{"t":"withdraw"}"#), Ok(Some(Request::Withdraw)));
        assert_eq!(read(Keys, r#"{"t":"give","to":"12"}"#), Ok(Some(Request::Give("12".into()))));
        assert_eq!(read(Keys, r#"{"t":"refuse","to":"3"}"#), Ok(Some(Request::Refuse("3".into()))));
        assert_eq!(
            read(Keys, r#"{"t":"sound","hear":true,"speak":false}"#),
            Ok(Some(Request::Sound { hear: true, speak: false }))
        );
    }

    #[test]
    fn motion_before_a_button_counts_and_outdates_what_is_older() {
        let mut reader = Reader::default();
        let mut read = |channel, text: &str| reader.read(channel, text.as_bytes()).expect(text);
        let at = |x| Some(Request::Input(Event::Move { x, y: 0, frame: (9, 9) }));
        assert_eq!(read(Channel::Motion, r#"{"t":"move","s":5,"x":5,"y":0,"w":9,"h":9}"#), at(5));
        // Sent earlier, but what comes after it on its channel happened there.
        assert_eq!(read(Channel::Keys, r#"{"t":"move","s":4,"x":4,"y":0,"w":9,"h":9}"#), at(4));
        assert_eq!(read(Channel::Keys, r#"{"t":"move","s":6,"x":6,"y":0,"w":9,"h":9}"#), at(6));
        assert_eq!(read(Channel::Motion, r#"{"t":"move","s":6,"x":5,"y":0,"w":9,"h":9}"#), None);
        let turned = |dx| Some(Request::Input(Event::Motion { dx, dy: 0 }));
        assert_eq!(read(Channel::Keys, r#"{"t":"rel","s":1,"dx":3,"dy":0}"#), turned(3));
        assert_eq!(read(Channel::Motion, r#"{"t":"rel","s":1,"dx":3,"dy":0}"#), None);
        assert_eq!(read(Channel::Motion, r#"{"t":"rel","s":2,"dx":5,"dy":0}"#), turned(2));
    }

    #[test]
    fn motion_that_is_repeated_at_rest_moves_nothing() {
        let mut reader = Reader::default();
        let mut read = |channel, text: &str| reader.read(channel, text.as_bytes()).expect(text);
        let moved = |s: u32, x: u32| format!(r#"{{"t":"move","s":{s},"x":{x},"y":0,"w":9,"h":9}}"#);
        let at = |x| Some(Request::Input(Event::Move { x, y: 0, frame: (9, 9) }));
        assert_eq!(read(Channel::Motion, &moved(1, 5)), at(5));
        assert_eq!(read(Channel::Motion, &moved(2, 5)), None);
        // Before a button it counts: the pointer may be elsewhere by now.
        assert_eq!(read(Channel::Keys, &moved(3, 5)), at(5));
        assert_eq!(read(Channel::Motion, &moved(4, 5)), None);
        assert_eq!(read(Channel::Keys, r#"{"t":"move","x":6,"y":0,"w":9,"h":9}"#), at(6));
        assert_eq!(read(Channel::Motion, &moved(5, 6)), None);
        // What was lost comes by its repetition.
        assert_eq!(read(Channel::Motion, &moved(7, 7)), at(7));
        assert_eq!(read(Channel::Keys, r#"{"t":"display","n":2}"#), Some(Request::Display(1)));
        assert_eq!(read(Channel::Motion, &moved(8, 7)), at(7));
        assert_eq!(
            read(Channel::Motion, r#"{"t":"rel","s":1,"dx":3,"dy":0}"#),
            Some(Request::Input(Event::Motion { dx: 3, dy: 0 }))
        );
        assert_eq!(read(Channel::Motion, r#"{"t":"rel","s":2,"dx":3,"dy":0}"#), None);
    }

    #[test]
    fn a_finger_moves_only_while_it_is_down() {
        let mut reader = Reader::default();
        let mut moved = |text: &str, channel| {
            let read = reader.read(channel, text.as_bytes()).expect(text);
            read.is_some()
        };
        let update = |s: u32| format!(r#"{{"t":"touch","s":{s},"slot":0,"x":1,"y":1,"w":9,"h":9}}"#);
        let edge = |s: u32, phase: &str| {
            format!(r#"{{"t":"touch","s":{s},"phase":"{phase}","slot":0,"x":1,"y":1,"w":9,"h":9}}"#)
        };
        assert!(!moved(&update(2), Channel::Motion), "overtook the begin");
        assert!(moved(&edge(1, "begin"), Channel::Keys));
        assert!(moved(&update(3), Channel::Motion));
        assert!(!moved(&update(3), Channel::Motion), "came twice");
        assert!(moved(&edge(5, "end"), Channel::Keys));
        assert!(!moved(&update(4), Channel::Motion), "late");
        assert!(moved(&edge(6, "begin"), Channel::Keys));
        assert!(!moved(&update(4), Channel::Motion), "of the finger before");
        assert!(moved(&update(7), Channel::Motion));
        assert!(moved(r#"{"t":"release"}"#, Channel::Keys));
        assert!(!moved(&update(8), Channel::Motion));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for (channel, text) in [
            (Channel::Keys, r#"{"t":"key","code":"NoSuchKey","down":true}"#),
            (Channel::Keys, r#"{"t":"key","code":"KeyA","down":1}"#),
            (Channel::Keys, r#"{"t":"key","code":"KeyA","down":true,"more":1}"#),
            (Channel::Keys, r#"{"t":"button","button":5,"down":true}"#),
            (Channel::Keys, r#"{"t":"wheel","dx":0,"dy":101}"#),
            (Channel::Keys, r#"{"t":"touch","phase":"begin","slot":64,"x":1,"y":1,"w":9,"h":9}"#),
            (Channel::Keys, r#"{"t":"touch","phase":"begin","slot":0,"x":1,"y":10,"w":9,"h":9}"#),
            (Channel::Keys, r#"{"t":"resize","w":0,"h":1,"mmw":0,"mmh":0}"#),
            (Channel::Keys, r#"{"t":"resize","w":20000,"h":1,"mmw":0,"mmh":0}"#),
            (Channel::Keys, r#"{"t":"give","to":""}"#),
            (Channel::Keys, r#"{"t":"give","to":"1x"}"#),
            (Channel::Keys, r#"{"t":"give"}"#),
            (Channel::Keys, r#"{"t":"refuse","to":"123456789012345678901"}"#),
            (Channel::Keys, r#"{"t":"sound","hear":1,"speak":false}"#),
            (Channel::Keys, r#"{"t":"sound","hear":true}"#),
            (Channel::Motion, r#"{"t":"sound","hear":true,"speak":true}"#),
            (Channel::Motion, r#"{"t":"ask"}"#),
            (Channel::Keys, r#"{"t":"text","text":""}"#),
            (Channel::Keys, r#"{"t":"text","text":1}"#),
            (Channel::Keys, r#"{"t":"rel","s":1,"dx":99999999999,"dy":1}"#),
            (Channel::Motion, r#"{"t":"touch","s":1,"slot":64,"x":1,"y":1,"w":9,"h":9}"#),
            (Channel::Motion, r#"{"t":"text","text":"a"}"#),
            (Channel::Motion, r#"{"t":"move","s":1,"x":640,"y":4,"w":640,"h":480}"#),
            (Channel::Motion, r#"{"t":"move","s":-1,"x":4,"y":4,"w":640,"h":480}"#),
            (Channel::Motion, r#"{"t":"rel","s":1,"dx":99999999999,"dy":0}"#),
            (Channel::Motion, r#"{"t":"key","code":"KeyA","down":true}"#),
            (Channel::Keys, ""),
            (Channel::Keys, "[]"),
        ] {
            assert!(read(channel, text).is_err(), "{text}");
        }
        assert_eq!(read(Channel::Keys, &" ".repeat(5000)), Err(MessageError::Long(5000)));
    }

    proptest! {
        /// However messages are lost, doubled or reordered, the motion that arrives is a prefix of what was made, and
        /// all of it once the last message got through.
        #[test]
        fn motion_is_never_counted_twice(
            steps in proptest::collection::vec((-50i64..50, -50i64..50), 1..40),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut total = (0, 0);
            let messages: Vec<String> = steps.iter().enumerate().map(|(s, (dx, dy))| {
                total = (total.0 + dx, total.1 + dy);
                format!(r#"{{"t":"rel","s":{},"dx":{},"dy":{}}}"#, s + 1, total.0, total.1)
            }).collect();
            let mut reader = Reader::default();
            let mut sum = (0, 0);
            let last = messages.last().cloned();
            let arriving = order.iter().map(|index| index.get(&messages).clone()).chain(last);
            for message in arriving {
                if let Some(Request::Input(Event::Motion { dx, dy })) =
                    reader.read(Channel::Motion, message.as_bytes()).expect("well-formed")
                {
                    sum = (sum.0 + i64::from(dx), sum.1 + i64::from(dy));
                }
            }
            prop_assert_eq!(sum, total);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut reader = Reader::default();
            let _ = reader.read(Channel::Keys, &bytes);
            let _ = reader.read(Channel::Motion, &bytes);
        }
    }
}
