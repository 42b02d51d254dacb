//! How the program speaks, and what it does with what people bring. No machine runs here.

mod wizard;

use crate::common::{Home, read, said};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

/// A file that people brought.
fn foreign(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/foreign").join(name).display().to_string()
}

/// A small PC without a disk, for what needs none.
fn machine(home: &Home, name: &str) {
    home.json(&["new", name, "--arch", "x86_64", "--preset", "old", "--memory", "64", "--no-disk"]);
}

fn document(home: &Home, vm: &str) -> Value {
    home.json(&["show", vm])["document"].clone()
}

#[test]
fn a_plain_number_is_mib_of_memory_and_what_is_printed_is_read() {
    let home = Home::new();
    machine(&home, "vm");
    for (given, mib) in [("2048", 2048), ("1 GB", 1024), ("1.0 GiB", 1024), ("512M", 512), ("64 MiB", 64)] {
        home.json(&["set", "vm", &format!("memory={given}")]);
        assert_eq!(document(&home, "vm")["memory"]["mib"], mib, "{given}");
    }
    home.json(&["set", "vm", "memory.mib=128"]);
    assert_eq!(document(&home, "vm")["memory"]["mib"], 128);
    let usage = |arguments: &[&str]| {
        let said = home.run(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        said.err
    };
    assert!(usage(&["new", "b", "--disk", "40"]).contains("did you mean 40G?"));
    assert!(usage(&["disk", "grow", "vm", "disk0", "+20"]).contains("did you mean 20G?"));
    assert!(usage(&["new", "b", "--memory", "2147483648"]).contains("of MiB"));
    // The same words for a machine that is not kept: it is the kernel that is not there.
    for memory in ["2G", "2048", "2.0 GiB"] {
        let words = home.refused(&["run", "--memory", memory, "--kernel", "/no/such"]);
        assert!(words.contains("/no/such"), "{words}");
    }
}

#[test]
fn every_error_tells_its_cause_once() {
    let home = Home::new();
    machine(&home, "vm");
    let gone = home.path("gone").display().to_string();
    let seed = |more: &[&str]| {
        [&["new", "b", "--arch", "x86_64", "--no-disk", "--user", "ada"], more].concat().join("\n")
    };
    let commands: Vec<String> = [
        vec!["new", "b", "--arch", "x86_64", "--image", &gone],
        vec!["new", "b", "--arch", "x86_64", "--cdrom", &gone],
        vec!["new", "b", "--arch", "x86_64", "--from", "tiny", "--catalogue", &gone],
        vec!["new", "b", "--arch", "x86_64", "--no-disk", "--seed-file", &gone],
        vec!["disk", "import", &gone, "--to", "vm"],
        vec!["import", &gone],
        vec!["images", "add", &gone],
        vec!["images", "--catalogue", &gone],
        vec!["download", "https://127.0.0.1:9/x", "--ca-file", &gone],
        vec!["share", "add", "vm", &gone],
        vec!["vnc", "vm", "on", "--password-file", &gone],
        vec!["ctl", &gone, "status"],
        vec!["run", "--disk", &gone],
        vec!["run", "--kernel", &gone],
    ]
    .into_iter()
    .map(|arguments| arguments.join("\n"))
    .chain([seed(&["--ssh-key", &gone]), seed(&["--password-file", &gone])])
    .collect();
    for command in commands {
        let arguments: Vec<&str> = command.split('\n').collect();
        let told = home.refused(&arguments);
        let mut texts = vec![told.trim().trim_start_matches("sampan: ").to_owned()];
        let json = home.run(&[&["--json"], arguments.as_slice()].concat());
        if let Ok(value) = serde_json::from_str::<Value>(&json.out) {
            texts.push(value["error"].as_str().expect("an error").to_owned());
        }
        for text in texts {
            // `run` tells first what it does.
            let last = text.lines().last().unwrap_or_default();
            assert_eq!(last.matches(&gone).count(), 1, "{arguments:?}: {last}");
            let parts: Vec<&str> = last.split(": ").collect();
            for (at, part) in parts.iter().enumerate() {
                assert!(!parts[at + 1..].iter().any(|later| later.contains(part)), "{arguments:?}: {last}");
            }
        }
    }
}

#[test]
fn who_holds_a_machine_and_since_when_is_told_in_words() {
    let home = Home::new();
    machine(&home, "my VM");
    let library = sampan_library::Library::open(home.path("home")).expect("a library");
    let _held = library.lock(library.find("my VM").expect("is there")).expect("is free");
    let words = home.refused(&["set", "my VM", "cpus=1"]);
    let process = format!("process {} since 20", std::process::id());
    for part in [&process, " UTC", "sampan stop 'my VM'"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(!words.contains("Unix time"), "{words}");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_a_reader_that_has_gone_is_none() {
    let home = Home::new();
    machine(&home, "vm");
    let commands: [&[&str]; 7] = [
        &["--json", "show", "vm"],
        &["show", "vm"],
        &["list"],
        &["--json", "list"],
        &["completion", "bash"],
        &["man"],
        &["--help"],
    ];
    for command in commands {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let said_full = said(home.command(command).stdout(Stdio::from(full)).output().expect("runs"));
        assert_eq!(said_full.code, Some(1), "{command:?}: {said_full:?}");
        assert!(said_full.err.contains("stdout cannot be written"), "{command:?}: {said_full:?}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let said_broken = said(home.command(command).stdout(writer).output().expect("runs"));
        assert_eq!((said_broken.code, said_broken.err.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn who_only_reads_makes_no_library() {
    let home = Home::new();
    let folder = home.path("home");
    let reading: [&[&str]; 5] =
        [&["list"], &["images", "debian"], &["restore", "--list"], &["download", "--list"], &["doctor"]];
    let asking: [&[&str]; 9] = [
        &["show", "vm"],
        &["status", "vm"],
        &["start", "vm"],
        &["stop", "vm"],
        &["set", "vm", "cpus=1"],
        &["delete", "vm"],
        &["restore", "vm"],
        &["snapshot", "list", "vm"],
        &["disk", "info", "vm"],
    ];
    let check = |exists: bool| {
        for command in reading {
            home.json(command);
        }
        for command in asking {
            let words = home.refused(command);
            assert!(words.contains("SAMPAN_HOME") && words.contains("sampan new"), "{command:?}: {words}");
        }
        assert_eq!(folder.exists(), exists);
        assert!(
            !exists || std::fs::read_dir(&folder).expect("reads").next().is_none(),
            "nothing is put into it"
        );
    };
    check(false);
    assert!(
        home.run(&["list"]).out.contains(&folder.display().to_string()),
        "where it was looked for is told"
    );
    std::fs::create_dir(&folder).expect("a folder");
    check(true);
}

#[test]
fn the_doctor_looks_at_the_librarys_disk() {
    let home = Home::new();
    machine(&home, "vm");
    let output = home.command(&["--json", "doctor"]).current_dir("/proc").output().expect("runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["disk"]["path"], home.path("home").display().to_string());
}

#[test]
fn a_disk_that_was_removed_comes_back_and_one_that_is_purged_does_not() {
    let home = Home::new();
    home.json(&["new", "vm", "--arch", "x86_64", "--preset", "old", "--memory", "64", "--disk", "16M"]);
    home.json(&["disk", "create", "vm", "8M"]);
    let drives = || document(&home, "vm")["drives"]["drives"].clone();
    let files = || {
        let info = home.json(&["disk", "info", "vm"]);
        let list = info["drives"].as_array().expect("a list").clone();
        list.iter().map(|drive| (drive["drive"].to_string(), drive["file"].to_string())).collect::<Vec<_>>()
    };
    let (before, had) = (drives(), files());
    assert_eq!(had.len(), 2);
    let said = home.run(&["disk", "remove", "vm", "disk0"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("sampan disk restore vm disk0"), "{said:?}");
    assert_eq!(files().len(), 1);
    assert!(!drives().to_string().contains("\"disk0\""), "{}", drives());
    assert!(home.run(&["disk", "info", "vm"]).out.contains("sampan disk restore vm disk0"));
    // It is as it was, in its place.
    home.json(&["disk", "restore", "vm", "disk0"]);
    assert_eq!((drives(), files()), (before, had.clone()));
    // Its name may be taken meanwhile.
    home.json(&["disk", "remove", "vm", "disk1"]);
    home.json(&["disk", "create", "vm", "4M"]);
    let back = home.json(&["disk", "restore", "vm", "disk1"]);
    assert_eq!(back["drive"], "disk2");
    let image = |drive: &str| {
        let info = home.json(&["disk", "info", "vm"]);
        let list = info["drives"].as_array().expect("a list").clone();
        let one = list.iter().find(|one| one["drive"] == drive).expect("is there").clone();
        (one["size"].as_u64().expect("a size"), one["file"].as_str().expect("a file").to_owned())
    };
    let (size, file) = image("disk2");
    assert_eq!((size, format!("{file:?}")), (8 << 20, had[1].1.clone()));
    home.json(&["disk", "remove", "vm", "disk2"]);
    assert!(Path::new(&file).exists(), "its image is kept");
    home.json(&["disk", "remove", "vm", "disk2", "--purge"]);
    assert!(!Path::new(&file).exists(), "its image is gone");
    let words = home.refused(&["disk", "restore", "vm", "disk2"]);
    assert!(words.contains("no drive “disk2” was removed"), "{words}");
    let (_, file) = image("disk1");
    home.json(&["disk", "remove", "vm", "disk1", "--purge"]);
    assert!(!Path::new(&file).exists(), "at once");
    assert!(home.refused(&["disk", "remove", "vm", "disk7"]).contains("sampan disk info vm"));
    assert!(home.refused(&["disk", "remove", "vm", "cd0"]).contains("cdrom=-"));
}

#[test]
fn a_linked_clone_is_made_independent() {
    let home = Home::new();
    home.json(&["new", "vm", "--arch", "x86_64", "--preset", "old", "--memory", "64", "--disk", "16M"]);
    home.json(&["clone", "vm", "copy", "--linked"]);
    let words = home.refused(&["delete", "vm"]);
    assert!(words.contains("sampan disk flatten"), "{words}");
    assert_eq!(home.json(&["disk", "flatten", "copy", "disk0"])["flattened"], 1);
    assert_eq!(home.json(&["disk", "flatten", "copy"])["flattened"], 0, "it is done");
    home.json(&["delete", "vm"]);
    let chain = home.json(&["disk", "info", "copy"])["drives"][0]["chain"].clone();
    assert_eq!(chain.as_array().map(Vec::len), Some(1), "{chain}");
    assert!(home.refused(&["disk", "flatten", "copy", "disk9"]).contains("disk9"));
}

#[test]
fn names_that_look_alike_are_one_and_lists_line_up() {
    let home = Home::new();
    machine(&home, "Gerät 1");
    for alike in ["Gera\u{308}t 1", "gerät\u{a0}1", "GERA\u{308}T\u{202f}1"] {
        let words = home.refused(&["new", alike, "--arch", "x86_64", "--preset", "old", "--no-disk"]);
        assert!(words.contains("already"), "{words}");
        assert_eq!(home.json(&["show", alike])["name"], "Gerät 1");
    }
    let long = "x".repeat(100);
    machine(&home, "云云");
    machine(&home, &long);
    let list = home.run(&["list"]).out;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    // Each character of the one name is two cells wide.
    let state = |line: &str| {
        line.find("stopped").map(|at| line[..at].chars().map(|c| if c == '云' { 2 } else { 1 }).sum())
    };
    let columns: Vec<Option<usize>> = lines[1..].iter().map(|line| state(line)).collect();
    assert!(columns.iter().all(|column| column.is_some() && *column == columns[0]), "{list}");
    assert!(list.contains('…') && !list.contains(&long), "{list}");
    assert!(home.json(&["list"]).to_string().contains(&long), "programs get all of it");
}

#[test]
fn what_gives_everything_away_wants_a_yes_and_folders_have_tags_of_their_own() {
    let home = Home::new();
    machine(&home, "vm");
    let library = home.path("home").display().to_string();
    let above = home.path("").display().to_string();
    for folder in ["/", &library, &above] {
        let words = home.refused(&["share", "add", "vm", folder]);
        assert!(words.contains("--yes"), "{words}");
    }
    home.json(&["share", "add", "vm", &library, "--tag", "all", "--yes"]);
    let outside = tempfile::tempdir().expect("a folder");
    let mut tags = Vec::new();
    for name in ["文档", "图片"] {
        let folder = outside.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let folder = folder.display().to_string();
        tags.push(home.json(&["share", "add", "vm", &folder])["tag"].clone());
    }
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn text_from_any_editor_is_read_or_refused_with_words() {
    let home = Home::new();
    let new = |name: &str, more: &[&str]| {
        let first = ["new", name, "--arch", "x86_64", "--preset", "other", "--firmware", "bios", "--no-disk"];
        home.run(&[&first[..], more].concat())
    };
    for (at, name) in ["bom.pub", "crlf.pub", "opts.pub", "uni.pub"].iter().enumerate() {
        let said = new(&format!("good{at}"), &["--user", "ada", "--ssh-key", &foreign(name)]);
        assert_eq!(said.code, Some(0), "{name}: {said:?}");
    }
    for (name, words) in [
        ("truncated-key.pub", "damaged"),
        ("mis.pub", "another inside"),
        ("cert.pub", "another inside"),
        ("empty.pub", "no key"),
        ("pem.pub", "ssh-keygen -i -m PEM"),
        ("pkcs8.pub", "ssh-keygen -i -m PKCS8"),
        ("ssh2.pub", "ssh-keygen -i -m RFC4716"),
    ] {
        let said = new("bad", &["--user", "ada", "--ssh-key", &foreign(name)]);
        assert!(said.code == Some(1) && said.err.contains(words), "{name}: {said:?}");
    }
    // The mark is no part of a password: as what it would have been, it would be too long.
    let password = String::from_utf8(read(Path::new(&foreign("bom-password")))).expect("text");
    let longest = home.write("password", &password.replace("bom", "12345678"));
    machine(&home, "vm");
    home.json(&["vnc", "vm", "on", "--password-file", &longest]);
    // What cloud-init does not read is asked about, or refused.
    let doubtful = foreign("space-header.user-data");
    let said = new("c", &["--seed-file", &doubtful]);
    assert!(
        said.code == Some(1) && said.err.contains("#cloud-config") && said.err.contains("--yes"),
        "{said:?}"
    );
    assert_eq!(new("c", &["--seed-file", &doubtful, "--yes"]).code, Some(0));
    let message = home.write(
        "message",
        "From nobody Thu Jan  1 00:00:00 1970\nMIME-Version: 1.0\nContent-Type: text/plain\n\nx\n",
    );
    assert_eq!(new("d", &["--seed-file", &message]).code, Some(0));
    let none = home.write("none", "Content-Type: text/plain\n\nx\n");
    assert_eq!(new("e", &["--seed-file", &none]).code, Some(1));
}

/// A reader on its own thread, so that a list that is never told ends the test and does not hold it.
#[test]
fn a_watched_list_tells_every_change_until_ctrl_c() {
    use std::io::{BufRead, BufReader};
    let home = Home::new();
    machine(&home, "one");
    let mut watching = home.command(&["list", "--watch", "--json"]).spawn().expect("starts");
    let stdout = BufReader::new(watching.stdout.take().expect("is piped"));
    let (lines, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    let next = || {
        let line = told.recv_timeout(std::time::Duration::from_secs(60)).expect("is told");
        let list: Value = serde_json::from_str(&line).expect("a line of JSON");
        list.as_array().expect("a list").len()
    };
    assert_eq!(next(), 1);
    machine(&home, "two");
    // What it takes of the disk may change before.
    while next() != 2 {}
    let pid = nix::unistd::Pid::from_raw(watching.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("is sent");
    assert_eq!(watching.wait().expect("ends").code(), Some(130));
}
