//! Loads the kernel modules that the devices of this machine ask for.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;
use tiny_guest::alias::Catalogue;

use crate::Failure;
use crate::console;

const FOLDER: &str = "/modules";

/// The modules in the initramfs and those that are loaded.
pub struct Modules {
    catalogue: Catalogue,
    done: HashSet<String>,
}

impl Modules {
    /// Reads the list that the build wrote and loads the modules that no device asks for by name.
    pub fn read() -> Result<Self, Failure> {
        let list = format!("{FOLDER}/list");
        let text = fs::read_to_string(&list).map_err(|error| format!("cannot read {list}: {error}"))?;
        let mut modules = Self { catalogue: Catalogue::parse(&text), done: HashSet::new() };
        // evdev has an alias for every input device, but asks by class, not by bus.
        modules.load_by_name("evdev");
        Ok(modules)
    }

    /// Loads a module that no device asks for.
    pub fn load_by_name(&mut self, name: &str) {
        self.load(vec![name.to_owned()], |catalogue, name| {
            catalogue.files(name).map(str::to_owned).collect()
        });
    }

    /// Loads what every present device wants, again and again until nothing new appears: a bus driver's module
    /// brings devices with modules of their own.
    pub fn load_for_all_devices(&mut self) {
        loop {
            let mut found = Vec::new();
            for bus in entries("/sys/bus") {
                for device in entries(&format!("{bus}/devices")) {
                    found.extend(fs::read_to_string(format!("{device}/modalias")));
                }
            }
            let before = self.done.len();
            self.load_for_devices(found);
            if self.done.len() == before {
                return;
            }
        }
    }

    /// Loads what devices with these modaliases want.
    pub fn load_for_devices(&mut self, modaliases: Vec<String>) {
        self.load(modaliases, |catalogue, alias| {
            let wanted: Vec<_> = catalogue.wanted(alias.trim()).map(str::to_owned).collect();
            // Sound is loaded when somebody asks for it: it takes a while, and every machine has a card.
            if wanted.iter().any(|file| file.starts_with("snd")) { Vec::new() } else { wanted }
        });
    }

    fn load(&mut self, keys: Vec<String>, files: impl Fn(&Catalogue, &str) -> Vec<String>) {
        for file in keys.iter().flat_map(|key| files(&self.catalogue, key)).collect::<Vec<_>>() {
            if self.done.insert(file.clone())
                && let Err(error) = insert(&file)
            {
                console::say(&format!("sampan-guest: cannot load {file}: {error}"));
            }
        }
    }
}

fn insert(file: &str) -> Result<(), Failure> {
    let options = match file {
        // The kernel's own text console would take the screen first, draw on it, and slow the start down.
        "drm_kms_helper.ko" => c"fbdev_emulation=0",
        "drm_client_lib.ko" => c"active=none",
        // A mouse with wheel and five buttons, without asking for a dozen makes of touch pads first.
        "psmouse.ko" => c"proto=exps",
        _ => c"",
    };
    match finit_module(File::open(Path::new(FOLDER).join(file))?, options, 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Paths of the entries of a folder; none when there is no such folder.
fn entries(folder: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(folder) else { return Vec::new() };
    folder.flatten().filter_map(|entry| entry.path().into_os_string().into_string().ok()).collect()
}
