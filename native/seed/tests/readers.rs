//! The images, read by programs that others wrote: Debian's genisoimage (`isoinfo`), libarchive-tools (`bsdtar`) and
//! xorriso. `scripts/bootstrap` installs them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use sampan_seed::{DiskLayout, Processor, Seed, WindowsAnswers, iso};
use std::path::Path;
use std::process::Command;

/// What a program prints; it must succeed.
fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; scripts/bootstrap installs it"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

struct Image {
    file: tempfile::NamedTempFile,
}

impl Image {
    fn new(bytes: &[u8]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Self { file }
    }

    fn path(&self) -> &str {
        self.file.path().to_str().unwrap()
    }
}

fn seed() -> Seed {
    Seed { instance: "vm-1".into(), hostname: "box".into(), packages: vec!["vim".into()], ..Seed::default() }
}

#[test]
fn isoinfo_finds_both_sets_of_names_and_the_label() {
    let image = Image::new(&seed().image().unwrap());
    let about = text(run("isoinfo", &["-d", "-i", image.path()]));
    for line in
        ["Volume id: CIDATA", "Joliet with UCS level 3 found", "Rock Ridge signatures version 1 found"]
    {
        assert!(about.contains(line), "{line}: {about}");
    }
    for (flag, wrapped) in [("-R", "user-data"), ("-J", "user-data")] {
        let names = text(run("isoinfo", &["-f", flag, "-i", image.path()]));
        assert!(
            names.lines().any(|l| l.trim_start_matches('/').trim_end_matches(";1") == wrapped),
            "{flag}: {names}"
        );
    }
    let plain = text(run("isoinfo", &["-f", "-i", image.path()]));
    assert!(plain.contains("/USERDATA.;1") && plain.contains("/METADATA.;1"), "{plain}");
    let content = text(run("isoinfo", &["-R", "-x", "/user-data", "-i", image.path()]));
    assert_eq!(content, seed().user_data().unwrap());
}

#[test]
fn libarchive_reads_what_was_written() {
    let image = Image::new(&seed().image().unwrap());
    for options in ["!joliet", "!rockridge"] {
        let option = format!("iso9660:{options}");
        let read = |name: &str| text(run("bsdtar", &["--options", &option, "-xOf", image.path(), name]));
        assert_eq!(read("user-data"), seed().user_data().unwrap(), "{options}");
        assert_eq!(read("meta-data"), seed().meta_data().unwrap(), "{options}");
    }
    let list = text(run("bsdtar", &["-tvf", image.path()]));
    assert!(
        list.lines().any(|l| l.starts_with("-r--------") && l.ends_with("user-data")),
        "root's alone: {list}"
    );
}

#[test]
fn xorriso_has_nothing_to_complain_about() {
    let image = Image::new(&seed().image().unwrap());
    let args =
        ["-abort_on", "WARNING", "-indev", image.path(), "-pvd_info", "-find", "/", "-exec", "report_lba"];
    let found = text(run("xorriso", &args));
    assert!(found.contains("'/user-data'") && found.contains("'/meta-data'"), "{found}");
}

/// The kernel's own reader, where a mount is allowed.
#[test]
fn the_kernel_mounts_it() {
    let image = Image::new(&seed().image().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let script =
        r#"mount -o loop,ro -t iso9660 "$1" "$2" || exit 99; stat -c %a "$2/user-data"; cat "$2/user-data""#;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", image.path()])
        .arg(folder.path())
        .output()
        .unwrap();
    if output.status.code() == Some(99) || String::from_utf8_lossy(&output.stderr).starts_with("unshare") {
        eprintln!("no mount here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert_eq!(text(output.stdout), format!("400\n{}", seed().user_data().unwrap()));
}

#[test]
fn windows_answers_are_in_the_root() {
    let answers = WindowsAnswers {
        processor: Processor::Amd64,
        computer: "BOX".into(),
        user: "Ada".into(),
        password: "secret".into(),
        locale: "en-US".into(),
        keyboard: "en-US".into(),
        timezone: "UTC".into(),
        disk: DiskLayout::Bios,
        edition: None,
        product_key: None,
        bypass_requirements: false,
    };
    let image = Image::new(&answers.image().unwrap());
    let args = ["--options", "iso9660:!rockridge", "-xOf", image.path(), "Autounattend.xml"];
    assert_eq!(text(run("bsdtar", &args)), answers.autounattend().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_files_are_read_back(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..=iso::MAX_FILES),
        label in "[A-Za-z0-9_-]{1,16}",
    ) {
        let names: Vec<String> = (0..contents.len()).map(|n| format!("{n}-File.name-{n}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        let image = Image::new(&iso::image(&label, &files).unwrap());
        for options in ["!joliet", "!rockridge"] {
            let folder = tempfile::tempdir().unwrap();
            let to: &Path = folder.path();
            run("bsdtar", &["--options", &format!("iso9660:{options}"), "-xf", image.path(), "-C", to.to_str().unwrap()]);
            prop_assert_eq!(std::fs::read_dir(to).unwrap().count(), files.len());
            for (name, content) in &files {
                prop_assert_eq!(&std::fs::read(to.join(name)).unwrap(), content);
            }
        }
    }
}
