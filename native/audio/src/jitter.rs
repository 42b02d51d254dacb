//! A buffer between two clocks: what comes in pieces by one is read by the other.

use crate::kernel::{BEFORE, Kernel, TAPS};
use crate::{Frame, SILENCE};
use std::time::Duration;

/// Frames after a place that are needed to compute what is there.
const AFTER: usize = TAPS - BEFORE - 1;

/// Seconds that are kept beyond a whole piece: by so much a piece may be late. More after it was not enough, less with time.
const MARGIN: f64 = 0.020;
const MAX_MARGIN: f64 = 0.040;
const MORE_MARGIN: f64 = 0.005;
/// Seconds by which the margin shrinks in each second.
const LESS_MARGIN: f64 = MORE_MARGIN / 60.0;

/// Seconds above the level that is held at which it is not waited for any more: what is too much is left out.
const TOO_MUCH: f64 = 0.020;

/// The longest piece that is prepared for, in seconds.
const LONGEST_PIECE: f64 = 0.100;

/// What is kept at most, in seconds, where nobody reads.
const MOST: f64 = 1.0;

/// The level is an average over about so many seconds.
const AVERAGE: f64 = 1.0;

/// Seconds around the level that is held within which frames are passed on as they are.
const CALM: f64 = 0.002;

/// How much faster it reads for each second above the level, per second, and how much at most: half a per cent is a twelfth of a
/// semitone, which nobody hears.
const HASTE: f64 = 0.25;
const MAX_HASTE: f64 = 0.005;

/// Frames in which a sound begins, ends, or goes over into a later part of itself: 5 ms at 48 kHz.
const FADE: f64 = 240.0;

/// How often something had to be done that may be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The reader found nothing, in the middle of a sound.
    pub dry: u64,
    /// So much had come that some of it was left out.
    pub skipped: u64,
}

/// An older place, which goes over into the present one.
#[derive(Clone, Copy, Debug)]
struct Older {
    at: usize,
    place: f64,
    left: f64,
}

/// The buffer. Its level is held by reading a little faster or slower; a sound begins once the level is reached, and whatever
/// begins or ends fades. Times are those of any clock that both sides share.
///
/// **Invariant:** it keeps at most a second, and no two frames that it gives differ more than the sound does.
#[derive(Debug)]
pub struct JitterBuffer {
    from: f64,
    to: f64,
    kernel: Kernel,
    frames: Vec<Frame>,
    /// The place: this frame, and how much of the way to the next one.
    at: usize,
    place: f64,
    is_playing: bool,
    is_over: bool,
    /// Seconds of one piece.
    piece: f64,
    pushed: Duration,
    pulled: Duration,
    margin: f64,
    /// What the margin goes back to.
    least: f64,
    level: f64,
    haste: f64,
    fade: f64,
    older: Option<Older>,
    counts: Counts,
}

impl JitterBuffer {
    /// From one number of frames a second to another. Neither may be 0.
    pub fn new(from: u32, to: u32) -> Self {
        let (from, to) = (f64::from(from.max(1)), f64::from(to.max(1)));
        Self {
            from,
            to,
            kernel: Kernel::new(from / to),
            frames: vec![SILENCE; BEFORE],
            at: BEFORE,
            place: 0.0,
            is_playing: false,
            is_over: false,
            piece: 0.0,
            pushed: Duration::ZERO,
            pulled: Duration::ZERO,
            margin: MARGIN,
            least: MARGIN,
            level: 0.0,
            haste: 0.0,
            fade: 0.0,
            older: None,
            counts: Counts::default(),
        }
    }

    /// The same, with another margin than 20 ms beyond a whole piece to begin with and to go back to.
    pub fn with_margin(mut self, margin: Duration) -> Self {
        self.least = margin.as_secs_f64().min(MAX_MARGIN);
        self.margin = self.least;
        self
    }

    /// Takes a piece that came `now`.
    pub fn push(&mut self, now: Duration, frames: &[Frame]) {
        if frames.is_empty() {
            return;
        }
        let seconds = frames.len() as f64 / self.from;
        self.piece = seconds.max(self.piece + (seconds - self.piece) * 0.02).min(LONGEST_PIECE);
        self.pushed = now;
        self.is_over = false;
        self.frames.extend_from_slice(frames);
        if self.ready() as f64 / self.from > MOST {
            self.skip_to(self.target());
            (self.older, self.fade) = (None, 0.0);
        }
        // What is behind the place is moved out of the way now and then, not with every piece.
        let behind = self.older.map_or(self.at, |older| older.at.min(self.at)) - BEFORE;
        if behind > 8192 {
            self.frames.drain(..behind);
            self.at -= behind;
            self.older = self.older.map(|older| Older { at: older.at - behind, ..older });
        }
    }

    /// Nothing follows for now: what is there is played to its end, and that it ends is as it should be.
    pub fn end(&mut self) {
        if !self.is_over && self.frames.len() > self.at {
            // What the last frames are computed from.
            self.frames.extend([SILENCE; AFTER]);
        }
        self.is_over = true;
    }

    /// Gives the next frames, at once; where there are none, silence. Returns whether any of it is sound.
    pub fn pull(&mut self, now: Duration, out: &mut [Frame]) -> bool {
        out.fill(SILENCE);
        self.mix(now, out)
    }

    /// Adds the next frames to what is in `out`.
    pub fn mix(&mut self, now: Duration, out: &mut [Frame]) -> bool {
        let asked = out.len() as f64 / self.to;
        if !self.is_playing && !self.begins(now) {
            self.pulled = now;
            return false;
        }
        self.hold_level(now, asked);
        let step = (self.from / self.to) * (1.0 + self.haste);
        for (done, out) in out.iter_mut().enumerate() {
            let ready = self.ready();
            if ready == 0 {
                self.ran_dry();
                return done > 0;
            }
            let left = (ready as f64 - self.place) / step;
            self.fade = (self.fade + 1.0 / FADE).min((left / FADE).clamp(0.0, 1.0));
            let frame = self.frame(step);
            *out = [out[0] + frame[0], out[1] + frame[1]];
        }
        true
    }

    /// How often something had to be done that may be heard.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The time that a frame spends here now: what is held on the average, as long as nothing disturbs it.
    pub fn latency(&self) -> Duration {
        Duration::from_secs_f64(if self.is_playing { self.level.max(0.0) } else { 0.0 })
    }

    /// Whether everything has been played.
    pub fn is_empty(&self) -> bool {
        self.ready() == 0
    }

    /// Places that can be computed.
    fn ready(&self) -> usize {
        self.frames.len().saturating_sub(self.at + AFTER)
    }

    /// The level that is held, in seconds, after a reader has read.
    fn target(&self) -> f64 {
        self.piece + self.margin
    }

    /// What is there, and the part of the next piece that would be there if it came bit by bit, in seconds: without it the level
    /// would jump when a piece comes a moment before a reader instead of a moment after it.
    fn now_there(&self, now: Duration) -> f64 {
        let there = self.ready() as f64 / self.from;
        if self.is_over { there } else { there + self.since_piece(now).min(2.0 * self.piece) }
    }

    fn since_piece(&self, now: Duration) -> f64 {
        now.saturating_sub(self.pushed).as_secs_f64()
    }

    /// Whether there is enough to begin, and then begins.
    fn begins(&mut self, now: Duration) -> bool {
        let there = self.ready() as f64 / self.from;
        let target = self.target();
        // A sound that is shorter than that is played, too.
        let is_all = there > 0.0 && (self.is_over || self.since_piece(now) > target);
        if there < target && !is_all {
            return false;
        }
        if there > target + self.piece {
            self.skip_to(target);
            self.counts.skipped += 1;
        }
        (self.is_playing, self.fade, self.haste, self.older) = (true, 0.0, 0.0, None);
        self.level = target;
        self.pulled = now;
        true
    }

    fn hold_level(&mut self, now: Duration, asked: f64) {
        let target = self.target();
        let mut after = self.now_there(now) - asked;
        if after > target + TOO_MUCH {
            self.older = Some(Older { at: self.at, place: self.place, left: FADE });
            self.skip_to(target + asked - self.since_piece(now).min(2.0 * self.piece));
            self.counts.skipped += 1;
            after = target;
            self.level = target;
        }
        let passed = now.saturating_sub(self.pulled).as_secs_f64();
        self.pulled = now;
        self.margin = (self.margin - passed * LESS_MARGIN).max(self.least);
        self.level += (after - self.level) * (1.0 - (-passed / AVERAGE).exp());
        let over = self.level - target;
        let beyond = if self.is_over { 0.0 } else { over - over.clamp(-CALM, CALM) };
        self.haste = (beyond * HASTE).clamp(-MAX_HASTE, MAX_HASTE);
    }

    /// Leaves out what is older than so many seconds before the end.
    fn skip_to(&mut self, seconds: f64) {
        let kept = (seconds.max(0.0) * self.from) as usize;
        self.at = self.frames.len().saturating_sub(kept + AFTER).max(self.at);
        self.place = 0.0;
    }

    fn ran_dry(&mut self) {
        self.is_playing = false;
        if !self.is_over {
            self.counts.dry += 1;
            self.margin = (self.margin + MORE_MARGIN).min(MAX_MARGIN);
        }
    }

    /// The frame at the place, which moves on.
    fn frame(&mut self, step: f64) -> Frame {
        let mut frame = self.look(self.at, self.place);
        if let Some(older) = &mut self.older {
            let weight = (older.left / FADE) as f32;
            let (at, place) = (older.at, older.place);
            (older.at, older.place) = moved(at, place, step);
            older.left -= 1.0;
            let is_done = older.left <= 0.0;
            let before = self.look(at, place);
            if is_done {
                self.older = None;
            }
            frame = [frame[0] + (before[0] - frame[0]) * weight, frame[1] + (before[1] - frame[1]) * weight];
        }
        (self.at, self.place) = moved(self.at, self.place, step);
        let fade = self.fade as f32;
        if fade < 1.0 { [frame[0] * fade, frame[1] * fade] } else { frame }
    }

    fn look(&self, at: usize, place: f64) -> Frame {
        if place == 0.0 && self.from == self.to {
            return self.frames.get(at).copied().unwrap_or(SILENCE);
        }
        let around = at.checked_sub(BEFORE).and_then(|first| self.frames.get(first..first + TAPS));
        match around.and_then(|around| <&[Frame; TAPS]>::try_from(around).ok()) {
            Some(around) => self.kernel.at(around, place),
            None => SILENCE,
        }
    }
}

fn moved(at: usize, place: f64, step: f64) -> (usize, f64) {
    let place = place + step;
    (at + place as usize, place.fract())
}
