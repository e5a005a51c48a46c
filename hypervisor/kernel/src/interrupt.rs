// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical interrupt: the guest's own, a wish of another CPU, a deadline, or
//! something typed.

use crate::MAILBOX;
use crate::arch::{self, Vcpu};
use crate::bell::{Bell, Wish};
use crate::console::{self, Typed};
use crate::mailbox;
use crate::partition::Partition;
use crate::run::{Answer, Next};

/// A physical interrupt that was acknowledged. A guest's stays active until the
/// guest ends it; the others are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// One of the vCPU's own timers, its PMU, or a device line, by its number.
    Guest(u32),
    /// Another CPU left a wish.
    Kick,
    /// A time that was asked for has come.
    Deadline,
    /// The virtual interrupt controller wants a refresh.
    Refresh,
    /// Something was typed.
    Console,
    /// Nothing was pending any more.
    None,
}

/// Bytes taken from the UART in one exit.
const TYPED_AT_ONCE: usize = 32;

/// Answers the interrupt that made the guest exit.
#[inline(always)]
pub fn answer(vcpu: &mut Vcpu, partition: &Partition) -> Answer {
    match arch::acknowledge() {
        Interrupt::Guest(intid) => {
            partition.platform.raise_hardware(intid, vcpu, partition);
            Ok(Next::Resume)
        }
        Interrupt::Kick => Ok(wishes(vcpu, partition)),
        own @ (Interrupt::Deadline | Interrupt::Refresh | Interrupt::Console | Interrupt::None) => {
            answer_own(own, vcpu, partition);
            Ok(Next::Resume)
        }
    }
}

/// The hypervisor's own interrupts.
#[inline(never)]
fn answer_own(interrupt: Interrupt, vcpu: &mut Vcpu, partition: &Partition) {
    match interrupt {
        Interrupt::Guest(_) | Interrupt::Kick | Interrupt::None => {}
        Interrupt::Refresh => refresh(vcpu, partition),
        Interrupt::Deadline => deadline(vcpu, partition),
        Interrupt::Console => typed(),
    }
}

/// The vCPU looks at its interrupts, where that is not the common thing to do.
#[inline(never)]
pub fn refresh(vcpu: &mut Vcpu, partition: &Partition) {
    partition.platform.refresh(vcpu, partition);
}

/// What other CPUs want of this vCPU; mostly that it looks at its interrupts.
#[inline(always)]
fn wishes(vcpu: &mut Vcpu, partition: &Partition) -> Next {
    let Some(bell) = partition.bells.get(vcpu.index()) else { return Next::Resume };
    if !bell.take_alone(Wish::REFRESH) {
        return rare_wishes(bell, vcpu, partition);
    }
    partition.platform.refresh(vcpu, partition);
    Next::Resume
}

/// Other wishes, or several.
#[inline(never)]
fn rare_wishes(bell: &Bell, vcpu: &mut Vcpu, partition: &Partition) -> Next {
    let wishes = bell.take(Wish::REFRESH | Wish::CHANNEL);
    if wishes.contains(Wish::REFRESH) {
        refresh(vcpu, partition);
    }
    if wishes.contains(Wish::CHANNEL) {
        channels(vcpu, partition);
    }
    if wishes.intersects(Wish::CONTROL) { Next::Yield } else { Next::Resume }
}

/// Rings the bells that are due.
fn channels(vcpu: &mut Vcpu, partition: &Partition) {
    for port in &partition.channels {
        if port.is_due() {
            partition.platform.pulse(port.interrupt, vcpu, partition);
        }
    }
}

/// Something on this CPU wanted to be done at a time that has come.
fn deadline(vcpu: &mut Vcpu, partition: &Partition) {
    #[cfg(feature = "panic-test")]
    crate::drill::deadline();
    console::pump();
    partition.platform.terminal_deadline(vcpu, partition);
    channels(vcpu, partition);
    if vcpu.index() == 0 {
        partition.look();
    }
}

/// Gives what was typed to the partition in focus.
fn typed() {
    let partitions = arch::shared().partitions();
    for _ in 0..TYPED_AT_ONCE {
        let Some((typed, focus)) = console::typed() else { return };
        match typed {
            Typed::Byte(byte) => {
                if let Some(partition) = partitions.get(focus) {
                    let _ = partition.platform.typed(byte, partition);
                }
            }
            Typed::Focus(index) => move_focus(partitions, focus, index),
            Typed::Frame(frame, line) if MAILBOX => mailbox::serve_host(&frame, line),
            Typed::Frame(..) | Typed::Nothing => {}
            Typed::Next => move_focus(partitions, focus, (focus + 1) % partitions.len().max(1)),
        }
    }
}

/// Gives the focus to another partition, and says so.
pub fn move_focus(partitions: &[&Partition], from: usize, to: usize) {
    let Some(new) = partitions.get(to) else { return };
    if let Some(old) = partitions.get(from) {
        old.platform.set_focus(false);
    }
    new.platform.set_focus(true);
    console::set_focus(to);
    if let Some(bell) = new.bells.first() {
        arch::route_console(bell.cpu());
    }
    console::say(format_args!("focus: {}", new.name));
}
