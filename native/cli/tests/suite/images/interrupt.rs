use super::{Home, Said, noise, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);
/// Work may be over before it was caught: then it is begun anew.
const ATTEMPTS: usize = 20;

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a process' number"))
}

fn tell(number: u32, signal: Signal) {
    // One that is gone hears nothing, which the caller sees from its answer.
    let _ = kill(pid(number), signal);
}

/// Waits for `is` to give something, as long as the child lives.
fn caught<T>(child: &mut Child, is: impl Fn() -> Option<T>) -> Option<T> {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if let Some(found) = is() {
            return Some(found);
        }
        if child.try_wait().expect("can be asked").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it neither began nor ended");
}

/// The process that a child hosts QEMU in.
fn host_of(parent: u32) -> Option<u32> {
    let children = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).ok();
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten();
    let all: Vec<u32> = tasks
        .filter_map(children)
        .flat_map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>())
        .collect();
    let is_host = |number: &u32| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').next().is_some_and(|name| name.ends_with("sampan-vmhost"))
    };
    all.into_iter().find(is_host)
}

/// Every file of a library.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) };
    entries.flat_map(|entry| below(entry.path())).collect()
}

fn line_with(out: &mut impl BufRead, words: &str) -> Option<String> {
    out.lines().map_while(Result::ok).find(|line| line.contains(words))
}

/// A machine with a disk that takes a while to be copied.
fn home() -> (Home, String) {
    let home = Home::new();
    let image = home.path("noise.img");
    let mut disk = noise(96 << 20);
    disk[510..512].copy_from_slice(b"\x55\xaa");
    std::fs::write(&image, disk).expect("writes");
    let image = image.display().to_string();
    home.json(&["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--image", &image]);
    (home, image)
}

/// Whose work is held, so that it is under way when Ctrl-C comes.
enum Hold {
    /// The program's own, as soon as this file is there.
    Program(PathBuf),
    /// QEMU's, from its beginning to its end: it cannot break off by itself.
    Qemu,
    /// QEMU's, as soon as a new image is in the folder, and until the program breaks off.
    Image(PathBuf),
}

/// Waits for a process' end.
fn gone(number: u32) {
    let lives = || std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|s| !s.contains(") Z "));
    let until = Instant::now() + LIMIT;
    while lives() {
        assert!(Instant::now() < until, "QEMU lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command, presses Ctrl-C in its midst, and gives what it said; `None` if it was too fast.
fn interrupted(home: &Home, arguments: &[&str], hold: &Hold) -> Option<Said> {
    let images = |folder: &Path| files(folder).len();
    let before = if let Hold::Image(folder) = hold { images(folder) } else { 0 };
    let mut child = home.command(arguments).spawn().expect("starts");
    let own = child.id();
    let held = caught(&mut child, || match hold {
        Hold::Program(file) => file.exists().then_some(own),
        Hold::Qemu => host_of(own),
        Hold::Image(folder) => (images(folder) > before).then(|| host_of(own)).flatten(),
    });
    let Some(held) = held else {
        assert!(child.wait().expect("ends").success());
        return None;
    };
    tell(held, Signal::SIGSTOP);
    tell(own, Signal::SIGINT);
    if matches!(hold, Hold::Program(_)) {
        tell(held, Signal::SIGCONT);
    }
    let mut errors = BufReader::new(child.stderr.take().expect("its stderr"));
    let heard = line_with(&mut errors, "breaking off");
    if matches!(hold, Hold::Image(_)) {
        tell(held, Signal::SIGCONT);
    }
    let mut err = String::new();
    errors.read_to_string(&mut err).expect("its errors");
    let said = Said { err, ..said(child.wait_with_output().expect("ends")) };
    // One that was held before it could ask to die with its parent finds that out once it goes on.
    tell(held, Signal::SIGCONT);
    gone(held);
    // It may have been done before it heard.
    (said.code != Some(0)).then(|| {
        assert!(heard.is_some(), "{arguments:?}: {said:?}");
        said
    })
}

/// Ctrl-C leaves all as it was.
fn breaks_off(home: &Home, arguments: &[&str], hold: &Hold, undo: &[&[&str]]) {
    for _ in 0..ATTEMPTS {
        let (before, machines) = (files(home.path("").as_path()), home.json(&["list"]).to_string());
        let Some(said) = interrupted(home, arguments, hold) else {
            for undone in undo {
                home.json(undone);
            }
            continue;
        };
        assert_eq!(said.code, Some(130), "{arguments:?}: {said:?}");
        assert!(said.err.contains("cancelled; nothing was changed"), "{arguments:?}: {said:?}");
        let after = files(home.path("").as_path());
        // A machine's lock is a file that comes with its first use.
        let left: Vec<_> = after.symmetric_difference(&before).filter(|p| !p.ends_with("lock")).collect();
        assert!(left.is_empty(), "{arguments:?} has left or taken {left:?}");
        assert_eq!(home.json(&["list"]).to_string(), machines);
        home.json(&["disk", "info", "vm"]);
        return;
    }
    panic!("{arguments:?} was always too fast");
}

fn disks(home: &Home) -> PathBuf {
    let vms = home.path("home").join("vms");
    let one = std::fs::read_dir(vms).expect("lists").flatten().next().expect("the machine");
    one.path().join("disks")
}

#[test]
fn ctrl_c_leaves_nothing_of_a_disk_that_was_being_made_or_copied() {
    let (home, image) = home();
    let fixed = ["disk", "create", "vm", "64M", "--fixed"];
    breaks_off(&home, &fixed, &Hold::Qemu, &[]);
    let import = ["disk", "import", &image, "--to", "vm"];
    breaks_off(&home, &import, &Hold::Qemu, &[]);
    breaks_off(&home, &import, &Hold::Image(disks(&home)), &[]);
    breaks_off(&home, &["disk", "compact", "vm"], &Hold::Image(disks(&home)), &[]);
}

#[test]
fn ctrl_c_leaves_nothing_of_a_machine_that_was_being_copied() {
    let (home, image) = home();
    let away = ["delete", "two", "--purge"];
    breaks_off(&home, &["clone", "vm", "two"], &Hold::Image(home.path("home").join("vms")), &[&away]);
    let new = ["new", "two", "--arch", "x86_64", "--firmware", "bios", "--image", &image];
    breaks_off(&home, &new, &Hold::Qemu, &[&away]);
    let file = home.path("vm.sampanvm");
    home.json(&["export", "vm", &file.display().to_string()]);
    let (other, part) = (home.path("other.sampanvm"), home.path("other.sampanvm.part"));
    for _ in 0..ATTEMPTS {
        let before = files(home.path("").as_path());
        let export = ["export", "vm", other.to_str().expect("Unicode")];
        let Some(said) = interrupted(&home, &export, &Hold::Program(part.clone())) else {
            std::fs::remove_file(&other).expect("is there");
            continue;
        };
        assert_eq!((said.code, files(home.path("").as_path())), (Some(130), before), "{said:?}");
        break;
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let home = Home::new();
    home.json(&["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--no-disk"]);
    for _ in 0..ATTEMPTS {
        let mut child = home.command(&["disk", "create", "vm", "16M", "--fixed"]).spawn().expect("starts");
        let own = child.id();
        let Some(held) = caught(&mut child, || host_of(own)) else { continue };
        tell(held, Signal::SIGSTOP);
        tell(own, Signal::SIGINT);
        let mut errors = BufReader::new(child.stderr.take().expect("its stderr"));
        line_with(&mut errors, "once more to end at once").expect("is heard");
        tell(own, Signal::SIGINT);
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("its errors");
        assert_eq!(child.wait().expect("ends").code(), Some(130));
        // Stopped so early it may not have asked yet to die with its parent, whose end it sees when it goes on.
        tell(held, Signal::SIGCONT);
        gone(held);
        // On a busy machine the first may have done its work meanwhile.
        if !rest.contains("cancelled") {
            home.json(&["disk", "info", "vm"]);
            return;
        }
    }
    panic!("the first one was always done first");
}
