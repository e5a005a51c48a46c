// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x's controls for the CPU that there is, as `devices::x86::vmx` finds them
//! in the capability MSRs.
//!
//! Intel SDM, volume 3: "VMX Capability Reporting Facility".

use super::super::sysreg::rdmsr;
use devices::x86::vmx::{
    ENTRY, EXIT, Ept, PIN, PRIMARY, SECONDARY, adjust, ept, primary, secondary,
};

const BASIC: u32 = 0x480;
/// Whether the capability MSRs with true values exist, and how far from the others they are.
const TRUE_CONTROLS: u64 = 1 << 55;
const TRUE_DISTANCE: u32 = 0xc;
const EPT_VPID: u32 = 0x48c;

/// The control words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controls {
    pub pin: u32,
    pub primary: u32,
    pub secondary: u32,
    pub exit: u32,
    pub entry: u32,
}

/// Those for this CPU. The TPR shadow is not used.
///
/// # Errors
/// The name of the first one that it lacks.
pub(super) fn read() -> Result<Controls, &'static str> {
    let exact = if rdmsr(BASIC) & TRUE_CONTROLS != 0 { TRUE_DISTANCE } else { 0 };
    let always = primary::HLT | primary::CR8_LOAD | primary::CR8_STORE;
    let primary = adjust(PRIMARY, rdmsr(0x482 + exact))? & !primary::TPR_SHADOW | always;
    let controls = Controls {
        pin: adjust(PIN, rdmsr(0x481 + exact))?,
        primary,
        secondary: adjust(SECONDARY, rdmsr(0x48b))?,
        exit: adjust(EXIT, rdmsr(0x483 + exact))?,
        entry: adjust(ENTRY, rdmsr(0x484 + exact))?,
    };
    ept(rdmsr(EPT_VPID))?;
    Ok(controls)
}

/// Whether EPT has pages of 1 GiB.
pub(in super::super) fn gigabyte_pages() -> bool {
    ept(rdmsr(EPT_VPID)).is_ok_and(|Ept { gigabyte, .. }| gigabyte)
}

/// Whether translations carry a vCPU's identifier.
pub(super) fn has_vpid() -> bool {
    adjust(SECONDARY, rdmsr(0x48b)).is_ok_and(|word| word & secondary::VPID != 0)
}
