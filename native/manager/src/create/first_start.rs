//! What a person wants a new system to be told at its first start, and what it is told.

use super::NewMachineError;
use crate::error::Result;
use sampan_config::{Arch, FirmwareKind, Preset};
use sampan_seed::{DiskLayout, Keyboard, PasswordHash, Processor, Seed, User, WindowsAnswers};
use sampan_session::vm::FirstStart;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of a host in one label (RFC 1123, section 2.1), and of a Windows computer (NetBIOS).
const HOST_NAME: usize = 63;
const COMPUTER_NAME: usize = 15;

/// A text that no log shows.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// This text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a new system is told at its first start; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirstStartOptions {
    /// The system's first user, who may become root.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The user's public SSH keys, lines as in `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// The system's own name; else it is made of the machine's.
    pub hostname: Option<String>,
    /// Packages to install.
    pub packages: Vec<String>,
    /// Its language: `de_DE.UTF-8`, of Windows `de-DE`.
    pub locale: Option<String>,
    /// Its time zone: `Europe/Berlin`, of Windows by Windows' own name.
    pub timezone: Option<String>,
    /// Its keyboard: `de`, of Windows `de-DE`.
    pub keyboard: Option<String>,
    /// A person's own user-data for cloud-init in place of all but the host's name.
    pub user_data: Option<Vec<u8>>,
    /// The questions of Windows Setup are answered.
    pub windows: Option<WindowsOptions>,
}

/// More of what Windows Setup asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowsOptions {
    /// The edition on a CD with several, such as `Windows 11 Pro`.
    pub edition: Option<String>,
    /// The product key.
    pub product_key: Option<Secret>,
    /// Install Windows 11 without TPM and Secure Boot, which Microsoft does not support.
    pub bypass_requirements: bool,
}

/// The machine that is told.
#[derive(Clone, Debug)]
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    pub(super) preset: Preset,
    pub(super) arch: Arch,
    /// How it starts.
    pub(super) firmware: FirmwareKind,
    /// Its disk is new, and nothing on it can be lost.
    pub(super) empty_disk: bool,
}

impl FirstStartOptions {
    /// Whether anything is to be told.
    pub fn is_wanted(&self) -> bool {
        let Self { user, hostname, packages, locale, timezone, keyboard, user_data, .. } = self;
        user.is_some()
            || hostname.is_some()
            || !packages.is_empty()
            || locale.is_some()
            || timezone.is_some()
            || keyboard.is_some()
            || user_data.is_some()
    }

    /// What is told, but for the password of cloud-init's user, which takes a while to hash: see [`with_password`].
    pub(super) fn first_start(&self, told: &Told<'_>) -> Result<FirstStart> {
        let is_windows = matches!(told.preset, Preset::Windows10 | Preset::Windows11);
        if self.windows.is_some() && !is_windows {
            return Err(NewMachineError::AnswersUnfit.into());
        }
        if self.windows.is_none() && !self.is_wanted() {
            return Ok(FirstStart::None);
        }
        let first = match (is_windows, &self.windows, &self.user_data) {
            (true, None, _) => return Err(NewMachineError::CloudUnfit.into()),
            (true, Some(windows), _) => FirstStart::Windows(Box::new(self.answers(windows, told)?)),
            (false, _, Some(bytes)) => {
                let hostname = self.hostname(told.name, HOST_NAME);
                FirstStart::UserData { hostname, bytes: unix_lines(bytes.clone()) }
            }
            (false, _, None) => FirstStart::Cloud(Box::new(self.seed(told)?)),
        };
        if let Some(password) = &self.password
            && !is_windows
        {
            PasswordHash::check(password.expose())?;
        }
        first.check()?;
        Ok(first)
    }

    fn seed(&self, told: &Told<'_>) -> Result<Seed> {
        let mut seed = Seed {
            hostname: self.hostname(told.name, HOST_NAME),
            packages: self.packages.clone(),
            locale: self.locale.clone(),
            timezone: self.timezone.clone(),
            keyboard: self.keyboard.clone().map(|layout| Keyboard { layout, variant: None }),
            ..Seed::default()
        };
        if let Some(name) = self.user.clone() {
            if self.password.is_none() && self.ssh_keys.is_empty() {
                return Err(NewMachineError::NoWayIn { user: name }.into());
            }
            // Whoever has a key needs no password there; whoever has none would have no way in.
            seed.ssh_passwords = self.ssh_keys.is_empty();
            let ssh_keys = self.ssh_keys.clone();
            seed.user = Some(User { name, password: None, ssh_keys, sudo: true, shell: None });
        }
        Ok(seed)
    }

    fn answers(&self, windows: &WindowsOptions, told: &Told<'_>) -> Result<WindowsAnswers> {
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let locale = self.locale.clone().unwrap_or_else(|| "en-US".into());
        Ok(WindowsAnswers {
            processor: match told.arch {
                Arch::X86_64 => Processor::Amd64,
                Arch::Aarch64 => Processor::Arm64,
            },
            computer: self.hostname(told.name, COMPUTER_NAME),
            user: self.user.clone().ok_or(NewMachineError::NoUser)?,
            password: text(&self.password).unwrap_or_default(),
            keyboard: self.keyboard.clone().unwrap_or_else(|| locale.clone()),
            locale,
            timezone: self.timezone.clone().unwrap_or_else(|| "UTC".into()),
            disk: match (told.empty_disk, told.firmware) {
                (true, FirmwareKind::Uefi) => DiskLayout::Uefi,
                (true, FirmwareKind::Bios) => DiskLayout::Bios,
                _ => DiskLayout::Ask,
            },
            edition: windows.edition.clone(),
            product_key: text(&windows.product_key),
            bypass_requirements: windows.bypass_requirements,
        })
    }

    /// The name that was asked for, else one that is made of the machine's.
    fn hostname(&self, name: &str, most: usize) -> String {
        self.hostname.clone().unwrap_or_else(|| host_name(name, most))
    }
}

/// The same with the password's hash. Hashing takes some tenths of a second on purpose.
pub(super) fn with_password(first: &FirstStart, password: Option<&Secret>) -> Result<FirstStart> {
    let mut first = first.clone();
    if let (FirstStart::Cloud(seed), Some(password)) = (&mut first, password)
        && let Some(user) = &mut seed.user
    {
        user.password = Some(PasswordHash::new(password.expose())?);
    }
    Ok(first)
}

/// A host's name of at most so many bytes, made of a machine's.
fn host_name(name: &str, most: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Coded;

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

    #[test]
    fn a_user_comes_with_a_way_to_log_in() {
        let options = FirstStartOptions { user: Some("ada".into()), ..FirstStartOptions::default() };
        assert_eq!(options.first_start(&told(Preset::Linux)).expect_err("no way in").code(), "no_way_in");
        let with_key = FirstStartOptions { ssh_keys: vec![KEY.to_owned()], ..options.clone() };
        let FirstStart::Cloud(seed) = with_key.first_start(&told(Preset::Linux)).expect("is made") else {
            panic!("no seed")
        };
        assert_eq!((seed.hostname.as_str(), seed.ssh_passwords), ("my-1st-vm", false));
        assert_eq!(seed.user.as_ref().map(|user| user.ssh_keys.as_slice()), Some(&[KEY.to_owned()][..]));
        let password = Some(Secret::new("open sesame"));
        let with_password = FirstStartOptions { password: password.clone(), ..options.clone() };
        let first = with_password.first_start(&told(Preset::Linux)).expect("is made");
        let FirstStart::Cloud(seed) = super::with_password(&first, password.as_ref()).expect("is hashed")
        else {
            panic!("no seed")
        };
        assert!(seed.ssh_passwords && seed.user.is_some_and(|user| user.password.is_some()));
        let bad = FirstStartOptions { password: Some(Secret::new("open\nsesame")), ..options };
        let error = bad.first_start(&told(Preset::Linux)).expect_err("cannot be typed");
        assert!(error.code() == "bad_password" && !error.to_string().contains("sesame"), "{error}");
        assert!(!format!("{bad:?}").contains("sesame"));
    }

    #[test]
    fn user_data_is_what_its_writer_saw() {
        for (bytes, read) in [
            (&b"#!/bin/sh\r\necho\r\n"[..], &b"#!/bin/sh\necho\n"[..]),
            (b"\x1f\x8b\r\n\xff", b"\x1f\x8b\r\n\xff"),
            (b"From x\r\nMIME-Version: 1.0\r\n", b"From x\r\nMIME-Version: 1.0\r\n"),
        ] {
            let options =
                FirstStartOptions { user_data: Some(bytes.to_vec()), ..FirstStartOptions::default() };
            match options.first_start(&told(Preset::Linux)).expect("is taken") {
                FirstStart::UserData { bytes, .. } => assert_eq!(bytes, read),
                _ => panic!("no user-data"),
            }
        }
    }

    #[test]
    fn windows_wants_its_own_answers_and_erases_only_a_new_disk() {
        let user = FirstStartOptions { user: Some("Ada".into()), ..FirstStartOptions::default() };
        let code = |options: &FirstStartOptions, preset| {
            options.first_start(&told(preset)).expect_err("is refused").code()
        };
        assert_eq!(code(&user, Preset::Windows11), "cloud_unfit");
        let windows = Some(WindowsOptions::default());
        let answers =
            FirstStartOptions { windows: windows.clone(), password: Some(Secret::new("geheim")), ..user };
        assert_eq!(code(&answers, Preset::Linux), "answers_unfit");
        let nobody = FirstStartOptions { windows, ..FirstStartOptions::default() };
        assert_eq!(code(&nobody, Preset::Windows10), "no_user");
        let disk = |empty_disk, firmware| {
            let told = Told { empty_disk, firmware, ..told(Preset::Windows11) };
            match answers.first_start(&told).expect("is made") {
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
        assert_eq!(host_name("Debian 13 (new)", 63), "debian-13-new");
        assert_eq!(host_name("云", 63), "sampan");
        assert_eq!(host_name("123456789012345678", 15), "vm-123456789012");
        assert_eq!(host_name("abcdefghijklmn-opq", 15), "abcdefghijklmn");
        let asked =
            FirstStartOptions { hostname: Some("box.example".into()), ..FirstStartOptions::default() };
        assert_eq!(asked.hostname("other", 63), "box.example");
    }
}
