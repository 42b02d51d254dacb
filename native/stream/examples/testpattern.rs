//! Serves a synthetic screen: a moving bar, a counter of 32 blocks, and a pointer that follows the viewer's.
//!
//! `cargo run -p sampan-stream --example testpattern -- [--idle] [--size WxH] [--fps N] [--listen ADDR:PORT] [--touch] [--tone]`
//!
//! Keys: `i` pauses and resumes the painting, `r` makes the pointer relative and absolute again; Caps Lock and Num Lock are
//! locks. It has a touch screen with `--touch`, and with `--tone` a sound card: each second it plays 1 kHz for 100 ms and prints when
//! (milliseconds since 1970), and it hears a microphone: it prints when something begins there after 200 ms of silence. Text is printed, and refused if there is a `?` in it. What viewers send is
//! printed, and once a second (with `--stats`) what the server did.

use sampan_audio::{Described, Input, Output, RATE};
use sampan_frame::{Cursor, PixelFormat, Screen, Size};
use sampan_guest::{Guest, GuestError, GuestState, GuestStatus, Typed};
use sampan_input::{Event, Key, Locks};
use sampan_stream::{Server, ServerConfig};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, SystemTimeError};
use tokio::sync::watch;

struct Pattern {
    screen: Arc<Screen>,
    status: watch::Sender<GuestStatus>,
    moving: AtomicBool,
    locks: watch::Sender<Option<Locks>>,
    touch_screen: bool,
    sound: Option<(Arc<Output>, Arc<Input>)>,
}

impl Guest for Pattern {
    fn name(&self) -> String {
        "test pattern".into()
    }

    fn screen(&self) -> Arc<Screen> {
        self.screen.clone()
    }

    fn input(&self, event: Event) {
        println!("input: {event:?}");
        match event {
            Event::Move { x, y, .. } => self.screen.move_cursor(x as i32, y as i32, true),
            Event::Motion { dx, dy } => {
                let cursor = self.screen.cursor();
                self.screen.move_cursor(cursor.x.saturating_add(dx), cursor.y.saturating_add(dy), true);
            }
            Event::Key { key, down: true } if Some(key) == Key::from_dom("KeyI") => {
                self.moving.fetch_xor(true, Ordering::Relaxed);
            }
            Event::Key { key, down: true } if Some(key) == Key::from_dom("CapsLock") => {
                self.locks.send_modify(|locks| locks.get_or_insert_default().caps ^= true);
            }
            Event::Key { key, down: true } if Some(key) == Key::from_dom("NumLock") => {
                self.locks.send_modify(|locks| locks.get_or_insert_default().num ^= true);
            }
            Event::Key { key, down: true } if Some(key) == Key::from_dom("KeyR") => {
                self.status.send_modify(|status| status.absolute = !status.absolute);
            }
            _ => {}
        }
    }

    fn text(&self, text: String) -> Typed {
        println!("text: {text:?}");
        let words = "this pattern types no question marks".to_owned();
        let typed =
            if text.contains('?') { Err(GuestError { code: "untypable".into(), words }) } else { Ok(()) };
        Box::pin(std::future::ready(typed))
    }

    fn locks(&self) -> watch::Receiver<Option<Locks>> {
        self.locks.subscribe()
    }

    fn touch_screen(&self) -> bool {
        self.touch_screen
    }

    fn resize(&self, size: Size, mm: (u16, u16)) {
        println!("resize: {size} {mm:?}");
        self.screen.set_blank(size);
    }

    fn status(&self) -> watch::Receiver<GuestStatus> {
        self.status.subscribe()
    }

    fn sound(&self) -> Option<Arc<Output>> {
        self.sound.as_ref().map(|(output, _)| output.clone())
    }

    fn microphone(&self) -> Option<Arc<Input>> {
        self.sound.as_ref().map(|(_, input)| input.clone())
    }
}

/// What a sound card with 16 bits and two channels says of itself.
const PCM: Described = Described {
    bits: 16,
    is_signed: true,
    is_float: false,
    rate: RATE,
    channels: 2,
    bytes_per_frame: 4,
    bytes_per_second: 4 * RATE,
    is_big_endian: false,
};

/// Pieces of 10 ms without a sound before what is heard counts as something new.
const PAUSE: u32 = 20;

/// What is louder than this, of 32768, is no noise.
const LOUD: u16 = 2_000;

/// Milliseconds since 1970.
fn now() -> Result<f64, SystemTimeError> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64() * 1000.0)
}

/// Plays in pieces of 10 ms, by this computer's clock, and listens.
fn beep(output: &Output, input: &Input) -> Result<(), Box<dyn Error + Send + Sync>> {
    output.init(1, &PCM)?;
    output.set_enabled(1, true)?;
    input.init(1, &PCM)?;
    input.set_enabled(1, true)?;
    input.allow_microphone(true);
    let (begun, mut recorded, mut quiet) = (Instant::now(), Vec::new(), PAUSE);
    for piece in 0u32.. {
        let next = begun + Duration::from_millis(10) * piece;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let is_loud = piece % 100 < 10;
        let sample = |n: u32| {
            let phase = f64::from(n) * std::f64::consts::TAU * 1_000.0 / f64::from(RATE);
            (if is_loud { phase.sin() * 16_000.0 } else { 0.0 }) as i16
        };
        let bytes: Vec<u8> = (0..480).flat_map(|n| [sample(n).to_le_bytes(); 2]).flatten().collect();
        if piece % 100 == 0 {
            println!("tone at {:.1}", now()?);
        }
        output.write(1, &bytes)?;
        let before = recorded.len();
        input.read(1, 1920, &mut recorded)?;
        let level = |two: &[u8]| i16::from_le_bytes([two[0], two[1]]).unsigned_abs();
        let is_loud = recorded[before..].chunks_exact(2).any(|two| level(two) > LOUD);
        if is_loud && quiet >= PAUSE {
            println!("heard at {:.1}", now()?);
        }
        quiet = if is_loud { 0 } else { quiet.saturating_add(1) };
        if recorded.len() >= 4 * RATE as usize {
            let loudest = recorded.chunks_exact(2).map(level).max();
            println!("recorded a second, at most {} of 32768", loudest.unwrap_or(0));
            recorded.clear();
        }
    }
    Ok(())
}

/// Paints frame `counter`: scrolling rows of blocks that look like text, a bar, and the counter's bits as black and
/// white blocks of 16 pixels in the top row.
fn paint(screen: &Screen, counter: u32) -> Result<(), Box<dyn Error>> {
    let Some(size) = screen.size() else { return Ok(()) };
    let (width, height) = (size.width as usize, size.height as usize);
    let mut pixels = vec![0xf0_u8; width * height * 4];
    for (y, row) in pixels.chunks_exact_mut(width * 4).enumerate() {
        let line = (y + counter as usize * 8) / 16;
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let glyph = (line * 131 + x / 8 * 71) % 7;
            let ink = (y + counter as usize * 8) % 16 < 11
                && (x % 8) < 6
                && (x * y + glyph).is_multiple_of(3)
                && glyph > 1;
            if ink {
                pixel[..3].fill(0x20);
            }
            if y < 16 && x < 32 * 16 {
                let bit = counter >> (31 - x / 16) & 1;
                pixel[..3].fill(if bit == 1 { 255 } else { 0 });
            } else if y < 16 {
                pixel[..3].copy_from_slice(&[0x00, 0x00, 0xff]);
            }
        }
    }
    screen.write(size.rect(), size.width * 4, PixelFormat::Bgrx8888, &pixels)?;
    Ok(())
}

fn cursor() -> Option<Cursor> {
    let mut bgra = vec![0; 24 * 24 * 4];
    for (i, pixel) in bgra.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % 24, i / 24);
        if x <= y && x + y < 30 {
            let edge = x == 0 || x == y || x + y == 29;
            pixel.copy_from_slice(if edge { &[0, 0, 0, 255] } else { &[255, 255, 255, 255] });
        }
    }
    Cursor::from_bgra(24, 24, 0, 0, &bgra)
}

fn option(name: &str) -> Option<String> {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.next().and_then(|_| args.next())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let text = option("--size").unwrap_or_else(|| "1280x720".into());
    let (width, height) = text.split_once('x').ok_or("--size WxH")?;
    let size = Size::new(width.parse()?, height.parse()?)?;
    let fps: u32 = option("--fps").unwrap_or_else(|| "60".into()).parse()?;
    let screen = Screen::new();
    screen.set_blank(size);
    screen.set_cursor_shape(cursor().map(Arc::new));
    screen.move_cursor(100, 100, true);
    let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
    let idle = std::env::args().any(|arg| arg == "--idle");
    let has_sound = std::env::args().any(|arg| arg == "--tone");
    let guest = Arc::new(Pattern {
        screen: screen.clone(),
        status: watch::Sender::new(running),
        moving: AtomicBool::new(!idle),
        locks: watch::Sender::new(None),
        touch_screen: std::env::args().any(|arg| arg == "--touch"),
        sound: has_sound.then(|| (Output::new(|_| {}), Input::new(|_| {}))),
    });
    if let Some((output, input)) = guest.sound.clone() {
        std::thread::spawn(move || {
            if let Err(error) = beep(&output, &input) {
                println!("cannot play: {error}");
            }
        });
    }
    let mut config = ServerConfig::default();
    if let Some(listen) = option("--listen") {
        config.listen = listen.parse()?;
    }
    let server = Server::start(config, guest.clone()).await?;
    println!("viewer: {}", server.url());
    let painter = guest.clone();
    std::thread::spawn(move || {
        let mut counter = 0;
        let mut next = Instant::now();
        loop {
            if painter.moving.load(Ordering::Relaxed) || counter == 0 {
                counter += 1;
                if let Err(error) = paint(&painter.screen, counter) {
                    println!("cannot paint: {error}");
                }
            }
            next = (next + Duration::from_secs(1) / fps.max(1)).max(Instant::now());
            std::thread::sleep(next - Instant::now());
        }
    });
    let talk = std::env::args().any(|arg| arg == "--stats");
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if talk {
            println!("{:?}", server.stats());
        }
    }
}
