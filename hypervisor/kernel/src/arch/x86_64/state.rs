// SPDX-License-Identifier: MIT OR Apache-2.0
//! What governs a vCPU, and the state it starts with, in words that VT-x and
//! AMD-V share.
//!
//! There are two: what a boot loader leaves for a PVH or multiboot kernel, and
//! what a start-up interrupt leaves (Intel SDM, volume 3: "Processor State After
//! Reset", "Wait-for-SIPI State"; Multiboot Specification, "Machine state").

use crate::partition::Memory;

/// What governs one vCPU.
#[derive(Clone, Copy, Debug)]
pub struct Controls {
    /// What the second translation starts with: EPTP, or nCR3.
    pub(super) root: u64,
    /// The same with the local APIC's page, where the CPU virtualizes it, and what is mapped there.
    pub(super) apic_root: u64,
    pub(super) apic_page: u64,
    /// Tag of its entries in the TLB: VPID, or ASID.
    pub(super) tag: u32,
    /// The partition's RAM, for instructions that the hypervisor must read.
    pub(super) ram: Memory,
    /// Physical address of the bitmap of ports that are the partition's own.
    pub(super) ports: u64,
}

/// A segment register with all that it hides; attributes as AMD-V packs them:
/// type, S, DPL, P, then AVL, L, D/B, G.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Segment {
    pub selector: u16,
    pub attributes: u16,
    pub limit: u32,
    pub base: u64,
}

/// Order of segment registers, as encodings have them, then LDTR and TR.
pub(super) mod segment {
    pub(in super::super) const ES: usize = 0;
    pub(in super::super) const CS: usize = 1;
    pub(in super::super) const SS: usize = 2;
    pub(in super::super) const DS: usize = 3;
    pub(in super::super) const FS: usize = 4;
    pub(in super::super) const GS: usize = 5;
    pub(in super::super) const LDTR: usize = 6;
    pub(in super::super) const TR: usize = 7;
}

/// What a vCPU starts with. General registers but EAX, EBX, EDX are zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub segments: [Segment; 8],
    pub cr0: u64,
    pub rip: u64,
    /// Limit of the interrupt table at 0; the descriptor table's is the same.
    pub table_limit: u32,
}

/// [`Start`] wanted by [`crate::bell::Bell::start`]: bit 63 of the entry.
pub(super) const STARTUP: u64 = 1 << 63;

/// CR0: protection.
pub(super) const CR0_PE: u64 = 1;
/// CR0: the fixed extension type.
pub(super) const CR0_ET: u64 = 1 << 4;
/// CR0: paging.
pub(super) const CR0_PG: u64 = 1 << 31;
/// CR4: tables of three or four levels.
pub(super) const CR4_PAE: u64 = 1 << 5;
/// CR4: pages of 4 MiB.
pub(super) const CR4_PSE: u64 = 1 << 4;
/// EFER: long mode is active.
pub(super) const EFER_LMA: u64 = 1 << 10;
/// EFER: long mode is enabled.
pub(super) const EFER_LME: u64 = 1 << 8;
/// RFLAGS: interrupts.
pub(super) const RFLAGS_IF: u64 = 1 << 9;
/// RFLAGS: #DB follows each instruction.
pub(super) const RFLAGS_TF: u64 = 1 << 8;
/// RFLAGS: string instructions go down.
pub(super) const RFLAGS_DF: u64 = 1 << 10;
/// RFLAGS: virtual 8086 mode.
pub(super) const RFLAGS_VM: u64 = 1 << 17;

impl Start {
    /// The start that an entry asks for.
    pub(super) fn of(entry: u64) -> Self {
        if entry & STARTUP != 0 { Self::real(entry as u8) } else { Self::flat(entry) }
    }

    /// 32-bit protected mode with segments of 4 GiB.
    fn flat(entry: u64) -> Self {
        let segment =
            |selector, attributes| Segment { selector, attributes, limit: u32::MAX, base: 0 };
        Self::new(segment(0x10, 0xc9b), segment(0x18, 0xc93), CR0_PE | CR0_ET, entry, 0)
    }

    /// Real mode at a page.
    fn real(page: u8) -> Self {
        let segment = |selector: u16, attributes| Segment {
            selector,
            attributes,
            limit: 0xffff,
            base: u64::from(selector) << 4,
        };
        Self::new(segment(u16::from(page) << 8, 0x9b), segment(0, 0x93), CR0_ET, 0, 0xffff)
    }

    fn new(code: Segment, data: Segment, cr0: u64, rip: u64, table_limit: u32) -> Self {
        let mut segments = [data; 8];
        segments[segment::CS] = code;
        let system = |attributes| Segment { selector: 0, attributes, limit: 0xffff, base: 0 };
        segments[segment::LDTR] = system(0x82);
        segments[segment::TR] = system(0x8b);
        Self { segments, cr0, rip, table_limit }
    }
}

/// Something to deliver to the guest, as AMD-V's EVENTINJ and EXITINTINFO pack
/// it; VT-x's lower half is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event(pub u64);

impl Event {
    const VALID: u64 = 1 << 31;
    const HAS_ERROR: u64 = 1 << 11;
    const EXCEPTION: u64 = 3 << 8;

    /// An external interrupt.
    pub(super) const fn interrupt(vector: u8) -> Self {
        Self((1 << 31 | vector as u32) as u64)
    }

    /// A non-maskable interrupt.
    pub(super) const NMI: Self = Self(Self::VALID | 2 << 8 | 2);

    /// An exception without an error code.
    pub(super) const fn exception(vector: u8) -> Self {
        Self(Self::VALID | Self::EXCEPTION | vector as u64)
    }

    /// An exception with one.
    pub(super) const fn exception_with(vector: u8, error: u32) -> Self {
        Self((error as u64) << 32 | Self::HAS_ERROR | Self::exception(vector).0)
    }

    /// The same without an error code, as real mode has none.
    pub(super) const fn without_error(self) -> Self {
        Self(self.0 & 0xffff_ffff & !Self::HAS_ERROR)
    }

    /// Whether it has an error code.
    pub(super) const fn has_error(self) -> bool {
        self.0 & Self::HAS_ERROR != 0
    }

    /// Whether it is an NMI.
    pub(super) const fn is_nmi(self) -> bool {
        self.0 & 7 << 8 == 2 << 8
    }

    /// What an exit interrupted, if it must be delivered again. A software interrupt or
    /// exception happens again by itself: its instruction did not end.
    #[inline(always)]
    pub(super) fn interrupted(info: u64) -> Option<Self> {
        if info & Self::VALID == 0 { None } else { Self::again(info) }
    }

    /// The same for something.
    #[cold]
    #[inline(never)]
    fn again(info: u64) -> Option<Self> {
        const SOFTWARE: u64 = 4;
        let kind = info >> 8 & 7;
        let breakpoint = kind == 3 && matches!(info & 0xff, 3 | 4);
        if kind >= SOFTWARE || breakpoint {
            return None;
        }
        Some(Self(info & (0xffff_ffff << 32 | Self::VALID | Self::HAS_ERROR | 0x7ff)))
    }
}

/// The exceptions that the hypervisor itself answers with.
pub(super) mod exception {
    use super::Event;

    pub(in super::super) const DEBUG: u8 = 1;
    pub(in super::super) const ALIGNMENT: u8 = 17;
    /// #UD.
    pub(in super::super) const UNDEFINED: Event = Event::exception(6);
    /// #GP(0).
    pub(in super::super) const PROTECTION: Event = Event::exception_with(13, 0);
}
