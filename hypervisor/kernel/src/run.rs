// SPDX-License-Identifier: MIT OR Apache-2.0
//! The run loop: enter, exit, answer. One match from exits to handlers, which
//! share one signature; the same for every architecture.
//!
//! The kernel runs with interrupts masked: an interrupt is an exit, so no
//! handler is entered twice. A handler's error is the guest's, and is answered
//! in the guest or stops its partition.

use crate::arch::{self, Vcpu};
use crate::exit::{
    Call, CpuState, Exit, MemoryAccess, PortAccess, Power, PowerAnswer, RegisterAccess,
};
use crate::fault::GuestFault;
use crate::partition::{End, Partition};
use crate::statistics::Counters;
use crate::{bell, interrupt, records};
use abi::mailbox::body::Reason;
use paging::GuestPhys;

/// What the CPU's loop does after a vCPU's exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Enter it again.
    Resume,
    /// It waits for an interrupt.
    Wait,
    /// Look at its wishes and its work before it is entered again.
    Yield,
    /// It switched itself off.
    Off,
}

/// What a handler gives back.
pub type Answer = Result<Next, GuestFault>;

/// The loop of [`arch::run`].
#[inline(always)]
pub fn exits(vcpu: &mut Vcpu, partition: &Partition) -> Next {
    let counters = vcpu.counters();
    loop {
        let left = vcpu.enter();
        let begun = counters.begin();
        // Apart from the others, since it is the most frequent one and needs no decoding.
        let answer = if arch::is_interrupt(&left) {
            interrupted(counters, vcpu, partition)
        } else {
            answer(vcpu.decode(left), counters, vcpu, partition)
        };
        let next = match answer {
            Ok(next) => next,
            Err(fault) => fault_guest(fault, vcpu, partition),
        };
        counters.answered(begun);
        if next != Next::Resume {
            return next;
        }
    }
}

/// A physical interrupt came.
#[inline(always)]
fn interrupted(counters: &Counters, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    counters.count(Reason::Interrupt);
    interrupt::answer(vcpu, partition)
}

/// From an exit to its handler.
#[inline(always)]
fn answer(exit: Exit, counters: &Counters, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    match exit {
        Exit::Interrupt => interrupted(counters, vcpu, partition),
        Exit::Memory(access) => {
            counters.count(Reason::Memory);
            memory(access, vcpu, partition)
        }
        Exit::Port(access) => {
            counters.count(Reason::Port);
            port(access, vcpu, partition)
        }
        Exit::Register(access) => {
            counters.count(Reason::Register);
            register(access, vcpu, partition)
        }
        Exit::Call(request) => {
            counters.count(Reason::Call);
            call(request, vcpu, partition)
        }
        Exit::Power(request) => {
            counters.count(Reason::Power);
            power(request, vcpu, partition)
        }
        Exit::Idle => {
            counters.count(Reason::Idle);
            idle(vcpu)
        }
        Exit::Done => {
            counters.count(Reason::Other);
            Ok(Next::Resume)
        }
        Exit::Fault(fault) => {
            counters.count(Reason::Fault);
            Err(fault)
        }
    }
}

/// A load or store that no memory answers: an emulated device, a channel's
/// registers, or nothing.
#[inline(always)]
fn memory(access: MemoryAccess, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    let value = partition.platform.memory(&access, vcpu, partition)?;
    vcpu.complete_memory(&access, value);
    Ok(Next::Resume)
}

/// A port, of an emulated device or nobody's.
#[inline(always)]
fn port(access: PortAccess, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    let value = partition.platform.port(&access, vcpu, partition)?;
    vcpu.complete_port(&access, value);
    Ok(Next::Resume)
}

/// A system register that traps.
#[inline(always)]
fn register(access: RegisterAccess, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    let (value, next) = partition.platform.register(&access, vcpu, partition)?;
    vcpu.complete_register(&access, value);
    Ok(next)
}

/// A call that changes nothing.
#[inline(always)]
fn call(request: Call, vcpu: &mut Vcpu, _partition: &Partition) -> Answer {
    vcpu.complete_call(arch::answer_call(request));
    Ok(Next::Resume)
}

/// The guest waits, and its manifest wants that to be an exit.
fn idle(vcpu: &mut Vcpu) -> Answer {
    vcpu.skip();
    Ok(Next::Wait)
}

/// A request about vCPUs or the partition.
#[inline(never)]
fn power(request: Power, vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    let answer = match request {
        Power::CpuOn { target, entry, argument } => cpu_on(target, entry, argument, partition),
        Power::CpuState { target, level } => cpu_state(target, level, partition),
        Power::CpuOff => return Ok(Next::Off),
        Power::Suspend => {
            vcpu.complete_call(arch::power_result(PowerAnswer::Success));
            return Ok(Next::Wait);
        }
        Power::SystemOff => return Ok(end(partition, End::Off)),
        Power::SystemReset => return Ok(end(partition, End::Restart)),
    };
    vcpu.complete_call(arch::power_result(answer));
    Ok(Next::Resume)
}

/// Starts a vCPU of the same partition.
fn cpu_on(target: u64, entry: u64, argument: u64, partition: &Partition) -> PowerAnswer {
    let bell = arch::vcpu_named(target).and_then(|index| partition.bells.get(index));
    let Some(bell) = bell else { return PowerAnswer::InvalidParameters };
    if !partition.memory.iter().any(|memory| memory.holds(GuestPhys::new(entry))) {
        return PowerAnswer::InvalidAddress;
    }
    match partition.start_vcpu(bell, entry, argument) {
        Ok(()) => PowerAnswer::Success,
        Err(bell::NotOff::On) => PowerAnswer::AlreadyOn,
        Err(bell::NotOff::Pending) => PowerAnswer::OnPending,
    }
}

/// Tells whether a vCPU of the same partition runs.
fn cpu_state(target: u64, level: u64, partition: &Partition) -> PowerAnswer {
    let bell = arch::vcpu_named(target).and_then(|index| partition.bells.get(index));
    let (Some(bell), 0) = (bell, level) else { return PowerAnswer::InvalidParameters };
    PowerAnswer::State(match bell.state() {
        None => CpuState::Off,
        Some(bell::NotOff::On) => CpuState::On,
        Some(bell::NotOff::Pending) => CpuState::OnPending,
    })
}

/// Ends the partition; its wishes then stop this vCPU too.
fn end(partition: &Partition, how: End) -> Next {
    partition.end(how);
    Next::Yield
}

/// A guest fault: the guest's own exception, or the partition's end.
#[cold]
fn fault_guest(fault: GuestFault, vcpu: &mut Vcpu, partition: &Partition) -> Next {
    match vcpu.inject(fault, partition) {
        Ok(()) => Next::Resume,
        Err(why) => {
            records::partition_failed(partition, vcpu, why);
            end(partition, End::Fault(why))
        }
    }
}
