//! Translated code and what it was translated from: a guest's code changes, moves, or gets a breakpoint, and what runs is what
//! is there. libqemu finds translated code without asking QEMU's C code (scripts/qemu/patches, "Translated code is found by
//! translated code"), so it must be as careful.
//!
//! The programs are the guest's own, without a system. They say `+` on the serial port, or `-`.

use crate::common::{PATIENCE, in_process};
use sampan_emulator::{Arch, LaunchSpec, Launcher};
use std::io::Read;

/// A PC's first sector, which enters 64-bit mode. No two of its pages share a place in the cache where translated code is found.
#[rustfmt::skip]
const PC: [u8; 344] = [
    // five empty tables, then PAE, long mode, paging:
    0xfa, // cli
    0x31, 0xc0, // xor %ax,%ax
    0x8e, 0xd8, // mov %ax,%ds
    0x8e, 0xc0, // mov %ax,%es
    0x8e, 0xd0, // mov %ax,%ss
    0xbc, 0x00, 0x7c, // mov $0x7c00,%sp
    0x66, 0xbf, 0x00, 0x10, 0x00, 0x00, // mov $0x1000,%edi
    0x0f, 0x22, 0xdf, // mov %edi,%cr3
    0x66, 0x31, 0xc0, // xor %eax,%eax
    0xb9, 0x00, 0x14, // mov $0x1400,%cx
    0xfc, // cld
    0x66, 0xf3, 0xab, // rep stos %eax,%es:(%di)
    0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, // movw $0x2003,0x1000
    0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, // movw $0x3003,0x2000
    0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, // movw $0x83,0x3000
    0xc7, 0x06, 0x08, 0x30, 0x03, 0x40, // movw $0x4003,0x3008
    0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, // mov $0x20,%eax
    0x0f, 0x22, 0xe0, // mov %eax,%cr4
    0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, // mov $0xc0000080,%ecx
    0x0f, 0x32, // rdmsr
    0x0d, 0x00, 0x01, // or $0x100,%ax
    0x0f, 0x30, // wrmsr
    0x0f, 0x20, 0xc0, // mov %cr0,%eax
    0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, // or $0x80000001,%eax
    0x0f, 0x22, 0xc0, // mov %eax,%cr0
    0x66, 0x0f, 0x01, 0x16, 0x48, 0x7d, // lgdtl 0x7d48
    0x66, 0xea, 0x67, 0x7c, 0x00, 0x00, 0x08, 0x00, // ljmpl $0x8,$0x7c67
    // long mode: addresses as they are up to 2 MiB, then by the table at 0x4000:
    0xbd, 0xe8, 0x03, 0x00, 0x00, // mov $0x3e8,%ebp
    0xc6, 0x04, 0x25, 0x00, 0x00, 0x01, 0x00, 0xb8, // movb $0xb8,0x10000
    0xc6, 0x04, 0x25, 0x00, 0x10, 0x01, 0x00, 0xb8, // movb $0xb8,0x11000
    0xc6, 0x04, 0x25, 0x05, 0x00, 0x01, 0x00, 0xc3, // movb $0xc3,0x10005
    0xc6, 0x04, 0x25, 0x05, 0x10, 0x01, 0x00, 0xc3, // movb $0xc3,0x11005
    // round: the code at 0x10000 is written anew, and called by its own address:
    0xbb, 0x00, 0x00, 0x01, 0x00, // mov $0x10000,%ebx
    0x89, 0x6b, 0x01, // mov %ebp,0x1(%rbx)
    0xff, 0xd3, // call *%rbx
    0x39, 0xe8, // cmp %ebp,%eax
    0x0f, 0x85, 0x8a, 0x00, 0x00, 0x00, // jne bad
    // and by another address of the same page:
    0xc7, 0x04, 0x25, 0x18, 0x40, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, // movl $0x10003,0x4018
    0xbe, 0x00, 0x30, 0x20, 0x00, // mov $0x203000,%esi
    0x0f, 0x01, 0x3e, // invlpg (%rsi)
    0xff, 0xd6, // call *%rsi
    0x39, 0xe8, // cmp %ebp,%eax
    0x75, 0x71, // jne bad
    // that address gets another page, with other code:
    0x89, 0xea, // mov %ebp,%edx
    0xf7, 0xd2, // not %edx
    0x89, 0x14, 0x25, 0x01, 0x10, 0x01, 0x00, // mov %edx,0x11001
    0xc7, 0x04, 0x25, 0x18, 0x40, 0x00, 0x00, 0x03, 0x10, 0x01, 0x00, // movl $0x11003,0x4018
    0x40, 0xf6, 0xc5, 0x01, // test $0x1,%bpl
    0x74, 0x05, // je 0xd8
    0x0f, 0x01, 0x3e, // invlpg (%rsi)
    0xeb, 0x06, // jmp 0xde
    0x0f, 0x20, 0xd8, // mov %cr3,%rax
    0x0f, 0x22, 0xd8, // mov %rax,%cr3
    0xff, 0xd6, // call *%rsi
    0x39, 0xd0, // cmp %edx,%eax
    0x75, 0x44, // jne bad
    0xff, 0xcd, // dec %ebp
    0x75, 0xa4, // jne round
    // a breakpoint, on code that has been run before:
    0x66, 0xc7, 0x04, 0x25, 0x10, 0x50, 0x00, 0x00, 0x1c, 0x7d, // movw $0x7d1c,0x5010
    0xc7, 0x04, 0x25, 0x12, 0x50, 0x00, 0x00, 0x08, 0x00, 0x00, 0x8e, // movl $0x8e000008,0x5012
    0x0f, 0x01, 0x1c, 0x25, 0x4e, 0x7d, 0x00, 0x00, // lidt 0x7d4e
    0x0f, 0x23, 0xc3, // mov %rbx,%db0
    0xb8, 0x01, 0x04, 0x00, 0x00, // mov $0x401,%eax
    0x0f, 0x23, 0xf8, // mov %rax,%db7
    0x31, 0xc9, // xor %ecx,%ecx
    0xff, 0xd3, // call *%rbx
    0xff, 0xc9, // dec %ecx
    0x75, 0x10, // jne bad
    0xb0, 0x2b, // mov $0x2b,%al
    0xeb, 0x0e, // jmp say
    // at the breakpoint: count, and go on with that instruction (RF):
    0xff, 0xc1, // inc %ecx
    0x81, 0x4c, 0x24, 0x10, 0x00, 0x00, 0x01, 0x00, // orl $0x10000,0x10(%rsp)
    0x48, 0xcf, // iretq
    // bad:
    0xb0, 0x2d, // mov $0x2d,%al
    // say it on the serial port:
    0x66, 0xba, 0xf8, 0x03, // mov $0x3f8,%dx
    0xee, // out %al,(%dx)
    0xf4, // hlt
    0xeb, 0xfd, // jmp 0x12f
    0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00, // up to a multiple of 8
    // the segments, where they are, and where the interrupts are (0x5000)
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00,
    0x0f, 0x00, 0x38, 0x7d, 0x00, 0x00, 0xff, 0x0f,
    0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// The first instructions of an Arm machine, from 0x40200000 on; its tables are at 0x40300000, two pages of code at 0x40310000.
#[rustfmt::skip]
const ARM: [u32; 85] = [
    0xd2a8_0600, // movz x0, #0x4030, lsl #16; tables
    0xaa00_03e1, // mov x1, x0
    0xd2a8_0602, // movz x2, #0x4030, lsl #16
    0x9140_0c42, // add x2, x2, #3, lsl #12
    0xf800_843f, // 1: str xzr, [x1], #8
    0xeb02_003f, // cmp x1, x2
    0x54ff_ffc1, // b.ne 1b
    0xd280_80a3, // movz x3, #0x0405; device memory, access flag, block: attribute 1
    0xf900_0003, // str x3, [x0]
    0xd280_e023, // movz x3, #0x0701; normal memory, inner shareable, block
    0xf2a8_0003, // movk x3, #0x4000, lsl #16
    0xf900_0403, // str x3, [x0, #8]
    0x9140_0404, // add x4, x0, #1, lsl #12
    0xb240_0485, // orr x5, x4, #3
    0xf900_0805, // str x5, [x0, #16]; 0x80000000: level 2
    0x9140_0806, // add x6, x0, #2, lsl #12
    0xb240_04c5, // orr x5, x6, #3
    0xf900_0085, // str x5, [x4]; level 3
    0xd280_1fe5, // movz x5, #0x00ff; attribute 0 normal, 1 device
    0xd518_a205, // msr mair_el1, x5
    0xd286_a325, // movz x5, #0x3519
    0xd518_2045, // msr tcr_el1, x5
    0xd518_2000, // msr ttbr0_el1, x0
    0xd503_3fdf, // isb
    0xd538_1005, // mrs x5, sctlr_el1
    0xb240_00a5, // orr x5, x5, #1
    0xb274_00a5, // orr x5, x5, #0x1000
    0xd518_1005, // msr sctlr_el1, x5
    0xd503_3fdf, // isb
    0xd280_7d13, // movz x19, #1000; rounds
    0x9140_4014, // add x20, x0, #0x10, lsl #12; page A
    0x9140_4415, // add x21, x0, #0x11, lsl #12; page B
    0xd2b0_0016, // movz x22, #0x8000, lsl #16; an address of either: 0x80005000
    0x9140_16d6, // add x22, x22, #5, lsl #12
    0x9140_0817, // add x23, x0, #2, lsl #12; where it is said of which: its entry of level 3
    0x9100_a2f7, // add x23, x23, #40
    0x52aa_5018, // movz w24, #0x5280, lsl #16; movz w0, #0
    0x5280_7819, // movz w25, #0x03c0
    0x72ba_cbf9, // movk w25, #0xd65f, lsl #16; ret
    0xd280_e07a, // movz x26, #0x703; a page of normal memory
    0xb900_0699, // str w25, [x20, #4]
    0xb900_06b9, // str w25, [x21, #4]
    0x2a13_1701, // 2: orr w1, w24, w19, lsl #5; written anew, and called by its own address
    0xb900_0281, // str w1, [x20]
    0xd50b_7534, // ic ivau, x20
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xd63f_0280, // blr x20
    0x6b13_001f, // cmp w0, w19
    0x5400_03e1, // b.ne 5f
    0xaa1a_0281, // orr x1, x20, x26; and by another address of the same page
    0xf900_02e1, // str x1, [x23]
    0xd503_3b9f, // dsb ish
    0xd508_871f, // tlbi vmalle1
    0xd503_3b9f, // dsb ish
    0xd503_3fdf, // isb
    0xd63f_02c0, // blr x22
    0x6b13_001f, // cmp w0, w19
    0x5400_02c1, // b.ne 5f
    0x1100_067b, // add w27, w19, #1; that address gets another page, with other code
    0x2a1b_1701, // orr w1, w24, w27, lsl #5
    0xb900_02a1, // str w1, [x21]
    0xd50b_7535, // ic ivau, x21
    0xaa1a_02a1, // orr x1, x21, x26
    0xf900_02e1, // str x1, [x23]
    0xd503_3b9f, // dsb ish
    0x3600_0093, // tbz x19, #0, 3f
    0xd34c_fec1, // lsr x1, x22, #12
    0xd508_8721, // tlbi vae1, x1
    0x1400_0002, // b 4f
    0xd508_871f, // 3: tlbi vmalle1
    0xd503_3b9f, // 4: dsb ish
    0xd503_3fdf, // isb
    0xd63f_02c0, // blr x22
    0x6b1b_001f, // cmp w0, w27
    0x5400_00a1, // b.ne 5f
    0xf100_0673, // subs x19, x19, #1
    0x54ff_fba1, // b.ne 2b
    0x5280_0561, // movz w1, #'+'
    0x1400_0002, // b 6f
    0x5280_05a1, // 5: movz w1, #'-'
    0xd2a1_2002, // 6: movz x2, #0x0900, lsl #16; the serial port
    0xb900_0041, // str w1, [x2]
    0xd503_207f, // 7: wfi
    0x17ff_ffff, // b 7b
];

/// What the guest says on its serial port.
fn said(spec: LaunchSpec) -> u8 {
    let (ended, end) = std::sync::mpsc::channel();
    let running = in_process().launch(spec, Box::new(move |exit| drop(ended.send(exit)))).expect("starts");
    running.serial.set_read_timeout(Some(PATIENCE)).expect("is a socket");
    let mut byte = [0];
    (&running.serial).read_exact(&mut byte).expect("the guest says something");
    running.control.terminate();
    end.recv_timeout(PATIENCE).expect("ends");
    byte[0]
}

#[test]
fn a_pc_runs_the_code_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk.img");
    let mut sectors = vec![0; 1 << 20];
    sectors[..PC.len()].copy_from_slice(&PC);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&disk, sectors).expect("writes");
    for cpus in ["1", "2"] {
        let mut spec = LaunchSpec::new("pc", Arch::X86_64);
        spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-display", "none"]);
        spec.args([
            "-cpu",
            "max,la57=off",
            "-accel",
            "tcg,thread=multi",
            "-serial",
            "chardev:serial",
            "-smp",
            cpus,
        ]);
        spec.args(["-drive", &format!("if=none,id=disk,format=raw,file={}", disk.display())]);
        spec.args(["-device", "ide-hd,drive=disk"]);
        assert_eq!(said(spec), b'+', "{cpus} CPU(s)");
    }
}

/// The name leaves it out where there is no libqemu for it, see [`crate::common::exiting_on_a_cpu`].
#[test]
fn an_arm_machine_runs_the_code_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = folder.path().join("code.bin");
    std::fs::write(&code, ARM.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
        .expect("writes");
    // The second has BTI, whose state is a part of what code is translated for.
    for cpu in ["cortex-a57", "max,pauth-impdef=on"] {
        let mut spec = LaunchSpec::new("arm", Arch::Aarch64);
        spec.args(["-nodefaults", "-no-user-config", "-machine", "virt", "-m", "64", "-display", "none"]);
        spec.args(["-cpu", cpu, "-accel", "tcg,thread=multi", "-serial", "chardev:serial", "-device"]);
        spec.args([format!("loader,file={},addr=0x40200000,cpu-num=0,force-raw=on", code.display())]);
        assert_eq!(said(spec), b'+', "{cpu}");
    }
}
