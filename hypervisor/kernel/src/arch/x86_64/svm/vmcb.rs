// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layout of AMD-V's control block, and what it makes exit.
//!
//! AMD APM, volume 2: "Layout of VMCB".

use super::super::state::{Event, Segment};

/// What exits. Bits of the five intercept words.
pub(super) mod intercept {
    /// CR0 is written freely; CR4 and CR8 are not. CR8 is read from the local APIC.
    pub(in super::super) const CONTROL: u32 = 1 << 8 | 1 << (16 + 4) | 1 << (16 + 8);
    /// #DB and #AC, whose delivery can go on without end.
    pub(in super::super) const EXCEPTIONS: u32 = 1 << 1 | 1 << 17;
    /// INTR, NMI, INIT; RDPMC, CPUID, RSM, INVD, HLT, INVLPGA, ports, MSRs, shutdown.
    pub(in super::super) const FIRST: u32 = 1 << 31
        | 1 << 28
        | 1 << 27
        | 1 << 26
        | 1 << 24
        | 1 << 22
        | 1 << 19
        | 1 << 18
        | 1 << 15
        | 0b1011;
    /// The window for an interrupt.
    pub(in super::super) const WINDOW: u32 = 1 << 4;
    /// IRET.
    pub(in super::super) const IRET: u32 = 1 << 20;
    /// VMRUN to SKINIT; WBINVD, MONITOR, MWAIT, XSETBV, RDPRU.
    pub(in super::super) const SECOND: u32 = 0x7f | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14;
    /// INVLPGB, MCOMMIT, TLBSYNC.
    pub(in super::super) const THIRD: u32 = 0b1_1011;
}

/// The control block.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Vmcb {
    pub(super) intercepts: [u32; 6],
    reserved0: [u64; 5],
    pub(super) ports: u64,
    pub(super) msrs: u64,
    pub(super) tsc_offset: u64,
    pub(super) tag: u64,
    pub(super) virtual_interrupt: u64,
    pub(super) shadow: u64,
    pub(super) exit_code: u64,
    pub(super) exit_info: [u64; 2],
    pub(super) exit_event: Event,
    pub(super) nested: u64,
    reserved1: [u64; 2],
    pub(super) event: Event,
    pub(super) nested_root: u64,
    reserved2: [u64; 2],
    pub(super) next_rip: u64,
    reserved3: [u64; 102],
    pub(super) segments: [Segment; 6],
    pub(super) gdtr: Segment,
    pub(super) ldtr: Segment,
    pub(super) idtr: Segment,
    pub(super) tr: Segment,
    reserved4: [u8; 43],
    pub(super) cpl: u8,
    reserved5: u32,
    pub(super) efer: u64,
    reserved6: [u64; 14],
    pub(super) cr4: u64,
    pub(super) cr3: u64,
    pub(super) cr0: u64,
    pub(super) dr7: u64,
    pub(super) dr6: u64,
    pub(super) rflags: u64,
    pub(super) rip: u64,
    reserved7: [u64; 11],
    pub(super) rsp: u64,
    reserved8: [u64; 3],
    pub(super) rax: u64,
    pub(super) syscall: [u64; 5],
    pub(super) sysenter: [u64; 3],
    pub(super) cr2: u64,
    reserved9: [u64; 4],
    pub(super) pat: u64,
    pub(super) debug_control: u64,
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Vmcb, ports) == 0x40 && offset_of!(Vmcb, exit_code) == 0x70);
    assert!(offset_of!(Vmcb, event) == 0xa8 && offset_of!(Vmcb, next_rip) == 0xc8);
    assert!(offset_of!(Vmcb, segments) == 0x400);
    assert!(offset_of!(Vmcb, cpl) == 0x4cb && offset_of!(Vmcb, efer) == 0x4d0);
    assert!(offset_of!(Vmcb, cr4) == 0x548 && offset_of!(Vmcb, rip) == 0x578);
    assert!(offset_of!(Vmcb, rsp) == 0x5d8 && offset_of!(Vmcb, rax) == 0x5f8);
    assert!(offset_of!(Vmcb, cr2) == 0x640 && offset_of!(Vmcb, pat) == 0x668);
};
