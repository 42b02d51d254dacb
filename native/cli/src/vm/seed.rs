//! From the command line to what a new system is told at its first start.

use super::place::shell_word;
use crate::args::SeedArgs;
use crate::text::{self, only_line};
use anyhow::{Context, Result, anyhow, bail};
use sampan_config::{Arch, FirmwareKind, Preset};
use sampan_seed::{DiskLayout, Keyboard, PasswordHash, Processor, Seed, User, WindowsAnswers, iso, ssh_keys};
use sampan_session::vm::FirstStart;
use std::path::Path;

/// The most that is read of a file with keys, in bytes.
const MAX_KEYS: u64 = 256 << 10;

/// The machine that is told.
pub struct Told<'a> {
    pub name: &'a str,
    pub preset: Preset,
    pub arch: Arch,
    /// How it starts.
    pub firmware: FirmwareKind,
    /// Its disk is new, and nothing on it can be lost.
    pub empty_disk: bool,
}

/// Whether anything is to be told.
pub fn is_wanted(args: &SeedArgs) -> bool {
    args.user.is_some()
        || args.hostname.is_some()
        || !args.package.is_empty()
        || args.locale.is_some()
        || args.timezone.is_some()
        || args.keyboard.is_some()
        || args.seed_file.is_some()
}

/// What the arguments tell; files are read, and every field is checked.
pub fn first_start(args: &SeedArgs, told: &Told<'_>) -> Result<FirstStart> {
    let windows = matches!(told.preset, Preset::Windows10 | Preset::Windows11);
    if args.windows_answers && !windows {
        bail!("--windows-answers is for --preset windows11 and windows10");
    }
    if !is_wanted(args) {
        return Ok(FirstStart::None);
    }
    let first = match (windows, &args.seed_file) {
        (true, _) if !args.windows_answers => {
            bail!("cloud-init is not in Windows: say --windows-answers, which answers what its setup asks")
        }
        (true, _) => FirstStart::Windows(Box::new(answers(args, told)?)),
        (false, Some(file)) => {
            let bytes = text::read_bytes(file, iso::MAX_FILE as u64)
                .with_context(|| format!("--seed-file {}", file.display()))?;
            FirstStart::UserData { hostname: hostname(args, told.name, 63), bytes: unix_lines(bytes) }
        }
        (false, None) => FirstStart::Cloud(Box::new(seed(args, told)?)),
    };
    first.check()?;
    Ok(first)
}

fn seed(args: &SeedArgs, told: &Told<'_>) -> Result<Seed> {
    let mut seed = Seed {
        hostname: hostname(args, told.name, 63),
        packages: args.package.clone(),
        locale: args.locale.clone(),
        timezone: args.timezone.clone(),
        keyboard: args.keyboard.clone().map(|layout| Keyboard { layout, variant: None }),
        ..Seed::default()
    };
    if let Some(name) = &args.user {
        let password = match &args.password_file {
            Some(file) => Some(PasswordHash::new(&only_line(file).context("--password-file")?)?),
            None => None,
        };
        let mut ssh_keys = Vec::new();
        for file in &args.ssh_key {
            let keys = keys_of(file).with_context(|| format!("--ssh-key {}", file.display()))?;
            ssh_keys.extend(keys);
        }
        set_user(&mut seed, name.clone(), password, ssh_keys)?;
    }
    Ok(seed)
}

/// Gives the system a user with a way to log in.
pub fn set_user(
    seed: &mut Seed,
    name: String,
    password: Option<PasswordHash>,
    ssh_keys: Vec<String>,
) -> Result<()> {
    if password.is_none() && ssh_keys.is_empty() {
        bail!("nobody could log in as {name}: give --password-file or --ssh-key");
    }
    // Whoever has a key needs no password there; whoever has none would have no way in.
    seed.ssh_passwords = ssh_keys.is_empty();
    seed.user = Some(User { name, password, ssh_keys, sudo: true, shell: None });
    Ok(())
}

fn answers(args: &SeedArgs, told: &Told<'_>) -> Result<WindowsAnswers> {
    let user = args.user.clone().context("--windows-answers needs --user")?;
    let password = match &args.password_file {
        Some(file) => only_line(file).context("--password-file")?,
        None => String::new(),
    };
    let locale = args.locale.clone().unwrap_or_else(|| "en-US".into());
    let key = args.product_key_file.as_deref().map(only_line).transpose().context("--product-key-file")?;
    Ok(WindowsAnswers {
        processor: match told.arch {
            Arch::X86_64 => Processor::Amd64,
            Arch::Aarch64 => Processor::Arm64,
        },
        computer: hostname(args, told.name, 15),
        user,
        password,
        keyboard: args.keyboard.clone().unwrap_or_else(|| locale.clone()),
        locale,
        timezone: args.timezone.clone().unwrap_or_else(|| "UTC".into()),
        disk: match (told.empty_disk, told.firmware) {
            (true, FirmwareKind::Uefi) => DiskLayout::Uefi,
            (true, FirmwareKind::Bios) => DiskLayout::Bios,
            _ => DiskLayout::Ask,
        },
        edition: args.edition.clone(),
        product_key: key,
        bypass_requirements: args.bypass_requirements,
    })
}

/// The name that was asked for, else one that is made of the machine's.
pub fn hostname(args: &SeedArgs, name: &str, most: usize) -> String {
    if let Some(hostname) = &args.hostname {
        return hostname.clone();
    }
    let mut made = String::new();
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => made.push(c),
            _ if made.is_empty() || made.ends_with('-') => {}
            _ => made.push('-'),
        }
    }
    // All of it is ASCII.
    made.truncate(most);
    let made = made.trim_end_matches('-');
    match made {
        "" => "sampan".to_owned(),
        // Windows wants a letter in it.
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let digits: String = digits.chars().take(most.saturating_sub(3)).collect();
            format!("vm-{digits}")
        }
        other => other.to_owned(),
    }
}

/// A script whose lines end as Windows' do is run by no interpreter, for whose name the first line is taken with its end.
/// What is no comment to begin with, packed or a message, stays as it is.
fn unix_lines(bytes: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with('#') => text.replace("\r\n", "\n").into_bytes(),
        Ok(text) => text.into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

/// The keys of a file as `authorized_keys` has them; `-` is stdin.
pub fn keys_of(file: &Path) -> Result<Vec<String>> {
    let keys = ssh_keys(&text::read(file, MAX_KEYS)?);
    // Its words name a command to be typed.
    keys.map_err(|error| anyhow!(error.to_string().replace("FILE", &shell_word(&file.to_string_lossy()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhc3kgdG8gcmVhZCBieSBhIHBlcnNvbiBoZXJlISEh ada@box";

    fn told(preset: Preset) -> Told<'static> {
        Told {
            name: "My 1st VM!",
            preset,
            arch: Arch::X86_64,
            firmware: FirmwareKind::Uefi,
            empty_disk: true,
        }
    }

    fn files() -> (tempfile::TempDir, impl Fn(&str, &str) -> PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_owned();
        let write = move |name: &str, text: &str| {
            std::fs::write(path.join(name), text).expect("writes");
            path.join(name)
        };
        (folder, write)
    }

    #[test]
    fn a_user_comes_with_a_way_to_log_in() {
        let (_folder, write) = files();
        let args = SeedArgs { user: Some("ada".into()), ..SeedArgs::default() };
        let words = first_start(&args, &told(Preset::Linux)).expect_err("no way in").to_string();
        assert!(words.contains("--ssh-key"), "{words}");
        let key = write("key.pub", &format!("# mine\n\n{KEY}\n"));
        let with_key = SeedArgs { ssh_key: vec![key], ..args.clone() };
        let FirstStart::Cloud(seed) = first_start(&with_key, &told(Preset::Linux)).expect("is made") else {
            panic!("no seed")
        };
        assert_eq!((seed.hostname.as_str(), seed.ssh_passwords), ("my-1st-vm", false));
        assert_eq!(seed.user.as_ref().map(|user| user.ssh_keys.as_slice()), Some(&[KEY.to_owned()][..]));
        let secret = write("secret", "open sesame\r\n");
        let with_password = SeedArgs { password_file: Some(secret), ..args };
        let FirstStart::Cloud(seed) = first_start(&with_password, &told(Preset::Linux)).expect("is made")
        else {
            panic!("no seed")
        };
        assert!(seed.ssh_passwords && seed.user.is_some_and(|user| user.password.is_some()));
    }

    #[test]
    fn what_is_no_secret_and_no_key_is_refused_without_being_shown() {
        let (_folder, write) = files();
        let two = write("two", "open sesame\nmore\n");
        let words = format!("{:#}", only_line(&two).expect_err("two lines"));
        assert!(!words.contains("sesame"), "{words}");
        assert_eq!(only_line(&write("one", "open sesame")).expect("one line"), "open sesame");
        let private = write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n");
        let words = format!("{:#}", keys_of(&private).expect_err("a private key"));
        assert!(words.contains(".pub") && !words.contains("b3BlbnNz"), "{words}");
        assert!(keys_of(&write("none", "# nothing\n")).is_err());
        let pem = write("my pem", "-----BEGIN RSA PUBLIC KEY-----\nMIIB\n");
        let words = format!("{:#}", keys_of(&pem).expect_err("another form"));
        assert!(words.contains(&format!("ssh-keygen -i -m PEM -f '{}'", pem.display())), "{words}");
        let marked = write("marked", &format!("\u{feff}{KEY}\r\n{KEY}\r\n"));
        assert_eq!(keys_of(&marked).expect("two keys"), [KEY, KEY]);
        assert!(only_line(&write("long", &"x".repeat(5000))).is_err());
    }

    #[test]
    fn user_data_is_what_its_writer_saw() {
        let folder = tempfile::tempdir().expect("a folder");
        for (bytes, read) in [
            (&b"\xef\xbb\xbf#!/bin/sh\r\necho\r\n"[..], &b"#!/bin/sh\necho\n"[..]),
            (b"\x1f\x8b\r\n\xff", b"\x1f\x8b\r\n\xff"),
            (b"From x\r\nMIME-Version: 1.0\r\n", b"From x\r\nMIME-Version: 1.0\r\n"),
        ] {
            let file = folder.path().join("user-data");
            std::fs::write(&file, bytes).expect("writes");
            let args = SeedArgs { seed_file: Some(file), ..SeedArgs::default() };
            match first_start(&args, &told(Preset::Linux)).expect("is taken") {
                FirstStart::UserData { bytes, .. } => assert_eq!(bytes, read),
                _ => panic!("no user-data"),
            }
        }
    }

    #[test]
    fn windows_wants_its_own_answers_and_erases_only_a_new_disk() {
        let (_folder, write) = files();
        let user = SeedArgs { user: Some("Ada".into()), ..SeedArgs::default() };
        assert!(first_start(&user, &told(Preset::Windows11)).is_err(), "cloud-init is not in Windows");
        let secret = write("secret", "geheim\n");
        let args = SeedArgs { windows_answers: true, password_file: Some(secret), ..user };
        assert!(first_start(&args, &told(Preset::Linux)).is_err());
        let disk = |empty_disk, firmware| {
            let told = Told { empty_disk, firmware, ..told(Preset::Windows11) };
            match first_start(&args, &told).expect("is made") {
                FirstStart::Windows(answers) => (answers.disk, answers.computer),
                _ => panic!("no answers"),
            }
        };
        assert_eq!(disk(true, FirmwareKind::Uefi), (DiskLayout::Uefi, "my-1st-vm".to_owned()));
        assert_eq!(disk(true, FirmwareKind::Bios).0, DiskLayout::Bios);
        assert_eq!(disk(false, FirmwareKind::Uefi).0, DiskLayout::Ask);
    }

    #[test]
    fn names_of_hosts_are_made_of_names_of_machines() {
        let made = |name: &str, most| hostname(&SeedArgs::default(), name, most);
        assert_eq!(made("Debian 13 (new)", 63), "debian-13-new");
        assert_eq!(made("云", 63), "sampan");
        assert_eq!(made("123456789012345678", 15), "vm-123456789012");
        assert_eq!(made("abcdefghijklmn-opq", 15), "abcdefghijklmn");
        let asked = SeedArgs { hostname: Some("box.example".into()), ..SeedArgs::default() };
        assert_eq!(hostname(&asked, "other", 63), "box.example");
    }
}
