// SPDX-License-Identifier: MIT OR Apache-2.0
//! Does every forbidden thing in turn and prints what came back.
//!
//! The things are in groups, one file each. The command line picks some by
//! `group=NAME,NAME`; without it all run but those that never end. A group
//! prints one line for each of its parts, with a count for each way they came
//! back, and then `mischief: GROUP done N probes, F faults`. Random values come
//! from a fixed seed: two runs do the same. Then the partition turns itself off.
//! With `fewer=N` on the command line floods, and what is random in walks, are by so much fewer, for slow machines.
//!
//! Nothing here may reach beyond this partition, so the only wrong answer is
//! one that another partition or the hypervisor notices.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod groups;
mod hostile;
mod random;
mod tally;

use groups::{GROUPS, Group, MEMORY};
use guest_rt::facts::Facts;
use guest_rt::{Boot, power, println};
use random::Random;
use tally::Tally;

guest_rt::entry!(main);

/// What every group works with.
struct Setting {
    facts: Option<Facts>,
    /// This partition's memory: first address and one past the last.
    memory: (u64, u64),
    random: Random,
    /// What the size of floods and the like is divided by.
    fewer: u64,
}

impl Setting {
    /// A number behind this word on the command line.
    fn number(&self, word: &str) -> Option<u64> {
        guest_rt::number(self.facts.map_or("", |facts| facts.command_line()), word)
    }
}

fn main(boot: Boot) -> ! {
    let facts = Facts::find(boot);
    let line = facts.map_or("", |facts| facts.command_line());
    let option = |name| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
    let chosen = option("group=");
    let fewer =
        option("fewer=").and_then(|number| number.parse().ok()).filter(|&n| n > 0).unwrap_or(1);
    println!("mischief: {}", chosen.unwrap_or("all"));
    if let Some(stranger) =
        chosen.and_then(|names| names.split(',').find(|name| find(name).is_none()))
    {
        println!("mischief: no group {stranger}");
    }
    let (start, size) = facts.and_then(|facts| facts.memory()).unwrap_or(MEMORY);
    let memory = (start, start + size);
    hostile::prepare();
    let mut setting = Setting { facts, memory, random: Random::new(0x00b0_1de5_7a7e), fewer };
    for group in GROUPS {
        let wanted =
            chosen.map_or(group.ends, |names| names.split(',').any(|name| name == group.name));
        if wanted {
            let mut tally = Tally::new(group.name);
            (group.run)(&mut setting, &mut tally);
            tally.finish();
        }
    }
    println!("mischief: off");
    power::off()
}

fn find(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}
