//! Windows Setup's answer file, `Autounattend.xml`, for Windows 10 and 11.
//!
//! Setup looks for it in the root of every removable drive, read-only ones too. Elements and passes are those of
//! Microsoft's "Unattended Windows Setup Reference".

use crate::error::{SeedError, demand};
use crate::iso;
use crate::rule::{PasswordRule, ValueRule};
use crate::xml::{Xml, allowed};

const UNATTEND: &str = "urn:schemas-microsoft-com:unattend";
const WCM: &str = "http://schemas.microsoft.com/WMIConfig/2002/State";
/// The public key of Microsoft's own components.
const TOKEN: &str = "31bf3856ad364e35";

/// The processor that Windows is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// x64.
    Amd64,
    /// ARM64.
    Arm64,
}

/// What happens to the first disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskLayout {
    /// Setup asks.
    Ask,
    /// **All that is on it is erased**: GPT with an EFI and a reserved partition, Windows gets the rest.
    Uefi,
    /// **All that is on it is erased**: MBR with a boot partition, Windows gets the rest.
    Bios,
}

/// What Setup would ask.
#[derive(Clone, PartialEq, Eq)]
pub struct WindowsAnswers {
    /// Windows' processor; components of the other one are passed over by Setup.
    pub processor: Processor,
    /// The computer's name: 1 to 15 letters, digits and hyphens, not digits alone.
    pub computer: String,
    /// A local user, who is an administrator: at most 20 characters.
    pub user: String,
    /// The user's password; it may be empty. It stands in the file as it is: remove the seed after the installation.
    pub password: String,
    /// Windows' language and its formats, such as `de-DE`. The language must be that of the installation medium.
    pub locale: String,
    /// A keyboard: a locale, or an input profile such as `0407:00000407`.
    pub keyboard: String,
    /// Windows' name of the time zone, such as `W. Europe Standard Time`.
    pub timezone: String,
    /// What happens to the first disk.
    pub disk: DiskLayout,
    /// The edition on a medium with several, such as `Windows 11 Pro`; else Setup asks, or takes the key's.
    pub edition: Option<String>,
    /// Five groups of five. Without one Setup asks, unless an edition is given.
    pub product_key: Option<String>,
    /// Whether Windows 11 is to be installed without a TPM and Secure Boot. Microsoft does not support such a system
    /// and may refuse it updates: only when the user asked for it.
    pub bypass_requirements: bool,
}

impl std::fmt::Debug for WindowsAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowsAnswers")
            .field("computer", &self.computer)
            .field("user", &self.user)
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

impl WindowsAnswers {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), SeedError> {
        let name = &self.computer;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let sound = (1..=15).contains(&name.len())
            && name.bytes().all(plain)
            && !name.bytes().all(|b| b.is_ascii_digit())
            && !name.starts_with('-')
            && !name.ends_with('-');
        let rule = ValueRule::ComputerName;
        demand("the computer's name", name, rule, sound)?;
        demand("the user's name", &self.user, ValueRule::WindowsUser, is_user(&self.user))?;
        if self.password.chars().count() > 127 || self.password.chars().any(|c| c.is_control() || !allowed(c))
        {
            return Err(SeedError::Password { rule: PasswordRule::Windows });
        }
        demand("the locale", &self.locale, ValueRule::WindowsLocale, is_locale(&self.locale))?;
        let rule = ValueRule::WindowsKeyboard;
        demand(
            "the keyboard",
            &self.keyboard,
            rule,
            is_locale(&self.keyboard) || is_profile(&self.keyboard),
        )?;
        let words = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == ' ' || more.contains(c);
            (1..=64).contains(&text.len()) && text.chars().all(fits) && text.trim() == text
        };
        let rule = ValueRule::WindowsTimeZone;
        demand("the time zone", &self.timezone, rule, words(&self.timezone, ".()+-"))?;
        if let Some(edition) = &self.edition {
            demand("the edition", edition, ValueRule::Edition, words(edition, ".()-_"))?;
        }
        if let Some(key) = &self.product_key {
            let groups: Vec<&str> = key.split('-').collect();
            let group =
                |g: &&str| g.len() == 5 && g.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            let sound = groups.len() == 5 && groups.iter().all(group);
            // A key is a secret of a kind: it is not shown.
            demand("the product key", "…", ValueRule::ProductKey, sound)?;
        }
        Ok(())
    }

    /// The answer file's text.
    ///
    /// # Errors
    /// See [`WindowsAnswers::check`].
    pub fn autounattend(&self) -> Result<String, SeedError> {
        self.check()?;
        let mut xml = Xml::new();
        xml.element("unattend", &[("xmlns", UNATTEND), ("xmlns:wcm", WCM)], |xml| {
            self.pass(xml, "windowsPE", |xml| {
                self.component(xml, "Microsoft-Windows-International-Core-WinPE", |xml| {
                    xml.element("SetupUILanguage", &[], |xml| xml.text("UILanguage", &self.locale));
                    self.languages(xml);
                });
                self.component(xml, "Microsoft-Windows-Setup", |xml| self.setup(xml));
            });
            self.pass(xml, "specialize", |xml| {
                self.component(xml, "Microsoft-Windows-Shell-Setup", |xml| {
                    xml.text("ComputerName", &self.computer);
                    xml.text("TimeZone", &self.timezone);
                });
                self.component(xml, "Microsoft-Windows-Deployment", |xml| {
                    // Windows 11 wants the network and an account on it otherwise.
                    let oobe = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\OOBE";
                    commands(xml, &[(oobe, "BypassNRO")]);
                });
            });
            self.pass(xml, "oobeSystem", |xml| {
                self.component(xml, "Microsoft-Windows-International-Core", |xml| self.languages(xml));
                self.component(xml, "Microsoft-Windows-Shell-Setup", |xml| self.first_start(xml));
            });
        });
        Ok(xml.finish())
    }

    /// The answer file on a CD image. Equal answers give equal bytes.
    ///
    /// # Errors
    /// See [`WindowsAnswers::check`].
    pub fn image(&self) -> Result<Vec<u8>, SeedError> {
        iso::image("UNATTEND", &[("Autounattend.xml", self.autounattend()?.as_bytes())])
    }

    fn pass(&self, xml: &mut Xml, name: &str, inside: impl FnOnce(&mut Xml)) {
        xml.element("settings", &[("pass", name)], inside);
    }

    fn component(&self, xml: &mut Xml, name: &str, inside: impl FnOnce(&mut Xml)) {
        let processor = match self.processor {
            Processor::Amd64 => "amd64",
            Processor::Arm64 => "arm64",
        };
        let attributes = [
            ("name", name),
            ("processorArchitecture", processor),
            ("publicKeyToken", TOKEN),
            ("language", "neutral"),
            ("versionScope", "nonSxS"),
        ];
        xml.element("component", &attributes, inside);
    }

    fn languages(&self, xml: &mut Xml) {
        xml.text("InputLocale", &self.keyboard);
        xml.text("SystemLocale", &self.locale);
        xml.text("UILanguage", &self.locale);
        xml.text("UserLocale", &self.locale);
    }

    fn setup(&self, xml: &mut Xml) {
        if let Some((partitions, target)) = self.partitions() {
            xml.element("DiskConfiguration", &[], |xml| {
                xml.item("Disk", |xml| disk(xml, &partitions));
                xml.text("WillShowUI", "OnError");
            });
            xml.element("ImageInstall", &[], |xml| {
                xml.element("OSImage", &[], |xml| {
                    self.install_from(xml);
                    xml.element("InstallTo", &[], |xml| {
                        xml.text("DiskID", "0");
                        xml.text("PartitionID", target);
                    });
                });
            });
        } else if self.edition.is_some() {
            xml.element("ImageInstall", &[], |xml| xml.element("OSImage", &[], |xml| self.install_from(xml)));
        }
        if self.bypass_requirements {
            let lab = r"HKLM\SYSTEM\Setup\LabConfig";
            commands(xml, &[(lab, "BypassTPMCheck"), (lab, "BypassSecureBootCheck")]);
        }
        xml.element("UserData", &[], |xml| {
            xml.text("AcceptEula", "true");
            if let Some(key) = &self.product_key {
                xml.element("ProductKey", &[], |xml| {
                    xml.text("Key", key);
                    xml.text("WillShowUI", "OnError");
                });
            }
        });
    }

    fn install_from(&self, xml: &mut Xml) {
        let Some(edition) = &self.edition else { return };
        xml.element("InstallFrom", &[], |xml| {
            xml.item("MetaData", |xml| {
                xml.text("Key", "/IMAGE/NAME");
                xml.text("Value", edition);
            });
        });
    }

    fn partitions(&self) -> Option<(Vec<Partition>, &'static str)> {
        let efi =
            Partition { kind: "EFI", mib: Some(300), format: Some("FAT32"), label: "System", active: false };
        let reserved = Partition { kind: "MSR", mib: Some(16), format: None, label: "", active: false };
        let boot = Partition {
            kind: "Primary",
            mib: Some(500),
            format: Some("NTFS"),
            label: "System",
            active: true,
        };
        let windows =
            Partition { kind: "Primary", mib: None, format: Some("NTFS"), label: "Windows", active: false };
        match self.disk {
            DiskLayout::Ask => None,
            DiskLayout::Uefi => Some((vec![efi, reserved, windows], "3")),
            DiskLayout::Bios => Some((vec![boot, windows], "2")),
        }
    }

    fn first_start(&self, xml: &mut Xml) {
        xml.element("OOBE", &[], |xml| {
            for name in [
                "HideEULAPage",
                "HideOEMRegistrationScreen",
                "HideOnlineAccountScreens",
                "HideWirelessSetupInOOBE",
            ] {
                xml.text(name, "true");
            }
            xml.text("ProtectYourPC", "3");
        });
        xml.element("UserAccounts", &[], |xml| {
            xml.element("LocalAccounts", &[], |xml| {
                xml.item("LocalAccount", |xml| {
                    xml.element("Password", &[], |xml| {
                        xml.text("Value", &self.password);
                        xml.text("PlainText", "true");
                    });
                    xml.text("DisplayName", &self.user);
                    xml.text("Group", "Administrators");
                    xml.text("Name", &self.user);
                });
            });
        });
    }
}

struct Partition {
    kind: &'static str,
    /// `None`: the rest of the disk.
    mib: Option<u32>,
    format: Option<&'static str>,
    label: &'static str,
    active: bool,
}

fn disk(xml: &mut Xml, partitions: &[Partition]) {
    xml.element("CreatePartitions", &[], |xml| {
        for (number, partition) in (1..).zip(partitions) {
            xml.item("CreatePartition", |xml| {
                xml.text("Order", &i32::to_string(&number));
                xml.text("Type", partition.kind);
                match partition.mib {
                    Some(mib) => xml.text("Size", &mib.to_string()),
                    None => xml.text("Extend", "true"),
                }
            });
        }
    });
    xml.element("ModifyPartitions", &[], |xml| {
        for (number, partition) in (1..).zip(partitions) {
            let number = i32::to_string(&number);
            let Some(format) = partition.format else { continue };
            xml.item("ModifyPartition", |xml| {
                xml.text("Order", &number);
                xml.text("PartitionID", &number);
                xml.text("Label", partition.label);
                xml.text("Format", format);
                if partition.active {
                    xml.text("Active", "true");
                }
            });
        }
    });
    xml.text("DiskID", "0");
    xml.text("WillWipeDisk", "true");
}

/// Sets values of the registry to 1.
fn commands(xml: &mut Xml, values: &[(&str, &str)]) {
    xml.element("RunSynchronous", &[], |xml| {
        for (number, (key, value)) in (1..).zip(values) {
            xml.item("RunSynchronousCommand", |xml| {
                xml.text("Order", &i32::to_string(&number));
                xml.text("Path", &format!("reg.exe add {key} /v {value} /t REG_DWORD /d 1 /f"));
            });
        }
    });
}

fn is_user(name: &str) -> bool {
    const OWN: [&str; 6] =
        ["administrator", "guest", "defaultaccount", "wdagutilityaccount", "system", "none"];
    let fits = |c: char| !c.is_control() && allowed(c) && !"\"/\\[]:;|=,+*?<>@%".contains(c);
    (1..=20).contains(&name.encode_utf16().count())
        && name.chars().all(fits)
        && name.trim() == name
        && !name.ends_with('.')
        && !OWN.contains(&name.to_lowercase().as_str())
}

fn is_locale(text: &str) -> bool {
    let part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let count = text.split('-').count();
    (2..=4).contains(&count) && text.split('-').all(part)
}

fn is_profile(text: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    text.split_once(':').is_some_and(|(language, keyboard)| hex(language, 4) && hex(keyboard, 8))
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
