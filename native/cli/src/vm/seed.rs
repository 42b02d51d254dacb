//! From the command line to what a new system is told at its first start: files are read.

use super::place::shell_word;
use crate::args::SeedArgs;
use crate::text::{self, only_line};
use anyhow::{Context, Result, anyhow};
use sampan_manager::create::{FirstStartOptions, Secret, WindowsOptions};
use sampan_seed::{iso, ssh_keys};
use std::path::Path;

/// The most that is read of a file with keys, in bytes.
const MAX_KEYS: u64 = 256 << 10;

/// What the arguments tell.
pub fn first_start(args: &SeedArgs) -> Result<FirstStartOptions> {
    let secret = |file: &Option<std::path::PathBuf>, flag: &'static str| {
        let line = file.as_deref().map(only_line).transpose().context(flag)?;
        Ok::<_, anyhow::Error>(line.map(Secret::new))
    };
    let mut keys = Vec::new();
    for file in &args.ssh_key {
        keys.extend(keys_of(file).with_context(|| format!("--ssh-key {}", file.display()))?);
    }
    let user_data = match &args.seed_file {
        Some(file) => Some(
            text::read_bytes(file, iso::MAX_FILE as u64)
                .with_context(|| format!("--seed-file {}", file.display()))?,
        ),
        None => None,
    };
    let windows = match args.windows_answers {
        true => Some(WindowsOptions {
            edition: args.edition.clone(),
            product_key: secret(&args.product_key_file, "--product-key-file")?,
            bypass_requirements: args.bypass_requirements,
        }),
        false => None,
    };
    Ok(FirstStartOptions {
        user: args.user.clone(),
        password: secret(&args.password_file, "--password-file")?,
        ssh_keys: keys,
        hostname: args.hostname.clone(),
        packages: args.package.clone(),
        locale: args.locale.clone(),
        timezone: args.timezone.clone(),
        keyboard: args.keyboard.clone(),
        user_data,
        windows,
    })
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
    fn secrets_and_keys_come_from_files() {
        let (_folder, write) = files();
        let args = SeedArgs {
            user: Some("ada".into()),
            password_file: Some(write("secret", "open sesame\r\n")),
            ssh_key: vec![write("key.pub", &format!("# mine\n\n{KEY}\n"))],
            seed_file: Some(write("user-data", "\u{feff}#!/bin/sh\r\necho\r\n")),
            ..SeedArgs::default()
        };
        let options = first_start(&args).expect("files are read");
        assert_eq!(options.password.map(|secret| secret.expose().to_owned()).as_deref(), Some("open sesame"));
        assert_eq!(options.ssh_keys, [KEY]);
        assert_eq!(options.user_data.as_deref(), Some(&b"#!/bin/sh\r\necho\r\n"[..]));
        assert_eq!(options.windows, None);
    }
}
