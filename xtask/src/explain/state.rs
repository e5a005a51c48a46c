// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fields of a record, by their encodings (Intel SDM, volume 3: "Field
//! Encoding in VMCS").

use std::collections::BTreeMap;

pub(super) const SELECTOR: u32 = 0x800;
pub(super) const LINK: u32 = 0x2800;
pub(super) const DEBUG_CONTROL: u32 = 0x2802;
pub(super) const PAT: u32 = 0x2804;
pub(super) const EFER: u32 = 0x2806;
pub(super) const PDPTE: u32 = 0x280a;
pub(super) const PIN: u32 = 0x4000;
pub(super) const ENTRY: u32 = 0x4012;
pub(super) const EVENT: u32 = 0x4016;
pub(super) const EVENT_LENGTH: u32 = 0x401a;
pub(super) const SECONDARY: u32 = 0x401e;
pub(super) const INSTRUCTION_ERROR: u32 = 0x4400;
pub(super) const REASON: u32 = 0x4402;
pub(super) const LIMIT: u32 = 0x4800;
pub(super) const GDTR_LIMIT: u32 = 0x4810;
pub(super) const IDTR_LIMIT: u32 = 0x4812;
pub(super) const RIGHTS: u32 = 0x4814;
pub(super) const INTERRUPTIBILITY: u32 = 0x4824;
pub(super) const ACTIVITY: u32 = 0x4826;
pub(super) const QUALIFICATION: u32 = 0x6400;
pub(super) const CR0: u32 = 0x6800;
pub(super) const CR3: u32 = 0x6802;
pub(super) const CR4: u32 = 0x6804;
pub(super) const BASE: u32 = 0x6806;
pub(super) const GDTR_BASE: u32 = 0x6816;
pub(super) const IDTR_BASE: u32 = 0x6818;
pub(super) const DR7: u32 = 0x681a;
pub(super) const RIP: u32 = 0x681e;
pub(super) const RFLAGS: u32 = 0x6820;
pub(super) const PENDING_DEBUG: u32 = 0x6822;
pub(super) const SYSENTER_ESP: u32 = 0x6824;
pub(super) const SYSENTER_EIP: u32 = 0x6826;

/// Fields of a line.
const COLUMNS: usize = 8;

/// One record.
#[derive(Clone, Debug, Default)]
pub(super) struct State(BTreeMap<u32, u64>);

impl State {
    /// A field; zero if the record was cut before it.
    pub(super) fn get(&self, field: u32) -> u64 {
        self.0.get(&field).copied().unwrap_or(0)
    }

    /// Whether a bit of a field is one.
    pub(super) fn has(&self, field: u32, bit: u32) -> bool {
        self.get(field) >> bit & 1 != 0
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, field: u32, value: u64) {
        self.0.insert(field, value);
    }
}

/// The records of a log, each with its partition.
pub(super) fn records(log: &str) -> Vec<(String, State)> {
    let mut records: Vec<(String, State)> = Vec::new();
    for (partition, first, values) in log.lines().filter_map(fields) {
        let last = records.iter_mut().rev().find(|(name, _)| *name == partition);
        let state = match last.filter(|(_, state)| !state.0.contains_key(&first)) {
            Some((_, state)) => state,
            None => {
                records.push((partition, State::default()));
                let Some((_, state)) = records.last_mut() else { continue };
                state
            }
        };
        state.0.extend((first..).step_by(2).zip(values));
    }
    records
}

/// The partition, first encoding and values of a line that belongs to a record.
fn fields(line: &str) -> Option<(String, u32, [u64; COLUMNS])> {
    let (_, line) = line.split_once("[bulkhead] ")?;
    let (partition, line) = line.split_once(": vmcs ")?;
    let mut words = line.split_whitespace().map(|word| u64::from_str_radix(word, 16));
    let first = u32::try_from(words.next()?.ok()?).ok().filter(|first| *first < 0x8000)?;
    let values: Vec<u64> = words.collect::<Result<_, _>>().ok()?;
    Some((partition.to_owned(), first, values.try_into().ok()?))
}
