//! What is kept: the host's identity, the devices that are paired, and where machines were shown. In a folder of its owner's
//! alone, which the caller has made; its files are 0600, are written whole or not at all, and survive a kill at any moment. Several processes
//! may use it at a time. All of it blocks.

use crate::crypto::{POINT_BYTES, decode, encode};
use crate::error::TrustError;
use crate::ice::{IceServer, MAX_ICE_SERVERS};
use crate::identity::Identity;
use crate::pairing::{NewDevice, device_id};
use crate::sharing::Rights;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Devices that are kept at most, of all machines.
pub const MAX_DEVICES: usize = 256;

/// The longest file that is read: far above what so many devices take.
const MAX_FILE: u64 = 1 << 20;

const LOCK: &str = ".lock";
const IDENTITY: &str = "identity.json";
const DEVICES: &str = "devices.json";
const PLACES: &str = "places.json";
const ICE_SERVERS: &str = "ice-servers.json";

/// A device that may see a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    id: String,
    /// What it calls itself.
    pub name: String,
    /// The machine that it was paired for.
    pub machine: String,
    /// What it may do.
    pub rights: Rights,
    /// When it was paired, in milliseconds since 1970.
    pub paired: u64,
    /// When it was last connected, likewise.
    pub last_seen: u64,
    key: KeyText,
    session: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct KeyText([u8; POINT_BYTES]);

impl TryFrom<String> for KeyText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        decode(&text).map(Self).ok_or("a device's key is none")
    }
}

impl From<KeyText> for String {
    fn from(key: KeyText) -> Self {
        encode(&key.0)
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Secret([u8; 32]);

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        decode(&text).map(Self).ok_or("a device's secret is none")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        encode(&secret.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Device {
    /// A device as the owner has let it in; `unix` is now, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`TrustError::Form`].
    pub fn new(new: &NewDevice, machine: &str, rights: Rights, unix: u64) -> Result<Self, TrustError> {
        let bytes = || TrustError::Form("device");
        Ok(Self {
            id: device_id(&new.key),
            name: new.name.clone(),
            machine: machine.to_owned(),
            rights,
            paired: unix,
            last_seen: unix,
            key: KeyText(new.key.as_slice().try_into().map_err(|_| bytes())?),
            session: Secret(new.session.as_slice().try_into().map_err(|_| bytes())?),
        })
    }

    /// Its id: the beginning of its key's hash.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key.0
    }

    pub(crate) fn session(&self) -> &[u8] {
        &self.session.0
    }
}

/// Where a machine was shown last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The address.
    pub address: IpAddr,
    /// The port: a browser keeps its key by address and port.
    pub port: u16,
    /// Whether it is shown there again at its next start.
    pub lasting: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Devices {
    devices: Vec<Device>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    machines: BTreeMap<String, Place>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IceServers {
    servers: Vec<IceServer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    key: String,
    certificate: String,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// What is kept in a folder, which is there and its owner's alone.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The host's identity, which is made when it is first asked for.
    ///
    /// # Errors
    /// [`TrustError::Damaged`], [`TrustError::Io`], [`TrustError::Random`].
    pub fn identity(&self) -> Result<Identity, TrustError> {
        let _lock = self.lock()?;
        if let Some(kept) = self.read::<Kept>(IDENTITY)? {
            let bytes = |text: &str| STANDARD.decode(text).ok();
            let both = bytes(&kept.key).zip(bytes(&kept.certificate));
            return both.and_then(|(key, certificate)| Identity::of(key, certificate)).ok_or_else(|| {
                TrustError::Damaged {
                    path: self.folder.join(IDENTITY),
                    why: "the key and the certificate do not belong together".into(),
                }
            });
        }
        let made = Identity::generate()?;
        let kept =
            Kept { key: STANDARD.encode(made.pkcs8()), certificate: STANDARD.encode(made.certificate()) };
        self.write(IDENTITY, &kept)?;
        Ok(made)
    }

    /// The devices that are paired.
    ///
    /// # Errors
    /// [`TrustError::Damaged`], [`TrustError::Io`].
    pub fn devices(&self) -> Result<Vec<Device>, TrustError> {
        Ok(self.read::<Devices>(DEVICES)?.unwrap_or_default().devices)
    }

    /// A device that may see `machine`.
    ///
    /// # Errors
    /// [`TrustError::NotPaired`]; else as [`Store::devices`].
    pub fn device(&self, id: &str, machine: &str) -> Result<Device, TrustError> {
        let found = self.devices()?.into_iter().find(|device| device.id == id && device.machine == machine);
        found.ok_or(TrustError::NotPaired)
    }

    /// Keeps a device; one with the same key is replaced.
    ///
    /// # Errors
    /// [`TrustError::TooManyDevices`]; else as [`Store::devices`].
    pub fn add(&self, device: Device) -> Result<(), TrustError> {
        self.change(|devices| {
            devices.retain(|other| other.id != device.id);
            if devices.len() >= MAX_DEVICES {
                return Err(TrustError::TooManyDevices(MAX_DEVICES));
            }
            devices.push(device);
            Ok(())
        })
    }

    /// Notes that a device was connected.
    ///
    /// # Errors
    /// As [`Store::devices`].
    pub fn seen(&self, id: &str, unix: u64) -> Result<(), TrustError> {
        self.change(|devices| {
            devices.iter_mut().filter(|device| device.id == id).for_each(|device| device.last_seen = unix);
            Ok(())
        })
    }

    /// Forgets a device, by its id, or by its name where that is one's alone.
    ///
    /// # Errors
    /// [`TrustError::NoDevice`], [`TrustError::SeveralDevices`]; else as [`Store::devices`].
    pub fn revoke(&self, what: &str) -> Result<Device, TrustError> {
        self.change(|devices| {
            let named = || devices.iter().enumerate().filter(|(_, device)| device.name == what);
            let at = match devices.iter().position(|device| device.id == what) {
                Some(at) => at,
                None if named().count() > 1 => return Err(TrustError::SeveralDevices(what.to_owned())),
                None => named().next().ok_or_else(|| TrustError::NoDevice(what.to_owned()))?.0,
            };
            Ok(devices.remove(at))
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Device>) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        let _lock = self.lock()?;
        let mut kept = self.read::<Devices>(DEVICES)?.unwrap_or_default();
        let done = change(&mut kept.devices)?;
        self.write(DEVICES, &kept)?;
        Ok(done)
    }

    /// Where a machine was shown last.
    ///
    /// # Errors
    /// As [`Store::devices`].
    pub fn place(&self, machine: &str) -> Result<Option<Place>, TrustError> {
        Ok(self.read::<Places>(PLACES)?.unwrap_or_default().machines.remove(machine))
    }

    /// Notes where a machine is shown.
    ///
    /// # Errors
    /// As [`Store::devices`].
    pub fn set_place(&self, machine: &str, place: Place) -> Result<(), TrustError> {
        let _lock = self.lock()?;
        let mut kept = self.read::<Places>(PLACES)?.unwrap_or_default();
        if kept.machines.get(machine) == Some(&place) {
            return Ok(());
        }
        kept.machines.insert(machine.to_owned(), place);
        self.write(PLACES, &kept)
    }

    /// The servers by which devices may find a way to this host; none unless the owner has named some.
    ///
    /// # Errors
    /// As [`Store::devices`].
    pub fn ice_servers(&self) -> Result<Vec<IceServer>, TrustError> {
        Ok(self.read::<IceServers>(ICE_SERVERS)?.unwrap_or_default().servers)
    }

    /// Keeps a server; one with the same address is replaced.
    ///
    /// # Errors
    /// [`TrustError::TooManyIceServers`]; else as [`Store::devices`].
    pub fn add_ice_server(&self, server: IceServer) -> Result<(), TrustError> {
        self.change_ice_servers(|servers| {
            servers.retain(|other| other.url != server.url);
            if servers.len() >= MAX_ICE_SERVERS {
                return Err(TrustError::TooManyIceServers(MAX_ICE_SERVERS));
            }
            servers.push(server);
            Ok(())
        })
    }

    /// Forgets a server, by its address.
    ///
    /// # Errors
    /// [`TrustError::NoIceServer`]; else as [`Store::devices`].
    pub fn remove_ice_server(&self, url: &str) -> Result<(), TrustError> {
        self.change_ice_servers(|servers| {
            let at = servers.iter().position(|server| server.url == url);
            servers.remove(at.ok_or_else(|| TrustError::NoIceServer(url.to_owned()))?);
            Ok(())
        })
    }

    fn change_ice_servers(
        &self,
        change: impl FnOnce(&mut Vec<IceServer>) -> Result<(), TrustError>,
    ) -> Result<(), TrustError> {
        let _lock = self.lock()?;
        let mut kept = self.read::<IceServers>(ICE_SERVERS)?.unwrap_or_default();
        change(&mut kept.servers)?;
        self.write(ICE_SERVERS, &kept)
    }

    /// Held for a few file operations, until it is dropped.
    fn lock(&self) -> Result<File, TrustError> {
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io(&path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|e| io(&path)(e.into()))?;
        Ok(file)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TrustError> {
        let path = self.folder.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io(&path))?,
        };
        let mut text = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut text).map_err(io(&path))?;
        let parsed = serde_json::from_slice(&text);
        parsed.map(Some).map_err(|why| TrustError::Damaged { path, why: why.to_string() })
    }

    /// Writes a file whole, or leaves it as it was. The lock is held.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), TrustError> {
        let (path, new) = (self.folder.join(name), self.folder.join(format!(".{name}.new")));
        let text =
            serde_json::to_vec_pretty(value).expect("its maps have strings as keys, so it can be serialized");
        let written = (|| {
            // One that a killed process has left is not to be followed, whatever it is.
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map_err(io(&path))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TrustError {
    let path = path.to_owned();
    move |source| TrustError::Io { path, source }
}
