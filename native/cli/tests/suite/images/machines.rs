use super::server::Server;
use super::{Home, read, sha256};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A catalogue with one entry, `tiny`.
pub fn catalogue(url: &str, sum: &str, kind: &str, format: &str) -> String {
    json!({
        "version": 1, "date": "2026-11-21",
        "entries": [{
            "id": "tiny", "name": "Tiny", "version": "1", "arch": "x86_64", "kind": kind, "format": format,
            "source": {"address": {"url": url, "digest": format!("sha256:{sum}")}},
            "about_mib": 1, "preset": "other", "firmware": "bios", "cloud_init": true, "login": "as root",
        }],
    })
    .to_string()
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhc3kgdG8gcmVhZCBieSBhIHBlcnNvbiBoZXJlISEh ada@box";

/// A new machine for PCs, with a little disk.
fn new<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["new", "vm", "--arch", "x86_64", "--firmware", "bios", "--disk", "16M"], more].concat()
}

fn drives(home: &Home) -> Vec<Value> {
    let shown = home.json(&["show", "vm"]);
    let drives = shown["document"]["drives"]["drives"].as_array().cloned();
    drives.unwrap_or_else(|| panic!("no drives: {shown}"))
}

/// A file of a CD image as another program reads it, by the extension `-R` or `-J`.
fn on_cd(image: &Path, extension: &str, name: &str) -> String {
    let output =
        Command::new("isoinfo").args([extension, "-x", name, "-i"]).arg(image).output().expect("isoinfo");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("Unicode")
}

#[test]
fn a_machine_begins_as_an_image_of_the_catalogue() {
    let home = Home::new();
    // A disk as qcow2, made by the program itself.
    home.json(&["new", "source", "--arch", "x86_64", "--firmware", "bios", "--disk", "16M"]);
    let info = home.json(&["disk", "info", "source"]);
    let image = read(Path::new(info["drives"][0]["file"].as_str().expect("a file")));
    let server = Server::start(&[("tiny.qcow2", &image)]);
    let file =
        home.write("mine.json", &catalogue(&server.url("tiny.qcow2"), &sha256(&image), "disk", "qcow2"));
    let from = ["new", "vm", "--arch", "x86_64", "--from", "tiny", "--catalogue", &file];
    let made = home.json(&from);
    assert!(made["notes"].to_string().contains("login: as root"), "{made}");
    let shown = home.json(&["show", "vm"]);
    assert_eq!(shown["document"]["system"]["preset"], "other", "the entry's preset");
    assert_eq!(shown["document"]["firmware"]["kind"], "bios", "the entry's firmware");
    let disk = home.json(&["disk", "info", "vm"]);
    assert_eq!(disk["drives"][0]["size"], 16 << 20);
    assert_eq!(home.media(), ["tiny-x86_64.qcow2"]);
    let sent = server.sent();
    // Once here, it is not loaded again; and it grows.
    home.json(&["new", "two", "--arch", "x86_64", "--from", "tiny", "--catalogue", &file, "--disk", "32M"]);
    assert_eq!(server.sent(), sent);
    assert_eq!(home.json(&["disk", "info", "two"])["drives"][0]["size"], 32 << 20);
    // The same by the medium's name.
    home.json(&["new", "three", "--arch", "x86_64", "--firmware", "bios", "--image", "tiny-x86_64.qcow2"]);
    assert_eq!(home.json(&["disk", "info", "three"])["drives"][0]["size"], 16 << 20);
}

#[test]
fn a_raw_image_is_what_the_catalogue_says() {
    let (home, bytes) = (Home::new(), super::noise(1 << 20));
    let server = Server::start(&[("tiny.img", &bytes)]);
    let file = home.write("mine.json", &catalogue(&server.url("tiny.img"), &sha256(&bytes), "disk", "raw"));
    home.json(&["new", "vm", "--arch", "x86_64", "--from", "tiny", "--catalogue", &file]);
    let info = home.json(&["disk", "info", "vm"]);
    let image = read(Path::new(info["drives"][0]["file"].as_str().expect("a file")));
    assert!(image.starts_with(b"QFI\xfb"));
    let cluster = &bytes[..64 << 10];
    assert!(image.chunks_exact(64 << 10).any(|chunk| chunk == cluster), "its content is in the disk");
}

#[test]
fn what_an_image_cannot_be_told_is_refused_before_it_is_loaded() {
    let (home, bytes) = (Home::new(), super::noise(10_000));
    let server = Server::start(&[("tiny.img", &bytes)]);
    let text = catalogue(&server.url("tiny.img"), &sha256(&bytes), "disk", "raw");
    let deaf = home.write("deaf.json", &text.replace("\"cloud_init\":true", "\"cloud_init\":false"));
    let all = ["new", "vm", "--arch", "x86_64", "--from", "tiny", "--catalogue"];
    let words = home.refused(&[&all[..], &[&deaf, "--hostname", "box"]].concat());
    assert!(words.contains("no cloud-init"), "{words}");
    let file = home.write("mine.json", &text);
    let words = home.refused(&[&all[..], &[&file, "--user", "ada"]].concat());
    assert!(words.contains("--ssh-key"), "{words}");
    let words = home.refused(&[&all[..], &[&file, "--cpus", "200"]].concat());
    assert!(words.contains("200 CPUs"), "{words}");
    assert_eq!(server.sent(), 0);
}

#[test]
fn an_installer_of_the_catalogue_is_in_the_cd_drive_beside_an_empty_disk() {
    let (home, bytes) = (Home::new(), super::noise(10_000));
    let server = Server::start(&[("tiny.iso", &bytes)]);
    let file =
        home.write("mine.json", &catalogue(&server.url("tiny.iso"), &sha256(&bytes), "installer", "iso"));
    home.json(&new(&["--from", "tiny", "--catalogue", &file]));
    let drives = drives(&home);
    assert!(
        drives.iter().any(|drive| drive["media"] == "tiny-x86_64.iso" && drive["boot"] == 0),
        "{drives:?}"
    );
    assert_eq!(home.json(&["disk", "info", "vm"])["drives"][0]["size"], 16 << 20);
    let words = home.refused(&["new", "win", "--arch", "x86_64", "--from", "windows-11"]);
    assert!(words.contains("microsoft.com") && words.contains("--cdrom"), "{words}");
}

#[test]
fn a_seed_is_on_a_cd_of_its_own_and_tells_no_secret() {
    let home = Home::new();
    let (secret, key) = (home.write("secret", "open sesame\n"), home.write("id.pub", KEY));
    home.json(&new(&[
        "--user",
        "ada",
        "--password-file",
        &secret,
        "--ssh-key",
        &key,
        "--hostname",
        "box",
        "--package",
        "vim",
        "--package",
        "curl",
    ]));
    let drives = drives(&home);
    let cd = drives.iter().find(|drive| drive["id"] == "cd1").expect("the seed's drive");
    let medium = cd["media"].as_str().expect("the seed").to_owned();
    let number =
        home.json(&["show", "vm"])["document"]["system"]["uuid"].as_str().expect("a number").to_owned();
    assert_eq!(medium, format!("seed-{number}.iso"));
    let image = home.medium(&medium);
    let user = on_cd(&image, "-R", "/user-data");
    let config: Value =
        serde_json::from_str(user.strip_prefix("#cloud-config\n").expect("the header")).expect("JSON");
    assert_eq!((&config["hostname"], &config["packages"]), (&json!("box"), &json!(["vim", "curl"])));
    assert_eq!(config["users"][0]["name"], "ada");
    assert_eq!(config["users"][0]["ssh_authorized_keys"], json!([KEY]));
    assert!(config["users"][0]["hashed_passwd"].as_str().is_some_and(|hash| hash.starts_with("$6$")));
    assert!(on_cd(&image, "-R", "/meta-data").contains(&number), "the machine's number is the instance");
    assert!(!String::from_utf8_lossy(&read(&image)).contains("open sesame"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&image).expect("is there").permissions().mode() & 0o777, 0o600);
    // It goes with the machine.
    home.json(&["delete", "vm"]);
    assert_eq!(home.media(), [medium.as_str()]);
    home.json(&["empty-trash"]);
    assert!(home.media().is_empty());
}

#[test]
fn a_seed_is_made_of_ones_own_file_and_taken_out_when_it_has_served() {
    let home = Home::new();
    let own = home.write("user-data", "#cloud-config\nruncmd: [touch /here]\n");
    let wrong = home.write("wrong", "runcmd: [touch /here]\n");
    assert!(home.refused(&new(&["--seed-file", &wrong])).contains("#cloud-config"));
    assert!(home.json(&["list"]).as_array().expect("a list").is_empty(), "nothing is made");
    home.json(&new(&["--seed-file", &own]));
    let medium = home.media().pop().expect("the seed");
    assert_eq!(on_cd(&home.medium(&medium), "-R", "/user-data"), "#cloud-config\nruncmd: [touch /here]\n");
    assert!(
        on_cd(&home.medium(&medium), "-R", "/meta-data").contains("\"vm\""),
        "the host is called as the machine"
    );
    home.json(&["set", "vm", "seed=-"]);
    assert_eq!(drives(&home).len(), 2);
    assert!(home.media().is_empty());
}

#[test]
fn a_copy_is_another_instance_for_cloud_init() {
    let home = Home::new();
    let key = home.write("id.pub", KEY);
    home.json(&new(&["--user", "ada", "--ssh-key", &key]));
    let seed_of = |vm: &str| {
        let shown = home.json(&["show", vm]);
        let number = shown["document"]["system"]["uuid"].as_str().expect("a number").to_owned();
        let drives = shown["document"]["drives"]["drives"].as_array().cloned().unwrap_or_default();
        let cd = drives.into_iter().find(|drive| drive["id"] == "cd1").expect("the seed's drive");
        assert_eq!(cd["media"], format!("seed-{number}.iso"));
        (number.clone(), home.medium(&format!("seed-{number}.iso")))
    };
    let (original, image) = seed_of("vm");
    home.json(&["clone", "vm", "full"]);
    home.json(&["clone", "vm", "linked", "--linked"]);
    for vm in ["full", "linked"] {
        let (number, copy) = seed_of(vm);
        assert_ne!(number, original);
        let meta = on_cd(&copy, "-R", "/meta-data");
        assert!(meta.contains(&number), "{meta}");
        assert!(!String::from_utf8_lossy(&read(&copy)).contains(&original), "no other way to it, either");
        assert_eq!(on_cd(&copy, "-R", "/user-data"), on_cd(&image, "-R", "/user-data"));
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&copy).expect("is there").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(home.media().len(), 3);
    // Each goes with its own machine; one in the trash keeps its own.
    home.json(&["delete", "full"]);
    home.json(&["delete", "linked", "--purge"]);
    assert_eq!(home.media().len(), 2);
    let kept = home.media().into_iter().find(|name| !name.contains(&original)).expect("the other");
    let words = home.refused(&["images", "remove", &kept]);
    assert!(words.contains("full (in the trash)"), "{words}");
    home.json(&["empty-trash"]);
    home.json(&["delete", "vm", "--purge"]);
    assert!(home.media().is_empty());
}

#[test]
fn windows_is_answered_on_a_cd() {
    let home = Home::new();
    let secret = home.write("secret", "geheim\n");
    let user = ["--preset", "windows11", "--user", "Ada", "--password-file", &secret];
    assert!(home.refused(&new(&user)).contains("--windows-answers"));
    let answers = [&user[..], &["--windows-answers", "--locale", "de-DE", "--yes"]].concat();
    home.json(&new(&answers));
    let medium = home.media().pop().expect("the answers");
    // They know no instance: a copy shares them.
    home.json(&["clone", "vm", "copy"]);
    assert_eq!(home.media(), [medium.as_str()]);
    let text = on_cd(&home.medium(&medium), "-J", "/Autounattend.xml;1");
    for part in
        ["<Name>Ada</Name>", "<UILanguage>de-DE</UILanguage>", "geheim", "<WillWipeDisk>true</WillWipeDisk>"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_the_host_cannot_bear_is_refused_with_figures() {
    let home = Home::new();
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("figures");
    let kib: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok())
        .expect("MemTotal");
    let (all, wanted) = (kib >> 10, format!("{}M", kib >> 10));
    let words = home.refused(&new(&["--memory", &wanted, "--yes"]));
    assert!(words.contains(&format!("of {all} MiB")) && words.contains("give it at most"), "{words}");
    let words = home.refused(&new(&["--cpus", "200"]));
    assert!(words.contains("200 CPUs") && words.contains("--yes"), "{words}");
    assert!(home.json(&["list"]).as_array().expect("a list").is_empty(), "nothing is made");
    let made = home.json(&new(&["--cpus", "200", "--yes"]));
    assert!(made["notes"].to_string().contains("200 CPUs"), "{made}");
    // A start is refused before anything is started.
    let words = home.refused(&["start", "vm"]);
    assert!(words.contains("200 CPUs") && words.contains("--yes"), "{words}");
    let words = home.refused(&["disk", "create", "vm", "60T", "--fixed", "--yes"]);
    assert!(words.contains("are free") && words.contains("dynamic"), "{words}");
    let words = home.refused(&["disk", "grow", "vm", "disk0", "+60T"]);
    assert!(words.contains("--yes"), "{words}");
    let words = home.refused(&["disk", "create", "vm", "60T"]);
    assert!(words.contains("61440 GiB") && words.contains("--yes"), "{words}");
    home.json(&["disk", "create", "vm", "60T", "--yes"]);
    assert_eq!(home.json(&["disk", "info", "vm"])["drives"][1]["size"], 60_u64 << 40);
}

const UTM: &str = "<plist><dict><key>ConfigurationVersion</key><integer>4</integer>\
    <key>Information</key><dict><key>Name</key><string>my UTM</string></dict>\
    <key>System</key><dict><key>Architecture</key><string>x86_64</string></dict>\
    <key>Network</key><array><dict><key>PortForward</key><array><dict><key>Protocol</key><string>TCP</string>\
    <key>HostPort</key><integer>2222</integer><key>GuestPort</key><integer>22</integer></dict></array></dict></array>\
    </dict></plist>";

#[test]
fn what_an_import_leaves_out_is_told_with_the_command_that_adds_it() {
    let home = Home::new();
    let folder = home.path("my.utm");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("config.plist"), UTM).expect("writes");
    let folder = folder.display().to_string();
    let said = home.run(&["import", &folder]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("`sampan forward add 'my UTM' tcp:2222:22`"), "{said:?}");
    home.json(&["forward", "add", "my UTM", "tcp:2222:22"]);
    let notes = home.json(&["import", &folder, "--name", "b"])["notes"].clone();
    let forward = notes.as_array().expect("a list").iter().find(|note| note["code"] == "forward_left_out");
    assert_eq!(forward.expect("is told")["params"]["forward"], "tcp:2222:22", "{notes}");
}
