//! A disk that is full: what frees space needs none. The file system is a small one of its own.

use std::process::Command;

/// What both scripts begin with. `say NAME COMMAND…` runs the program and tells how it ended.
const BEGIN: &str = r#"
mount -t tmpfs -o size=1g,mode=0700 tmpfs "$H" || exit 99
export SAMPAN_HOME="$H/home"
say() { name="$1"; shift; out=$("$SAMPAN" "$@" 2>&1); echo "$name: $? $out"; }
small() { mount -o remount,size=16m "$H" || exit 99; }
fill() { cat /dev/zero >>"$H/fill" 2>/dev/null; echo "left: $(stat -f -c %a "$H")"; }
new() { say "new $1" new "$1" --preset old --arch x86_64 --disk 16M --yes; }
"#;

/// What a script says on a file system of its own; `None` where none can be mounted.
fn on_a_small_disk(script: &str) -> Option<String> {
    let (disk, more) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let output = Command::new("timeout")
        .args(["-s", "KILL", "280", "unshare", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("{BEGIN}{script}"))
        .env("SAMPAN", env!("CARGO_BIN_EXE_sampan"))
        .env("H", disk.path())
        .env("T", more.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{said}{}", String::from_utf8_lossy(&output.stderr));
            Some(said)
        }
        // It began, so it was to come to its end.
        Ok(output) if output.status.code() != Some(99) && !output.stdout.is_empty() => {
            panic!("the script broke off: {output:?}")
        }
        refused => {
            eprintln!("no mount of our own here, so no full disk: {refused:?}");
            None
        }
    }
}

fn has(said: &str, line: &str) {
    assert!(said.lines().any(|one| one.starts_with(line)), "{line:?} is not in:\n{said}");
}

#[test]
fn what_frees_space_needs_none() {
    let Some(said) = on_a_small_disk(
        r#"
new vm; new other; new third
say one snapshot create vm one
say two snapshot create vm two
small; fill
say "forget one" snapshot delete vm one
fill
say "forget two" snapshot delete vm two
say "tree" --json snapshot list vm
fill
say "trash" delete vm
fill
say "purge" delete other --purge
# A machine of before keeps no room.
rm "$H"/home/vms/*.sampan/.manifest.json.reserve
fill
say "trash third" delete third
say "trash list" restore --list
fill
say "empty" empty-trash
say "list" --json list
"#,
    ) else {
        return;
    };
    for line in [
        "new vm: 0",
        "new other: 0",
        "two: 0",
        "left: 0",
        "forget one: 0",
        "forget two: 0",
        "trash: 0 in the trash",
        "purge: 0 removed for ever",
        "trash third: 0 ",
        "empty: 0 2 machine(s) removed for ever",
        "list: 0 []",
    ] {
        has(&said, line);
    }
    assert!(said.lines().filter(|line| line.starts_with("left:")).all(|line| line == "left: 0"), "{said}");
    assert!(said.contains(r#""snapshots": []"#), "{said}");
}

#[test]
fn an_export_needs_room_where_it_goes_and_none_where_the_machine_is() {
    let Some(said) = on_a_small_disk(
        r#"
new vm
say one snapshot create vm one
small; fill
say "export" export vm "$T/vm.sampanvm"
echo "there: $(ls "$T")"
mkdir "$T/small"; mount -t tmpfs -o size=1m tmpfs "$T/small"
say "too small" export vm "$T/small/vm.sampanvm"
echo "nothing there: $(ls "$T/small")."
mount -o remount,size=1g "$H"
say "import" import "$T/vm.sampanvm" --name copy
"#,
    ) else {
        return;
    };
    for line in ["one: 0", "left: 0", "export: 0", "there: vm.sampanvm", "nothing there: .", "import: 0"] {
        has(&said, line);
    }
    let refused = said.lines().find(|line| line.starts_with("too small: 1")).expect("is refused");
    assert!(refused.contains("bytes are needed in") && refused.contains("/small"), "{refused}");
}
