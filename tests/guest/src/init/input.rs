//! Keyboards, mice, tablets and touch screens, by evdev.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use evdev::{AbsoluteAxisCode, Device, EventSummary, RelativeAxisCode, SynchronizationCode};
use tiny_guest::keymap;
use tiny_guest::pointer::{Axis, moved};

const FOLDER: &str = "/dev/input";
/// The code of the left button; right, middle, side and extra follow.
const BTN_LEFT: u16 = 0x110;
const BUTTONS: u16 = 5;

/// Something that was done with an input device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key went down or up.
    Key { code: u16, down: bool },
    /// The pointer moved or a button changed.
    Pointer { from: (u32, u32), at: (u32, u32), held: u8, buttons: u8 },
    /// The wheel turned, notches right and up.
    Wheel { right: i32, up: i32 },
    /// A finger touched, moved or left.
    Touch { slot: u32, from: (u32, u32), at: (u32, u32), down: bool },
}

/// All input devices, and the pointer that they move together.
#[derive(Default)]
pub struct Inputs {
    sources: HashMap<u64, Source>,
    paths: HashMap<PathBuf, u64>,
    next: u64,
    /// The pointer's pixel.
    pub at: (u32, u32),
    /// Buttons held, bit 0 left, 1 right, 2 middle, 3 side, 4 extra.
    pub buttons: u8,
}

struct Source {
    device: Device,
    axes: HashMap<AbsoluteAxisCode, Axis>,
    touch: bool,
    /// What the packet under way brought.
    packet: Packet,
    slot: u32,
    fingers: HashMap<u32, Finger>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Packet {
    absolute: (Option<i32>, Option<i32>),
    relative: (i32, i32),
    wheel: (i32, i32),
    /// Buttons that changed, and what they are now.
    buttons: (u8, u8),
}

#[derive(Debug, Default, Clone, Copy)]
struct Finger {
    down: bool,
    was_down: bool,
    raw: (i32, i32),
    at: (u32, u32),
    changed: bool,
}

impl Inputs {
    /// Opens devices that came; `watch` gets each with the token to read it by.
    pub fn rescan(&mut self, mut watch: impl FnMut(BorrowedFd<'_>, u64)) {
        let Ok(folder) = fs::read_dir(FOLDER) else { return };
        for path in folder.flatten().map(|entry| entry.path()) {
            let is_event = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event"));
            if !is_event || self.paths.contains_key(&path) {
                continue;
            }
            let Ok(device) = Device::open(&path) else { continue };
            if device.set_nonblocking(true).is_err() {
                continue;
            }
            let token = self.next;
            self.next += 1;
            watch(device.as_fd(), token);
            self.sources.insert(token, Source::new(device));
            self.paths.insert(path, token);
        }
    }

    /// Reads what a device has, for a screen of this size. A device that is gone is forgotten.
    pub fn read(&mut self, token: u64, size: (u32, u32), events: &mut Vec<Event>) {
        let Some(source) = self.sources.get_mut(&token) else { return };
        loop {
            let fetched: Vec<_> = match source.device.fetch_events() {
                Ok(fetched) => fetched.collect(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for event in fetched {
                let packet = &mut source.packet;
                match event.destructure() {
                    EventSummary::Key(_, code, value) => {
                        if let button @ 0..BUTTONS = code.0.wrapping_sub(BTN_LEFT) {
                            let bit = 1 << button;
                            packet.buttons.0 |= bit;
                            packet.buttons.1 = packet.buttons.1 & !bit | if value == 0 { 0 } else { bit };
                        } else if keymap::is_key(code.0) && value != 2 {
                            events.push(Event::Key { code: code.0, down: value == 1 });
                        }
                    }
                    EventSummary::AbsoluteAxis(_, code, value) => source.absolute(code, value),
                    EventSummary::RelativeAxis(_, code, value) => match code {
                        RelativeAxisCode::REL_X => {
                            packet.relative.0 = packet.relative.0.saturating_add(value)
                        }
                        RelativeAxisCode::REL_Y => {
                            packet.relative.1 = packet.relative.1.saturating_add(value)
                        }
                        RelativeAxisCode::REL_WHEEL => packet.wheel.1 = packet.wheel.1.saturating_add(value),
                        RelativeAxisCode::REL_HWHEEL => packet.wheel.0 = packet.wheel.0.saturating_add(value),
                        _ => {}
                    },
                    EventSummary::Synchronization(_, SynchronizationCode::SYN_REPORT, _) => {
                        source.finish(size, &mut self.at, &mut self.buttons, events);
                    }
                    _ => {}
                }
            }
        }
        // The device was unplugged: its descriptor leaves the poll set as it closes.
        self.sources.remove(&token);
        self.paths.retain(|_, known| *known != token);
    }

    /// The codes of the keys that are down by what the kernel knows. What it has told is less: of a burst it may have dropped some.
    pub fn held(&self) -> Vec<u16> {
        // Opened anew: who asks loses the keys that wait for it (`evdev_handle_get_val` in drivers/input/evdev.c).
        let states = self.paths.keys().filter_map(|path| Device::open(path).ok()?.get_key_state().ok());
        let keys: BTreeSet<_> =
            states.flat_map(|keys| keys.iter().map(|key| key.0).collect::<Vec<_>>()).collect();
        keys.into_iter().filter(|code| keymap::is_key(*code)).collect()
    }

    /// Keeps the pointer on a screen of another size.
    pub fn clamp(&mut self, size: (u32, u32)) {
        self.at = (self.at.0.min(size.0.saturating_sub(1)), self.at.1.min(size.1.saturating_sub(1)));
    }
}

impl Source {
    fn new(device: Device) -> Self {
        let axes: HashMap<_, _> = device.get_absinfo().map_or_else(
            |_| HashMap::new(),
            |axes| {
                axes.map(|(code, info)| (code, Axis { min: info.minimum(), max: info.maximum() })).collect()
            },
        );
        let touch = axes.contains_key(&AbsoluteAxisCode::ABS_MT_SLOT);
        Self { device, axes, touch, packet: Packet::default(), slot: 0, fingers: HashMap::new() }
    }

    fn absolute(&mut self, code: AbsoluteAxisCode, value: i32) {
        match code {
            // A touch screen repeats its first finger as a pointer.
            AbsoluteAxisCode::ABS_X if !self.touch => self.packet.absolute.0 = Some(value),
            AbsoluteAxisCode::ABS_Y if !self.touch => self.packet.absolute.1 = Some(value),
            AbsoluteAxisCode::ABS_MT_SLOT => self.slot = u32::try_from(value).unwrap_or(0),
            AbsoluteAxisCode::ABS_MT_TRACKING_ID => self.finger().down = value >= 0,
            AbsoluteAxisCode::ABS_MT_POSITION_X => self.finger().raw.0 = value,
            AbsoluteAxisCode::ABS_MT_POSITION_Y => self.finger().raw.1 = value,
            _ => {}
        }
    }

    fn finger(&mut self) -> &mut Finger {
        let finger = self.fingers.entry(self.slot).or_default();
        finger.changed = true;
        finger
    }

    fn axis(&self, code: AbsoluteAxisCode) -> Axis {
        self.axes.get(&code).copied().unwrap_or_default()
    }

    /// A packet is complete: what it means on a screen of this size.
    fn finish(&mut self, size: (u32, u32), at: &mut (u32, u32), buttons: &mut u8, events: &mut Vec<Event>) {
        let packet = std::mem::take(&mut self.packet);
        let (from, held) = (*at, *buttons);
        if let Some(value) = packet.absolute.0 {
            at.0 = self.axis(AbsoluteAxisCode::ABS_X).pixel(value, size.0);
        }
        if let Some(value) = packet.absolute.1 {
            at.1 = self.axis(AbsoluteAxisCode::ABS_Y).pixel(value, size.1);
        }
        *at = (moved(at.0, packet.relative.0, size.0), moved(at.1, packet.relative.1, size.1));
        *buttons = *buttons & !packet.buttons.0 | packet.buttons.1;
        if from != *at || held != *buttons {
            events.push(Event::Pointer { from, at: *at, held, buttons: *buttons });
        }
        if packet.wheel != (0, 0) {
            events.push(Event::Wheel { right: packet.wheel.0, up: packet.wheel.1 });
        }
        let axes =
            (self.axis(AbsoluteAxisCode::ABS_MT_POSITION_X), self.axis(AbsoluteAxisCode::ABS_MT_POSITION_Y));
        for (&slot, finger) in &mut self.fingers {
            if !std::mem::take(&mut finger.changed) {
                continue;
            }
            let at = (axes.0.pixel(finger.raw.0, size.0), axes.1.pixel(finger.raw.1, size.1));
            // A new finger begins where it touches, not where the last one left.
            let from = if finger.was_down { finger.at } else { at };
            (finger.at, finger.was_down) = (at, finger.down);
            events.push(Event::Touch { slot, from, at, down: finger.down });
        }
    }
}
