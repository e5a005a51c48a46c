// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that access an emulated device: decoded from the guest's bytes,
//! carried out access by access. One with two accesses exits twice; what is left
//! of it waits in the vCPU.

use super::state::segment;
use super::vcpu::{Attention, Vcpu, each};
use crate::exit::{Destination, Direction, Exit, MemoryAccess};
use crate::fault::{GuestFault, Why};
use devices::Size;
use devices::x86::decode::{self, Instruction, Operation, PlainMove, Register, Source};
use devices::x86::qualification::Violation;
use paging::GuestPhys;

/// What is left of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    instruction: Instruction,
    address: GuestPhys,
    /// What is to be stored next, if the load was done.
    store: Option<u64>,
}

/// The flags that arithmetic changes: CF, PF, AF, ZF, SF, OF.
const ARITHMETIC: u64 = 0x8d5;

impl Vcpu {
    /// An access where no memory is, or none that allows it.
    #[inline(always)]
    pub(super) fn memory_access(&mut self, violation: Violation, address: u64) -> Exit {
        if self.attention.contains(Attention::EVENT) {
            return Exit::Fault(GuestFault::Stop(Why::Undeliverable));
        }
        if violation.fetch {
            return Exit::Fault(GuestFault::NoCode);
        }
        if !violation.own || violation.present {
            return Exit::Fault(GuestFault::NoDevice);
        }
        let address = GuestPhys::new(address);
        if each!(self, guest => guest.in_64_bit_code())
            && let Some(found) = decode::plain_move(self.word())
        {
            return self.plain_access(found, address);
        }
        self.other_access(address, violation.write)
    }

    /// A load or store that is done with its one access.
    #[inline(always)]
    fn plain_access(&mut self, found: PlainMove, address: GuestPhys) -> Exit {
        let PlainMove { length, size, register, store } = found;
        self.length = length;
        let direction = match store {
            true => Direction::Write(self.get(register) & size.mask()),
            false => Direction::Read,
        };
        let destination = Destination { register, sign_extend: false, wide: true };
        Exit::Memory(MemoryAccess { address, size, direction, destination })
    }

    /// The first access of any other instruction.
    #[inline(never)]
    fn other_access(&mut self, address: GuestPhys, write: bool) -> Exit {
        let mode = self.mode();
        let decoded = self.instruction(mode).and_then(|code| {
            let (bytes, len) = code.bytes();
            decode::decode(bytes.get(..len).unwrap_or(&[]), mode)
        });
        let Some(instruction) = decoded else {
            return Exit::Fault(GuestFault::NoDevice);
        };
        self.length = instruction.length;
        let direction = match instruction.operation {
            Operation::Store(source) => Direction::Write(self.operand(source, instruction.size)),
            Operation::Load { .. } => Direction::Read,
            Operation::Modify(..)
            | Operation::Combine(..)
            | Operation::Exchange(_)
            | Operation::StoreString
            | Operation::MoveString => return self.rare_access(instruction, address, write),
        };
        self.step = Some(Step { instruction, address, store: None });
        access(address, instruction.size, direction)
    }

    /// The first access of an instruction that does more than load or store.
    fn rare_access(&mut self, instruction: Instruction, address: GuestPhys, write: bool) -> Exit {
        let size = instruction.size;
        let mask = instruction.address.mask();
        let moves = matches!(instruction.operation, Operation::MoveString);
        if moves && each!(self, guest => guest.level()) != 0 {
            // User code would be let past the rights of its pages, which are not looked at here.
            return Exit::Fault(GuestFault::NoDevice);
        }
        let direction = match instruction.operation {
            Operation::StoreString => Direction::Write(self.registers[0] & size.mask()),
            Operation::MoveString if write => {
                let from = usize::from(instruction.segment).min(segment::GS);
                let at = self.linear(from, self.get(6) & mask);
                match self.view().load(at, size.bytes()) {
                    Some(value) => Direction::Write(value),
                    None => return Exit::Fault(GuestFault::NoDevice),
                }
            }
            Operation::MoveString
            | Operation::Load { .. }
            | Operation::Store(_)
            | Operation::Modify(..)
            | Operation::Combine(..)
            | Operation::Exchange(_) => Direction::Read,
        };
        self.step = Some(Step { instruction, address, store: None });
        access(address, size, direction)
    }

    /// The second access of an instruction.
    #[inline(never)]
    pub(super) fn next_access(&mut self) -> Exit {
        match self.step {
            Some(Step { instruction, address, store: Some(value) }) => {
                access(address, instruction.size, Direction::Write(value))
            }
            _ => Exit::Done,
        }
    }

    /// Ends an access of an instruction that is not plain.
    #[inline(never)]
    pub(super) fn end_access(&mut self, direction: Direction, value: u64) {
        let Some(step) = self.step.take() else { return };
        let Instruction { operation, size, .. } = step.instruction;
        match operation {
            Operation::Load { register, sign, width } => {
                let extended = size.extend(value, sign, true);
                self.set_part(register, width, extended);
                self.advance();
            }
            Operation::Store(_) => self.advance(),
            Operation::Modify(..)
            | Operation::Combine(..)
            | Operation::Exchange(_)
            | Operation::StoreString
            | Operation::MoveString => {
                self.end_rare(step, direction, value & size.mask());
            }
        }
    }

    fn end_rare(&mut self, step: Step, direction: Direction, value: u64) {
        let Instruction { operation, size, repeat, address, .. } = step.instruction;
        let stored = step.store.is_some() || matches!(direction, Direction::Write(_));
        let mask = address.mask();
        match operation {
            Operation::Modify(alu, source) if !stored => {
                let (result, flags) =
                    alu.apply(size, value, self.operand(source, size), self.rflags());
                self.set_arithmetic(flags);
                match result {
                    Some(result) => self.store_next(step, result),
                    None => self.advance(),
                }
            }
            Operation::Combine(alu, register) => {
                let own = self.part(register, size);
                let (result, flags) = alu.apply(size, own, value, self.rflags());
                self.set_arithmetic(flags);
                if let Some(result) = result {
                    self.set_part(register, size, result);
                }
                self.advance();
            }
            Operation::Exchange(register) if !stored => {
                let own = self.part(register, size);
                self.set_part(register, size, value);
                self.store_next(step, own);
            }
            Operation::StoreString => {
                self.step_pointer(7, size, mask);
                self.count_down(repeat, mask);
            }
            Operation::MoveString => self.end_move(step, stored, value),
            Operation::Modify(..)
            | Operation::Exchange(_)
            | Operation::Load { .. }
            | Operation::Store(_) => self.advance(),
        }
    }

    /// One element of MOVS: loaded from a device, it goes to memory or to a device.
    fn end_move(&mut self, step: Step, stored: bool, value: u64) {
        let Instruction { size, repeat, address, .. } = step.instruction;
        let mask = address.mask();
        let view = self.view();
        let to = self.linear(segment::ES, self.get(7) & mask);
        if !stored && view.store(to, size.bytes(), value).is_none() {
            match view.translate(to) {
                Some(address) => return self.store_next(Step { address, ..step }, value),
                None => {
                    self.raise(super::state::exception::PROTECTION);
                    return;
                }
            }
        }
        self.step_pointer(6, size, mask);
        self.step_pointer(7, size, mask);
        self.count_down(repeat, mask);
    }

    /// The instruction has one more store to do.
    fn store_next(&mut self, step: Step, value: u64) {
        self.step = Some(Step { store: Some(value), ..step });
        self.attention.insert(Attention::ACCESS);
    }

    fn operand(&self, source: Source, size: Size) -> u64 {
        match source {
            Source::Register(register) => self.part(register, size),
            Source::Immediate(value) => value & size.mask(),
        }
    }

    /// What an operand of this size reads.
    fn part(&self, register: Register, size: Size) -> u64 {
        let value = self.get(register.number);
        if register.high { value >> 8 & 0xff } else { value & size.mask() }
    }

    /// Writes an operand of this size; 32 bits clear the upper half.
    fn set_part(&mut self, register: Register, width: Size, value: u64) {
        let old = self.get(register.number);
        let new = match width {
            Size::Byte if register.high => old & !0xff00 | (value & 0xff) << 8,
            Size::Byte | Size::Half => old & !width.mask() | value & width.mask(),
            Size::Word | Size::Double => value & width.mask(),
        };
        self.set(register.number, new);
    }

    fn set_arithmetic(&mut self, flags: u64) {
        each!(mut self, guest => {
            let kept = guest.rflags() & !ARITHMETIC;
            guest.set_rflags(kept | flags & ARITHMETIC);
        });
    }
}

/// The access itself. Where a loaded value goes is the step's to know.
fn access(address: GuestPhys, size: Size, direction: Direction) -> Exit {
    let destination = Destination { register: 0, sign_extend: false, wide: false };
    Exit::Memory(MemoryAccess { address, size, direction, destination })
}
