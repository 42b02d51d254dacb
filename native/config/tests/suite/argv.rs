//! The arguments, machine type by machine type.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use sampan_config::{Arch, ConfigError, Disk, DiskFormat, DisplayKind, Firmware, Kernel, Machine, Rule};

fn check(machine: &Machine, expected: &Expect) {
    let argv = machine.argv(&["tcg,thread=multi".into()]).expect("a good machine");
    let mut text = String::new();
    for argument in argv {
        text.push_str(if argument.starts_with('-') && !text.is_empty() {
            "\n"
        } else if text.is_empty() {
            ""
        } else {
            " "
        });
        text.push_str(&argument);
    }
    expected.assert_eq(&text);
}

#[test]
fn a_pc_with_a_kernel() {
    let mut machine = Machine::new("tiny, guest", Arch::X86_64);
    machine.kernel = Some(Kernel {
        kernel: "/boot/vm,linuz".into(),
        initrd: Some("/boot/initrd".into()),
        append: Some("console=ttyS0,115200 quiet".into()),
    });
    machine.extra = vec!["-device".into(), "virtio-serial-pci".into()];
    check(
        &machine,
        &expect![[r#"
            -nodefaults
            -no-user-config
            -S
            -no-shutdown
            -name guest=tiny,, guest,debug-threads=on
            -machine q35
            -accel tcg,thread=multi
            -cpu max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off,invtsc=on
            -smp 2
            -m 1024M
            -rtc base=utc
            -display dbus,p2p=on
            -serial chardev:serial
            -kernel /boot/vm,linuz
            -initrd /boot/initrd
            -append console=ttyS0,115200 quiet
            -device virtio-vga
            -device qemu-xhci,id=usb
            -device usb-tablet,bus=usb.0
            -device virtio-rng-pci
            -netdev user,id=net0,ipv6=off
            -device virtio-net-pci,netdev=net0,romfile=
            -device virtio-serial-pci"#]],
    );
}

#[test]
fn a_pc_with_uefi_disks_and_a_cd() {
    let mut machine = Machine::new("pc", Arch::X86_64);
    machine.firmware = Some(Firmware::Uefi { code: "/fw/code.fd".into(), vars: "/vm/vars.fd".into() });
    machine.disks = vec![
        Disk { file: "/vm/a,readonly=on.qcow2".into(), format: DiskFormat::Qcow2, base: None },
        Disk { file: "/vm/b.img".into(), format: DiskFormat::Raw, base: None },
    ];
    machine.cdrom = Some("/iso/install.iso".into());
    machine.display = DisplayKind::Std;
    check(
        &machine,
        &expect![[r#"
            -nodefaults
            -no-user-config
            -S
            -no-shutdown
            -name guest=pc,debug-threads=on
            -machine q35
            -accel tcg,thread=multi
            -cpu max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off,invtsc=on
            -smp 2
            -m 1024M
            -rtc base=utc
            -display dbus,p2p=on
            -serial chardev:serial
            -drive if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd
            -drive if=pflash,unit=1,format=raw,file=/vm/vars.fd
            -drive if=none,id=cd0,media=cdrom,readonly=on,format=raw,file=/iso/install.iso
            -device virtio-scsi-pci,id=scsi0
            -device scsi-cd,bus=scsi0.0,drive=cd0,bootindex=0
            -drive if=none,id=disk0,format=qcow2,discard=unmap,file=/vm/a,,readonly=on.qcow2
            -device virtio-blk-pci,drive=disk0,bootindex=1
            -drive if=none,id=disk1,format=raw,discard=unmap,file=/vm/b.img
            -device virtio-blk-pci,drive=disk1,bootindex=2
            -device VGA
            -device qemu-xhci,id=usb
            -device usb-tablet,bus=usb.0
            -device virtio-rng-pci
            -netdev user,id=net0,ipv6=off
            -device virtio-net-pci,netdev=net0,romfile="#]],
    );
}

#[test]
fn an_arm_machine() {
    let mut machine = Machine::new("arm", Arch::Aarch64);
    machine.cpus = 4;
    machine.memory_mib = 512;
    check(
        &machine,
        &expect![[r#"
        -nodefaults
        -no-user-config
        -S
        -no-shutdown
        -name guest=arm,debug-threads=on
        -machine virt,gic-version=3
        -accel tcg,thread=multi
        -cpu max,pauth=off,sve=off,sme=off
        -smp 4
        -m 512M
        -rtc base=utc
        -display dbus,p2p=on
        -serial chardev:serial
        -device virtio-gpu-pci
        -device qemu-xhci,id=usb
        -device usb-kbd,bus=usb.0
        -device usb-tablet,bus=usb.0
        -device virtio-rng-pci
        -netdev user,id=net0,ipv6=off
        -device virtio-net-pci,netdev=net0,romfile="#]],
    );
    machine.firmware = Some(Firmware::Bios);
    assert_eq!(machine.argv(&["tcg".into()]), Err(Rule::NoBios.into()));
}

#[test]
fn figures_out_of_range_are_refused() {
    let mut machine = Machine::new("x", Arch::X86_64);
    machine.memory_mib = 8;
    assert_eq!(machine.argv(&["tcg".into()]), Err(Rule::Memory(8).into()));
    machine.memory_mib = 512;
    machine.cpus = 0;
    assert_eq!(machine.argv(&["tcg".into()]), Err(Rule::Cpus(0).into()));
    machine.cpus = 1;
    assert_eq!(machine.argv(&[]), Err(ConfigError::NoAccelerator));
}

#[test]
fn a_file_name_is_no_protocol() {
    let mut machine = Machine::new("x", Arch::X86_64);
    machine.disks = vec![Disk { file: "nbd:host:10809".into(), format: DiskFormat::Raw, base: None }];
    let argv = machine.argv(&["tcg".into()]).expect("a good machine");
    assert!(argv.iter().any(|a| a.ends_with(",file=./nbd:host:10809")), "{argv:?}");
}

proptest! {
    /// Whatever a file is called, the number of arguments and of single commas in its argument stay the same.
    #[test]
    fn names_cannot_add_options(name in "[a-z,=./ -]{1,30}") {
        let with = |file: &str| {
            let mut machine = Machine::new(file, Arch::X86_64);
            machine.disks = vec![Disk { file: file.into(), format: DiskFormat::Raw, base: None }];
            machine.cdrom = Some(file.into());
            machine.argv(&["tcg".into()]).expect("a good machine")
        };
        let options = |argv: Vec<String>| argv.iter().map(|a| a.replace(",,", "").matches(',').count()).collect::<Vec<_>>();
        prop_assert_eq!(options(with(&name)), options(with("x")));
    }
}
