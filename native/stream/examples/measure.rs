//! Measures conversion and encoding on one core: by the clock for each picture, and in CPU time of the thread for all of them, which
//! other processes do not change.
//!
//! `cargo run --release -p sampan-stream --example measure -- [WIDTHxHEIGHT] [MEGABITS]`

use sampan_frame::{Rect, Size, Staging};
use sampan_stream::Budget;
use sampan_stream::codec::{AccessUnit, Codec, Encoder, H264, Kind, Picture, Planar, Settings, encoder};
use std::error::Error;
use std::time::{Duration, Instant};

const FRAMES: u64 = 60;
const FPS: u32 = 60;

/// CPU nanoseconds of this thread (the first number of its schedstat; it may advance in steps of 4 ms).
fn cpu() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no schedstat")?.parse()?)
}

/// Times of single pictures by the clock, and of all of them in CPU time.
#[derive(Default)]
struct Times {
    cpu: u64,
    each: Vec<u64>,
}

impl Times {
    fn add<T>(&mut self, work: impl FnOnce() -> T) -> Result<T, Box<dyn Error>> {
        let (begun, before) = (Instant::now(), cpu()?);
        let value = work();
        self.each.push(begun.elapsed().as_nanos() as u64);
        self.cpu += cpu()? - before;
        Ok(value)
    }

    /// Median and 95th percentile by the clock, mean of CPU time.
    fn report(mut self) -> String {
        let cpu = self.cpu as f64 / self.each.len() as f64 / 1e6;
        self.each.sort_unstable();
        let at = |p: usize| self.each[(self.each.len() - 1) * p / 100] as f64 / 1e6;
        format!("{:.1}/{:.1} | {cpu:.1}", at(50), at(95))
    }
}

/// The colours of an editor's text.
const INKS: [[u8; 3]; 6] = [
    [0x20, 0x20, 0x20],
    [0xc8, 0x30, 0x10],
    [0x10, 0x30, 0xd0],
    [0x18, 0x80, 0x18],
    [0x90, 0x18, 0x80],
    [0x60, 0x60, 0x60],
];
const PAPER: [u8; 3] = [0xf4, 0xf8, 0xf8];

/// A pixel of an editor's lines, of glyph-like strokes in words of several colours. `page` says which text it is.
fn text(x: usize, y: usize, page: usize) -> [u8; 3] {
    let (column, row) = (x / 8, y / 16);
    let mix = |n: usize| (n ^ page.wrapping_mul(977)).wrapping_mul(2_654_435_761) >> 7;
    let (indent, length) = (4 * (mix(row) % 5), 10 + mix(row * 3 + 1) % 80);
    let word = mix(row * 53 + column / 7);
    let blank = mix(row * 7 + 5).is_multiple_of(5) || column < indent || column >= indent + length;
    let (px, py) = (x % 8, y % 16);
    if blank || column % 7 > 2 + word % 5 || py >= 12 || px >= 7 {
        return PAPER;
    }
    let glyph = mix(row * 131 + column * 71) % 17;
    let strokes =
        [px == 1 + glyph % 3, py == 2 + glyph % 5, glyph.is_multiple_of(3) && px + py == 8 + glyph % 4];
    let ink = INKS[word % INKS.len()];
    if strokes.contains(&true) && py > 1 {
        ink
    } else if px == 2 + glyph % 3 && py > 1 {
        // The edge of a stroke, as antialiasing makes it.
        [0, 1, 2].map(|c| ((u16::from(ink[c]) + 2 * u16::from(PAPER[c])) / 3) as u8)
    } else {
        PAPER
    }
}

fn paint(staging: &mut Staging, area: Rect, colour: impl Fn(usize, usize) -> [u8; 3]) {
    let width = staging.size.width as usize;
    for y in area.y..area.bottom().min(staging.size.height) {
        for x in area.x..area.right().min(staging.size.width) {
            let at = (y as usize * width + x as usize) * 4;
            staging.pixels[at..at + 3].copy_from_slice(&colour(x as usize, y as usize));
        }
    }
}

/// What happens on the screen.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Typing,
    Scroll,
    Window,
    Video,
    Flip,
}

impl Work {
    /// Paints picture `n`; what changed.
    fn paint(self, staging: &mut Staging, n: u64) -> Vec<Rect> {
        let (whole, step) = (staging.size.rect(), n as usize);
        let at = |x, y, width, height| Rect { x, y, width, height };
        if n == 0 {
            paint(staging, whole, |x, y| text(x, y, 0));
            return vec![whole];
        }
        match self {
            Work::Typing => {
                let cell = at(160 + 8 * n as u32, 320, 8, 16);
                paint(staging, cell, |x, y| text(x, y, step));
                vec![cell]
            }
            Work::Scroll => {
                paint(staging, whole, |x, y| text(x, y + 8 * step, 0));
                vec![whole]
            }
            Work::Window => {
                let window = |n: u32| at(100 + 8 * n, 80 + 3 * n, 640, 480);
                let (old, new) = (window(n as u32 - 1), window(n as u32));
                paint(staging, old, |x, y| text(x, y, 0));
                paint(staging, new, |x, y| text(x - new.x as usize, y - new.y as usize, 3));
                vec![old, new]
            }
            Work::Video => {
                let video = at(400, 300, 640, 360);
                paint(staging, video, |x, y| {
                    let wave = |a: usize, b: usize| {
                        ((((x * a + y * b + step * 40) as f64 / 300.0).sin() + 1.0) * 110.0) as u8
                    };
                    [wave(3, 1), wave(1, 4), wave(2, 3)]
                        .map(|v| v.wrapping_add((x * 7 + y * 13 + step * 5) as u8 & 7))
                });
                vec![video]
            }
            Work::Flip => {
                paint(staging, whole, |x, y| text(x, y, step));
                vec![whole]
            }
        }
    }
}

/// Decibels between two pictures, of all three colours.
fn psnr(a: &Staging, b: &Staging) -> f64 {
    let mut sum = 0u64;
    for (a, b) in a.pixels.chunks_exact(4).zip(b.pixels.chunks_exact(4)) {
        sum += (0..3).map(|c| u64::from(a[c].abs_diff(b[c])).pow(2)).sum::<u64>();
    }
    10.0 * (255.0f64.powi(2) / (sum.max(1) as f64 / (a.size.area() * 3) as f64)).log10()
}

/// An encoder, with what its viewers see where that can be told.
enum Measured {
    H264(H264),
    Other(Box<dyn Encoder>),
}

impl Measured {
    fn new(codec: Codec, settings: Settings) -> Result<Self, Box<dyn Error>> {
        Ok(match codec {
            Codec::Vp8 => Measured::Other(encoder(codec, settings)?),
            _ => Measured::H264(H264::new(codec, settings)?),
        })
    }

    fn encode(&mut self, picture: Picture<'_>, kind: Kind) -> Result<Option<AccessUnit>, Box<dyn Error>> {
        Ok(match self {
            Measured::H264(encoder) => encoder.encode(picture, kind)?,
            Measured::Other(encoder) => encoder.encode(picture, kind)?,
        })
    }

    fn decibels(&self, pixels: &Staging) -> f64 {
        match self {
            Measured::H264(encoder) => encoder.decoded().map_or(0.0, |seen| psnr(pixels, &seen)),
            Measured::Other(_) => 0.0,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).unwrap_or_else(|| "1920x1080".into());
    let (width, height) = asked.split_once('x').ok_or("WIDTHxHEIGHT")?;
    let size = Size::new(width.parse()?, height.parse()?)?;
    let rate = (std::env::args().nth(2).unwrap_or_else(|| "12".into()).parse::<f64>()? * 1e6) as u32;
    let mut staging = Staging { size, pixels: vec![0xff; size.area() as usize * 4] };
    println!("{size}, {FRAMES} pictures, {rate} bit/s");

    for codec in [Codec::H264, Codec::H264Full] {
        let mut picture = Planar::new(size, codec);
        for (name, damage) in
            [("whole", size.rect()), ("a line of text", Rect { x: 0, y: 320, width: size.width, height: 16 })]
        {
            let mut times = Times::default();
            for _ in 0..FRAMES {
                times.add(|| picture.update(&staging, &[damage]))??;
            }
            println!("convert for {codec}, {name}: ms p50/p95 | cpu: {}", times.report());
        }
    }
    println!(
        "codec, work | ms p50/p95 | cpu | kB each | dB | at rest: dB, kB, pictures | keyframe: ms, kB, dB"
    );
    for codec in [Codec::H264, Codec::H264Full, Codec::Vp8] {
        for (name, work) in [
            ("typing", Work::Typing),
            ("scroll", Work::Scroll),
            ("window", Work::Window),
            ("video", Work::Video),
            ("flip", Work::Flip),
        ] {
            let settings = Settings { size, max_fps: FPS, bitrate: rate, refined: false };
            let mut encoder = Measured::new(codec, settings)?;
            let (start, mut budget) = (Instant::now(), Budget::new(Instant::now()));
            let at = |n: u64| Duration::from_micros(n * 16_667);
            let (mut times, mut bytes) = (Times::default(), 0);
            for frame in 0..=FRAMES {
                let damage = work.paint(&mut staging, frame);
                let most = budget.most(start + at(frame), rate, FPS, frame == 0);
                let picture = Picture { pixels: &staging, damage: &damage, at: at(frame), most };
                let kind = if frame == 0 { Kind::Key } else { Kind::Delta };
                let mut unused = Times::default();
                let times = if frame == 0 { &mut unused } else { &mut times };
                let unit = times.add(|| encoder.encode(picture, kind))??.map_or(0, |unit| unit.data.len());
                bytes += if frame == 0 { 0 } else { unit };
                budget.spend(unit);
            }
            let moving = encoder.decibels(&staging);
            // At rest: 300 ms later.
            let (mut steps, mut rest_bytes, mut settled) = (0, 0, false);
            while !settled && steps < 100 {
                let frame = FRAMES + 18 + steps * 6;
                let most = budget.most(start + at(frame), rate, FPS, false);
                let picture = Picture { pixels: &staging, damage: &[], at: at(frame), most };
                let unit = encoder.encode(picture, Kind::Refined)?;
                let length = unit.as_ref().map_or(0, |unit| unit.data.len());
                settled = unit.is_none_or(|unit| unit.settled);
                budget.spend(length);
                (steps, rest_bytes) = (steps + 1, rest_bytes + length);
            }
            let rest = encoder.decibels(&staging);
            let mut key = Measured::new(codec, Settings { refined: true, ..settings })?;
            let mut key_times = Times::default();
            let most = budget.most(start + Duration::from_secs(10), rate, FPS, true);
            let picture = Picture { pixels: &staging, damage: &[size.rect()], at: at(0), most };
            let unit = key_times.add(|| key.encode(picture, Kind::RefinedKey))??;
            println!(
                "{codec}, {name} | {} | {:.1} | {moving:.1} | {rest:.1}, {:.1}, {steps} | {:.1}, {}, {:.1}",
                times.report(),
                bytes as f64 / FRAMES as f64 / 1000.0,
                rest_bytes as f64 / 1000.0,
                key_times.each[0] as f64 / 1e6,
                unit.map_or(0, |unit| unit.data.len()) / 1000,
                key.decibels(&staging),
            );
        }
    }
    Ok(())
}
