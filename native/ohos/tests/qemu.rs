//! A real QEMU's pictures on a surface, pixel by pixel. A libqemu must have been built (`scripts/qemu/build`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sampan_display::Display;
use sampan_emulator::{Arch, InProcess, LaunchSpec, Launcher, LibqemuDir, Running};
use sampan_frame::Screen;
use sampan_ohos::{Ndk, Surface};
use sampan_ohos_stand_in as stand_in;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far beyond what anything takes here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine in this process; it quits when dropped.
struct Qemu {
    qmp: BufReader<UnixStream>,
    running: Running,
}

impl Qemu {
    fn start(args: &[&str]) -> Self {
        let mut spec = LaunchSpec::new("surface-test", Arch::X86_64);
        spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-accel", "tcg"]);
        spec.args(["-display", "dbus,p2p=on", "-device", "VGA"]).args(args);
        let launcher = InProcess::new(LibqemuDir::find().unwrap());
        let running = launcher.launch(spec, Box::new(|_| {})).unwrap();
        running.qmp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut qemu = Self { qmp: BufReader::new(running.qmp.try_clone().unwrap()), running };
        qemu.until("QMP");
        qemu.execute("qmp_capabilities", json!({}), &[]);
        qemu
    }

    fn until(&mut self, member: &str) -> Value {
        loop {
            let mut line = String::new();
            self.qmp.read_line(&mut line).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            assert!(line.get("error").is_none(), "{line}");
            if line.get(member).is_some() {
                return line;
            }
        }
    }

    fn execute(&mut self, command: &str, arguments: Value, fds: &[i32]) {
        let command = json!({ "execute": command, "arguments": arguments }).to_string();
        let rights = [ControlMessage::ScmRights(fds)];
        let rights: &[_] = if fds.is_empty() { &[] } else { &rights };
        let data = [IoSlice::new(command.as_bytes())];
        sendmsg::<()>(self.running.qmp.as_raw_fd(), &data, rights, MsgFlags::empty(), None).unwrap();
        self.until("return");
    }

    async fn display(&mut self) -> Display {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.execute("getfd", json!({ "fdname": "display" }), &[theirs.as_raw_fd()]);
        self.execute("add_client", json!({ "protocol": "@dbus-display", "fdname": "display" }), &[]);
        Display::connect(ours).await.unwrap()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.running.qmp.write_all(br#"{"execute":"quit"}"#);
    }
}

/// A Windows bitmap of 640 × 480 pixels in 24 bits whose every pixel tells where it is.
fn bitmap() -> Vec<u8> {
    let mut bmp = b"BM".to_vec();
    let (header, pixels) = (54u32, 640 * 480 * 3u32);
    for number in [header + pixels, 0, header, 40, 640, 480, 1 | (24 << 16), 0, pixels, 0, 0, 0, 0] {
        bmp.extend(number.to_le_bytes());
    }
    for y in (0..480u32).rev() {
        bmp.extend((0..640).flat_map(|x| place(x, y)));
    }
    bmp
}

/// Blue, green and red of a pixel.
fn place(x: u32, y: u32) -> [u8; 3] {
    [(x / 3) as u8, (y / 2) as u8, ((x * 5) ^ (y * 3)) as u8]
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn surface_of(screen: Arc<Screen>, padding: i32, opaque: bool) -> (Surface, stand_in::Surface) {
    let library = Path::new(stand_in::LIBRARY);
    let ndk = Ndk::load_from(library, library).unwrap();
    let surface = Surface::start(ndk, screen, |_| {}).unwrap();
    let on = stand_in::Surface::new();
    on.set("padding", padding);
    surface.attach(on.id(), None, opaque);
    (surface, on)
}

fn is_bitmap(pixels: &[u8], alpha: bool) -> bool {
    let rows = (0..480).zip(pixels.chunks(640 * 4));
    pixels.len() == 640 * 480 * 4
        && rows.flat_map(|(y, row)| (0..640).zip(row.as_chunks::<4>().0).map(move |(x, p)| (x, y, p))).all(
            |(x, y, p)| {
                let [b, g, r] = place(x, y);
                p[..3] == [b, g, r] && (!alpha || p[3] == 0xff)
            },
        )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_firmwares_text_and_its_picture_are_shown_pixel_for_pixel() {
    let file = std::env::temp_dir().join(format!("sampan-surface-{}.bmp", std::process::id()));
    std::fs::write(&file, bitmap()).unwrap();
    let mut qemu = Qemu::start(&["-boot", &format!("menu=on,splash-time=60000,splash={}", file.display())]);
    let display = qemu.display().await;
    let screen = display.consoles()[0].screen().clone();
    // Two at once, each with its own damage: one that is padded and forces alpha, and one that QEMU's rows fit as they are.
    let (first, padded) = surface_of(screen.clone(), 68, false);
    let (second, plain) = surface_of(screen.clone(), 0, true);
    eventually("the picture with alpha", || is_bitmap(&padded.shown(), true)).await;
    eventually("the opaque picture", || is_bitmap(&plain.shown(), false)).await;
    assert_eq!(screen.scanout().unwrap().owned_bytes(), 0, "it came through QEMU's own memory");
    assert_eq!(display.faults(), []);
    drop((first, second));
    assert_eq!((padded.get("windows"), plain.get("windows"), stand_in::faults()), (0, 0, 0));
    drop(std::fs::remove_file(file));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_of_a_booting_machine_ends_on_the_surface() {
    let mut qemu = Qemu::start(&[]);
    let display = qemu.display().await;
    let screen = display.consoles()[0].screen().clone();
    let (_surface, on) = surface_of(screen.clone(), 20, false);
    let lit = |pixels: &[u8]| pixels.as_chunks::<4>().0.iter().filter(|p| p[..3] != [0, 0, 0]).count();
    eventually("the firmware's text", || lit(&on.shown()) > 500).await;
    // The text stands, but for a cursor that blinks: so both are compared until they are read at one moment.
    let same = || {
        let scanout = screen.scanout().unwrap();
        let size = scanout.size();
        let mut pixels = vec![0; size.area() as usize * 4];
        scanout.read(size.rect(), &mut pixels, size.width as usize * 4).unwrap();
        pixels == on.shown()
    };
    eventually("the same picture", same).await;
    assert_eq!(stand_in::faults(), 0);
}
