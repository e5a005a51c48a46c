// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU at EL2: entering the guest and coming back.
//!
//! Only the general registers are stored on an exit. The program counter, the
//! EL1 registers, the list registers, the timers and the floating-point state
//! stay in the CPU, because the kernel uses none of them, until another vCPU
//! takes the CPU. [`Vcpu::load`] puts a fresh set there.
//!
//! While the guest runs, the stack pointer points at the [`Vcpu`]; `head.s`
//! stores the registers there and jumps back into [`Vcpu::enter`].

use super::{calls, inject, state, sysreg};
use crate::exit::{Destination, Direction, Exit, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::{GuestFault, Why};
use crate::partition::Partition;
use crate::statistics::Counters;
use aarch64_cpu::registers::{HCR_EL2, Readable, Writeable};
use core::arch::{asm, global_asm};
use core::fmt;
use core::mem::offset_of;
use devices::esr::{self, Access, DataAbort, Status, Syndrome, SystemAccess, class};
use devices::loadstore::{self, Writeback};
use paging::GuestPhys;

/// The registers of one vCPU, and where the hypervisor goes on when it exits.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Vcpu {
    /// x0 to x30, then XZR: head.s puts zero there on every exit, so what is
    /// written to it is lost.
    x: [u64; 32],
    /// Stack pointer and program counter of the hypervisor.
    host_sp: [u64; 2],
    /// x19 and x29 of the hypervisor: Rust cannot name them as clobbered.
    host_x19: [u64; 2],
    /// Number within its partition.
    index: usize,
    /// What it did.
    counters: &'static Counters,
    /// A base register that changes when the current memory access ends.
    writeback: Option<Writeback>,
    /// The partition's memory must be cleaned before it is entered again.
    pub(super) wants_clean: bool,
    /// Stage 2, trap and identity registers.
    pub(super) controls: state::Controls,
}

global_asm!(
    ".equ VCPU_HOST_SP, {host_sp}",
    ".equ VCPU_HOST_X19, {host_x19}",
    include_str!("head.s"),
    host_sp = const offset_of!(Vcpu, host_sp),
    host_x19 = const offset_of!(Vcpu, host_x19),
);

const _: () = assert!(offset_of!(Vcpu, x) == 0);

/// Why the CPU came back, as `head.s` numbers it: for an interrupt, or for what
/// the syndrome tells, which may be an SError.
#[derive(Clone, Copy, Debug)]
pub struct Left(u64);

/// Whether it came back for an interrupt.
#[inline(always)]
#[must_use]
pub fn is_interrupt(left: &Left) -> bool {
    left.0 == 1
}

impl Vcpu {
    /// A vCPU with this number, which runs under these controls and counts there.
    #[must_use]
    pub fn new(index: usize, controls: state::Controls, counters: &'static Counters) -> Self {
        Self {
            x: [0; 32],
            host_sp: [0; 2],
            host_x19: [0; 2],
            index,
            counters,
            writeback: None,
            wants_clean: false,
            controls,
        }
    }

    /// What it did.
    #[must_use]
    #[inline(always)]
    pub fn counters(&self) -> &'static Counters {
        self.counters
    }

    /// Its number within its partition.
    #[must_use]
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Puts the state that the architecture has after reset into this CPU, to
    /// start at `entry` with `argument` in x0.
    pub fn load(&mut self, entry: u64, argument: u64) {
        self.x = [0; 32];
        self.x[0] = argument;
        self.writeback = None;
        self.wants_clean = false;
        self.controls.traps &= !state::Hcr::TVM.bits();
        state::reset(&self.controls);
        sysreg::set_pc(entry);
        sysreg::set_pstate(sysreg::EL1H_MASKED);
    }

    /// Stops what could still act on this CPU for a vCPU that is off.
    pub fn park(&mut self) {
        state::quiet();
    }

    /// Runs the guest until it exits.
    #[inline(always)]
    pub fn enter(&mut self) -> Left {
        let cause: u64;
        // SAFETY: `load` put this vCPU's EL1 state, stage 2 and traps into the CPU, so the
        // guest can touch nothing but its partition's memory and its own registers; head.s
        // stores exactly the registers listed here, restores x19, x29 and sp from `self`, and
        // `self` lives, unmoved, until it comes back.
        unsafe {
            asm!(
                "stp x19, x29, [x0, #{host_x19}]",
                "adr x2, 2f",
                "mov x1, sp",
                "stp x1, x2, [x0, #{host_sp}]",
                "mov sp, x0",
                "ldp x2, x3, [sp, #16]",
                "ldp x4, x5, [sp, #32]",
                "ldp x6, x7, [sp, #48]",
                "ldp x8, x9, [sp, #64]",
                "ldp x10, x11, [sp, #80]",
                "ldp x12, x13, [sp, #96]",
                "ldp x14, x15, [sp, #112]",
                "ldp x16, x17, [sp, #128]",
                "ldp x18, x19, [sp, #144]",
                "ldp x20, x21, [sp, #160]",
                "ldp x22, x23, [sp, #176]",
                "ldp x24, x25, [sp, #192]",
                "ldp x26, x27, [sp, #208]",
                "ldp x28, x29, [sp, #224]",
                "ldr x30, [sp, #240]",
                "ldp x0, x1, [sp]",
                "eret",
                "2:",
                host_sp = const offset_of!(Vcpu, host_sp),
                host_x19 = const offset_of!(Vcpu, host_x19),
                inout("x0") core::ptr::from_mut(self) => cause,
                out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x5") _, out("x6") _,
                out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _,
                out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                out("x18") _, out("x20") _, out("x21") _, out("x22") _, out("x23") _,
                out("x24") _, out("x25") _, out("x26") _, out("x27") _, out("x28") _,
                out("x30") _,
            );
        }
        Left(cause)
    }

    /// What a synchronous exception asks for.
    #[inline(always)]
    pub fn decode(&mut self, _left: Left) -> Exit {
        let esr = sysreg::esr();
        match esr::low_class(esr) {
            Some(class::HVC) => calls::decode(&self.x),
            Some(class::SMC) => {
                sysreg::skip_instruction();
                calls::decode(&self.x)
            }
            Some(class::SYSTEM_REGISTER) => self.system_register(esr::system_access(esr)),
            Some(_) => self.rare(),
            None => match esr::described(esr) {
                Some((access, write)) => self.device_access(access, write),
                None => self.rare(),
            },
        }
    }

    /// The other synchronous exceptions.
    #[cold]
    #[inline(never)]
    fn rare(&mut self) -> Exit {
        match esr::decode(sysreg::esr()) {
            Syndrome::Wait { .. } => Exit::Idle,
            Syndrome::InstructionAbort(_) => Exit::Fault(GuestFault::NoCode),
            Syndrome::DataAbort(_) => self.odd_abort(),
            Syndrome::SError => Exit::Fault(GuestFault::Stop(Why::SystemError)),
            Syndrome::Unknown
            | Syndrome::Hvc(_)
            | Syndrome::Smc(_)
            | Syndrome::SystemRegister(_)
            | Syndrome::FloatingPoint
            | Syndrome::Sve
            | Syndrome::Sme
            | Syndrome::PointerAuthentication
            | Syndrome::IllegalState
            | Syndrome::Alignment
            | Syndrome::Debug
            | Syndrome::Other(_) => Exit::Fault(GuestFault::Undefined),
        }
    }
}

/// Between the run loop and the guest's registers.
impl Vcpu {
    /// A register's value; 31 reads as zero.
    #[inline(always)]
    fn get(&self, register: u8) -> u64 {
        self.x[usize::from(register & 31)]
    }

    /// Sets a register; 31 is discarded.
    #[inline(always)]
    pub fn set(&mut self, register: u8, value: u64) {
        self.x[usize::from(register & 31)] = value;
    }

    /// Ends a memory access: the loaded value, if it was a load, reaches its
    /// register, and the instruction is behind the guest.
    #[inline(always)]
    pub fn complete_memory(&mut self, access: &MemoryAccess, value: u64) {
        if access.direction == Direction::Read {
            let Destination { register, sign_extend, wide } = access.destination;
            let value = match sign_extend {
                true => access.size.extend(value, true, wide),
                false => value & access.size.mask(),
            };
            self.set(register, value);
        }
        if self.writeback.is_some() {
            self.write_back();
        }
        sysreg::skip_instruction();
    }

    /// Never called: this architecture has no ports.
    pub fn complete_port(&mut self, _access: &PortAccess, _value: u64) {}

    /// Ends a register access in the same way.
    #[inline(always)]
    pub fn complete_register(&mut self, access: &RegisterAccess, value: u64) {
        if access.direction == Direction::Read {
            self.set(access.destination.register, value);
        }
        sysreg::skip_instruction();
    }

    /// The trapped instruction needs nothing more.
    pub fn skip(&mut self) {
        sysreg::skip_instruction();
    }

    /// What the guest looked like when its partition was stopped.
    #[cold]
    pub fn record(&self, why: Why, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
        tell(format_args!(
            "vCPU {} at pc {:#x}, pstate {:#x}, syndrome {:#x}, address {:#x}: {why}",
            self.index,
            sysreg::pc(),
            sysreg::pstate(),
            sysreg::esr(),
            sysreg::far(),
        ));
        for (number, x) in self.x.as_chunks::<4>().0.iter().enumerate() {
            let [a, b, c, d] = x;
            tell(format_args!("x{} {a:#x} {b:#x} {c:#x} {d:#x}", 4 * number));
        }
    }

    /// The guest gets an SError as soon as it has not masked it (Arm ARM, HCR_EL2.VSE).
    pub fn dump(&mut self) {
        HCR_EL2.set(HCR_EL2.get() | state::SERROR);
    }

    /// Gives a call its result. The program counter is behind it already.
    #[inline(always)]
    pub fn complete_call(&mut self, result: u64) {
        self.x[0] = result;
    }

    /// A plain load or store where no memory is.
    #[inline(always)]
    fn device_access(&mut self, access: Access, write: bool) -> Exit {
        let address = esr::guest_address(sysreg::far(), sysreg::hpfar());
        let direction = if write {
            Direction::Write(self.get(access.register) & access.size.mask())
        } else {
            Direction::Read
        };
        Exit::Memory(MemoryAccess {
            address: GuestPhys::new(address),
            size: access.size,
            direction,
            destination: Destination {
                register: access.register,
                sign_extend: access.sign_extend,
                wide: access.sixty_four,
            },
        })
    }

    /// The data aborts that are not a plain load or store of one register.
    fn odd_abort(&mut self) -> Exit {
        let abort = esr::data_abort(sysreg::esr());
        if abort.cache_maintenance && abort.status == Status::Translation {
            // Maintenance of an emulated device's address: there is nothing to maintain.
            sysreg::skip_instruction();
            return Exit::Done;
        }
        if abort.status == Status::Permission && !abort.walk {
            return self.flash_store(abort);
        }
        match self.undescribed(abort) {
            Some(access) => Exit::Memory(access),
            None => Exit::Fault(GuestFault::NoDevice),
        }
    }

    /// A store to read-only flash, all that a guest has and may not write: nothing happens, as
    /// at a chip that knows no such command. Maintenance of it is no command either.
    fn flash_store(&mut self, abort: DataAbort) -> Exit {
        if abort.access.is_none() && !abort.cache_maintenance {
            let Some(decoded) = super::fetch::instruction().and_then(loadstore::decode) else {
                return Exit::Fault(GuestFault::NoDevice);
            };
            self.writeback = decoded.writeback;
            self.write_back();
        }
        sysreg::skip_instruction();
        Exit::Done
    }

    /// The access of an instruction that the syndrome does not describe: fetched
    /// from the guest's memory and decoded. Pairs are not served: no register of
    /// an emulated device is meant for them.
    fn undescribed(&mut self, abort: DataAbort) -> Option<MemoryAccess> {
        if abort.status != Status::Translation || abort.walk || !abort.page_valid() {
            return None;
        }
        let decoded = loadstore::decode(super::fetch::instruction()?)?;
        if decoded.second.is_some() || decoded.write != abort.write {
            return None;
        }
        self.writeback = decoded.writeback;
        let value = self.get(decoded.first.register) & decoded.size.mask();
        Some(MemoryAccess {
            address: GuestPhys::new(esr::guest_address(sysreg::far(), sysreg::hpfar())),
            size: decoded.size,
            direction: if decoded.write { Direction::Write(value) } else { Direction::Read },
            destination: Destination {
                register: decoded.first.register,
                sign_extend: decoded.sign_extend,
                wide: decoded.sixty_four,
            },
        })
    }

    /// Adds to a base register; 31 is the stack pointer that the guest uses.
    #[cold]
    fn write_back(&mut self) {
        let Some(writeback) = self.writeback.take() else { return };
        let add = writeback.add.cast_unsigned();
        match writeback.base {
            31 => sysreg::add_to_stack_pointer(add),
            base => self.set(base, self.get(base).wrapping_add(add)),
        }
    }

    /// Answers a fault inside the guest, as the architecture prescribes, or
    /// tells that the partition must stop.
    #[cold]
    pub fn inject(&mut self, fault: GuestFault, partition: &Partition) -> Result<(), Why> {
        self.writeback = None;
        let syndrome = match fault {
            GuestFault::Undefined => inject::undefined(sysreg::esr()),
            GuestFault::NoDevice => inject::data_abort(sysreg::esr(), partition),
            GuestFault::NoCode => inject::instruction_abort(sysreg::esr(), partition),
            GuestFault::Stop(why) => return Err(why),
        };
        let address = match fault {
            GuestFault::NoDevice | GuestFault::NoCode => Some(sysreg::far()),
            GuestFault::Undefined | GuestFault::Stop(_) => None,
        };
        inject::enter(syndrome, address);
        Ok(())
    }

    /// A trapped system register.
    #[inline(always)]
    fn system_register(&mut self, access: SystemAccess) -> Exit {
        let value = self.get(access.transfer);
        let direction = if access.write { Direction::Write(value) } else { Direction::Read };
        Exit::Register(RegisterAccess {
            number: access.register.number(),
            direction,
            destination: Destination { register: access.transfer, sign_extend: false, wide: true },
        })
    }
}
