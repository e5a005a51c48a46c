// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that a hypervisor must measure or decode: with prefixes, too
//! long, across pages, at the end of all code, random bytes, and changed by
//! another CPU between the exit and the look at them.

use crate::Setting;
use crate::hostile::{generated, race, straddling};
use crate::tally::Tally;
use guest_rt::{interrupts, println};

/// Instructions that exit: CPUID, RDMSR, IN, OUT, MOV from a local APIC, XSETBV, VMMCALL, VMCALL, INVLPG.
const EXITS: [&[u8]; 8] = [
    &[0x0f, 0xa2],
    &[0x0f, 0x32],
    &[0xe4, 0x80],
    &[0xe6, 0x80],
    &[0x8b, 0x07],
    &[0x89, 0x07],
    &[0x0f, 0x01, 0xd9],
    &[0x0f, 0x01, 0xc1],
];
const PREFIXES: [u8; 26] = [
    0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x41, 0x42, 0x43, 0x44,
    0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4c, 0x4d, 0x4e, 0x4f,
];
/// Longest instruction.
const LONGEST: usize = 15;
/// A register of the local APIC that may be read and written: the task priority.
const PRIORITY: u64 = 0xfee0_0080;
const RANDOM: u64 = 5_000;
const RACES: u64 = 10_000;
/// MOV EAX,[RDI]; MOV [RDI],ESI; ADD [RDI],ESI with a prefix; UD2: each padded by NOP.
const RACING: [u64; 4] =
    [0x9090_9090_9090_078b, 0x9090_9090_9090_3789, 0x9090_9090_9037_01f0, 0x9090_9090_9090_0b0f];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for exit in EXITS {
        for count in 1..=LONGEST {
            for prefix in PREFIXES {
                tally.count(prefixed(&[prefix; LONGEST][..count], exit));
            }
        }
        for _ in 0..200 {
            let random = setting.random.next().to_le_bytes();
            let prefixes = random.map(|byte| PREFIXES[usize::from(byte) % PREFIXES.len()]);
            tally.count(prefixed(&prefixes[..usize::from(random[0] % 8)], exit));
        }
        tally.part(format_args!("prefixes of {exit:02x?}"));
        for before in 0..=exit.len() as u64 {
            for next in [true, false] {
                tally.count(straddling(exit, before, next, [PRIORITY, 0, 0, 0]));
            }
        }
        tally.part(format_args!("{exit:02x?} across pages"));
    }
    for _ in 0..RANDOM {
        tally.count(generated(&store(setting), [PRIORITY, 0x20, 0, 1]));
    }
    tally.part(format_args!("random accesses of a local APIC"));
    racing(tally);
}

fn prefixed(prefixes: &[u8], instruction: &[u8]) -> crate::hostile::Outcome {
    let mut bytes = [0; LONGEST + 3];
    bytes[..prefixes.len()].copy_from_slice(prefixes);
    let length = prefixes.len() + instruction.len();
    bytes[prefixes.len()..length].copy_from_slice(instruction);
    generated(&bytes[..length], [PRIORITY, 0, 0, 0])
}

/// Random prefix and opcode with a memory operand at RDI, and NOPs, which an immediate may take; opcodes that change
/// control, stack or flags that this guest needs are left out by their first byte.
fn store(setting: &mut Setting) -> [u8; 8] {
    loop {
        let [prefix, rex, opcode, second, register, ..] = setting.random.next().to_le_bytes();
        let prefix = PREFIXES[usize::from(prefix) % 11];
        let rex = 0x40 | rex & 0x0c;
        // A register operand is one that a function may change: AX, CX, DX, BX, R8 to R11.
        let register = if is_group(opcode) { register & 0x38 } else { register & 0x18 };
        let operand = register | 0x07;
        match opcode {
            0x0f if harmless_two(second) => {
                return [prefix, rex, 0x0f, second, operand, 0x90, 0x90, 0x90];
            }
            0x0f => (),
            _ if harmless(opcode) => return [prefix, rex, opcode, operand, 0x90, 0x90, 0x90, 0x90],
            _ => (),
        }
    }
}

/// Opcodes with a memory operand: ALU, MOV, XCHG, TEST, shifts, groups without jumps.
fn harmless(opcode: u8) -> bool {
    matches!(opcode,
        0x00..=0x3f if opcode & 7 < 4)
        || matches!(opcode, 0x63 | 0x69 | 0x6b | 0x80..=0x8b | 0xc0 | 0xc1 | 0xc6 | 0xd0..=0xd3 | 0xf6 | 0xfe)
}

/// Opcodes whose register field is part of the opcode.
fn is_group(opcode: u8) -> bool {
    matches!(opcode, 0x80..=0x83 | 0xc0 | 0xc1 | 0xc6 | 0xd0..=0xd3 | 0xf6 | 0xfe)
}

/// Two-byte opcodes with a memory operand: SSE moves, SETcc, CMOVcc, bit tests, MOVZX, CMPXCHG, XADD.
fn harmless_two(opcode: u8) -> bool {
    matches!(opcode, 0x10..=0x17 | 0x28..=0x2f | 0x40..=0x7f | 0x90..=0x9f | 0xa3..=0xa5 | 0xab..=0xad
        | 0xaf..=0xb1 | 0xb3 | 0xb6..=0xc6 | 0xd0..=0xfe)
}

/// The bytes of an access change while it is carried out.
fn racing(tally: &mut Tally) {
    interrupts::init();
    let raced = race(RACING, |run| {
        for _ in 0..RACES {
            tally.count(run([PRIORITY, 0x20, 0, 0]));
        }
    });
    if raced.is_err() {
        println!("mischief: no second vCPU to change instructions");
    }
    tally.part(format_args!("changing instructions"));
}
