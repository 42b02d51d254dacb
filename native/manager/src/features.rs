//! What a guest exchanges with its owner, and what it lacks for that.

use sampan_config::{Channel, ClipboardPolicy, DisplayKind, Preset, SoundDevice, VmConfig};
use sampan_control::{AgentInfo, ClipboardInfo, Feature, FeatureInfo, FeatureState, GuestSystem, Install};

/// What is known of a running machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running<'a> {
    /// Its clipboard, if it has the port.
    pub clipboard: Option<&'a ClipboardInfo>,
    /// Who answers in it.
    pub agent: Option<&'a AgentInfo>,
}

/// What a machine of this description exchanges with its owner; `running` where it runs.
pub fn features(document: &VmConfig, running: Option<Running<'_>>) -> Vec<FeatureInfo> {
    let agents = running.unwrap_or_default();
    let (desktop, system) = (agents.clipboard, agents.agent);
    // What depends on the guest is not known of one that does not run.
    let by_guest = |works: bool| match running {
        _ if works => FeatureState::Works,
        Some(_) => FeatureState::NoAgent,
        None => FeatureState::NotKnown,
    };
    let set = |is_set: bool, field: &str, state: FeatureState| {
        if is_set { None } else { Some((state, field.to_owned())) }
    };
    let (sound, serial) = (&document.sound, &document.serial);
    let card = set(sound.device != SoundDevice::None, "sound.device", FeatureState::NoDevice);
    let port = set(serial.vdagent, "serial.vdagent", FeatureState::NoDevice);
    let channel = set(serial.agent != Channel::None, "serial.agent", FeatureState::NoDevice);

    let mut all = Vec::new();
    let mut tell = |feature, lacks: Option<(FeatureState, String)>, state, agent: Option<GuestAgent>| {
        let (state, field) = lacks.map_or((state, None), |(state, field)| (state, Some(field)));
        let install = agent.filter(|_| matches!(state, FeatureState::NoAgent | FeatureState::NotKnown));
        let install = install.map(|agent| agent.lines(document, system)).unwrap_or_default();
        all.push(FeatureInfo { feature, state, field, install });
    };
    let muted = set(!sound.muted, "sound.muted", FeatureState::Off);
    tell(Feature::Sound, card.clone().or(muted), FeatureState::Works, None);
    let input = set(sound.has_input(), "sound.input", FeatureState::NoDevice);
    let allowed = set(sound.microphone, "sound.microphone", FeatureState::Off);
    tell(Feature::Microphone, card.or(input).or(allowed), FeatureState::Works, None);
    let shared = set(document.input.clipboard != ClipboardPolicy::Off, "input.clipboard", FeatureState::Off);
    let shares = by_guest(desktop.is_some_and(|desktop| desktop.agent));
    tell(Feature::Clipboard, port.clone().or(shared), shares, Some(GuestAgent::Desktop));
    // By the one agent or the other; a folder that the guest may write takes them, too.
    let takes = desktop.is_some_and(|desktop| desktop.files) || system.is_some();
    let folder = document.shares.shares.iter().any(|share| !share.read_only);
    let no_way = port.clone().filter(|_| channel.is_some() && !folder);
    let taker = if port.is_some() { GuestAgent::System } else { GuestAgent::Desktop };
    tell(Feature::Files, no_way, if folder { FeatureState::Works } else { by_guest(takes) }, Some(taker));
    // A virtio-gpu's driver follows the display by itself; other cards need the agent.
    let sets = desktop.is_some_and(|desktop| desktop.sizes);
    let follows = document.displays.device == DisplayKind::Virtio && !sets;
    let sizes = if follows { FeatureState::ByDriver } else { by_guest(sets) };
    tell(Feature::Sizes, port.filter(|_| !follows), sizes, Some(GuestAgent::Desktop));
    tell(Feature::Agent, channel, by_guest(system.is_some()), Some(GuestAgent::System));
    all
}

/// What is installed in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GuestAgent {
    /// spice-vdagent: clipboard, files, sizes.
    Desktop,
    /// qemu-guest-agent: all else.
    System,
}

impl GuestAgent {
    /// What to type where, as far as it is known which system it is.
    fn lines(self, document: &VmConfig, known: Option<&AgentInfo>) -> Vec<Install> {
        let systems = systems(document, known);
        systems.iter().map(|&system| Install { system, line: self.line(system).to_owned() }).collect()
    }

    fn line(self, system: GuestSystem) -> &'static str {
        match (self, system) {
            (Self::Desktop, GuestSystem::Debian) => "apt install spice-vdagent",
            (Self::Desktop, GuestSystem::Fedora | GuestSystem::OpenEuler) => "dnf install spice-vdagent",
            (Self::Desktop, GuestSystem::Alpine) => {
                "apk add spice-vdagent && rc-update add spice-vdagentd && rc-service spice-vdagentd start"
            }
            (Self::System, GuestSystem::Debian) => "apt install qemu-guest-agent",
            (Self::System, GuestSystem::Fedora | GuestSystem::OpenEuler) => {
                "dnf install qemu-guest-agent && systemctl start qemu-guest-agent"
            }
            (Self::System, GuestSystem::Alpine) => {
                "apk add qemu-guest-agent && rc-update add qemu-guest-agent && rc-service qemu-guest-agent start"
            }
            // On virtio-win's CD; it has both agents.
            (_, GuestSystem::Windows) => "virtio-win-guest-tools.exe",
        }
    }
}

const LINUXES: [GuestSystem; 4] =
    [GuestSystem::Debian, GuestSystem::Fedora, GuestSystem::OpenEuler, GuestSystem::Alpine];

/// The systems that a guest may be.
fn systems(document: &VmConfig, known: Option<&AgentInfo>) -> Vec<GuestSystem> {
    // `ID` of os-release(5), as the guest agent tells it.
    match known.and_then(|agent| agent.id.as_deref()).map(str::to_lowercase).as_deref() {
        Some("debian" | "ubuntu" | "linuxmint" | "deepin" | "kali") => return vec![GuestSystem::Debian],
        Some("fedora" | "rocky" | "almalinux" | "rhel" | "centos") => return vec![GuestSystem::Fedora],
        Some("openeuler") => return vec![GuestSystem::OpenEuler],
        Some("alpine") => return vec![GuestSystem::Alpine],
        Some("mswindows") => return vec![GuestSystem::Windows],
        _ => {}
    }
    match document.system.preset {
        Preset::Linux => LINUXES.to_vec(),
        Preset::Windows10 | Preset::Windows11 => vec![GuestSystem::Windows],
        Preset::Other | Preset::Old => LINUXES.into_iter().chain([GuestSystem::Windows]).collect(),
        Preset::Android => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::Arch;

    fn state(all: &[FeatureInfo], feature: Feature) -> FeatureState {
        all.iter().find(|one| one.feature == feature).expect("each is told").state
    }

    fn clipboard(agent: bool) -> ClipboardInfo {
        ClipboardInfo {
            agent,
            policy: ClipboardPolicy::Both,
            kinds: Vec::new(),
            copied: 0,
            files: agent,
            sizes: agent,
        }
    }

    fn agent(id: &str) -> AgentInfo {
        AgentInfo { version: "8".into(), system: None, id: Some(id.into()), addresses: Vec::new() }
    }

    #[test]
    fn each_is_told_with_what_it_lacks_and_what_to_type() {
        let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        let all = features(&document, None);
        let states: Vec<_> = all.iter().map(|one| (one.feature, one.state)).collect();
        assert_eq!(
            states,
            [
                (Feature::Sound, FeatureState::Works),
                (Feature::Microphone, FeatureState::Off),
                (Feature::Clipboard, FeatureState::NotKnown),
                (Feature::Files, FeatureState::NotKnown),
                (Feature::Sizes, FeatureState::ByDriver),
                (Feature::Agent, FeatureState::NotKnown),
            ]
        );
        assert_eq!(all[1].field.as_deref(), Some("sound.microphone"));
        assert_eq!(all[2].install.len(), 4, "nobody knows yet which system it is");
        let none = clipboard(false);
        let there = agent("openEuler");
        let running = Running { clipboard: Some(&none), agent: Some(&there) };
        let all = features(&document, Some(running));
        assert_eq!(state(&all, Feature::Clipboard), FeatureState::NoAgent);
        assert_eq!(state(&all, Feature::Files), FeatureState::Works, "by the guest agent");
        assert_eq!(state(&all, Feature::Agent), FeatureState::Works);
        let lines: Vec<_> = all[2].install.iter().map(|one| (one.system, one.line.as_str())).collect();
        assert_eq!(lines, [(GuestSystem::OpenEuler, "dnf install spice-vdagent")]);
        let shared = clipboard(true);
        let all = features(&document, Some(Running { clipboard: Some(&shared), agent: None }));
        for feature in [Feature::Clipboard, Feature::Files, Feature::Sizes] {
            assert_eq!(state(&all, feature), FeatureState::Works, "{feature:?}");
        }
        assert_eq!(state(&all, Feature::Agent), FeatureState::NoAgent);

        document.sound.muted = true;
        document.input.clipboard = ClipboardPolicy::Off;
        document.displays.device = DisplayKind::Std;
        let all = features(&document, Some(running));
        assert_eq!(state(&all, Feature::Sound), FeatureState::Off);
        assert_eq!(state(&all, Feature::Clipboard), FeatureState::Off);
        assert_eq!(state(&all, Feature::Sizes), FeatureState::NoAgent, "its card does not follow by itself");
        document.sound.device = SoundDevice::None;
        (document.serial.vdagent, document.serial.agent) = (false, Channel::None);
        let all = features(&document, None);
        for (one, field) in all.iter().zip([
            "sound.device",
            "sound.device",
            "serial.vdagent",
            "serial.vdagent",
            "serial.vdagent",
            "serial.agent",
        ]) {
            assert_eq!((one.state, one.field.as_deref()), (FeatureState::NoDevice, Some(field)), "{one:?}");
            assert!(one.install.is_empty(), "a program is of no use without the device");
        }
    }

    #[test]
    fn windows_is_told_of_its_installer_and_android_of_nothing() {
        let lines = |preset| {
            let all = features(&VmConfig::new("x", preset, Arch::X86_64), None);
            all.into_iter().flat_map(|one| one.install).map(|one| one.line).collect::<Vec<_>>()
        };
        assert!(lines(Preset::Windows11).iter().all(|line| line == "virtio-win-guest-tools.exe"));
        assert!(!lines(Preset::Windows11).is_empty() && lines(Preset::Android).is_empty());
    }
}
