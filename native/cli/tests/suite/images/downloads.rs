use super::server::Server;
use super::{Home, noise, read, said, sha256};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Child;
use std::time::{Duration, Instant};

/// 6 MiB, some three seconds when the server pauses 30 ms between pieces.
const LENGTH: usize = 6 << 20;
const SLOW: u64 = 30;

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process' number"))
}

/// Waits until the journal names bytes of the part.
fn wait_for_journal(home: &Home, name: &str) {
    let journal = home.part(name).with_extension("part.json");
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        let done =
            serde_json::from_str::<serde_json::Value>(&text).map(|j| j["done"].clone()).unwrap_or_default();
        if done.as_array().is_some_and(|ranges| !ranges.is_empty()) {
            return;
        }
        assert!(Instant::now() < until, "nothing was noted in {}: {text}", journal.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_file_comes_whole_and_becomes_a_medium() {
    let (home, bytes) = (Home::new(), noise(300_000));
    let server = Server::start(&[("small.iso", &bytes)]);
    let url = server.url("small.iso");
    let words = home.refused(&["download", &url]);
    assert!(words.contains("plain http") && words.contains("--allow-http"), "nothing proves it: {words}");
    let done = home.json(&["download", &url, "--sha256", &sha256(&bytes)]);
    assert_eq!(done["media"][0]["verified"], true);
    assert_eq!(read(&home.medium("small.iso")), bytes);
    assert_eq!(home.media(), ["small.iso"]);
    // The same again is done already, and nobody is asked.
    server.asked();
    for again in [
        &["download", &url, "--sha256", &sha256(&bytes)][..],
        &["download", &url, "--allow-http"],
        &["download", &url],
    ] {
        let done = home.json(again);
        assert_eq!(
            (&done["media"][0]["name"], &done["media"][0]["was_there"]),
            (&"small.iso".into(), &true.into())
        );
    }
    assert!(server.asked().is_empty());
    let other = sha256(b"another file");
    for another in [
        &["download", &url, "--sha256", &other][..],
        &["download", &server.url("a/small.iso"), "--allow-http"],
    ] {
        assert!(home.refused(another).contains("another medium called small.iso"), "{another:?}");
    }
    let said = home.run(&["download", &url, "--allow-http", "--name", "other.iso", "--connections", "2"]);
    assert!(said.out.contains("not verified"), "{said:?}");
    assert_eq!(home.media(), ["other.iso", "small.iso"]);
    assert!(!home.path("home/downloads/small.iso").exists(), "one name is enough");
    home.json(&["images", "remove", "other.iso"]);
    assert_eq!(home.media(), ["small.iso"]);
    // One that was put into its place is another one, though it is called so.
    home.json(&["images", "remove", "small.iso"]);
    home.json(&["images", "add", &cd(&home, "small.iso")]);
    assert!(home.refused(&["download", &url, "--allow-http"]).contains("another medium"));
}

#[test]
fn what_has_the_wrong_checksum_is_no_medium() {
    let (home, bytes) = (Home::new(), noise(100_000));
    let server = Server::start(&[("a.iso", &bytes)]);
    let words = home.refused(&["download", &server.url("a.iso"), "--sha256", &"0".repeat(64)]);
    assert!(words.contains("checksum") && words.contains(&sha256(&bytes)), "{words}");
    assert!(home.media().is_empty());
    let usage = home.run(&["download", &server.url("a.iso"), "--sha256", "12"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let (home, bytes) = (Home::new(), noise(LENGTH));
    let server = Server::start(&[("big.iso", &bytes)]);
    server.pause(SLOW);
    let (url, sum) = (server.url("big.iso"), sha256(&bytes));
    let mut child = home.command(&["download", &url, "--sha256", &sum]).spawn().expect("starts");
    wait_for_journal(&home, "big.iso");
    child.kill().expect("is killed");
    child.wait().expect("is gone");
    assert!(home.media().is_empty(), "a part is no medium");
    let list = home.json(&["download", "--list"]);
    let loaded = list["unfinished"][0]["loaded"].as_u64().expect("a number");
    assert!(loaded > 0 && loaded < LENGTH as u64, "{list}");
    assert_eq!(
        (&list["unfinished"][0]["name"], &list["unfinished"][0]["size"]),
        (&"big.iso".into(), &LENGTH.into())
    );
    server.asked();
    server.pause(0);
    let before = server.sent();
    // Its checksum is known from before.
    let done = home.json(&["download", &url]);
    assert_eq!(done["media"][0]["verified"], true);
    assert!(server.asked().iter().all(|first| *first > 0), "it began anew");
    assert!(server.sent() - before <= LENGTH as u64 - loaded + (64 << 10));
    assert_eq!(read(&home.medium("big.iso")), bytes);
    assert_eq!(home.json(&["download", "--list"])["unfinished"], serde_json::json!([]));
}

#[test]
fn an_interrupted_download_says_what_is_kept_and_can_be_forgotten() {
    let (home, bytes) = (Home::new(), noise(LENGTH));
    let server = Server::start(&[("big.iso", &bytes)]);
    server.pause(SLOW);
    let sum = sha256(&bytes);
    let child =
        home.command(&["download", &server.url("big.iso"), "--sha256", &sum]).spawn().expect("starts");
    wait_for_journal(&home, "big.iso");
    kill(pid(&child), Signal::SIGINT).expect("is interrupted");
    let said = said(child.wait_with_output().expect("ends"));
    assert_eq!(said.code, Some(130), "{said:?}");
    assert!(said.err.contains("of 6.0 MiB of big.iso are kept"), "{said:?}");
    let line = said.err.lines().find(|line| line.starts_with("big.iso: ")).expect("progress, in plain lines");
    assert!(line.contains(" %, ") && line.contains(" of 6.0 MiB, ") && line.contains("/s, "), "{line}");
    assert!(!said.err.contains(['\r', '\x1b']), "no terminal: {said:?}");
    assert!(home.part("big.iso").exists());
    let discarded = home.json(&["download", "--discard", "big.iso"]);
    assert!(discarded["loaded"].as_u64().is_some_and(|bytes| bytes > 0), "{discarded}");
    assert!(!home.part("big.iso").exists());
    assert!(home.refused(&["download", "--discard", "big.iso"]).contains("--list"));
}

#[test]
fn the_catalogue_can_be_replaced_and_searched() {
    let (home, bytes) = (Home::new(), noise(50_000));
    let server = Server::start(&[("tiny.iso", &bytes)]);
    let file = home.write(
        "mine.json",
        &super::machines::catalogue(&server.url("tiny.iso"), &sha256(&bytes), "installer", "iso"),
    );
    let built_in = home.json(&["images", "debian", "--arch", "aarch64", "--kind", "disk"]);
    let entries = built_in["catalogue"]["entries"].as_array().expect("a list");
    assert!(
        !entries.is_empty() && entries.iter().all(|e| e["arch"] == "aarch64" && e["kind"] == "disk"),
        "{built_in}"
    );
    let mine = home.json(&["images", "--catalogue", &file]);
    assert_eq!(mine["catalogue"]["entries"][0]["id"], "tiny");
    assert_eq!(mine["downloaded"], serde_json::json!([]));
    assert!(
        home.refused(&["download", "tiny", "--arch", "x86_64"]).contains("sampan images"),
        "it is not built in"
    );
    home.json(&["download", "tiny", "--arch", "x86_64", "--catalogue", &file]);
    // What was printed is a catalogue again, and in its place it is the library's own.
    std::fs::write(home.path("home/catalogue.json"), mine["catalogue"].to_string()).expect("writes");
    let own = home.json(&["images"]);
    assert_eq!(own["downloaded"], serde_json::json!(["tiny-x86_64.iso"]));
    let again = home.json(&["download", "tiny", "--arch", "x86_64"]);
    assert_eq!(again["media"][0]["was_there"], true);
    assert!(home.run(&["images"]).out.contains("yes"));
    std::fs::write(home.path("home/catalogue.json"), "{}").expect("writes");
    assert!(home.refused(&["images"]).contains("catalogue.json"));
}

/// The beginning of an ISO 9660 file system.
fn cd(home: &Home, name: &str) -> String {
    let mut bytes = vec![0; 40_000];
    bytes[32_769..32_774].copy_from_slice(b"CD001");
    std::fs::write(home.path(name), bytes).expect("writes");
    home.path(name).display().to_string()
}

#[test]
fn what_a_server_gives_in_place_of_an_image_is_refused() {
    let home = Home::new();
    let page = b"<!DOCTYPE html><title>Please log in</title>";
    let server = Server::start(&[("page.iso", page), ("zero.iso", b"")]);
    for (name, words) in [("page.iso", "a web page (HTML), not an image"), ("zero.iso", "an empty file")] {
        let said = home.refused(&["download", &server.url(name), "--allow-http"]);
        assert!(said.contains(words), "{name}: {said}");
        let left = std::fs::read_dir(home.path("home/downloads")).map_or(0, Iterator::count);
        assert_eq!((left, home.media().len()), (0, 0), "{name}: nothing stays, and the next try begins anew");
    }
    // With its publisher's sum it is what was meant.
    home.json(&["download", &server.url("page.iso"), "--sha256", &sha256(page)]);
}

#[test]
fn what_is_no_cd_wants_a_word_and_what_is_not_there_is_refused() {
    let home = Home::new();
    let (page, empty) = (home.write("page.iso", "<html></html>"), home.write("zero.iso", ""));
    let packed = home.path("debian.iso.xz").display().to_string();
    std::fs::write(&packed, b"\xfd7zXZ\0").expect("writes");
    let disk = home.path("disk.iso").display().to_string();
    std::fs::write(&disk, [&[0; 510][..], b"\x55\xaa"].concat()).expect("writes");
    let new = |cd: &str, more: &[&str]| {
        let all = ["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--no-disk", "--cdrom", cd];
        home.run(&[&all[..], more].concat())
    };
    for (file, words) in
        [(&page, "web page"), (&empty, "an empty file"), (&packed, "unxz"), (&disk, "make a disk of it")]
    {
        let said = new(file, &[]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(words) && said.err.contains("--yes"), "{said:?}");
        // A disk's image is a medium, too: `--image` takes it.
        if file != &disk {
            let said = home.refused(&["images", "add", file, "--name", "x.iso"]);
            assert!(said.contains(words) && said.contains("--yes"), "{said}");
        }
        let said = home.refused(&["run", "--arch", "x86_64", "--cdrom", file]);
        assert!(said.contains(words) && said.contains("--yes"), "{said}");
        assert_eq!(said.contains(&format!("`--disk raw:{disk}`")), file == &disk, "{said}");
    }
    assert_eq!(new(&page, &["--yes"]).code, Some(0), "who says so gets it");
    let said = home.refused(&["set", "vm", "cdrom=nosuch.iso"]);
    assert!(said.contains("nosuch.iso") && said.contains("images add"), "{said}");
    let said = home.refused(&["set", "vm", &format!("cdrom={}", cd(&home, "real.iso"))]);
    assert!(said.contains("first: `sampan images add"), "{said}");
    home.json(&["images", "add", &cd(&home, "real.iso")]);
    home.json(&["set", "vm", "cdrom=real.iso"]);
    home.json(&["set", "vm", "cdrom=-"]);
}

#[test]
fn a_disk_that_shows_nothing_is_one_only_if_that_is_said() {
    let home = Home::new();
    let blank = home.path("blank.img").display().to_string();
    std::fs::write(&blank, vec![0; 1 << 20]).expect("writes");
    let new = ["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--image", &blank];
    assert!(home.refused(&new).contains("--format raw"));
    home.json(&[&new[..], &["--format", "raw"]].concat());
    let import = ["disk", "import", &blank, "--to", "vm"];
    assert!(home.refused(&import).contains("--format raw"));
    home.json(&[&import[..], &["--format", "raw"]].concat());
    assert!(home.refused(&["import", &home.write("page.ova", "<html>")]).contains("web page"));
    // What a file is says what to type instead.
    let file = |name: &str, at: usize, magic: &[u8]| {
        let mut bytes = vec![0; 4096];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        std::fs::write(home.path(name), bytes).expect("writes");
        home.path(name).display().to_string()
    };
    let (archive, kernel) = (file("a.img", 257, b"ustar"), file("b.img", 0x202, b"HdrS"));
    for (file, command) in [(&archive, "sampan import"), (&kernel, "sampan run --kernel")] {
        let said = home.refused(&["new", "b", "--arch", "x86_64", "--image", file]);
        assert!(said.contains(&format!("`{command} {file}`")), "{said}");
    }
    assert!(home.refused(&["import", &kernel]).contains(&format!("`sampan run --kernel {kernel}`")));
}

#[test]
fn media_are_added_and_kept_while_a_machine_uses_them() {
    let home = Home::new();
    let file = cd(&home, "tools.iso");
    home.json(&["images", "add", &file]);
    home.json(&["images", "add", &file, "--name", "more.iso"]);
    assert!(home.refused(&["images", "add", &file]).contains("tools.iso"));
    assert!(home.refused(&["images", "add", &file, "--name", "x.part"]).contains(".part"));
    home.json(&["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--no-disk", "--cdrom", "tools.iso"]);
    assert!(home.refused(&["images", "remove", "tools.iso"]).contains("vm"));
    home.json(&["images", "remove", "more.iso"]);
    assert_eq!(home.media(), ["tools.iso"]);
    let shown = home.json(&["images", "tools"]);
    assert_eq!(shown["media"][0]["used_by"], serde_json::json!(["vm"]));
}
