// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees of the CPU's identification registers.
//!
//! A feature is shown only if whatever state it adds is saved by the
//! hypervisor, or if it adds none. `table.rs` says it field by field; what is
//! not in it reads zero. The table itself is not in the program, only masks
//! and caps that are computed from it when it is compiled.
//! Arm ARM (DDI 0487), "Principles of the ID scheme for fields in ID registers".

mod table;

use crate::esr::Register;
use table::{REGISTERS, Rule};

/// What a guest reads from an identification register (`S3_0_C0_C1_0` to
/// `S3_0_C0_C7_7`) that reads `host` on this CPU. Any other register, and any
/// that is reserved, reads zero.
#[must_use]
pub fn visible(register: Register, host: u64) -> u64 {
    let space = (register.op0(), register.op1(), register.crn());
    if space != (3, 0, 0) || register.crm() == 0 {
        return 0;
    }
    let Some(filter) = FILTERS.get(index(register.crm(), register.op2())) else { return 0 };
    let mut value = host & filter.pass;
    for cap in &filter.caps {
        value |= cap.apply(host);
    }
    value
}

/// Fields of one register that pass, and those that pass up to a value.
#[derive(Clone, Copy)]
struct Filter {
    pass: u64,
    caps: [Cap; 4],
}

/// A four-bit field that passes up to a value.
#[derive(Clone, Copy)]
struct Cap {
    shift: u8,
    max: u8,
    /// What host values from 8 on become: they are negative in a signed field.
    negative: u8,
}

impl Cap {
    const NONE: Self = Self { shift: 0, max: 0, negative: 0 };

    const fn apply(self, host: u64) -> u64 {
        let field = (host.wrapping_shr(self.shift as u32) & 15) as u8;
        let shown = if field >= 8 {
            self.negative
        } else if field > self.max {
            self.max
        } else {
            field
        };
        (shown as u64).wrapping_shl(self.shift as u32)
    }
}

const FILTERS: [Filter; 56] = filters();

/// Registers in the order of CRm, then op2. A CRm of zero has no place and comes out beyond the end.
const fn index(crm: u8, op2: u8) -> usize {
    ((crm as usize) << 3 | op2 as usize).wrapping_sub(8)
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when compiled: a wrong table does not build"
)]
const fn filters() -> [Filter; 56] {
    let mut filters = [Filter { pass: 0, caps: [Cap::NONE; 4] }; 56];
    let mut r = 0;
    while r < REGISTERS.len() {
        let description = &REGISTERS[r];
        let filter = &mut filters[index(description.crm, description.op2)];
        let (mut f, mut capped, mut seen) = (0, 0, 0u64);
        while f < description.fields.len() {
            let field = &description.fields[f];
            let mask = (u64::MAX >> 64u32.wrapping_sub(field.width as u32))
                .wrapping_shl(field.shift as u32);
            assert!(seen & mask == 0, "two rows about the same bits");
            seen |= mask;
            let cap = match field.rule {
                Rule::Hide => None,
                Rule::Pass => {
                    filter.pass |= mask;
                    None
                }
                Rule::Cap(max) => Some(Cap { shift: field.shift, max, negative: max }),
                Rule::CapSigned(max) => Some(Cap { shift: field.shift, max, negative: 15 }),
                Rule::CapNotOwn(max) => Some(Cap { shift: field.shift, max, negative: 0 }),
            };
            if let Some(cap) = cap {
                filter.caps[capped] = cap;
                capped = capped.wrapping_add(1);
            }
            f = f.wrapping_add(1);
        }
        r = r.wrapping_add(1);
    }
    filters
}

#[cfg(test)]
mod tests;
