//! Measures conversion and encoding on one core, in CPU time of the thread, which other processes do not change.
//!
//! `cargo run --release -p sampan-stream --example measure -- [WIDTHxHEIGHT]`

use sampan_frame::{Rect, Size, Staging};
use sampan_stream::codec::{Codec, I420, Kind, Picture, Settings, encoder};
use std::error::Error;
use std::time::{Duration, Instant};

const FRAMES: u64 = 60;

/// CPU nanoseconds of this thread (the first number of its schedstat; it may advance in steps of 4 ms).
fn cpu() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no schedstat")?.parse()?)
}

/// Times of single frames by the clock, and of all of them in CPU time.
struct Times {
    cpu: u64,
    each: Vec<u64>,
}

impl Times {
    fn begin() -> Result<Self, Box<dyn Error>> {
        Ok(Self { cpu: cpu()?, each: Vec::new() })
    }

    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let value = work();
        self.each.push(begun.elapsed().as_nanos() as u64);
        value
    }

    /// Least, median and 95th percentile by the clock, mean of CPU time.
    fn report(mut self) -> Result<String, Box<dyn Error>> {
        let cpu = (cpu()? - self.cpu) as f64 / self.each.len() as f64 / 1e6;
        self.each.sort_unstable();
        let at = |p: usize| self.each[(self.each.len() - 1) * p / 100] as f64 / 1e6;
        Ok(format!("{:.2} / {:.2} / {:.2}, cpu {cpu:.2}", at(0), at(50), at(95)))
    }
}

/// Rows of glyph-like blocks, scrolled by `offset` pixels.
fn text(staging: &mut Staging, offset: usize) {
    let width = staging.size.width as usize;
    for (y, row) in staging.pixels.chunks_exact_mut(width * 4).enumerate() {
        let y = y + offset;
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let glyph = (y / 16 * 131 + x / 8 * 71) % 17;
            let inside = y % 16 < 11 && x % 8 < 6 && glyph > 4;
            let ink = inside && (x % 8 * glyph + y % 16 * 3).is_multiple_of(4);
            pixel[..3].fill(if ink { 0x20 } else { 0xf4 });
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).unwrap_or_else(|| "1920x1080".into());
    let (width, height) = asked.split_once('x').ok_or("WIDTHxHEIGHT")?;
    let size = Size::new(width.parse()?, height.parse()?)?;
    let mut staging = Staging { size, pixels: vec![0xff; size.area() as usize * 4] };
    println!("{size}, {FRAMES} frames of text, 8 Mb/s; milliseconds: least / p50 / p95, and CPU time");

    let mut picture = I420::new(size, Codec::H264);
    for (name, damage) in [
        ("whole frame", size.rect()),
        ("one line of text", Rect { x: 0, y: 320, width: size.width, height: 16 }),
    ] {
        let mut times = Times::begin()?;
        for _ in 0..FRAMES {
            times.add(|| picture.update(&staging, &[damage]))?;
        }
        println!("convert, {name}: {}", times.report()?);
    }
    for codec in [Codec::H264, Codec::Vp8] {
        for (name, step, whole) in [
            ("nothing changed", 0, true),
            ("a line of text", 0, false),
            ("scroll by 8 px", 8, true),
            ("full change", 1009, true),
        ] {
            let mut encoder = encoder(codec, Settings { size, max_fps: 60, bitrate: 8_000_000 })?;
            let mut times = Times::begin()?;
            let (mut bytes, mut painted) = (0, 0);
            for frame in 0..=FRAMES {
                let begun = cpu()?;
                if step > 0 || frame == 0 {
                    text(&mut staging, frame as usize * step);
                }
                let mut damage = size.rect();
                if !whole && frame > 0 {
                    damage = Rect { x: 0, y: 320, width: size.width, height: 16 };
                    let row = size.width as usize * 4;
                    staging.pixels[320 * row..336 * row].rotate_left(32);
                }
                painted += cpu()? - begun;
                let at = Duration::from_micros(frame * 16_667);
                let picture = Picture { pixels: &staging, damage: &[damage], at };
                let unit = times.add(|| encoder.encode(picture, Kind::Delta))?;
                if frame > 0 {
                    bytes += unit.map_or(0, |unit| unit.data.len());
                }
            }
            // Painting is not encoding.
            times.cpu += painted;
            println!("{codec}, {name}: {}, {} kB each", times.report()?, bytes as u64 / FRAMES / 1000);
        }
    }
    Ok(())
}
