//! Nothing that is printed makes a terminal do anything. No machine runs here.

use crate::common::Home;
use sampan_library::{Library, Locked, Sections};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Sets a window's title, moves the cursor, rings; in eight bits, too, and turns the direction of what follows.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b[2J\r\u{9b}31m\u{202e}end";
const ESCAPED: &str = "\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{d}\\u{9b}31m\\u{202e}end";

/// A machine as whoever may write its files may have made it.
fn machine(home: &Home) -> Locked {
    let library = Library::open(home.path("home")).expect("a library");
    let document = Sections::from([("system.json".into(), json!({ "notes": HOSTILE }).to_string())]);
    let machine = library.create("vm", &document, 1).expect("made");
    let file = machine.path().join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&file).expect("reads")).expect("JSON");
    manifest["snapshots"] = json!({ "s-000000000000": {
        "name": "before", "time": 1, "note": format!("{HOSTILE}\nsecond line"), "document": 1, "drives": {},
    }});
    std::fs::write(&file, manifest.to_string()).expect("writes");
    let logs = machine.path().join("logs");
    sampan_library::private_folder(&logs).expect("made");
    let write = |name: &str, text: String| std::fs::write(logs.join(name), text).expect("writes");
    write("run-00000000001-00.log", format!("first\nguest: {HOSTILE}\n{}\nlast\n", "x".repeat(100_000)));
    write("crash-00000000001.txt", format!("The guest's serial port\n{HOSTILE}\n"));
    write("last.json", json!({ "how": "died", "words": HOSTILE, "time": 1 }).to_string());
    machine
}

/// What of a text a terminal would obey.
fn obeyed(text: &str) -> String {
    text.chars().filter(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c)).collect()
}

#[test]
fn what_guests_and_files_say_is_escaped_wherever_it_is_printed() {
    let home = Home::new();
    drop(machine(&home));
    let catalogue = home.write(
        "theirs.json",
        &json!({
            "version": 1, "date": "2026-11-21",
            "entries": [{
                "id": "tiny", "name": HOSTILE, "version": "1", "arch": "x86_64", "kind": "bring-your-own",
                "about_mib": 1, "preset": "other", "firmware": "bios", "page": "https://example.org/",
                "words": HOSTILE, "file": "a.iso",
            }],
        })
        .to_string(),
    );
    let commands: [(&[&str], bool); 8] = [
        (&["logs", "vm"], true),
        (&["logs", "vm", "--crash"], true),
        (&["status", "vm"], true),
        (&["show", "vm"], false),
        (&["snapshot", "list", "vm"], true),
        (&["list"], false),
        (&["images", "--catalogue", &catalogue], false),
        (&["start", "vm"], false),
    ];
    for (command, tells) in commands {
        let said = home.run(command);
        for text in [&said.out, &said.err] {
            assert_eq!(obeyed(text), "", "{command:?}: {text:?}");
        }
        assert_eq!(said.out.contains(ESCAPED), tells, "{command:?}: {said:?}");
        // For programs it is the same text in JSON's escapes.
        let said = home.run(&[&["--json"], command].concat());
        assert_eq!(obeyed(&said.out), "", "{command:?}: {said:?}");
        assert!(!tells || said.out.contains("\\u009b31m\\u202eend"), "{command:?}: {said:?}");
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|e| panic!("{command:?}: {e}: {said:?}"));
    }
    // A note is a line of a list, and no line of a log is without end.
    let list = home.run(&["snapshot", "list", "vm"]).out;
    assert_eq!(list.lines().count(), 1, "{list}");
    let log = home.run(&["logs", "vm"]).out;
    assert!(log.lines().all(|line| line.len() < 20_000) && log.contains("more characters)\nlast\n"));
}

#[test]
fn what_a_library_says_in_an_error_is_escaped_too() {
    let home = Home::new();
    let machine = machine(&home);
    let name = format!("odd{HOSTILE}");
    let odd: PathBuf = machine.path().join("document/1").join(&name);
    std::fs::write(odd, "").expect("writes");
    drop(machine);
    let said = home.run(&["show", "vm"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(obeyed(&said.err), "", "{said:?}");
    assert!(said.err.contains("odd\\u{1b}"), "{said:?}");
}

#[test]
fn an_unusable_bundle_is_told_and_hides_no_other() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let folder = machine(&home).path().to_owned();
    let library = Library::open(home.path("home")).expect("a library");
    drop(library.create("other", &Sections::new(), 1).expect("made"));
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("is set");
    let said = home.run(&["list"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("other ") && said.out.contains("broken"), "{said:?}");
    assert!(said.out.contains("chmod go-w"), "{said:?}");
    assert!(home.refused(&["show", "vm"]).contains("no machine is called"));
    std::fs::set_permissions(home.path("home"), std::fs::Permissions::from_mode(0o777)).expect("is set");
    assert!(home.refused(&["list"]).contains("other users may write"));
}
