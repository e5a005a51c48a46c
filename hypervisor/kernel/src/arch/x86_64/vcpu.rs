// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU on either maker's CPU: entering the guest and coming back.
//!
//! Only the general registers are stored on an exit. Everything else stays in
//! the CPU or in its control block, because the kernel uses none of it, until
//! another vCPU takes the CPU. [`Vcpu::load`] puts a fresh set there.
//!
//! What must be looked at before the guest goes on is one word, [`Attention`];
//! while it is empty, which is nearly always, entering asks nothing else.

use super::apic::refresh_later;
use super::exits;
use super::float;
use super::map::WindowPlace;
use super::mmio::Step;
use super::state::{CR0_PE, Controls, Event, STARTUP, Start};
use super::{svm, time, vmx};
use crate::exit::{Exit, Power};
use crate::partition::Partition;
use crate::statistics::Counters;
use abi::platform::pc::START_EAX;
use devices::apic::{Events, LocalApic, Posted};

bitflags::bitflags! {
    /// Why a vCPU must be looked at before it is entered.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Attention: u32 {
        /// [`Vcpu::event`] must be delivered.
        const EVENT = 1 << 0;
        /// It waits for an interrupt.
        const HALTED = 1 << 1;
        /// Its local APIC may have an interrupt for it.
        const INTERRUPT = 1 << 2;
        /// A non-maskable interrupt.
        const NMI = 1 << 3;
        /// INIT.
        const INIT = 1 << 4;
        /// The 8259 has an interrupt for it.
        const EXTERNAL = 1 << 5;
        /// An instruction has one more access to do.
        const ACCESS = 1 << 6;
        /// Its partition ends: a kick is on its way.
        const LEAVES = 1 << 7;
        /// [`Vcpu::external`] waits to be delivered.
        const VECTOR = 1 << 8;
        /// Its CPU has taken an interrupt of the machine's at an exit for something else.
        const ARRIVED = 1 << 9;
    }
}

/// What a maker's half of a vCPU is.
#[derive(Debug)]
pub(super) enum Backend {
    /// AMD-V.
    Svm(svm::Guest),
    /// VT-x.
    Vmx(vmx::Guest),
}

/// Asks a vCPU's maker.
macro_rules! each {
    ($vcpu:expr, $guest:ident => $what:expr) => {
        match &$vcpu.backend {
            $crate::arch::x86_64::vcpu::Backend::Svm($guest) => $what,
            $crate::arch::x86_64::vcpu::Backend::Vmx($guest) => $what,
        }
    };
    (mut $vcpu:expr, $guest:ident => $what:expr) => {
        match &mut $vcpu.backend {
            $crate::arch::x86_64::vcpu::Backend::Svm($guest) => $what,
            $crate::arch::x86_64::vcpu::Backend::Vmx($guest) => $what,
        }
    };
}
pub(super) use each;

mod registers;

/// The registers of one vCPU, and what is to be done with it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Vcpu {
    /// RAX, RCX, RDX, RBX, (RSP), RBP, RSI, RDI, R8 to R15. RSP is in the control block.
    pub(super) registers: [u64; 16],
    pub(super) attention: Attention,
    /// Bytes of the instruction that exited.
    pub(super) length: u8,
    /// It is to be started by a start-up interrupt that came together with its INIT.
    pub(super) startup: Option<u8>,
    on: bool,
    /// Number within its partition, and how many there are.
    index: usize,
    pub(super) count: usize,
    /// What it did.
    counters: &'static Counters,
    pub(super) event: Event,
    /// The 8259's vector that waits to be delivered.
    external: Option<u8>,
    /// It exits when it takes interrupts.
    window: bool,
    pub(super) apic: LocalApic,
    /// What is left of an instruction that accesses an emulated device.
    pub(super) step: Option<Step>,
    /// The string instruction that a port access is one element of.
    pub(super) string: Option<exits::PortString>,
    pub(super) controls: Controls,
    /// Where the window of its CPU is.
    window_place: WindowPlace,
    pub(super) backend: Backend,
}

/// Why the guest was left, as the CPU's maker numbers it.
#[derive(Clone, Copy, Debug)]
pub struct Left(Result<u64, Early>);

/// Why it was not even entered.
#[derive(Clone, Copy, Debug)]
enum Early {
    /// It waits for an interrupt.
    Idle,
    /// An interrupt is to be answered.
    Interrupt,
    /// An instruction has one more access to do.
    Access,
    /// It was switched off by INIT.
    Off,
}

/// Whether that is known to be an interrupt without a look at what else it may be.
#[inline(always)]
#[must_use]
pub fn is_interrupt(_left: &Left) -> bool {
    false
}

impl Vcpu {
    /// A vCPU with this number, which runs under these controls and counts there.
    #[must_use]
    pub fn new(index: usize, controls: Controls, counters: &'static Counters) -> Self {
        let backend = match super::features::maker() {
            Some(super::features::Maker::Intel) => vmx::Guest::new().map(Backend::Vmx),
            _ => svm::Guest::new().map(Backend::Svm),
        };
        let Some(backend) = backend else {
            crate::boot::refuse(format_args!("no room for the state of a vCPU"))
        };
        let mut apic = LocalApic::new(index as u8);
        if let Backend::Vmx(guest) = &backend {
            apic.virtualize(guest.apic_page);
        }
        Self {
            registers: [0; 16],
            attention: Attention::empty(),
            length: 0,
            startup: None,
            on: false,
            index,
            count: 1,
            counters,
            event: Event(0),
            external: None,
            window: false,
            apic,
            step: None,
            string: None,
            controls,
            window_place: WindowPlace::NOWHERE,
            backend,
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

    /// Puts a start's state into this CPU.
    pub fn load(&mut self, entry: u64, argument: u64) {
        if entry & STARTUP == 0 {
            self.apic.reset();
        }
        self.registers = [0; 16];
        if entry & STARTUP == 0 {
            self.registers[0] = START_EAX.into();
            self.registers[3] = argument;
        }
        (self.event, self.external, self.startup) = (Event(0), None, None);
        (self.step, self.string, self.on) = (None, None, true);
        self.attention = Attention::INTERRUPT;
        self.window = false;
        self.window_place = WindowPlace::of(super::cpu_number());
        let start = Start::of(entry);
        each!(mut self, guest => guest.load(&self.controls, &start));
        self.apic_changed();
        float::reset();
        super::inject::reset_debug();
    }

    /// Nothing of it acts on this CPU any more: its timer stops. After INIT its local APIC is
    /// as that leaves it, else as after power-up.
    pub fn park(&mut self) {
        if self.attention.contains(Attention::INIT) {
            self.apic.init();
        } else {
            self.apic.reset();
        }
        self.on = false;
        self.attention = Attention::empty();
        time::arm_guest(u64::MAX);
    }

    /// Runs the guest until it exits.
    #[inline(always)]
    pub fn enter(&mut self) -> Left {
        if !self.attention.is_empty()
            && let Some(early) = self.prepare()
        {
            return Left(Err(early));
        }
        Left(Ok(each!(mut self, guest => guest.run(&mut self.registers))))
    }

    /// What the guest asks for.
    #[inline(always)]
    pub fn decode(&mut self, left: Left) -> Exit {
        match (left, &self.backend) {
            (Left(Ok(code)), Backend::Svm(_)) => self.decode_svm(code),
            (Left(Ok(reason)), Backend::Vmx(_)) => self.decode_vmx(reason),
            (Left(Err(Early::Idle)), _) => Exit::Idle,
            (Left(Err(Early::Interrupt)), _) => Exit::Interrupt,
            (Left(Err(Early::Access)), _) => self.next_access(),
            (Left(Err(Early::Off)), _) => Exit::Power(Power::CpuOff),
        }
    }

    /// What must be done before the guest goes on; an exit if it must not. Mostly nothing but an
    /// interrupt of its local APIC may wait for it.
    #[inline(always)]
    fn prepare(&mut self) -> Option<Early> {
        let usual = Attention::INTERRUPT.union(Attention::HALTED);
        if !usual.contains(self.attention) {
            return self.prepare_rare();
        }
        let halted = self.attention.contains(Attention::HALTED);
        if let Some(waits) = vmx::hand_over(&mut self.apic) {
            let goes_on = !halted || waits && vmx::takes_interrupts();
            self.attention = if goes_on { Attention::empty() } else { Attention::HALTED };
            return (!goes_on).then_some(Early::Idle);
        }
        let pending = self.apic.pending();
        if let Some(vector) = pending
            && each!(mut self, guest => guest.interrupt(vector))
        {
            // No other one that waits has a class above that of the highest.
            self.apic.acknowledge(vector);
            self.attention = Attention::empty();
            self.set_window(false);
            return None;
        }
        self.set_window(pending.is_some() && !halted);
        self.attention.set(Attention::INTERRUPT, pending.is_some());
        halted.then_some(Early::Idle)
    }

    /// The same with anything else.
    #[cold]
    #[inline(never)]
    fn prepare_rare(&mut self) -> Option<Early> {
        if self.attention.contains(Attention::ACCESS) {
            self.attention.remove(Attention::ACCESS);
            return Some(Early::Access);
        }
        if self.attention.contains(Attention::INIT) {
            return Some(Early::Off);
        }
        if self.attention.intersects(Attention::ARRIVED | Attention::LEAVES) {
            self.attention.remove(Attention::ARRIVED);
            return Some(Early::Interrupt);
        }
        let delivers = self.deliver();
        if self.attention.contains(Attention::HALTED) {
            if !delivers {
                return Some(Early::Idle);
            }
            self.attention.remove(Attention::HALTED);
        }
        None
    }

    /// Delivers the event, NMI or interrupt that comes first; windows open for what must wait.
    /// True if one is delivered.
    fn deliver(&mut self) -> bool {
        let mut delivers = true;
        let by_cpu = self.wakes_by_cpu();
        if self.attention.contains(Attention::EVENT) {
            self.attention.remove(Attention::EVENT);
            let real = each!(self, guest => guest.cr0()) & CR0_PE == 0;
            let event = if real { self.event.without_error() } else { self.event };
            each!(mut self, guest => guest.set_event(event));
        } else if self.attention.contains(Attention::NMI)
            && !each!(self, guest => guest.in_nmi())
            && !self.in_shadow()
        {
            self.attention.remove(Attention::NMI);
            each!(mut self, guest => guest.set_event(Event::NMI));
        } else if let Some(vector) = self.deliverable() {
            if self.external.take().is_none() {
                self.apic.acknowledge(vector);
            }
            self.attention.remove(Attention::EXTERNAL | Attention::VECTOR);
            each!(mut self, guest => guest.set_event(Event::interrupt(vector)));
        } else {
            delivers = by_cpu;
        }
        let waits = self.external.is_some()
            || self.apic.pending().is_some()
            || self.attention.contains(Attention::EXTERNAL);
        if !waits {
            self.attention.remove(Attention::INTERRUPT);
        }
        let halted = self.attention.contains(Attention::HALTED);
        self.set_window(waits && (delivers || !halted));
        let nmi = self.attention.contains(Attention::NMI);
        each!(mut self, guest => guest.set_nmi_window(nmi));
        delivers
    }

    /// The interrupt that the guest takes now.
    fn deliverable(&self) -> Option<u8> {
        let takes = self.takes_interrupts();
        takes.then(|| self.external.or_else(|| self.apic.pending())).flatten()
    }

    /// Neither its flag nor its last instruction holds interrupts back.
    fn takes_interrupts(&self) -> bool {
        each!(self, guest => guest.takes_interrupts())
    }

    /// Whether the CPU itself delivers an interrupt when the guest is entered.
    #[inline(never)]
    fn wakes_by_cpu(&mut self) -> bool {
        vmx::hand_over(&mut self.apic) == Some(true) && vmx::takes_interrupts()
    }

    /// Whether it exits as soon as it takes interrupts.
    #[inline(always)]
    fn set_window(&mut self, wanted: bool) {
        if wanted != self.window {
            self.window = wanted;
            each!(mut self, guest => guest.set_window(wanted));
        }
    }

    fn in_shadow(&self) -> bool {
        each!(self, guest => guest.in_shadow())
    }

    /// The window that [`Vcpu::deliver`] asked for is open.
    pub(super) fn window(&mut self) -> Exit {
        self.set_window(false);
        self.attention.insert(Attention::INTERRUPT);
        if self.attention.contains(Attention::EXTERNAL) {
            // The shared devices must be asked for its vector.
            refresh_later();
            return Exit::Interrupt;
        }
        Exit::Done
    }
}

/// Between the platform and the vCPU.
impl Vcpu {
    /// Its local APIC may have something new.
    #[inline(always)]
    pub(super) fn look(&mut self) {
        self.attention.insert(Attention::INTERRUPT);
    }

    /// Its local APIC may be in another mode.
    pub(super) fn apic_changed(&mut self) {
        if let Backend::Vmx(guest) = &self.backend {
            guest.set_apic_mode(&self.controls, &self.apic);
        }
    }

    /// The guest gets an NMI.
    pub fn dump(&mut self) {
        self.attention.insert(Attention::NMI);
    }

    /// Its partition ends, so it does not go on.
    pub(super) fn leave(&mut self) {
        self.attention.insert(Attention::LEAVES);
    }

    /// Takes what others posted; what a start-up asks for while it is off.
    #[inline(always)]
    pub(super) fn merge(&mut self, posted: &Posted) -> Option<u8> {
        let events = self.apic.merge(posted);
        if events.interrupts {
            self.counters.interrupted();
            self.look();
        }
        if events.others { self.take_events(events) } else { None }
    }

    /// What was posted beside interrupts.
    #[cold]
    #[inline(never)]
    fn take_events(&mut self, Events { nmi, init, startup, .. }: Events) -> Option<u8> {
        if nmi {
            self.attention.insert(Attention::NMI);
        }
        if !self.on {
            return startup;
        }
        if init {
            self.attention.insert(Attention::INIT);
        }
        if self.attention.contains(Attention::INIT) {
            self.startup = startup.or(self.startup);
        }
        None
    }

    /// The 8259's output is high: whether its vector can be taken now; if not, a window opens.
    pub(super) fn takes_external(&mut self) -> bool {
        if self.external.is_some() || !self.apic.passes_external() {
            return false;
        }
        self.attention.insert(Attention::EXTERNAL | Attention::INTERRUPT);
        self.takes_interrupts()
    }

    /// The 8259's vector is to be delivered.
    pub(super) fn set_external(&mut self, vector: u8) {
        self.external = Some(vector);
        self.attention.insert(Attention::INTERRUPT | Attention::VECTOR);
    }

    /// The 8259's output is low.
    pub(super) fn no_external(&mut self) {
        self.attention.remove(Attention::EXTERNAL);
    }

    /// Whether something wakes it.
    pub(super) fn wakes(&mut self) -> bool {
        self.attention.intersects(Attention::NMI | Attention::INIT | Attention::EVENT)
            || self.deliverable().is_some()
            || self.wakes_by_cpu()
    }
}

/// Names a partition's vCPU 0 where its devices' lines go.
pub(super) fn first_cpu(partition: &Partition) -> Option<u32> {
    partition.bells.first().map(crate::bell::Bell::cpu)
}
