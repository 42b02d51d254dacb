//! The arguments of new machines, machine type by machine type.

use expect_test::{Expect, expect};
use sampan_config::{
    Arch, Card, Channel, Clock, Disk, DiskFormat, Forward, HostPaths, Kernel, Machine, NicDevice, Preset,
    SerialPort, ShareSection, ShareSecurity, Topology, VmConfig, Vnc,
};

fn place() -> HostPaths {
    let disk = |file: &str, format| Disk { file: file.into(), format, base: None };
    let mut place = HostPaths {
        uefi_code: Some("/fw/code.fd".into()),
        uefi_vars: Some(disk("/vm/vars.qcow2", DiskFormat::Qcow2)),
        ..HostPaths::default()
    };
    place.drives.insert("disk0".into(), disk("/vm/disk0.qcow2", DiskFormat::Qcow2));
    place.drives.insert("cd0".into(), disk("/media/a, b.iso", DiskFormat::Raw));
    place.shares.insert("home".into(), "/home/me, too".into());
    place
}

fn check(machine: &Machine, expected: &Expect) {
    let mut text = String::new();
    for argument in machine.argv(&["tcg,thread=multi".into()]).expect("a good machine") {
        let option = argument.starts_with('-');
        text.push_str(if text.is_empty() {
            ""
        } else if option {
            "\n"
        } else {
            " "
        });
        text.push_str(&argument);
    }
    expected.assert_eq(&text);
}

fn new(preset: Preset, arch: Arch) -> Machine {
    VmConfig::new("new", preset, arch).machine(&place()).expect("a good machine")
}

/// QEMU gives the kernel's ROM the first place, and refuses to start where a drive has it, too.
#[test]
fn a_kernel_boots_before_every_drive() {
    let places = |machine: &Machine| {
        let argv = machine.argv(&["tcg".into()]).expect("a good machine");
        let places = argv.iter().filter_map(|argument| argument.split_once("bootindex"));
        places.map(|(_, place)| place.to_owned()).collect::<Vec<_>>()
    };
    let mut quick = Machine::new("quick", Arch::X86_64);
    quick.cdrom = Some("/iso/install.iso".into());
    quick.disks = vec![Disk { file: "/vm/a.img".into(), format: DiskFormat::Raw, base: None }];
    let named = new(Preset::Linux, Arch::X86_64);
    for mut machine in [quick, named] {
        assert_eq!(places(&machine), ["=0", "=1"]);
        machine.kernel = Some(Kernel { kernel: "/boot/vmlinuz".into(), initrd: None, append: None });
        assert_eq!(places(&machine), ["=1", "=2"]);
    }
}

#[test]
fn linux_on_q35() {
    check(
        &new(Preset::Linux, Arch::X86_64),
        &expect![[r#"
            -nodefaults
            -no-user-config
            -S
            -no-shutdown
            -name guest=new,debug-threads=on
            -machine q35,pflash0=fw-code,pflash1=fw-vars
            -accel tcg,thread=multi
            -cpu max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off,invtsc=on
            -smp 2
            -m 2048M
            -rtc base=utc
            -display dbus,p2p=on,audiodev=audio0
            -serial chardev:serial
            -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/fw/code.fd","node-name":"fw-code-file","read-only":true}
            -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"fw-code-file","node-name":"fw-code","read-only":true}
            -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/vars.qcow2","node-name":"fw-vars-file"}
            -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"fw-vars-file","node-name":"fw-vars","read-only":false}
            -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"unmap","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
            -blockdev {"backing":null,"cache":{"direct":false},"discard":"unmap","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
            -device virtio-scsi-pci,id=vscsi
            -device scsi-cd,bus=vscsi.0,id=cd0-dev,bootindex=0
            -device virtio-blk-pci,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
            -device virtio-vga
            -device qemu-xhci,id=usb
            -device usb-tablet,bus=usb.0
            -device virtio-rng-pci
            -netdev user,id=net0,ipv6=off
            -device virtio-net-pci,netdev=net0,romfile=
            -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
            -device intel-hda,id=hda
            -device hda-duplex,bus=hda.0,audiodev=audio0
            -device virtio-serial-pci,id=vserial
            -device virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0
            -device virtserialport,bus=vserial.0,chardev=vd-agent,name=com.redhat.spice.0,id=vd-agent"#]],
    );
}

#[test]
fn windows_on_q35() {
    check(
        &new(Preset::Windows11, Arch::X86_64),
        &expect![[r#"
            -nodefaults
            -no-user-config
            -S
            -no-shutdown
            -name guest=new,debug-threads=on
            -machine q35,hpet=off,pflash0=fw-code,pflash1=fw-vars
            -accel tcg,thread=multi
            -cpu max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off,invtsc=on,hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-vpindex=on,hv-runtime=on,hv-time=on,hv-synic=on,hv-stimer=on,hv-frequencies=on,hv-tlbflush=on,hv-ipi=on
            -smp 4
            -m 4096M
            -rtc base=localtime,driftfix=slew
            -display dbus,p2p=on,audiodev=audio0
            -serial chardev:serial
            -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/fw/code.fd","node-name":"fw-code-file","read-only":true}
            -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"fw-code-file","node-name":"fw-code","read-only":true}
            -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/vars.qcow2","node-name":"fw-vars-file"}
            -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"fw-vars-file","node-name":"fw-vars","read-only":false}
            -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"unmap","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
            -blockdev {"backing":null,"cache":{"direct":false},"discard":"unmap","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
            -device ide-cd,bus=ide.0,id=cd0-dev,bootindex=0
            -device ide-hd,bus=ide.1,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
            -device VGA
            -device qemu-xhci,id=usb
            -device usb-tablet,bus=usb.0
            -device virtio-rng-pci
            -netdev user,id=net0,ipv6=off
            -device e1000e,netdev=net0,romfile=
            -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
            -device intel-hda,id=hda
            -device hda-duplex,bus=hda.0,audiodev=audio0
            -device virtio-serial-pci,id=vserial
            -device virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0
            -device virtserialport,bus=vserial.0,chardev=vd-agent,name=com.redhat.spice.0,id=vd-agent"#]],
    );
}

#[test]
fn a_32_bit_system_on_i440fx() {
    check(
        &new(Preset::Old, Arch::X86_64),
        &expect![[r#"
            -nodefaults
            -no-user-config
            -S
            -no-shutdown
            -name guest=new,debug-threads=on
            -machine pc
            -accel tcg,thread=multi
            -cpu pentium3
            -smp 1
            -m 512M
            -rtc base=localtime,driftfix=slew
            -display dbus,p2p=on,audiodev=audio0
            -serial chardev:serial
            -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
            -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
            -device ide-cd,bus=ide.0,unit=0,id=cd0-dev,bootindex=0
            -device ide-hd,bus=ide.0,unit=1,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
            -device VGA
            -device piix3-usb-uhci,id=usb
            -device usb-tablet,bus=usb.0
            -netdev user,id=net0,ipv6=off
            -device rtl8139,netdev=net0,romfile=
            -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
            -device AC97,audiodev=audio0"#]],
    );
}

#[test]
fn linux_on_virt() {
    check(
        &new(Preset::Linux, Arch::Aarch64),
        &expect![[r#"
        -nodefaults
        -no-user-config
        -S
        -no-shutdown
        -name guest=new,debug-threads=on
        -machine virt,gic-version=3,pflash0=fw-code,pflash1=fw-vars
        -accel tcg,thread=multi
        -cpu max,pauth=off,sve=off,sme=off
        -smp 2
        -m 2048M
        -rtc base=utc
        -display dbus,p2p=on,audiodev=audio0
        -serial chardev:serial
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/fw/code.fd","node-name":"fw-code-file","read-only":true}
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"fw-code-file","node-name":"fw-code","read-only":true}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/vars.qcow2","node-name":"fw-vars-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"fw-vars-file","node-name":"fw-vars","read-only":false}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"unmap","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"unmap","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
        -device virtio-scsi-pci,id=vscsi
        -device scsi-cd,bus=vscsi.0,id=cd0-dev,bootindex=0
        -device virtio-blk-pci,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
        -device virtio-gpu-pci
        -device qemu-xhci,id=usb
        -device usb-kbd,bus=usb.0
        -device usb-tablet,bus=usb.0
        -device virtio-rng-pci
        -netdev user,id=net0,ipv6=off
        -device virtio-net-pci,netdev=net0,romfile=
        -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
        -device intel-hda,id=hda
        -device hda-duplex,bus=hda.0,audiodev=audio0
        -device virtio-serial-pci,id=vserial
        -device virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0
        -device virtserialport,bus=vserial.0,chardev=vd-agent,name=com.redhat.spice.0,id=vd-agent"#]],
    );
}

#[test]
fn windows_on_virt() {
    check(
        &new(Preset::Windows11, Arch::Aarch64),
        &expect![[r#"
        -nodefaults
        -no-user-config
        -S
        -no-shutdown
        -name guest=new,debug-threads=on
        -machine virt,gic-version=3,pflash0=fw-code,pflash1=fw-vars
        -accel tcg,thread=multi
        -cpu max,pauth=off,sve=off,sme=off
        -smp 4
        -m 4096M
        -rtc base=localtime
        -display dbus,p2p=on,audiodev=audio0
        -serial chardev:serial
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/fw/code.fd","node-name":"fw-code-file","read-only":true}
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"fw-code-file","node-name":"fw-code","read-only":true}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/vars.qcow2","node-name":"fw-vars-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"fw-vars-file","node-name":"fw-vars","read-only":false}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"unmap","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"unmap","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
        -device qemu-xhci,id=usb
        -device usb-bot,id=cd0-usb,bus=usb.0
        -device scsi-cd,bus=cd0-usb.0,id=cd0-dev,bootindex=0
        -device nvme,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
        -device ramfb
        -device usb-kbd,bus=usb.0
        -device usb-tablet,bus=usb.0
        -device virtio-rng-pci
        -netdev user,id=net0,ipv6=off
        -device virtio-net-pci,netdev=net0,romfile=
        -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
        -device intel-hda,id=hda
        -device hda-duplex,bus=hda.0,audiodev=audio0
        -device virtio-serial-pci,id=vserial
        -device virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0
        -device virtserialport,bus=vserial.0,chardev=vd-agent,name=com.redhat.spice.0,id=vd-agent"#]],
    );
}

#[test]
fn a_machine_with_everything() {
    let mut document = VmConfig::new("all", Preset::Linux, Arch::X86_64);
    document.system.uuid = Some("6ba7b810-9dad-11d1-80b4-00c04fd430c8".into());
    document.system.clock = Clock::Localtime;
    document.cpu.count = 4;
    document.cpu.model = Some("Skylake-Client-v1".into());
    document.cpu.features = vec!["vmx=off".into()];
    document.cpu.hyperv = true;
    document.cpu.topology = Some(Topology { sockets: 1, cores: 2, threads: 2 });
    document.memory.shared = true;
    document.drives.drives[0].media = Some("a, b.iso".into());
    document.displays.heads = 2;
    document.displays.vnc = Some(Vnc::default());
    document.network.cards.push(Card {
        id: "inside".into(),
        device: NicDevice::E1000,
        mac: Some("52:54:00:12:34:56".parse().expect("an address")),
        ipv6: true,
        isolated: true,
        forwards: vec![Forward::tcp(2222, 22), "udp:0.0.0.0:5000-5001:6000-6001".parse().expect("a forward")],
    });
    document.shares.shares =
        vec![ShareSection { tag: "home".into(), read_only: true, security: ShareSecurity::None }];
    document.sound.microphone = true;
    document.input.touch = true;
    document.serial.console = Channel::Virtio;
    document.serial.ports = vec![SerialPort { id: "log2".into(), device: Channel::Uart }];
    document.extra.arguments = vec!["-device".into(), "virtio-balloon-pci".into()];
    let machine = document.machine(&HostPaths { incoming: true, ..place() }).expect("a good machine");
    assert_eq!(machine.sockets(), ["agent", "vd-agent", "log2"]);
    check(
        &machine,
        &expect![[r#"
        -nodefaults
        -no-user-config
        -S
        -no-shutdown
        -name guest=all,debug-threads=on
        -uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c8
        -machine q35,hpet=off,memory-backend=ram,pflash0=fw-code,pflash1=fw-vars
        -accel tcg,thread=multi
        -cpu Skylake-Client-v1,hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-vpindex=on,hv-runtime=on,hv-time=on,hv-synic=on,hv-stimer=on,hv-frequencies=on,hv-tlbflush=on,hv-ipi=on,vmx=off
        -smp 4,sockets=1,cores=2,threads=2
        -m 2048M
        -object memory-backend-memfd,id=ram,size=2048M,share=on
        -rtc base=localtime,driftfix=slew
        -display dbus,p2p=on,audiodev=audio0
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/fw/code.fd","node-name":"fw-code-file","read-only":true}
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"fw-code-file","node-name":"fw-code","read-only":true}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/vm/vars.qcow2","node-name":"fw-vars-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"ignore","driver":"qcow2","file":"fw-vars-file","node-name":"fw-vars","read-only":false}
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"file","filename":"/media/a, b.iso","node-name":"cd0-file","read-only":true}
        -blockdev {"cache":{"direct":false},"discard":"ignore","driver":"raw","file":"cd0-file","node-name":"cd0","read-only":true}
        -blockdev {"auto-read-only":true,"cache":{"direct":false},"discard":"unmap","driver":"file","filename":"/vm/disk0.qcow2","node-name":"disk0-file"}
        -blockdev {"backing":null,"cache":{"direct":false},"discard":"unmap","driver":"qcow2","file":"disk0-file","node-name":"disk0","read-only":false}
        -device virtio-scsi-pci,id=vscsi
        -device scsi-cd,bus=vscsi.0,id=cd0-dev,drive=cd0,bootindex=0
        -device virtio-blk-pci,id=disk0-dev,drive=disk0,serial=disk0,bootindex=1
        -device virtio-vga,max_outputs=2
        -vnc 127.0.0.1:0,password=on
        -device qemu-xhci,id=usb
        -device usb-tablet,bus=usb.0
        -device virtio-multitouch-pci
        -device virtio-rng-pci
        -netdev user,id=net0,ipv6=off
        -device virtio-net-pci,netdev=net0,romfile=
        -netdev user,id=inside,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:0.0.0.0:5000-:6000,hostfwd=udp:0.0.0.0:5001-:6001
        -device e1000,netdev=inside,romfile=,mac=52:54:00:12:34:56
        -fsdev local,id=fs-home,path=/home/me,, too,security_model=none,readonly=on,multidevs=remap
        -device virtio-9p-pci,fsdev=fs-home,mount_tag=home
        -audiodev dbus,id=audio0,out.frequency=48000,in.frequency=48000,nsamples=960
        -device intel-hda,id=hda
        -device hda-duplex,bus=hda.0,audiodev=audio0
        -device virtio-serial-pci,id=vserial
        -device virtconsole,bus=vserial.0,chardev=serial
        -device virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0
        -device virtserialport,bus=vserial.0,chardev=vd-agent,name=com.redhat.spice.0,id=vd-agent
        -device isa-serial,chardev=log2
        -incoming defer
        -device virtio-balloon-pci"#]],
    );
}

#[test]
fn a_throw_away_run() {
    let document = VmConfig::new("once", Preset::Linux, Arch::Aarch64);
    let machine = document.machine(&HostPaths { throw_away: true, ..place() }).expect("a good machine");
    let argv = machine.argv(&["tcg".into()]).expect("arguments");
    let writable = |argument: &&String| argument.contains(",file=") && !argument.contains("readonly=on");
    assert!(argv.iter().filter(writable).all(|argument| argument.contains("snapshot=on")), "{argv:?}");
    assert_eq!(argv.iter().filter(writable).count(), 2);
    assert!(!argv.contains(&"-blockdev".to_owned()));
}

#[test]
fn with_kvm_an_arm_cpu_is_the_hosts() {
    let machine = Machine::new("x", Arch::Aarch64);
    let argv = machine.argv(&["kvm".into(), "tcg".into()]).expect("arguments");
    assert!(argv.windows(2).any(|pair| pair == ["-cpu", "max"]), "{argv:?}");
}

/// The `-cpu` of a machine with an accelerator.
fn cpu(document: &VmConfig, accelerator: &str) -> String {
    let argv =
        document.machine(&place()).expect("a good machine").argv(&[accelerator.into()]).expect("arguments");
    let pair = argv.windows(2).find(|pair| pair[0] == "-cpu").expect("a CPU");
    pair[1].clone()
}

#[test]
fn a_machine_keeps_the_cpu_that_it_was_made_with() {
    const TUNED: &str = "max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off,invtsc=on";
    let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
    assert_eq!(cpu(&document, "tcg,thread=multi"), TUNED);
    assert_eq!(document.tuning_hint(), None, "a new machine has the latest");
    assert_eq!(cpu(&document, "kvm"), "max,la57=off", "with KVM it is the host's");

    // As files of before have it: without the field.
    let mut files = document.to_files();
    let text = files["cpu.json"].replace("\"tuning\": 2,", "");
    assert_ne!(text, files["cpu.json"], "{text}");
    files.insert("cpu.json".into(), text);
    let mut old = VmConfig::from_files(&files).expect("a description");
    assert_eq!(cpu(&old, "tcg,thread=multi"), "max,la57=off");
    assert!(!old.to_files()["cpu.json"].contains("tuning"), "it is not written by reading and writing");
    let hint = old.tuning_hint().expect("a hint");
    assert_eq!((&*hint.field, hint.fix.as_deref()), ("cpu.tuning", Some("2")));
    old.cpu.tuning = 1;
    assert_eq!((cpu(&old, "tcg"), old.tuning_hint()), (TUNED.to_owned(), None));

    old.cpu.tuning = 0;
    old.cpu.model = Some("qemu64".into());
    assert_eq!((cpu(&old, "tcg").as_str(), old.tuning_hint()), ("qemu64", None), "somebody's own choice");
    let mut arm = VmConfig::new("x", Preset::Linux, Arch::Aarch64);
    let new = (cpu(&arm, "tcg"), arm.tuning_hint());
    assert_eq!(new, ("max,pauth=off,sve=off,sme=off".to_owned(), None));
    assert_eq!(cpu(&arm, "kvm"), "max", "with KVM it is the host's");
    for tuning in [0, 1] {
        arm.cpu.tuning = tuning;
        assert_eq!(cpu(&arm, "tcg"), "max,pauth-impdef=on");
        assert!(arm.tuning_hint().is_some_and(|hint| hint.fix.as_deref() == Some("2")));
    }

    document.cpu.tuning = 3;
    let faults: Vec<String> = document.check().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("later version"), "{faults:?}");
}

#[test]
fn no_machine_risks_its_disks_when_the_host_stops() {
    for preset in Preset::ALL {
        for arch in Arch::ALL {
            let argv = new(preset, arch).argv(&["tcg".into()]).expect("arguments");
            assert!(!argv.iter().any(|a| a.contains("unsafe") || a.contains("no-flush")), "{argv:?}");
        }
    }
}

#[test]
fn every_preset_says_what_is_missing() {
    let says = |preset: Preset, word: &str| {
        Arch::ALL.iter().all(|&arch| preset.notes(arch).iter().any(|n| n.message.contains(word)))
    };
    assert!(says(Preset::Windows11, "TPM") && says(Preset::Windows11, "virtio-win"));
    assert!(says(Preset::Android, "GPU") && says(Preset::Android, "adb"));
    assert!(Preset::Linux.notes(Arch::X86_64).is_empty());
    assert!(!Preset::Old.fits(Arch::Aarch64));
    assert_eq!(VmConfig::new("x", Preset::Old, Arch::Aarch64).system.preset, Preset::Other);
}
