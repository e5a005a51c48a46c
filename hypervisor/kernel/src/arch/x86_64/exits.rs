// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an exit asks for, decoded by the pure functions of `devices`, in words
//! that name no maker. An exit nobody knows is a fault of the guest.

use super::control;
use super::has_arrived;
use super::state::{Event, RFLAGS_DF, exception, segment};
use super::svm::code;
use super::sysreg;
use super::time;
use super::vcpu::{Attention, Backend, Vcpu, each};
use super::vmx::{self, fields as field, reason};
use crate::exit::{Call, Destination, Direction, Exit, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::{GuestFault, Why};
use abi::platform::pc::LOCAL_APIC;
use devices::Size;
use devices::apic::X2APIC_FIRST;
use devices::x86::Mode;
use devices::x86::cpuid::{self, Leaf};
use devices::x86::length::{self, Intercepted};
use devices::x86::qualification::{self, Control, PortIo};
use paging::GuestPhys;

/// A string instruction on a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortString {
    repeat: bool,
    /// How much of RSI, RDI and RCX counts.
    mask: u64,
}

/// The local APIC's register that ends an interrupt.
const END: u32 = 0xb;
const CR4_OSXSAVE: u64 = 1 << 18;

impl Vcpu {
    fn svm(&self) -> Option<&super::svm::Guest> {
        match &self.backend {
            Backend::Svm(guest) => Some(guest),
            Backend::Vmx(_) => None,
        }
    }

    /// What AMD-V's EXITCODE asks for.
    #[inline(always)]
    pub(super) fn decode_svm(&mut self, exit: u64) -> Exit {
        let [info1, info2] = self.svm().map_or([0; 2], super::svm::Guest::exit_info);
        if let Some(event) = self.svm().and_then(super::svm::Guest::interrupted) {
            self.event = event;
            self.attention.insert(Attention::EVENT);
        }
        if exit == code::INTERRUPT {
            return Exit::Interrupt;
        }
        if has_arrived() {
            self.attention.insert(Attention::ARRIVED);
        }
        match exit {
            code::CPUID => match self.measure(Intercepted::Cpuid) {
                true => self.identify(),
                false => self.raise(exception::UNDEFINED),
            },
            code::VMMCALL => match self.measure(Intercepted::Call) {
                true => self.call(),
                false => self.raise(exception::UNDEFINED),
            },
            code::PORT => {
                let rip = each!(self, guest => guest.rip());
                self.length = info2.wrapping_sub(rip) as u8;
                self.port_access(qualification::svm_port(info1))
            }
            code::MSR if self.measure(Intercepted::Msr) => self.register_access(info1 & 1 != 0),
            code::NESTED_FAULT => self.memory_access(qualification::nested_fault(info1), info2),
            code::HLT if self.measure(Intercepted::Hlt) => Exit::Idle,
            code::WINDOW => self.window(),
            other => self.rare_svm(other, info1),
        }
    }

    #[cold]
    #[inline(never)]
    fn rare_svm(&mut self, exit: u64, info1: u64) -> Exit {
        const DEBUG: u64 = code::EXCEPTION + exception::DEBUG as u64;
        const ALIGNMENT: u64 = code::EXCEPTION + exception::ALIGNMENT as u64;
        match exit {
            code::NMI | code::INIT => Exit::Done,
            code::IRET => {
                if let Backend::Svm(guest) = &mut self.backend {
                    guest.end_nmi();
                }
                Exit::Done
            }
            code::READ_CR..code::WRITE_CR if self.measure(Intercepted::MovControl) => {
                self.control(info1, |vcpu, register| vcpu.read_control(exit as u8, register))
            }
            code::WRITE_CR..0x20 if self.measure(Intercepted::MovControl) => {
                let control = (exit - code::WRITE_CR) as u8;
                self.control(info1, |vcpu, register| vcpu.write_control(control, register))
            }
            code::INVD if self.measure(Intercepted::Invd) => self.done(),
            code::WBINVD if self.measure(Intercepted::Wbinvd) => self.done(),
            code::XSETBV if self.measure(Intercepted::Xsetbv) => self.set_components(),
            code::RDPMC => self.raise(exception::PROTECTION),
            DEBUG => self.raise(Event::exception(exception::DEBUG)),
            ALIGNMENT => self.raise(Event::exception_with(exception::ALIGNMENT, 0)),
            code::SHUTDOWN => Exit::Fault(GuestFault::Stop(Why::Shutdown)),
            code::INVALID => Exit::Fault(GuestFault::Stop(Why::UnknownExit)),
            _ => self.raise(exception::UNDEFINED),
        }
    }

    /// What VT-x's exit reason asks for.
    #[inline(always)]
    pub(super) fn decode_vmx(&mut self, exit: u64) -> Exit {
        if let Some(event) = vmx::interrupted() {
            self.event = event;
            self.attention.insert(Attention::EVENT);
        }
        if exit == reason::INTERRUPT {
            return Exit::Interrupt;
        }
        if exit == reason::VIOLATION || exit == reason::APIC_ACCESS {
            let mut told = field::read(field::QUALIFICATION);
            let mut address = field::read(field::GUEST_PHYSICAL);
            if exit == reason::APIC_ACCESS {
                address = LOCAL_APIC + (told & 0xfff);
                told = qualification::vmx_apic_access(told);
            }
            return self.memory_access(qualification::ept_violation(told), address);
        }
        self.length = field::read(field::LENGTH) as u8;
        match exit {
            reason::CPUID => self.identify(),
            reason::VMCALL => self.call(),
            reason::PORT => {
                self.port_access(qualification::vmx_port(field::read(field::QUALIFICATION)))
            }
            reason::RDMSR => self.register_access(false),
            reason::WRMSR => self.register_access(true),
            reason::HLT => Exit::Idle,
            reason::APIC_WRITE => {
                self.apic_write(field::read(field::QUALIFICATION) as u32 >> 4 & 0xff)
            }
            other => self.rare_vmx(other),
        }
    }

    #[cold]
    #[inline(never)]
    fn rare_vmx(&mut self, exit: u64) -> Exit {
        match exit {
            reason::EXCEPTION => self.intercepted_exception(),
            reason::INIT | reason::NMI_WINDOW => Exit::Done,
            // What waits is taken: an entry would hold it back again.
            reason::PREEMPTION_TIMER => Exit::Interrupt,
            reason::WINDOW => self.window(),
            reason::CONTROL => self.vmx_control(),
            reason::VIRTUALIZED_EOI => {
                self.apic.ended(field::read(field::QUALIFICATION) as u8);
                self.apic_write(END)
            }
            reason::INVD | reason::WBINVD => self.done(),
            reason::XSETBV => self.set_components(),
            reason::RDPMC => self.raise(exception::PROTECTION),
            reason::TASK_SWITCH => {
                // Tasks are not switched: the instruction fails at the new task's selector.
                let (selector, _) =
                    qualification::vmx_task_switch(field::read(field::QUALIFICATION));
                self.raise(Event::exception_with(13, u32::from(selector) & 0xfff8))
            }
            reason::TRIPLE_FAULT => Exit::Fault(GuestFault::Stop(Why::Shutdown)),
            reason::MISCONFIGURATION | reason::INSTRUCTION_FAILED => {
                Exit::Fault(GuestFault::Stop(Why::UnknownExit))
            }
            failed if failed & reason::ENTRY_FAILED != 0 => {
                Exit::Fault(GuestFault::Stop(Why::UnknownExit))
            }
            _ => self.raise(exception::UNDEFINED),
        }
    }

    /// The guest has written a register of its virtualized local APIC: the instruction is done,
    /// what it asks for is not.
    #[inline(never)]
    fn apic_write(&mut self, register: u32) -> Exit {
        let value = self.apic.page().map_or(0, |page| page.get(register)).into();
        self.length = 0;
        let direction = Direction::Write(value);
        let destination = Destination { register: 0, sign_extend: false, wide: true };
        if self.apic.is_extended() {
            let number = X2APIC_FIRST | register;
            return Exit::Register(RegisterAccess { number, direction, destination });
        }
        let address = GuestPhys::new(LOCAL_APIC + u64::from(register << 4));
        Exit::Memory(MemoryAccess { address, size: Size::Word, direction, destination })
    }

    /// #DB or #AC, or an NMI of the machine, which is nobody's. DR6 is not written by the CPU
    /// when #DB exits; bits of it that a guest finds set stay so until it clears them.
    fn intercepted_exception(&mut self) -> Exit {
        const NMI: u64 = 2;
        let info = field::read(field::EXIT_EVENT);
        if info >> 8 & 7 == NMI {
            return Exit::Done;
        }
        if info as u8 == exception::ALIGNMENT {
            return self.raise(Event::exception_with(exception::ALIGNMENT, 0));
        }
        super::inject::add_debug_status(field::read(field::QUALIFICATION) & 0x600f);
        self.raise(Event::exception(exception::DEBUG))
    }

    /// An access to a control register.
    fn vmx_control(&mut self) -> Exit {
        match qualification::vmx_control(field::read(field::QUALIFICATION)) {
            Control::Write { control, register } => self.write_control(control, register),
            Control::Read { control, register } => self.read_control(control, register),
            // Both change bits that are the guest's own: they do not exit for those.
            Control::Clts | Control::Lmsw(_) => self.done(),
        }
    }

    /// A MOV to or from a control register: which general register, without decode assists.
    fn control(&mut self, info1: u64, carry_out: impl FnOnce(&mut Self, u8) -> Exit) -> Exit {
        let register = qualification::svm_control(info1).or_else(|| {
            let (bytes, len) = self.instruction(self.mode())?.bytes();
            control::operand(bytes.get(..len)?)
        });
        match register {
            Some(register) => carry_out(self, register),
            None => self.raise(exception::UNDEFINED),
        }
    }

    /// Learns how long the instruction is: from the CPU, or from its bytes. False if it is not
    /// the one that exited any more: another vCPU has written over it.
    #[inline(always)]
    fn measure(&mut self, expected: Intercepted) -> bool {
        if let Some(next) = self.svm().and_then(super::svm::Guest::next_rip) {
            self.length = next.wrapping_sub(each!(self, guest => guest.rip())) as u8 & 15;
            return true;
        }
        let mode = self.mode();
        let length = self.instruction(mode).and_then(|code| {
            let (bytes, len) = code.bytes();
            length::length(bytes.get(..len).unwrap_or(&[]), mode, expected)
        });
        self.length = length.unwrap_or(0);
        length.is_some()
    }

    /// The instruction needs nothing more.
    #[inline(always)]
    pub(super) fn done(&mut self) -> Exit {
        self.advance();
        Exit::Done
    }

    /// An exception, before the guest goes on.
    pub(super) fn raise(&mut self, event: Event) -> Exit {
        self.event = event;
        self.attention.insert(Attention::EVENT);
        Exit::Done
    }

    /// CPUID.
    #[inline(always)]
    pub(super) fn identify(&mut self) -> Exit {
        let host = |leaf, subleaf| {
            let found = sysreg::cpuid(leaf, subleaf);
            Leaf { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx }
        };
        let view = || cpuid::View {
            vcpu: self.index() as u8,
            vcpus: self.count as u8,
            tsc_hz: time::frequency(),
            components: control::components(),
            os_xsave: each!(self, guest => guest.cr4()) & CR4_OSXSAVE != 0,
            apic: self.apic.base() & 1 << 11 != 0,
        };
        let leaf = cpuid::visible(self.registers[0] as u32, self.registers[1] as u32, view, host);
        self.registers[0] = leaf.eax.into();
        self.registers[3] = leaf.ebx.into();
        self.registers[1] = leaf.ecx.into();
        self.registers[2] = leaf.edx.into();
        self.done()
    }

    /// A hypercall.
    #[inline(always)]
    pub(super) fn call(&mut self) -> Exit {
        Exit::Call(Call { function: self.registers[0] as u32, argument: self.registers[3] })
    }

    /// RDMSR or WRMSR.
    #[inline(always)]
    pub(super) fn register_access(&mut self, write: bool) -> Exit {
        let value = self.registers[2] << 32 | self.registers[0] & 0xffff_ffff;
        Exit::Register(RegisterAccess {
            number: self.registers[1] as u32,
            direction: if write { Direction::Write(value) } else { Direction::Read },
            destination: Destination { register: 0, sign_extend: false, wide: true },
        })
    }

    /// IN, OUT, INS or OUTS.
    #[inline(always)]
    pub(super) fn port_access(&mut self, access: PortIo) -> Exit {
        let PortIo { port, size, input, string, .. } = access;
        if string {
            return self.begin_string(access);
        }
        let value = self.registers[0] & size.mask();
        let direction = if input { Direction::Read } else { Direction::Write(value) };
        Exit::Port(PortAccess { port, size, direction })
    }

    /// One element of INS or OUTS. Only the kernel of a guest does that: user code would be
    /// let past the rights of its pages, which are not looked at here.
    #[cold]
    #[inline(never)]
    fn begin_string(&mut self, access: PortIo) -> Exit {
        let mask = match self.mode() {
            Mode::Bits64 => u64::MAX,
            Mode::Bits32 => 0xffff_ffff,
            Mode::Bits16 => 0xffff,
        };
        if each!(self, guest => guest.level()) != 0 {
            return self.raise(exception::PROTECTION);
        }
        if access.repeat && self.get(1) & mask == 0 {
            return self.done();
        }
        self.string = Some(PortString { repeat: access.repeat, mask });
        let direction = if access.input {
            Direction::Read
        } else {
            let at = self.linear(segment::DS, self.get(6) & mask);
            match self.view().load(at, access.size.bytes()) {
                Some(value) => Direction::Write(value),
                None => {
                    self.string = None;
                    return self.raise(exception::PROTECTION);
                }
            }
        };
        Exit::Port(PortAccess { port: access.port, size: access.size, direction })
    }

    /// A linear address.
    pub(super) fn linear(&self, number: usize, offset: u64) -> u64 {
        match self.mode() {
            Mode::Bits64 if number < segment::FS => offset,
            Mode::Bits64 => self.segment(number).base.wrapping_add(offset),
            Mode::Bits32 | Mode::Bits16 => {
                self.segment(number).base.wrapping_add(offset) & 0xffff_ffff
            }
        }
    }

    /// Ends one element; the instruction goes on until RCX is zero.
    #[cold]
    #[inline(never)]
    pub(super) fn end_string(&mut self, access: PortAccess, value: u64) {
        let Some(PortString { repeat, mask }) = self.string.take() else { return };
        let pointer = if access.direction == Direction::Read { 7 } else { 6 };
        if access.direction == Direction::Read {
            let at = self.linear(segment::ES, self.get(7) & mask);
            if self.view().store(at, access.size.bytes(), value).is_none() {
                self.raise(exception::PROTECTION);
                return;
            }
        }
        self.step_pointer(pointer, access.size, mask);
        self.count_down(repeat, mask);
    }

    /// RSI or RDI goes on by an element.
    pub(super) fn step_pointer(&mut self, register: u8, size: Size, mask: u64) {
        let step = size.bytes();
        let down = self.rflags() & RFLAGS_DF != 0;
        let old = self.get(register);
        let new = if down { old.wrapping_sub(step) } else { old.wrapping_add(step) };
        self.set_masked(register, new, mask);
    }

    /// One element of a string is done; without a next one the instruction is.
    pub(super) fn count_down(&mut self, repeat: bool, mask: u64) {
        if repeat {
            let left = self.get(1).wrapping_sub(1);
            self.set_masked(1, left, mask);
            if left & mask != 0 {
                return;
            }
        }
        self.advance();
    }

    /// Sets as much of a register as an address size uses; 32 bits clear the upper half.
    fn set_masked(&mut self, register: u8, value: u64, mask: u64) {
        let kept = if mask == 0xffff { self.get(register) & !mask } else { 0 };
        self.set(register, kept | value & mask);
    }
}
