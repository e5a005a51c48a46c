// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x's controls, for the CPU that there is: what Bulkhead needs is asked of
//! the capability MSRs bit by bit, and what is missing is refused by its name.
//!
//! Intel SDM, volume 3: "VMX Capability Reporting Facility", "VM-Execution
//! Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".

use super::super::sysreg::rdmsr;
use devices::x86::vmx::{Bit, Wanted, adjust};

const BASIC: u32 = 0x480;
/// Whether the capability MSRs with true values exist.
const TRUE_CONTROLS: u64 = 1 << 55;
const EPT_VPID: u32 = 0x48c;

const fn bit(bit: u8, name: &'static str) -> Bit {
    Bit { bit, name }
}

const PIN: Wanted = Wanted {
    needed: &[
        bit(0, "external-interrupt exiting"),
        bit(3, "NMI exiting"),
        bit(5, "virtual NMIs"),
    ],
    optional: 0,
};

const PROCESSOR: Wanted = Wanted {
    needed: &[
        bit(3, "TSC offsetting"),
        bit(7, "HLT exiting"),
        bit(10, "MWAIT exiting"),
        bit(11, "RDPMC exiting"),
        bit(19, "CR8-load exiting"),
        bit(20, "CR8-store exiting"),
        bit(25, "I/O bitmaps"),
        bit(28, "MSR bitmaps"),
        bit(29, "MONITOR exiting"),
        bit(31, "secondary controls"),
    ],
    optional: 0,
};

/// Optional: RDTSCP and INVPCID, which CPUID shows where the CPU has them.
const SECONDARY: Wanted = Wanted {
    needed: &[
        bit(1, "EPT"),
        bit(5, "VPID"),
        bit(6, "WBINVD exiting"),
        bit(7, "unrestricted guest"),
    ],
    optional: 1 << 3 | 1 << 12,
};

const EXIT: Wanted = Wanted {
    needed: &[
        bit(2, "saving debug controls"),
        bit(9, "a 64-bit host"),
        bit(18, "saving the PAT"),
        bit(19, "loading the PAT"),
        bit(20, "saving EFER"),
        bit(21, "loading EFER"),
    ],
    optional: 0,
};

const ENTRY: Wanted = Wanted {
    needed: &[bit(2, "loading debug controls"), bit(14, "loading the PAT"), bit(15, "loading EFER")],
    optional: 0,
};

/// The control words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controls {
    pub pin: u32,
    pub processor: u32,
    pub secondary: u32,
    pub exit: u32,
    pub entry: u32,
}

/// Those for this CPU.
///
/// # Errors
/// The name of the first one that it lacks.
pub(super) fn read() -> Result<Controls, &'static str> {
    let exact = if rdmsr(BASIC) & TRUE_CONTROLS != 0 { 0xc } else { 0 };
    let processor = adjust(&PROCESSOR, rdmsr(0x482 + exact))?;
    let controls = Controls {
        pin: adjust(&PIN, rdmsr(0x481 + exact))?,
        processor,
        secondary: adjust(&SECONDARY, rdmsr(0x48b))?,
        exit: adjust(&EXIT, rdmsr(0x483 + exact))?,
        entry: adjust(&ENTRY, rdmsr(0x484 + exact))?,
    };
    translation(rdmsr(EPT_VPID))?;
    Ok(controls)
}

/// What the second translation must be able to do.
fn translation(capability: u64) -> Result<(), &'static str> {
    for (bit, name) in [
        (6, "EPT of four levels"),
        (14, "write-back EPT structures"),
        (16, "EPT pages of 2 MiB"),
        (20, "INVEPT"),
        (26, "INVEPT of all contexts"),
        (32, "INVVPID"),
        (42, "INVVPID of all contexts"),
    ] {
        if capability & 1 << bit == 0 {
            return Err(name);
        }
    }
    Ok(())
}

/// Whether EPT has pages of 1 GiB.
pub(in super::super) fn gigabyte_pages() -> bool {
    rdmsr(EPT_VPID) & 1 << 17 != 0
}
