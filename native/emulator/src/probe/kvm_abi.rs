//! The part of Linux's KVM interface that the probe uses, and its guests. Source: `include/uapi/linux/kvm.h`,
//! `arch/{x86,arm64}/include/uapi/asm/kvm.h`.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;

pub(super) const GET_API_VERSION: u32 = 0xae00;
pub(super) const CREATE_VM: u32 = 0xae01;
pub(super) const GET_VCPU_MMAP_SIZE: u32 = 0xae04;
pub(super) const CREATE_VCPU: u32 = 0xae41;
pub(super) const SET_TSS_ADDR: u32 = 0xae47;
pub(super) const SET_USER_MEMORY_REGION: u32 = 0x4020_ae46;
pub(super) const RUN: u32 = 0xae80;

/// All of the guest's memory, from its address 0 on.
pub(super) const MEMORY_BYTES: usize = 64 << 10;
pub(super) const CODE_BYTES: usize = 64;
pub(super) const CODE_OFFSET: usize = 0x1000;

/// `struct kvm_userspace_memory_region`.
#[repr(C)]
pub(super) struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_address: u64,
    bytes: u64,
    host_address: u64,
}

impl MemoryRegion {
    pub(super) fn new(host_address: u64) -> Self {
        Self { slot: 0, flags: 0, guest_address: 0, bytes: MEMORY_BYTES as u64, host_address }
    }
}

#[allow(clippy::cast_lossless, reason = "libc's type of a request is wider than 32 bits in glibc alone")]
pub(super) fn ioctl(fd: &OwnedFd, request: u32, argument: usize) -> Result<i32, Errno> {
    // SAFETY: every request of this module with a pointer is given one to a struct of the kernel's layout, which
    // outlives the call.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, argument) })
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{EXIT_AT_END, Guest};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CODE_OFFSET, Errno, OwnedFd, ioctl};

    const SET_REGS: u32 = 0x4090_ae82;
    const GET_SREGS: u32 = 0x8138_ae83;
    const SET_SREGS: u32 = 0x4138_ae84;

    /// KVM_EXIT_HLT: the guest's last instruction.
    pub(in super::super) const EXIT_AT_END: u32 = 5;

    /// `struct kvm_regs`.
    #[repr(C)]
    #[derive(Default)]
    struct Regs {
        /// rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8 to r15.
        general: [u64; 16],
        rip: u64,
        rflags: u64,
    }

    /// `struct kvm_segment`.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Segment {
        base: u64,
        limit: u32,
        selector: u16,
        kind: u8,
        present: u8,
        dpl: u8,
        db: u8,
        s: u8,
        l: u8,
        g: u8,
        avl: u8,
        unusable: u8,
        padding: u8,
    }

    /// `struct kvm_sregs`.
    #[repr(C)]
    #[derive(Default)]
    struct Sregs {
        /// cs, ds, es, fs, gs, ss.
        segments: [Segment; 6],
        tr: Segment,
        ldt: Segment,
        gdt: [u64; 2],
        idt: [u64; 2],
        cr0: u64,
        cr2: u64,
        cr3: u64,
        cr4: u64,
        cr8: u64,
        efer: u64,
        apic_base: u64,
        interrupts: [u64; 4],
    }

    const _: () = assert!(size_of::<Sregs>() == 0x138 && size_of::<Regs>() == 0x90);

    /// What the vCPU is while it counts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Guest {
        RealMode,
        ProtectedMode,
    }

    impl Guest {
        pub(in super::super) const ALL: [Self; 2] = [Self::RealMode, Self::ProtectedMode];

        /// Writes `mov ecx, loops; 1: dec ecx; jnz 1b; hlt` and returns its length.
        pub(in super::super) fn code(self, loops: u32, to: &mut [u8; super::CODE_BYTES]) -> usize {
            let count = loops.to_le_bytes();
            // In a 16-bit segment the prefix 0x66 makes the operand 32 bits wide.
            let (head, tail): (&[u8], &[u8]) = match self {
                Self::RealMode => (&[0x66, 0xb9], &[0x66, 0x49, 0x75, 0xfc, 0xf4]),
                Self::ProtectedMode => (&[0xb9], &[0x49, 0x75, 0xfd, 0xf4]),
            };
            let mut length = 0;
            for part in [head, &count, tail] {
                to[length..length + part.len()].copy_from_slice(part);
                length += part.len();
            }
            length
        }

        pub(in super::super) fn set_registers(self, _vm: &OwnedFd, vcpu: &OwnedFd) -> Result<(), Errno> {
            let mut sregs = Sregs::default();
            ioctl(vcpu, GET_SREGS, &raw mut sregs as usize)?;
            const CODE: u8 = 11;
            const DATA: u8 = 3;
            for (i, segment) in sregs.segments.iter_mut().enumerate() {
                let kind = if i == 0 { CODE } else { DATA };
                *segment = Segment { kind, present: 1, s: 1, limit: 0xffff, ..Segment::default() };
                if self == Self::ProtectedMode {
                    segment.selector = if i == 0 { 8 } else { 16 };
                    (segment.limit, segment.g, segment.db) = (u32::MAX, 1, 1);
                }
            }
            const PE: u64 = 1;
            sregs.cr0 = if self == Self::ProtectedMode { sregs.cr0 | PE } else { sregs.cr0 & !PE };
            ioctl(vcpu, SET_SREGS, &raw const sregs as usize)?;
            // Bit 1 of the flags is always set.
            let regs = Regs { rip: CODE_OFFSET as u64, rflags: 2, ..Regs::default() };
            ioctl(vcpu, SET_REGS, &raw const regs as usize)?;
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn jumps_land_on_the_loops_first_instruction() {
            for (guest, prefix) in [(Guest::RealMode, 2), (Guest::ProtectedMode, 1)] {
                let mut code = [0; super::super::CODE_BYTES];
                let length = guest.code(0x0102_0304, &mut code);
                assert_eq!(code[prefix..prefix + 4], [4, 3, 2, 1]);
                assert_eq!(code[length - 1], 0xf4);
                let displacement = i64::from(code[length - 2].cast_signed());
                let target = (length as i64 - 1) + displacement;
                assert_eq!(target, prefix as i64 + 4, "{guest:?}");
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use arm::{EXIT_AT_END, Guest};

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{CODE_OFFSET, Errno, OwnedFd, ioctl};

    const ARM_PREFERRED_TARGET: u32 = 0x8020_aeaf;
    const ARM_VCPU_INIT: u32 = 0x4020_aeae;
    const SET_ONE_REG: u32 = 0x4010_aeac;
    /// KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | the index of `regs.pc` in 32-bit words.
    const PC: u64 = 0x6030_0000_0010_0040;

    /// KVM_EXIT_MMIO: the guest's last instruction writes where there is no memory.
    pub(in super::super) const EXIT_AT_END: u32 = 6;

    /// `struct kvm_vcpu_init`.
    #[repr(C)]
    #[derive(Default)]
    struct VcpuInit {
        target: u32,
        features: [u32; 7],
    }

    /// `struct kvm_one_reg`.
    #[repr(C)]
    struct OneReg {
        id: u64,
        address: u64,
    }

    /// What the vCPU is while it counts: EL1, translation off.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Guest {
        El1,
    }

    impl Guest {
        pub(in super::super) const ALL: [Self; 1] = [Self::El1];

        /// Writes the loop, and a store to an address without memory; returns its length. The instruction cache
        /// is switched on, as each fetch would go to memory otherwise.
        pub(in super::super) fn code(self, loops: u32, to: &mut [u8; super::CODE_BYTES]) -> usize {
            let words = [
                0xd538_1002,                         // mrs  x2, sctlr_el1
                0xb274_0042,                         // orr  x2, x2, #0x1000
                0xd518_1002,                         // msr  sctlr_el1, x2
                0xd503_3fdf,                         // isb
                0xd280_0000 | (loops & 0xffff) << 5, // movz x0, #low
                0xf2a0_0000 | (loops >> 16) << 5,    // movk x0, #high, lsl #16
                0xf100_0400,                         // 1: subs x0, x0, #1
                0x54ff_ffe1,                         // b.ne 1b
                0xd2a2_0001,                         // movz x1, #0x1000, lsl #16
                0xf900_0020,                         // str  x0, [x1]
            ];
            for (at, word) in words.into_iter().enumerate() {
                to[at * 4..][..4].copy_from_slice(&u32::to_le_bytes(word));
            }
            words.len() * 4
        }

        pub(in super::super) fn set_registers(self, vm: &OwnedFd, vcpu: &OwnedFd) -> Result<(), Errno> {
            let mut init = VcpuInit::default();
            ioctl(vm, ARM_PREFERRED_TARGET, &raw mut init as usize)?;
            ioctl(vcpu, ARM_VCPU_INIT, &raw const init as usize)?;
            let pc = CODE_OFFSET as u64;
            let register = OneReg { id: PC, address: &raw const pc as u64 };
            ioctl(vcpu, SET_ONE_REG, &raw const register as usize)?;
            Ok(())
        }
    }
}
