// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x's controls for the CPU that there is, as `devices::x86::vmx` finds them
//! in the capability MSRs.
//!
//! Intel SDM, volume 3: "VMX Capability Reporting Facility".

use super::super::control;
use super::super::sysreg::rdmsr;
use devices::x86::vmx::{Capabilities, capabilities, secondary};

/// Those for this CPU.
///
/// # Errors
/// The name of the first one that it lacks.
#[inline(never)]
pub(super) fn read() -> Result<Capabilities, &'static str> {
    capabilities(control::cr4_allowed(), rdmsr)
}

/// Whether EPT has pages of 1 GiB.
pub(in super::super) fn gigabyte_pages() -> bool {
    read().is_ok_and(|found| found.gigabyte)
}

/// Whether local APICs are virtualized.
pub(in super::super) fn virtualizes_apic() -> bool {
    read().is_ok_and(|found| found.apic)
}

/// Whether translations carry a vCPU's identifier.
pub(super) fn has_vpid() -> bool {
    read().is_ok_and(|found| found.secondary & secondary::VPID != 0)
}
