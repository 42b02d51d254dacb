//! Performance modes and the background: what the threads' priority and cores are is read from `/proc`, and how much of the
//! time a guest runs is compared with itself.

use crate::common::{
    PATIENCE, Port, child, colour_machine, colour_picture, in_process, libqemu, spec, state, tiny_guest,
    until,
};
#[cfg(not(target_env = "ohos"))]
use crate::common::{of_machine, tiny_machine};
use sampan_config::{Arch, Duty, FirmwareKind, Mode, Preset, VmConfig};
use sampan_emulator::probe;
use sampan_library::{Library, NewSnapshot, SourceFormat};
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{Cd, Effect, FirstDisk, FirstStart, Host, Recipe, RunOptions, Vm};
use sampan_session::{Command, ProgressFn, SLOWED, Session, State};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the effect of a change is measured until it is to be seen: the two halves of a measurement are a second each,
/// and what else works on the host may begin or end in between.
const TRIES: usize = 10;

/// A machine of the library whose one program is an endless loop, which it has begun.
async fn busy(home: &Path) -> Vm {
    let mut sector = vec![
        0xba, 0xf8, 0x03, // mov dx, 3f8h: the serial port, which the firmware leaves alone
        0xb0, b'L', 0xee, // mov al, 'L'; out dx, al
        0xeb, 0xfe, // jmp to itself
    ];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    let file = home.join("busy.img");
    std::fs::write(&file, sector).expect("a disk");
    let library = Library::open(home.join("library")).expect("a library");
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let recipe = Recipe {
        name: "busy".into(),
        preset: Preset::Other,
        arch: Arch::X86_64,
        base: None,
        memory_mib: Some(64),
        cpus: Some(2),
        firmware: Some(FirmwareKind::Bios),
        disk: FirstDisk::Image { file, format: Some(SourceFormat::Raw), size: None },
        cd: Cd::None,
        first_start: FirstStart::None,
    };
    let (layer, place) = (images.clone(), library.clone());
    let locked = tokio::task::spawn_blocking(move || {
        let firmware = libqemu().firmware().expect("firmware");
        recipe.create(&place, &layer, &firmware, 1, &mut |_| ControlFlow::Continue(()))
    })
    .await
    .expect("a thread")
    .expect("is made");
    let libqemu = libqemu();
    let choice = probe(Some(&libqemu)).choose(Arch::X86_64).expect("guests can be run");
    let log = std::sync::Arc::new(sampan_session::LogCrate::new("machine"));
    let host = Host { library, libqemu, launcher: child(), choice, images, log };
    let vm = Vm::start(host, locked, RunOptions::default()).await.expect("starts");
    // The firmware halts its CPU now and then; the loop never does.
    let begun = Instant::now();
    while !vm.session().serial().tail().contains('L') {
        assert!(begun.elapsed() < PATIENCE, "it never looped: {:?}", vm.session().status().borrow().clone());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    vm
}

/// Sends it to the background, or back, until that has the effect that is meant.
async fn background(vm: &Vm, on: bool, is_meant: impl Fn(&Effect) -> bool) {
    for _ in 0..TRIES {
        let effect = vm.set_background(on).await.expect("is changed");
        println!("{effect:?}");
        if is_meant(&effect) {
            return;
        }
        vm.set_background(!on).await.expect("is changed back");
    }
    panic!("background {on}: never the effect that is meant");
}

async fn threads(session: &Session) -> Vec<i32> {
    session.threads().await.expect("are told")
}

/// Nice value, and on how many cores it may run.
fn of_thread(thread: i32) -> (i32, usize) {
    let read =
        |name| std::fs::read_to_string(format!("/proc/{thread}/task/{thread}/{name}")).expect("is there");
    let stat = read("stat");
    // Field 19, of which the first two end with the bracket.
    let nice = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(16).expect("nice");
    let status = read("status");
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).expect("a mask");
    (
        nice.parse().expect("a number"),
        mask.chars().filter_map(|c| c.to_digit(16)).map(|d| d.count_ones() as usize).sum(),
    )
}

async fn says_paused(session: &Session) -> bool {
    session.human("info status").await.expect("is told").contains("paused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mode_reaches_the_real_threads_and_is_measured_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let vm = busy(folder.path()).await;
    let all = of_thread(std::process::id() as i32).1;
    let threads = threads(vm.session()).await;
    assert_eq!(threads.len(), 2, "one a CPU");
    for &thread in &threads {
        assert_eq!(of_thread(thread), (0, all), "standard takes nothing that turbo could not give back");
    }
    let saver = vm.set_mode(Mode::Saver).await.expect("is changed");
    println!("{saver:?}");
    for &thread in &threads {
        assert_eq!(of_thread(thread), (10, 1), "of two CPUs one would rest: they share one core");
    }
    assert!(saver.refused.iter().any(|words| words.message.contains("keeps all 2")), "{saver:?}");
    assert!(saver.before > 0 && saver.after > 0, "{saver:?}");

    let turbo = vm.set_mode(Mode::Turbo).await.expect("is changed");
    println!("{turbo:?}");
    for &thread in &threads {
        let (nice, cores) = of_thread(thread);
        assert_eq!(cores, all);
        // Without a privilege nobody gets a priority back: then it is told.
        let told = turbo.refused.iter().any(|words| words.message.contains("stays at 10"));
        assert_eq!(nice, if told { 10 } else { 0 });
        assert_eq!(vm.mode_refused(), turbo.refused, "and stays told");
    }
    let bundle = Library::open(folder.path().join("library")).expect("the library");
    let bundle = bundle.read(bundle.find("busy").expect("is there")).expect("is read");
    let kept = VmConfig::from_files(&bundle.document().expect("a document")).expect("is one");
    assert_eq!((kept.performance.mode, vm.document().performance.mode), (Mode::Turbo, Mode::Turbo));

    // Turbo knows no background.
    let effect = vm.set_background(true).await.expect("is told");
    assert!(vm.in_background() && !vm.session().status().borrow().slowed, "{effect:?}");
    // The next mode does, at once.
    vm.set_mode(Mode::Saver).await.expect("is changed");
    until(vm.session(), "the background", |status| status.slowed).await;
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_background_it_works_a_part_of_the_time_and_a_persons_pause_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let vm = busy(folder.path()).await;
    let session = vm.session();
    vm.set_mode(Mode::Saver).await.expect("is changed");
    background(&vm, true, |slowed| slowed.after * 2 < slowed.before).await;
    let now = session.status().borrow().clone();
    assert_eq!((now.state, now.slowed, now.detail.as_str()), (State::Running, true, SLOWED));

    session.execute(Command::Pause).await.expect("pauses");
    state(session, State::Paused).await;
    for _ in 0..25 {
        assert!(says_paused(session).await, "the cycle has undone a person's pause");
        let now = session.status().borrow().clone();
        assert_eq!((now.state, now.slowed, now.detail.as_str()), (State::Paused, false, ""));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    session.execute(Command::Resume).await.expect("goes on");
    until(session, "the background again", |status| status.state == State::Running && status.slowed).await;

    let new = NewSnapshot { name: "one".into(), note: String::new(), time: 2, thumbnail: None };
    vm.snapshot(new, false, &ProgressFn::none()).await.expect("is taken");
    until(session, "the background after the snapshot", |status| status.slowed).await;

    background(&vm, false, |ended| ended.after > ended.before * 2).await;
    assert!(!says_paused(session).await);
    let now = session.status().borrow().clone();
    assert_eq!((now.state, now.slowed, now.detail.as_str()), (State::Running, false, ""));

    vm.set_background(true).await.expect("is slowed down");
    vm.suspend(3, &ProgressFn::none()).await.expect("is suspended");
    vm.finish().await;
}

/// Commands with a number, to tell the answers apart.
struct Guest {
    port: Port,
    asked: u32,
}

impl Guest {
    async fn ask(&mut self, command: &str) -> serde_json::Value {
        self.asked += 1;
        // Of five digits, so that none is the beginning of another.
        let id = 10_000 + self.asked;
        self.port.say(&format!(r#"{{"cmd":"{command}","id":{id}}}"#));
        let line = self.port.wait_for(&format!("\"id\":{id}")).await;
        serde_json::from_str(&line).expect("JSON")
    }

    async fn frames(&mut self) -> u64 {
        self.ask("state").await["state"]["counter"].as_u64().expect("a number")
    }

    async fn time(&mut self) -> Duration {
        Duration::from_nanos(self.ask("time").await["time_ns"].as_u64().expect("a number"))
    }

    /// How much of the time it runs, of 1, while it gets so many frames done. Its clock stands when its CPUs are halted, and
    /// goes on when they wait for a core of the host's: what else works there does not count.
    async fn share(&mut self, frames: u64) -> f64 {
        let (host, guest, drawn) = (Instant::now(), self.time().await, self.frames().await);
        while self.frames().await < drawn + frames {
            assert!(host.elapsed() < PATIENCE, "it does not draw");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ran = self.time().await - guest;
        ran.as_secs_f64() / host.elapsed().as_secs_f64()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_gets_less_done_in_the_background_and_catches_its_power_button() {
    let (spec, mut port) = tiny_guest(Arch::X86_64);
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    port.say(r#"{"cmd":"workload","name":"rect","fps":60}"#);
    port.wait_for("\"done\":\"workload\"").await;
    let mut guest = Guest { port, asked: 0 };
    let in_front = guest.share(120).await;
    session.set_background(Some(Duty { run_ms: 100, pause_ms: 900 })).await.expect("is slowed down");
    let behind = guest.share(24).await;
    session.set_background(None).await.expect("runs on");
    println!("it runs {in_front:.2} of the time in front, {behind:.2} in the background");
    assert!(behind * 2.0 < in_front, "{in_front}, {behind}");

    session.set_background(Some(Duty { run_ms: 50, pause_ms: 950 })).await.expect("is slowed down");
    until(&session, "the background", |status| status.slowed).await;
    session.execute(Command::Powerdown).await.expect("is pressed");
    state(&session, State::PoweredOff).await;
    assert_eq!(session.background(), None);
    session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_and_resumes_at_any_moment_of_the_cycle_leave_it_going() {
    let folder = tempfile::tempdir().expect("a folder");
    let session =
        Session::start(in_process(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    session.set_background(Some(Duty { run_ms: 60, pause_ms: 60 })).await.expect("is slowed down");
    // 7 and 120 have no common divisor: every part of the cycle is met.
    for round in 0..40 {
        session.execute(Command::Pause).await.expect("pauses");
        assert_eq!(session.status().borrow().state, State::Paused, "round {round}");
        session.execute(Command::Resume).await.expect("goes on");
        until(&session, "the background", |status| status.slowed).await;
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    // Both parts of the cycle are seen, again and again.
    for paused in [true, false, true, false] {
        let begun = Instant::now();
        while says_paused(&session).await != paused {
            assert!(begun.elapsed() < PATIENCE, "it never was {paused}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(session.status().borrow().state, State::Running);
    }
    session.execute(Command::Quit).await.expect("quits");
}

/// How often the threads of a process have gone to sleep so far.
fn sleeps(process: &str) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let sleeps = |thread: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
        // A thread may end meanwhile.
        let status = std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    tasks.filter_map(sleeps).sum()
}

/// The process that QEMU runs in.
async fn process_of(session: &Session) -> String {
    let thread = threads(session).await[0];
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).expect("a thread");
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")).expect("a process");
    process.trim().to_owned()
}

/// Waits for a second in which QEMU's process wakes up less often than that.
async fn rests(session: &Session, fewer: f64) {
    let process = &process_of(session).await;
    let begun = Instant::now();
    loop {
        let (before, since) = (sleeps(process), Instant::now());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let per_second = (sleeps(process) - before) as f64 / since.elapsed().as_secs_f64();
        if per_second < fewer {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it still wakes up {per_second:.0} times a second");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_display_that_shows_nothing_new_rests() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session::start(child(), spec(&colour_machine(folder.path(), 3))).await.expect("starts");
    colour_picture(&session, 3).await;
    // A guest that stands has no timers: whatever wakes up QEMU is QEMU's own. By its own interval it looks at a VGA 33 times a
    // second, and each time wakes up the CPU's thread, too: about 160 in all.
    session.execute(Command::Pause).await.expect("pauses");
    rests(&session, 60.0).await;
    session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_does_nothing_lets_qemu_sleep() {
    let (spec, mut port) = tiny_guest(Arch::X86_64);
    let session = Session::start(child(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    // The HPET, which Linux has left at its tick, would be 250 a second.
    rests(&session, 150.0).await;
    session.execute(Command::Quit).await.expect("quits");
}

/// Resident memory of a process in MiB that is no file's, no code that TCG has made, and none of a block as large as the guest's RAM.
#[cfg(not(target_env = "ohos"))]
fn heap(process: &str, ram_mib: u64) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).expect("its mappings");
    let (mut sum, mut counts, mut size) = (0, false, 0);
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = || words.get(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        match words.first().copied().unwrap_or_default() {
            "Size:" => size = number(),
            "Rss:" if counts && size != ram_mib * 1024 => sum += number(),
            range if range.contains('-') => {
                let place = words.get(5).copied().unwrap_or_default();
                counts = words.get(1) == Some(&"rw-p") && (place.is_empty() || place == "[heap]");
            }
            _ => {}
        }
    }
    sum / 1024
}

/// Of what starting takes (each change of the guest's address space makes its map anew), little stays.
#[cfg(not(target_env = "ohos"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_starting_took_is_given_back() {
    let machine = tiny_machine(Arch::X86_64);
    let ram = u64::from(machine.memory_mib);
    let (spec, mut port) = of_machine(&machine);
    let session = Session::start(child(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    let process = process_of(&session).await;
    let begun = Instant::now();
    loop {
        let mib = heap(&process, ram);
        // 30 as measured; 107 where nothing is given back.
        if mib < 64 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{mib} MiB");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    session.execute(Command::Quit).await.expect("quits");
}
