//! Runs of a small library, with all that it leaves behind.

use std::ffi::{CStr, c_int};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::*;

/// What is counted is the whole process's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    lock::locked(&ALONE)
}

fn load(path: &Path) -> Instance {
    // SAFETY: `sample.c` is made for it.
    unsafe { Instance::load(path) }.unwrap()
}

fn call(instance: &Instance, name: &CStr, argument: c_int) -> c_int {
    let function = instance.function(name).unwrap();
    // SAFETY: `sample.c` has functions of this type, or without arguments.
    let function = unsafe { std::mem::transmute::<*const (), extern "C" fn(c_int) -> c_int>(function) };
    instance.visit(|| function(argument))
}

fn sample(options: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = sample::compile(folder.path(), options);
    (folder, path)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usage {
    /// Of the kinds that `sample.c` opens.
    fds: usize,
    maps: usize,
    /// In the library.
    images: usize,
}

fn usage() -> Usage {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    let fds =
        fds.filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_string_lossy().into_owned()));
    Usage {
        fds: fds.filter(|link| link.ends_with("[eventfd]") || link.ends_with("/stat")).count(),
        maps: maps.lines().count(),
        images: maps.lines().filter(|line| line.contains("libsample.so")).count(),
    }
}

#[test]
fn every_run_is_the_first() {
    let _alone = alone();
    for options in
        [&["-Wl,--hash-style=gnu"][..], &["-Wl,--hash-style=sysv"], &["-Wl,-z,pack-relative-relocs"]]
    {
        let (_folder, path) = sample(options);
        let both = [load(&path), load(&path)];
        for instance in &both {
            assert_eq!(call(instance, c"sample_is_fresh", 0), 1, "{options:?}");
            assert_eq!(call(instance, c"sample_is_fresh", 0), 0, "{options:?}");
            assert!(instance.function(c"sample_is_not_there").is_none());
        }
        assert!(both.into_iter().all(Instance::end));
        assert_eq!(call(&load(&path), c"sample_is_fresh", 0), 1, "{options:?}");
    }
}

#[test]
fn threads_have_storage_of_the_runs_own() {
    let _alone = alone();
    let (_folder, path) = sample(&[]);
    // More keys in all than a process has.
    for _ in 0..40 {
        let instances: Vec<_> = (0..8).map(|_| load(&path)).collect();
        for instance in &instances {
            assert_eq!(call(instance, c"sample_threads", 4), 4);
        }
        assert!(instances.into_iter().all(Instance::end));
    }
}

#[test]
fn nothing_stays_of_a_run() {
    let _alone = alone();
    let (_folder, path) = sample(&[]);
    let run = || {
        let instance = load(&path);
        assert_eq!(call(&instance, c"sample_threads", 2), 2);
        assert_eq!(call(&instance, c"sample_litter", 0), 0);
        let during = usage();
        assert!(instance.end());
        during
    };
    run();
    let before = usage();
    for _ in 0..50 {
        let during = run();
        assert!(during.fds >= before.fds + 7 && during.images > 0, "{during:?}");
    }
    // The kernel may still be at the end of a thread.
    let deadline = Instant::now() + Duration::from_secs(60);
    while usage().maps > before.maps + 8 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let after = usage();
    assert!(
        (after.fds, after.images) == (before.fds, 0) && after.maps <= before.maps + 8,
        "{before:?}, {after:?}"
    );
}

#[test]
fn a_thread_at_work_keeps_the_run_whole() {
    let _alone = alone();
    let (_folder, path) = sample(&[]);
    let instance = load(&path);
    assert_eq!(call(&instance, c"sample_litter", 0), 0);
    assert_eq!(call(&instance, c"sample_busy", 1), 0);
    let parts = instance.parts.as_ref().unwrap();
    assert!(!parts.inside.end(Duration::from_millis(200)));
    // Nobody was harmed: as soon as it stops, all can.
    assert_eq!(call(&instance, c"sample_busy", 0), 0);
    assert!(instance.end());
}

#[test]
fn a_signal_goes_to_the_run_whose_thread_it_is_on() {
    let _alone = alone();
    let action = |signal| {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks only; any bytes are a value of the structure.
        unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
            action.assume_init().sa_sigaction
        }
    };
    let (_folder, path) = sample(&[]);
    let (first, second) = (load(&path), load(&path));
    let before = action(libc::SIGUSR2);
    for (instance, other) in [(&first, &second), (&second, &first), (&first, &second)] {
        let others = call(other, c"sample_caught", 0);
        assert_eq!(call(instance, c"sample_signal", libc::SIGUSR2), libc::SIGUSR2);
        assert_eq!(call(other, c"sample_caught", 0), others);
    }
    assert_ne!(action(libc::SIGUSR2), before);
    assert!(first.end());
    assert_ne!(action(libc::SIGUSR2), before);
    assert!(second.end());
    assert_eq!(action(libc::SIGUSR2), before);

    // What the program sets meanwhile is the program's.
    let third = load(&path);
    assert_eq!(call(&third, c"sample_signal", libc::SIGUSR2), libc::SIGUSR2);
    // SAFETY: ignoring a signal runs nothing.
    unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
    assert!(third.end());
    assert_eq!(action(libc::SIGUSR2), libc::SIG_IGN);
    // SAFETY: as it was.
    unsafe { libc::signal(libc::SIGUSR2, before) };
}

#[test]
fn what_does_not_qualify_is_refused_in_words() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    let source = tmp.path().join("bad.c");
    let cases = [
        ("__thread int v; int *f(void) { return &v; }", "thread-local"),
        ("int putenv(char *); int f(char *c) { return putenv(c); }", "putenv"),
        ("int nobody_has_this(void); int f(void) { return nobody_has_this(); }", "needs nobody_has_this"),
        (
            "static int g(void) { return 1; } static void *r(void) { return g; } int f(void) __attribute__((ifunc(\"r\"))); int h(void) { return f(); }",
            "symbol of a kind",
        ),
    ];
    let before = usage();
    for (text, words) in cases {
        std::fs::write(&source, text).unwrap();
        let library = tmp.path().join("libsample.so");
        let mut compiler = sample::compiler();
        compiler.args(["-shared", "-fPIC", "-nostdlib", "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success(), "{text}");
        let refusal = check(&library).unwrap_err().to_string();
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
    assert_eq!((usage().fds, usage().images), (before.fds, 0));
    assert!(check(Path::new("/dev/null")).unwrap_err().to_string().contains("too short"));
}

/// A file that is broken anywhere is refused, or is mapped without harm: none of its code runs.
#[test]
fn a_broken_file_does_no_harm() {
    let _alone = alone();
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("libsample.so");
    let builds = [&[][..], &["-Wl,--hash-style=sysv"], &["-Wl,-z,pack-relative-relocs"]].map(|options| {
        let (_folder, path) = sample(options);
        std::fs::read(path).unwrap()
    });
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..3000 {
        let mut bad = builds[round % builds.len()].clone();
        for _ in 0..=next(4) {
            // Headers and tables, which come first, more often than the rest.
            let at = next(if round % 2 == 0 { 4096.min(bad.len()) } else { bad.len() });
            bad[at] = u8::try_from(next(256)).unwrap();
        }
        if round % 10 == 0 {
            bad.truncate(next(bad.len()));
        }
        // Anew: a file that is mapped must not become shorter.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, &bad).unwrap();
        match check(&path) {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}
