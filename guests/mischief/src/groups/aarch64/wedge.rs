// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CPU that can fetch no instruction; the other partitions must not notice.

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use guest_rt::machine::enable_mmu;
use guest_rt::println;

/// Takes its own translation away: each exception's vector is an exception.
pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    println!("mischief: wedged for ever");
    enable_mmu();
    let (_, end) = setting.memory;
    tally.count(Instruction::WEDGES[0].run([end, end, 0, 0]));
}
