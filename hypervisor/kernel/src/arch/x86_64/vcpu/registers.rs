// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the run loop and the decoders do with a guest's registers, and what is
//! told of them when its partition stops.

use super::super::fetch::{Code, View};
use super::super::state::{EFER_LMA, Event, RFLAGS_TF, RFLAGS_VM, Segment, exception, segment};
use super::{Attention, Backend, Vcpu};
use crate::exit::{Direction, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::{GuestFault, Why};
use crate::partition::Partition;
use core::fmt;
use devices::x86::Mode;

/// Between the run loop and the guest's registers.
impl Vcpu {
    /// A register's value.
    #[inline(always)]
    pub(in super::super) fn get(&self, register: u8) -> u64 {
        if register == 4 {
            return each!(self, guest => guest.rsp());
        }
        self.registers[usize::from(register & 15)]
    }

    /// Sets a register.
    #[inline(always)]
    pub(in super::super) fn set(&mut self, register: u8, value: u64) {
        if register == 4 {
            return each!(mut self, guest => guest.set_rsp(value));
        }
        self.registers[usize::from(register & 15)] = value;
    }

    pub(in super::super) fn rflags(&self) -> u64 {
        each!(self, guest => guest.rflags())
    }

    #[inline(always)]
    pub(in super::super) fn segment(&self, number: usize) -> Segment {
        each!(self, guest => guest.segment(number))
    }

    /// How the guest reads instructions now.
    #[inline(always)]
    pub(in super::super) fn mode(&self) -> Mode {
        const L: u16 = 1 << 9;
        const D: u16 = 1 << 10;
        let code = each!(self, guest => guest.code_attributes());
        if each!(self, guest => guest.efer()) & EFER_LMA != 0 && code & L != 0 {
            Mode::Bits64
        } else if code & D != 0 && self.rflags() & RFLAGS_VM == 0 {
            Mode::Bits32
        } else {
            Mode::Bits16
        }
    }

    /// How the guest translates now.
    #[inline(always)]
    pub(in super::super) fn view(&self) -> View {
        each!(self, guest => View {
            cr0: guest.cr0(),
            cr3: guest.cr3(),
            cr4: guest.cr4(),
            efer: guest.efer(),
            ram: self.controls.ram,
        })
    }

    /// The first eight bytes of the next instruction in 64-bit code, if they are quickly told;
    /// else zero, where [`Vcpu::instruction`] may find them.
    #[inline(always)]
    pub(in super::super) fn word(&self) -> u64 {
        let (rip, cr3) = each!(self, guest => (guest.rip(), guest.cr3()));
        View { cr0: 0, cr3, cr4: 0, efer: 0, ram: self.controls.ram }.word(self.window_place, rip)
    }

    /// The next instruction, which the guest reads in this mode.
    #[inline(never)]
    pub(in super::super) fn instruction(&self, mode: Mode) -> Option<Code> {
        let mut rip = each!(self, guest => guest.rip());
        if mode != Mode::Bits64 {
            rip = self.segment(segment::CS).base.wrapping_add(rip) & 0xffff_ffff;
        }
        self.view().code(rip)
    }

    /// The instruction is behind the guest.
    #[inline(always)]
    pub(in super::super) fn advance(&mut self) {
        let length = u64::from(self.length);
        let steps = each!(mut self, guest => {
            let next = guest.rip().wrapping_add(length);
            guest.set_rip(next);
            guest.end_shadow();
            guest.rflags() & RFLAGS_TF != 0
        });
        if steps {
            self.end_step();
        }
    }

    /// The guest steps from instruction to instruction: #DB follows the one that was carried out
    /// for it, unless that ended otherwise (Intel SDM, volume 3: "Single-Step Exception Condition").
    #[cold]
    #[inline(never)]
    fn end_step(&mut self) {
        const SINGLE_STEP: u64 = 1 << 14;
        // Where the exit came behind the instruction, the CPU has its #DB pending.
        if self.length != 0 && !self.attention.contains(Attention::EVENT) {
            each!(mut self, guest => guest.add_debug_status(SINGLE_STEP));
            let _ = self.raise(Event::exception(exception::DEBUG));
        }
    }

    /// Ends a memory access. A plain load's value fills its register: 32 bits clear the upper half.
    #[inline(always)]
    pub fn complete_memory(&mut self, access: &MemoryAccess, value: u64) {
        if self.step.is_some() {
            return self.end_access(access.direction, value);
        }
        if access.direction == Direction::Read {
            self.set(access.destination.register, value & access.size.mask());
        }
        self.advance();
    }

    /// Ends a port access: an IN's value reaches its register, the upper half of which
    /// becomes zero where it has 32 bits.
    #[inline(always)]
    pub fn complete_port(&mut self, access: &PortAccess, value: u64) {
        if self.string.is_some() {
            return self.end_string(*access, value);
        }
        if access.direction == Direction::Read {
            let mask = access.size.mask();
            let kept = if mask == 0xffff_ffff { 0 } else { self.registers[0] & !mask };
            self.registers[0] = kept | value & mask;
        }
        self.advance();
    }

    /// Ends a register access: the value is in EDX and EAX.
    #[inline(always)]
    pub fn complete_register(&mut self, access: &RegisterAccess, value: u64) {
        if access.direction == Direction::Read {
            self.registers[0] = value & 0xffff_ffff;
            self.registers[2] = value >> 32;
        }
        self.advance();
    }

    /// Gives a call its result.
    #[inline(always)]
    pub fn complete_call(&mut self, result: u64) {
        self.registers[0] = result;
        self.advance();
    }

    /// It waits until something wakes it.
    pub fn skip(&mut self) {
        if !self.attention.contains(Attention::HALTED) {
            self.advance();
            self.attention.insert(Attention::HALTED);
        }
    }

    /// Caches are coherent.
    #[must_use]
    pub fn take_clean(&mut self) -> bool {
        false
    }

    /// Answers a fault inside the guest, or tells that the partition must stop.
    ///
    /// # Errors
    /// Why it must stop.
    #[cold]
    pub fn inject(&mut self, fault: GuestFault, _partition: &Partition) -> Result<(), Why> {
        self.answer_fault(fault)
    }

    /// What the guest looked like when its partition was stopped, on the console.
    #[cold]
    pub fn record(&self, why: Why, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let view = self.view();
        let (rip, code) = (each!(self, guest => guest.rip()), self.segment(segment::CS).base);
        tell(format_args!(
            "vCPU {} at {rip:#x}, code base {code:#x}, flags {:#x}, cr0 {:#x}, cr3 {:#x}, cr4 {:#x}: {why}",
            self.index,
            self.rflags(),
            view.cr0,
            view.cr3,
            view.cr4,
        ));
        let words = each!(self, guest => guest.exit_words());
        tell(format_args!("exit {:#x} {:#x} {:#x}", words[0], words[1], words[2]));
        if let (Backend::Vmx(guest), Why::UnknownExit) = (&self.backend, why) {
            guest.record(tell);
        }
        for (number, r) in self.registers.as_chunks::<4>().0.iter().enumerate() {
            let [a, b, c, d] = r;
            tell(format_args!("r{} {a:#x} {b:#x} {c:#x} {d:#x}", 4 * number));
        }
    }
}
