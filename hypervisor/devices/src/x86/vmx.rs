// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x's execution controls against what the CPU allows.

/// One bit of a control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bit {
    /// Its number.
    pub bit: u8,
    /// The manual's name.
    pub name: &'static str,
}

/// What a control word must and may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Without these Bulkhead does not run.
    pub needed: &'static [Bit],
    /// These are used where the CPU has them.
    pub optional: u32,
}

/// A control word for this CPU, by its capability MSR: low half, bits that must be one; high
/// half, bits that may be.
///
/// # Errors
/// The first needed control that the CPU does not have.
pub fn adjust(wanted: &Wanted, capability: u64) -> Result<u32, &'static str> {
    let (forced, allowed) = ((capability & 0xffff_ffff) as u32, (capability >> 32) as u32);
    let mut controls = 0;
    for control in wanted.needed {
        controls |= 1u32.wrapping_shl(control.bit.into());
        if allowed & 1u32.wrapping_shl(control.bit.into()) == 0 {
            return Err(control.name);
        }
    }
    Ok((controls | wanted.optional & allowed) | forced)
}
