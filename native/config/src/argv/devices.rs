//! Everything else that is plugged in.

use super::{Argv, path};
use crate::Rule;
use crate::{
    Arch, Bus, Channel, Chipset, ConfigError, DisplayKind, Keyboard, Machine, Nic, Pointer, SoundDevice,
    UsbController, escaped,
};

impl Machine {
    pub(super) fn devices(&self, argv: &mut Argv) -> Result<(), ConfigError> {
        argv.device(self.graphics());
        if let Some(vnc) = &self.vnc {
            argv.option("-vnc", vnc.argument().ok_or(Rule::VncPort(vnc.port))?);
        }
        self.input(argv);
        if self.chipset != Chipset::Pc {
            // Systems of the time of a `pc` would only ask for its driver.
            argv.device("virtio-rng-pci");
        }
        for nic in &self.nics {
            nic.arguments(argv);
        }
        self.shared_folders(argv)?;
        self.sound_card(argv);
        self.ports(argv);
        Ok(())
    }

    fn graphics(&self) -> String {
        let device = match (self.arch, self.display) {
            (Arch::X86_64, DisplayKind::Virtio) => "virtio-vga",
            (Arch::X86_64, DisplayKind::Std) => "VGA",
            (Arch::Aarch64, DisplayKind::Virtio) => "virtio-gpu-pci",
            (Arch::Aarch64, DisplayKind::Std) => "ramfb",
        };
        if self.heads > 1 { format!("{device},max_outputs={}", self.heads) } else { device.to_owned() }
    }

    pub(super) fn usb_controller(&self, argv: &mut Argv) {
        match self.usb {
            UsbController::None => {}
            UsbController::Xhci => argv.device("qemu-xhci,id=usb"),
            UsbController::Ehci => argv.device("usb-ehci,id=usb"),
            UsbController::Uhci => argv.device("piix3-usb-uhci,id=usb"),
        }
    }

    fn input(&self, argv: &mut Argv) {
        // USB rather than virtio: boot loaders, installers and every system know it, and an idle one costs nothing.
        // A PC has a PS/2 keyboard and mouse besides; the mouse serves until the tablet's driver loads.
        if !self.drives.iter().any(|drive| drive.bus == Bus::Usb) {
            self.usb_controller(argv);
        }
        match self.keyboard {
            Keyboard::Usb => argv.device("usb-kbd,bus=usb.0"),
            Keyboard::Virtio => argv.device("virtio-keyboard-pci"),
            Keyboard::Ps2 => {}
        }
        match self.pointer {
            Pointer::UsbTablet => argv.device("usb-tablet,bus=usb.0"),
            Pointer::UsbMouse => argv.device("usb-mouse,bus=usb.0"),
            Pointer::VirtioTablet => argv.device("virtio-tablet-pci"),
            Pointer::Ps2 => {}
        }
        if self.touch {
            argv.device("virtio-multitouch-pci");
        }
    }

    fn shared_folders(&self, argv: &mut Argv) -> Result<(), ConfigError> {
        for share in &self.shares {
            let (tag, security) = (&share.tag, share.security.qemu_name());
            let folder = escaped(path(&share.path)?);
            let read_only = if share.read_only { ",readonly=on" } else { "" };
            // Without remapping, files of two file systems under one folder may look like one (`fsdev/9p-marshal.h`'s
            // qid holds one inode number and no device).
            argv.option(
                "-fsdev",
                format!(
                    "local,id=fs-{tag},path={folder},security_model={security}{read_only},multidevs=remap"
                ),
            );
            argv.device(format!("virtio-9p-pci,fsdev=fs-{tag},mount_tag={tag}"));
        }
        Ok(())
    }

    fn sound_card(&self, argv: &mut Argv) {
        if self.sound == SoundDevice::None {
            return;
        }
        // Sound goes where the picture goes. The rate is the one that everything after QEMU has, and pieces of 20 ms are what QEMU
        // can fill in time also with a busy main loop; with smaller ones a guest's recording runs late (docs/display.md).
        argv.option("-audiodev", "dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960");
        match self.sound {
            SoundDevice::None => {}
            SoundDevice::Hda => {
                let codec = if self.microphone { "hda-duplex" } else { "hda-output" };
                argv.device("intel-hda,id=hda");
                argv.device(format!("{codec},bus=hda.0,audiodev=audio0"));
            }
            SoundDevice::Ac97 => argv.device("AC97,audiodev=audio0"),
            SoundDevice::Virtio => {
                // The second stream is the input's.
                let streams = if self.microphone { 2 } else { 1 };
                argv.device(format!("virtio-sound-pci,audiodev=audio0,streams={streams}"));
            }
        }
    }

    fn ports(&self, argv: &mut Argv) {
        let serials = || self.serials.iter();
        let virtio = self.console == Channel::Virtio
            || self.agent == Channel::Virtio
            || self.vdagent
            || serials().any(|port| port.device == Channel::Virtio);
        if virtio {
            argv.device("virtio-serial-pci,id=vserial");
        }
        if self.console == Channel::Virtio {
            argv.device("virtconsole,bus=vserial.0,chardev=serial");
        }
        let port = |argv: &mut Argv, device, chardev: &str, name: &str| match device {
            Channel::None => {}
            Channel::Uart => argv.device(format!("isa-serial,chardev={chardev}")),
            Channel::Virtio => {
                argv.device(format!("virtserialport,bus=vserial.0,chardev={chardev},name={name}"));
            }
        };
        // The name that the agent looks for (`qga/main.c`).
        port(argv, self.agent, crate::machine::AGENT_SOCKET, "org.qemu.guest_agent.0");
        if self.vdagent {
            let name = crate::machine::VDAGENT_SOCKET;
            // The name that the agent looks for (`spice-protocol`). Without an id QEMU does not tell when the guest opens it.
            argv.device(format!(
                "virtserialport,bus=vserial.0,chardev={name},name=com.redhat.spice.0,id={name}"
            ));
        }
        for serial in serials() {
            port(argv, serial.device, &serial.id, &serial.id);
        }
    }
}

impl Nic {
    fn arguments(&self, argv: &mut Argv) {
        let (id, device) = (&self.id, self.device.qemu_name());
        let mut netdev = format!("user,id={id}");
        if !self.ipv6 {
            netdev.push_str(",ipv6=off");
        }
        if self.isolated {
            netdev.push_str(",restrict=on");
        }
        for rule in self.forwards.iter().flat_map(crate::Forward::rules) {
            netdev.push_str(",hostfwd=");
            netdev.push_str(&rule);
        }
        argv.option("-netdev", netdev);
        let mac = self.mac.map(|mac| format!(",mac={mac}")).unwrap_or_default();
        // Without its ROM: booting from a network that has no server only takes time.
        argv.device(format!("{device},netdev={id},romfile={mac}"));
    }
}
