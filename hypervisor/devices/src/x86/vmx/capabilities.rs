// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CPU's capability MSRs: read in an order in which each is known to exist, and
//! turned into what a vCPU is run with.
//!
//! Intel SDM volume 3, appendix "VMX Capability Reporting Facility".

use super::{ENTRY, EXIT, PIN, PRIMARY, SECONDARY, adjust, primary, secondary};

const BASIC: u32 = 0x480;
/// For pin, primary, exit and entry controls.
const PLAIN: [u32; 4] = [0x481, 0x482, 0x483, 0x484];
/// The same with true values.
const TRUE: [u32; 4] = [0x48d, 0x48e, 0x48f, 0x490];
const CR4_MAY: u32 = 0x489;
const SECONDARY_MSR: u32 = 0x48b;
const EPT_VPID: u32 = 0x48c;
/// Secondary controls that virtualize local APICs in every mode, and all of them.
const APIC_ALWAYS: u32 = secondary::APIC_REGISTERS | secondary::INTERRUPT_DELIVERY;
const APIC: u64 = (APIC_ALWAYS | APIC_MODES) as u64;

/// What a CPU runs guests with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Pin-based execution controls.
    pub pin: u32,
    /// Primary processor-based execution controls.
    pub primary: u32,
    /// Secondary ones.
    pub secondary: u32,
    /// VM-exit controls.
    pub exit: u32,
    /// VM-entry controls.
    pub entry: u32,
    /// EPT has pages of 1 GiB.
    pub gigabyte: bool,
    /// Local APICs are virtualized: registers and interrupt delivery, in both modes. Of
    /// [`APIC_MODES`] one is to be switched on as the guest's mode is.
    pub apic: bool,
}

/// The secondary controls that virtualize a local APIC in xAPIC and in x2APIC mode.
pub const APIC_MODES: u32 = secondary::APIC_ACCESSES | secondary::X2APIC;

/// Reads them, for guests that may set these bits of CR4. APICs are virtualized wholly or not
/// at all, and VPID is not used without what forgets its translations.
///
/// # Errors
/// The name of the first thing that Bulkhead needs and the CPU does not have.
pub fn capabilities(cr4: u64, read: impl Fn(u32) -> u64) -> Result<Capabilities, &'static str> {
    let [pin, primary, exit, entry] = basic(read(BASIC))?;
    let pin = adjust(PIN, read(pin))?;
    let primary = adjust(PRIMARY, read(primary))? | primary::HLT;
    let secondary = read(SECONDARY_MSR);
    let apic = primary & primary::TPR_SHADOW != 0 && secondary >> 32 & APIC == APIC;
    let secondary = adjust(SECONDARY, secondary)?;
    let (primary, secondary) = if apic {
        (primary, secondary | APIC_ALWAYS)
    } else {
        let exits = primary::CR8_LOAD | primary::CR8_STORE;
        (primary & !primary::TPR_SHADOW | exits, secondary)
    };
    let exit = adjust(EXIT, read(exit))?;
    let entry = adjust(ENTRY, read(entry))?;
    let Ept { gigabyte, vpid } = ept(read(EPT_VPID))?;
    if cr4 & !read(CR4_MAY) != 0 {
        return Err("a bit of CR4 that its CPUID offers");
    }
    let secondary = if vpid { secondary } else { secondary & !secondary::VPID };
    Ok(Capabilities { pin, primary, secondary, exit, entry, gigabyte, apic })
}

/// Reads `IA32_VMX_BASIC`: the MSRs of the first four words.
fn basic(capability: u64) -> Result<[u32; 4], &'static str> {
    const NARROW: u64 = 1 << 48;
    const TRUE_CONTROLS: u64 = 1 << 55;
    const WRITE_BACK: u64 = 6;
    if capability & NARROW != 0 {
        return Err("control structures above 4 GiB");
    }
    if capability >> 50 & 15 != WRITE_BACK {
        return Err("control structures in write-back memory");
    }
    Ok(if capability & TRUE_CONTROLS != 0 { TRUE } else { PLAIN })
}

/// What may be used of a CPU's extended page tables.
struct Ept {
    gigabyte: bool,
    vpid: bool,
}

/// Reads `IA32_VMX_EPT_VPID_CAP`.
fn ept(capability: u64) -> Result<Ept, &'static str> {
    const NEEDED: [(u32, &str); 5] = [
        (6, "EPT page walks of four levels"),
        (14, "EPT in write-back memory"),
        (16, "EPT pages of 2 MiB"),
        (20, "INVEPT"),
        (26, "INVEPT for all contexts"),
    ];
    const GIGABYTE: u32 = 17;
    const INVVPID: u32 = 32;
    const INVVPID_ALL: u32 = 42;
    let has = |bit: u32| capability.wrapping_shr(bit) & 1 != 0;
    if let Some((_, name)) = NEEDED.iter().find(|(bit, _)| !has(*bit)) {
        return Err(name);
    }
    Ok(Ept { gigabyte: has(GIGABYTE), vpid: has(INVVPID) && has(INVVPID_ALL) })
}

#[cfg(test)]
mod tests;
