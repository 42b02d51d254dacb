//! cloud-init's NoCloud seed: a volume `CIDATA` with `user-data`, `meta-data` and, if wanted, `network-config`.

use crate::error::{SeedError, demand, few, one_line};
use crate::iso;
use crate::password::PasswordHash;
use crate::rule::ValueRule;
use crate::ssh_key::ssh_key;
use crate::yaml::document;
use serde_json::{Value, json};
use std::net::IpAddr;

const MAX_LIST: usize = 200;
const MAX_COMMAND: usize = 16 << 10;

/// The user that a machine begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name: lower-case letters, digits, `_` and `-`, at most 32.
    pub name: String,
    /// Without one only a key opens the door.
    pub password: Option<PasswordHash>,
    /// Lines as in `authorized_keys`, such as [`ssh_keys`](crate::ssh_keys) gives.
    pub ssh_keys: Vec<String>,
    /// Whether `sudo` works, without a password.
    pub sudo: bool,
    /// The login shell, such as `/bin/bash`; else the distribution's default, `/bin/sh` on Debian.
    pub shell: Option<String>,
}

/// A keyboard as X11 names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyboard {
    /// Such as `de`.
    pub layout: String,
    /// Such as `nodeadkeys`.
    pub variant: Option<String>,
}

/// A fixed address for a network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticNetwork {
    /// The card's hardware address, which the machine's configuration has. It is called `eth0` in the guest.
    pub mac: [u8; 6],
    /// The guest's address.
    pub address: IpAddr,
    /// How many of its bits are the network's.
    pub prefix: u8,
    /// The router.
    pub gateway: IpAddr,
    /// Name servers, at most 8.
    pub name_servers: Vec<IpAddr>,
}

/// What a system with cloud-init does at its first start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    /// Tells one machine from its copies: cloud-init does its work anew when this changes. 1 to 64 letters, digits, `-`, `_`.
    pub instance: String,
    /// The host's name (RFC 1123 section 2.1).
    pub hostname: String,
    /// The first user; none leaves the distribution's, without a password.
    pub user: Option<User>,
    /// Whether SSH takes passwords.
    pub ssh_passwords: bool,
    /// Packages to install; needs the network.
    pub packages: Vec<String>,
    /// Such as `de_DE.UTF-8`.
    pub locale: Option<String>,
    /// Such as `Europe/Berlin`.
    pub timezone: Option<String>,
    /// The console's keyboard.
    pub keyboard: Option<Keyboard>,
    /// Commands for `sh`, run by root in the end, in order.
    pub run: Vec<String>,
    /// A fixed address instead of DHCP.
    pub network: Option<StaticNetwork>,
}

impl Seed {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), SeedError> {
        let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let rule = ValueRule::InstanceName;
        let sound = (1..=64).contains(&self.instance.len()) && self.instance.bytes().all(name);
        demand("the instance's name", &self.instance, rule, sound)?;
        let rule = ValueRule::HostName;
        demand("the host name", &self.hostname, rule, is_hostname(&self.hostname))?;
        if let Some(user) = &self.user {
            user.check()?;
        }
        few("packages", self.packages.len(), MAX_LIST)?;
        for package in &self.packages {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"+._:=~-".contains(&b);
            let first = package.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
            let rule = ValueRule::Package;
            demand("a package", package, rule, first && package.len() <= 200 && package.bytes().all(plain))?;
        }
        let words = |text: &str, more: &[u8]| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        if let Some(locale) = &self.locale {
            demand(
                "the locale",
                locale,
                ValueRule::Locale,
                words(locale, b"_.@-") && !locale.starts_with('-'),
            )?;
        }
        if let Some(zone) = &self.timezone {
            let sound = words(zone, b"_/+-")
                && zone.split('/').all(|part| !part.is_empty())
                && !zone.starts_with('-');
            demand("the time zone", zone, ValueRule::TimeZone, sound)?;
        }
        if let Some(Keyboard { layout, variant }) = &self.keyboard {
            for text in std::iter::once(layout).chain(variant) {
                demand("the keyboard", text, ValueRule::Keyboard, words(text, b"_-"))?;
            }
        }
        few("commands", self.run.len(), MAX_LIST)?;
        for command in &self.run {
            let rule = ValueRule::Command;
            let sound = (1..=MAX_COMMAND).contains(&command.len()) && !command.contains('\0');
            demand("a command", command, rule, sound)?;
        }
        self.network.as_ref().map_or(Ok(()), StaticNetwork::check)
    }

    /// `user-data`: `#cloud-config`, with every value quoted.
    ///
    /// # Errors
    /// See [`Seed::check`].
    pub fn user_data(&self) -> Result<String, SeedError> {
        self.check()?;
        let mut config = json!({
            "hostname": self.hostname,
            "fqdn": self.hostname,
            "manage_etc_hosts": true,
            "ssh_pwauth": self.ssh_passwords,
            // A password that must be changed at the first login is none that was chosen.
            "chpasswd": {"expire": false},
        });
        let mut set = |name: &str, value: Value| config[name] = value;
        if let Some(user) = &self.user {
            set("users", json!([user.value()]));
        }
        if !self.packages.is_empty() {
            set("package_update", json!(true));
            set("packages", json!(self.packages));
        }
        if let Some(locale) = &self.locale {
            set("locale", json!(locale));
        }
        if let Some(zone) = &self.timezone {
            set("timezone", json!(zone));
        }
        if let Some(keyboard) = &self.keyboard {
            let mut value = json!({"layout": keyboard.layout});
            if let Some(variant) = &keyboard.variant {
                value["variant"] = json!(variant);
            }
            set("keyboard", value);
        }
        if !self.run.is_empty() {
            set("runcmd", json!(self.run));
        }
        Ok(document("#cloud-config\n", &config))
    }

    /// `meta-data`.
    ///
    /// # Errors
    /// See [`Seed::check`].
    pub fn meta_data(&self) -> Result<String, SeedError> {
        self.check()?;
        Ok(document("", &json!({"instance-id": self.instance, "local-hostname": self.hostname})))
    }

    /// `network-config`, version 2; none means DHCP on the first card.
    ///
    /// # Errors
    /// See [`Seed::check`].
    pub fn network_config(&self) -> Result<Option<String>, SeedError> {
        self.check()?;
        Ok(self.network.as_ref().map(|network| document("", &network.value())))
    }

    /// The seed as a CD image. Equal seeds give equal bytes.
    ///
    /// # Errors
    /// See [`Seed::check`], and [`iso::image`] for what is too large.
    pub fn image(&self) -> Result<Vec<u8>, SeedError> {
        let (user, meta, network) = (self.user_data()?, self.meta_data()?, self.network_config()?);
        let mut files = vec![("user-data", user.as_bytes()), ("meta-data", meta.as_bytes())];
        if let Some(network) = &network {
            files.push(("network-config", network.as_bytes()));
        }
        iso::image("CIDATA", &files)
    }
}

/// The seed of a machine's copy: `image` with the instance `new` where it says `old`, in `meta-data` alone. cloud-init does
/// its work for an instance anew then. `None` where the image is no seed of ours for `old`, or the two differ in length.
#[must_use]
pub fn for_copy(image: &[u8], old: &str, new: &str) -> Option<Vec<u8>> {
    // As `meta-data` has it, without the brace before it and what is behind it.
    let phrase = |instance: &str| {
        document("", &json!({"instance-id": instance})).trim_matches(['{', '}', '\n']).as_bytes().to_vec()
    };
    let (before, after) = (phrase(old), phrase(new));
    if before.len() != after.len() {
        return None;
    }
    let mut places = image.windows(before.len()).enumerate().filter(|(_, bytes)| *bytes == before);
    let (at, _) = places.next()?;
    // What a person wrote may quote it: then nobody knows which one counts.
    if places.next().is_some() {
        return None;
    }
    let mut copy = image.to_vec();
    copy.get_mut(at..at + after.len())?.copy_from_slice(&after);
    Some(copy)
}

impl User {
    fn check(&self) -> Result<(), SeedError> {
        let mut bytes = self.name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        let rule = ValueRule::UserName;
        let sound = first && rest && self.name.len() <= 32 && self.name != "root";
        demand("the user's name", &self.name, rule, sound)?;
        few("SSH keys", self.ssh_keys.len(), MAX_LIST)?;
        for key in &self.ssh_keys {
            // Not in its words: somebody may have taken the private one.
            ssh_key(key).map_err(|why| SeedError::Key { why })?;
        }
        if let Some(shell) = &self.shell {
            let sound = shell.starts_with('/') && one_line(shell, 100) && !shell.contains([':', ' ']);
            demand("the shell", shell, ValueRule::Shell, sound)?;
        }
        Ok(())
    }

    fn value(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "gecos": self.name,
            "lock_passwd": self.password.is_none(),
        });
        // cloud-init's schema refuses an empty list, here and elsewhere.
        if !self.ssh_keys.is_empty() {
            value["ssh_authorized_keys"] = json!(self.ssh_keys);
        }
        if let Some(password) = &self.password {
            value["hashed_passwd"] = json!(password.as_str());
        }
        if self.sudo {
            value["sudo"] = json!("ALL=(ALL) NOPASSWD:ALL");
        }
        if let Some(shell) = &self.shell {
            value["shell"] = json!(shell);
        }
        value
    }
}

impl StaticNetwork {
    fn check(&self) -> Result<(), SeedError> {
        let [first, ..] = self.mac;
        let rule = ValueRule::HardwareAddress;
        demand("the hardware address", &self.mac(), rule, first % 2 == 0 && self.mac != [0; 6])?;
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        let prefix = self.prefix.to_string();
        demand("the network's prefix", &prefix, ValueRule::Prefix, (1..=bits).contains(&self.prefix))?;
        let rule = ValueRule::Gateway;
        demand(
            "the gateway",
            &self.gateway.to_string(),
            rule,
            self.gateway.is_ipv4() == self.address.is_ipv4(),
        )?;
        few("name servers", self.name_servers.len(), 8)
    }

    fn mac(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    fn value(&self) -> Value {
        let mut value = json!({"version": 2, "ethernets": {"first": {
            // By its address: a pattern of names is known to netplan alone, not to cloud-init's other renderers.
            "match": {"macaddress": self.mac()},
            "set-name": "eth0",
            "addresses": [format!("{}/{}", self.address, self.prefix)],
            "routes": [{"to": if self.address.is_ipv4() { "0.0.0.0/0" } else { "::/0" }, "via": self.gateway}],
        }}});
        if !self.name_servers.is_empty() {
            value["ethernets"]["first"]["nameservers"] = json!({"addresses": self.name_servers});
        }
        value
    }
}

fn is_hostname(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
