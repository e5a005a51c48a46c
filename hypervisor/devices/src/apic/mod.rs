// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU's local APIC: one state, seen through the page at `0xfee0_0000`
//! (xAPIC) or through MSRs (x2APIC).
//!
//! ```text
//!  I/O APIC, other vCPUs ──Message──> Posted ──merge──> IRR ──acknowledge──> ISR ──EOI──> gone
//!  timer ──────────────────────────────expire────────────^                             └─> I/O APICs
//! ```
//! The state belongs to the CPU of its vCPU and has no lock; what others send
//! goes through [`Posted`]. Interrupts wait in IRR until [`LocalApic::pending`]
//! names one, which the kernel injects and [`LocalApic::acknowledge`]s. Where the
//! CPU virtualizes local APICs, they wait in the [`Page`] instead, and the CPU does
//! all that follows, once [`LocalApic::hand_over`] has told it.
//!
//! Always: no vector below 16 is in IRR or ISR; a vector above the processor
//! priority is never held back. The APIC's id is the vCPU's number and does not
//! change. The timer counts at the TSC's frequency. There is no CMCI, no EOI
//! broadcast suppression, and the page cannot be moved.
//! Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)".

mod message;
mod page;
mod posted;
mod registers;
mod timer;
mod vectors;

pub use message::{Delivery, Destination, Message};
pub use page::{Handed, Page, needs_no_exit};
pub use posted::{Events, Posted};

use timer::Timer;
use vectors::Vectors;

/// Where the page of xAPIC is.
pub const PAGE: u64 = 0xfee0_0000;
/// Bytes of the page.
pub const PAGE_SIZE: u64 = 0x1000;
/// `IA32_APIC_BASE`.
pub const APIC_BASE: u32 = 0x1b;
/// `IA32_TSC_DEADLINE`.
pub const TSC_DEADLINE: u32 = 0x6e0;
/// First MSR of x2APIC; they end before `0x900`.
pub const X2APIC_FIRST: u32 = 0x800;
/// One past the last MSR of x2APIC.
pub const X2APIC_END: u32 = 0x900;

/// `IA32_APIC_BASE`: the bootstrap processor.
const BOOTSTRAP: u64 = 1 << 8;
/// `IA32_APIC_BASE`: x2APIC mode.
const EXTENDED: u64 = 1 << 10;
/// `IA32_APIC_BASE`: the APIC is enabled.
const ENABLED: u64 = 1 << 11;
/// Spurious-interrupt vector register: enabled by software.
const SOFTWARE_ENABLED: u32 = 1 << 8;
/// A local vector's mask.
const MASKED: u32 = 1 << 16;
/// A local vector's delivery mode, and what means "by the 8259".
const MODE: u32 = 7 << 8;
const EXTERNAL: u32 = 7 << 8;
/// Local vectors in the order of their registers.
const TIMER: usize = 0;
const LINT0: usize = 3;
const LINT1: usize = 4;
const ERROR: usize = 5;

/// A write or read that answers with a general-protection exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralProtection;

/// What a write to the local APIC asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Nothing.
    None,
    /// [`LocalApic::pending`] may answer differently.
    Pending,
    /// [`LocalApic::deadline`] may answer differently.
    Timer,
    /// Everything may answer differently, [`LocalApic::address`] too.
    Everything,
    /// The I/O APIC must hear the end of this level-triggered interrupt; then as [`Effect::Pending`].
    EndOfLevel(u8),
    /// [`LocalApic::deliver_to_one`] is to be called, or [`LocalApic::deliver`] if that gives none.
    Send,
}

/// The local APIC.
#[derive(Clone, Debug)]
pub struct LocalApic {
    irr: Vectors,
    isr: Vectors,
    tmr: Vectors,
    /// `IA32_APIC_BASE`.
    base: u64,
    id: u8,
    task_priority: u8,
    /// Errors that the error status register shows, and those since it was last written.
    errors: u8,
    new_errors: u8,
    spurious: u32,
    logical: u32,
    format: u32,
    vectors: [u32; 6],
    command: u64,
    timer: Timer,
    /// Where the CPU virtualizes it: what waits and what is in service is there and nowhere else.
    page: Option<&'static Page>,
    handed: Handed,
}

impl LocalApic {
    /// The local APIC of the vCPU with this number, as firmware leaves it: the
    /// first one is enabled and lets the 8259's interrupts through ("virtual wire").
    #[must_use]
    pub const fn new(vcpu: u8) -> Self {
        let mut apic = Self {
            irr: Vectors::NONE,
            isr: Vectors::NONE,
            tmr: Vectors::NONE,
            base: PAGE | ENABLED,
            id: vcpu,
            task_priority: 0,
            errors: 0,
            new_errors: 0,
            spurious: 0xff,
            logical: 0,
            format: u32::MAX,
            vectors: [MASKED; 6],
            command: 0,
            timer: Timer::STOPPED,
            page: None,
            handed: Handed::NOTHING,
        };
        if vcpu == 0 {
            apic.base |= BOOTSTRAP;
            apic.spurious = 0x1ff;
            apic.vectors[LINT0] = EXTERNAL;
            apic.vectors[LINT1] = 4 << 8;
        }
        apic
    }

    /// Back to what firmware left; also the guest's TSC is the machine's again.
    pub fn reset(&mut self) {
        let page = self.page;
        *self = Self::new(self.id);
        self.virtualize(page);
    }

    /// INIT: all registers are as after power-up, but the mode remains.
    pub fn init(&mut self) {
        let (base, offset, page) = (self.base, self.timer.offset, self.page);
        *self = Self::new(self.id);
        self.base = base;
        self.spurious = 0xff;
        self.vectors = [MASKED; 6];
        self.timer.offset = offset;
        self.set_extended_logical();
        self.virtualize(page);
    }

    /// In x2APIC mode the logical id follows from the id.
    const fn set_extended_logical(&mut self) {
        if self.is_extended() {
            let id = self.id as u32;
            self.logical = (id >> 4) << 16 | 1u32.wrapping_shl(id & 15);
        }
    }

    /// `IA32_APIC_BASE`.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Writes `IA32_APIC_BASE`: the modes change as the manual's figure allows.
    ///
    /// # Errors
    /// Reserved bits, a moved page, and transitions that there are not.
    pub fn set_base(&mut self, value: u64) -> Result<Effect, GeneralProtection> {
        const MODES: u64 = ENABLED | EXTENDED;
        let (old, new) = (self.base & MODES, value & MODES);
        let allowed = match (old, new) {
            (ENABLED, _) => new != EXTENDED,
            (MODES, _) => new == MODES || new == 0,
            _ => new == 0 || new == ENABLED,
        };
        if !allowed || value & !(MODES | BOOTSTRAP) != PAGE {
            return Err(GeneralProtection);
        }
        if new == 0 && old != 0 {
            self.init();
        }
        self.base = PAGE | new | self.base & BOOTSTRAP;
        if new != old {
            self.set_extended_logical();
            self.show_all();
        }
        Ok(Effect::Everything)
    }

    /// x2APIC mode.
    #[inline(always)]
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.base & EXTENDED != 0
    }

    /// xAPIC mode.
    #[inline(always)]
    #[must_use]
    pub const fn has_page(&self) -> bool {
        self.base & (ENABLED | EXTENDED) == ENABLED
    }

    /// Enabled, and by software too: it accepts interrupts.
    #[inline(always)]
    const fn accepts(&self) -> bool {
        const { assert!(ENABLED >> 3 == SOFTWARE_ENABLED as u64) }
        self.spurious as u64 & self.base >> 3 & SOFTWARE_ENABLED as u64 != 0
    }

    /// Where others find it, for [`Posted::publish`].
    #[must_use]
    pub const fn address(&self) -> u64 {
        let cluster = if self.format >> 28 == 0 { posted::CLUSTER } else { 0 };
        let form = if self.is_extended() { posted::X2APIC } else { cluster };
        self.logical as u64 | form
    }

    /// The task priority as CR8 shows it.
    #[inline(always)]
    #[must_use]
    pub const fn cr8(&self) -> u64 {
        (self.task_priority >> 4) as u64
    }

    /// Writes CR8.
    ///
    /// # Errors
    /// Bits above the low four.
    #[inline(always)]
    pub fn set_cr8(&mut self, value: u64) -> Result<Effect, GeneralProtection> {
        if value > 15 {
            return Err(GeneralProtection);
        }
        Ok(self.set_task_priority((value << 4 & 0xf0) as u8))
    }

    /// The processor priority: of the task, or of what is in service.
    #[inline(always)]
    const fn priority(&self) -> u8 {
        if self.isr.is_empty() {
            return self.task_priority;
        }
        let serviced = self.isr.highest() & 0xf0;
        if self.task_priority >= serviced { self.task_priority } else { serviced }
    }

    /// The interrupt that the processor takes next, unless its own flag masks it.
    #[inline(always)]
    #[must_use]
    pub const fn pending(&self) -> Option<u8> {
        let top = self.irr.highest();
        if top >> 4 > self.priority() >> 4 && self.accepts() { Some(top) } else { None }
    }

    /// The interrupt that is highest, whatever masks it, and the task priority that would
    /// have to be lower than its class: for an architecture's threshold. None waits with zero.
    #[inline(always)]
    #[must_use]
    pub const fn requested(&self) -> u8 {
        if self.accepts() { self.irr.highest() } else { 0 }
    }

    /// The processor takes the interrupt that [`LocalApic::pending`] named.
    #[inline(always)]
    pub const fn acknowledge(&mut self, vector: u8) {
        self.irr.clear(vector);
        if vector >= 16 {
            self.isr.set(vector);
        }
    }

    /// The guest ends the interrupt in service.
    #[inline(always)]
    pub const fn end_of_interrupt(&mut self) -> Effect {
        let vector = self.isr.highest();
        self.isr.clear(vector);
        if vector == 0 {
            Effect::None
        } else if self.tmr.contains(vector) {
            Effect::EndOfLevel(vector)
        } else {
            self.priority_changed()
        }
    }

    #[inline(always)]
    fn set_task_priority(&mut self, priority: u8) -> Effect {
        self.task_priority = priority;
        if let Some(page) = self.page {
            page.set(registers::number::TASK_PRIORITY, priority.into());
        }
        self.priority_changed()
    }

    /// The processor priority is another: of what waits, if anything does, the next may be too.
    #[inline(always)]
    const fn priority_changed(&self) -> Effect {
        if self.irr.is_empty() { Effect::None } else { Effect::Pending }
    }

    /// Takes what was posted. INIT and start-up are the caller's to carry out.
    #[inline(always)]
    pub fn merge(&mut self, posted: &Posted) -> Events {
        let accept = self.accepts();
        let Self { irr, tmr, page, handed, .. } = self;
        posted.take(accept, |word, new, level| match page {
            None => irr.merge(word, new, level, tmr),
            Some(page) => handed.merge(page, word, new, level),
        })
    }

    /// Whether the 8259's interrupts reach the processor.
    #[inline(always)]
    #[must_use]
    pub const fn passes_external(&self) -> bool {
        self.base & ENABLED == 0 || self.vectors[LINT0] & (MASKED | MODE) == EXTERNAL
    }

    /// When [`LocalApic::expire`] must be called, in ticks of the machine's TSC.
    #[inline(always)]
    #[must_use]
    pub const fn deadline(&self) -> Option<u64> {
        let vector = self.vectors[TIMER];
        if vector & MASKED != 0 { None } else { self.timer.due(vector) }
    }

    /// Time has passed: whether the timer's interrupt is now requested, and what
    /// [`LocalApic::deadline`] answers then.
    #[inline(always)]
    pub fn expire(&mut self, now: u64) -> (bool, Option<u64>) {
        let vector = self.vectors[TIMER];
        let (reached, next) = self.timer.expire(vector, now);
        let next = if vector & MASKED != 0 { None } else { next };
        (reached && self.request(vector), next)
    }

    /// An interrupt of its own, by a local vector.
    #[inline(always)]
    fn request(&mut self, local: u32) -> bool {
        let vector = (local & 0xff) as u8;
        if local & MASKED != 0 || !self.accepts() || vector < 16 {
            return false;
        }
        if let Some(page) = self.page {
            self.handed.request(page, vector.into(), false);
        } else {
            self.irr.set(vector);
            self.tmr.clear(vector);
        }
        true
    }

    /// The guest's TSC is ahead of the machine's by this much from now on
    /// (a signed number): deadlines are in the guest's.
    pub const fn set_tsc_offset(&mut self, offset: u64) {
        self.timer.offset = offset;
    }
}

#[cfg(test)]
mod tests;
