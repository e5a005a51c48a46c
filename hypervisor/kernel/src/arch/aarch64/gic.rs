// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's GICv3 (IHI 0069): the lines that guests own, the interrupts
//! that the kernel keeps, and the list registers of the resident vCPU.
//!
//! All interrupts are group 1 with one priority. EOImode is 1: the kernel drops
//! the priority at once, and a guest's own deactivation, through a list
//! register with the hardware bit, ends a guest's interrupt.

use super::mmio::Frame;
use super::sysreg::{isb, mrs, msr};
use crate::MAILBOX;
use crate::console::Line;
use crate::interrupt::Interrupt;
use aarch64_cpu::registers::{
    ICC_SRE_EL2, ICH_AP0R0_EL2, ICH_AP0R1_EL2, ICH_AP0R2_EL2, ICH_AP0R3_EL2, ICH_AP1R0_EL2,
    ICH_AP1R1_EL2, ICH_AP1R2_EL2, ICH_AP1R3_EL2, ICH_HCR_EL2, ICH_VMCR_EL2, ICH_VTR_EL2, MPIDR_EL1,
    Readable, Writeable,
};
use core::sync::atomic::{AtomicU32, Ordering};
use devices::vgic::{ICH_HCR_ENABLE, ListRegisters};
use spin::Once;

/// Software generated interrupt with which CPUs kick each other.
const KICK: u32 = 0;
/// PPI of the maintenance interrupt, the hypervisor's timer, and those of a guest's PMU and timers.
const MAINTENANCE: u32 = 25;
const DEADLINE: u32 = 26;
const GUEST_PPIS: u32 = 1 << abi::platform::PMU_INTID
    | 1 << abi::platform::VIRTUAL_TIMER_INTID
    | 1 << abi::platform::PHYSICAL_TIMER_INTID;
/// INTIDs from here on stand for "none".
const SPECIAL: u32 = 1020;

const GICD_CTLR: usize = 0x0;
const GICD_TYPER: usize = 0x4;
const IGROUPR: usize = 0x80;
const ISENABLER: usize = 0x100;
const ICENABLER: usize = 0x180;
const ICPENDR: usize = 0x280;
const ICACTIVER: usize = 0x380;
const IPRIORITYR: usize = 0x400;
const IROUTER: usize = 0x6000;
const GICR_TYPER: usize = 0x8;
const GICR_WAKER: usize = 0x14;
/// Bytes of one redistributor: its two frames (GICv3 without virtual LPIs).
pub(super) const REDISTRIBUTOR: usize = 0x2_0000;
const GICR_SGI_FRAME: usize = 0x1_0000;
const PRIORITY: u32 = 0xa0a0_a0a0;

struct Gic {
    distributor: Frame,
    redistributors: Frame,
}

static GIC: Once<Gic> = Once::new();

/// INTIDs of the console's UART and, with a mailbox, of the host's own; zero is none.
static CONSOLES: [AtomicU32; 1 + MAILBOX as usize] = [const { AtomicU32::new(0) }; _];

/// Takes the frames and brings the distributor into a known state: all lines off.
pub(super) fn start(distributor: Frame, redistributors: Frame) {
    let gic = GIC.call_once(|| Gic { distributor, redistributors });
    let gicd = gic.distributor;
    gicd.write32(GICD_CTLR, 0);
    let lines = (gicd.read32(GICD_TYPER) & 0x1f) as usize;
    for word in 1..=lines {
        gicd.write32(ICENABLER + 4 * word, u32::MAX);
        gicd.write32(ICPENDR + 4 * word, u32::MAX);
        gicd.write32(ICACTIVER + 4 * word, u32::MAX);
        gicd.write32(IGROUPR + 4 * word, u32::MAX);
        for quad in 0..8 {
            gicd.write32(IPRIORITYR + 32 * word + 4 * quad, PRIORITY);
        }
    }
    // ARE and group 1.
    gicd.write32(GICD_CTLR, 1 << 4 | 1 << 1);
}

/// This CPU's redistributor: the one whose GICR_TYPER names its affinity.
fn redistributor(gic: &Gic) -> Option<Frame> {
    let mpidr = MPIDR_EL1.get();
    let affinity = (mpidr >> 32 & 0xff) << 24 | mpidr & 0xff_ffff;
    let mut offset = 0;
    loop {
        let frame = gic.redistributors.part(offset, REDISTRIBUTOR)?;
        let typer = frame.read64(GICR_TYPER);
        if typer >> 32 == affinity {
            return Some(frame);
        }
        if typer & 1 << 4 != 0 {
            return None;
        }
        offset += REDISTRIBUTOR;
    }
}

/// Makes this CPU take interrupts. False if it has no redistributor.
#[must_use]
pub(super) fn start_cpu() -> bool {
    let Some(frame) = GIC.get().and_then(redistributor) else { return false };
    frame.write32(GICR_WAKER, frame.read32(GICR_WAKER) & !(1 << 1));
    while frame.read32(GICR_WAKER) & 1 << 2 != 0 {
        core::hint::spin_loop();
    }
    frame.write32(GICR_SGI_FRAME + ICENABLER, u32::MAX);
    frame.write32(GICR_SGI_FRAME + ICPENDR, u32::MAX);
    frame.write32(GICR_SGI_FRAME + ICACTIVER, u32::MAX);
    frame.write32(GICR_SGI_FRAME + IGROUPR, u32::MAX);
    for quad in 0..8 {
        frame.write32(GICR_SGI_FRAME + IPRIORITYR + 4 * quad, PRIORITY);
    }
    frame.write32(
        GICR_SGI_FRAME + ISENABLER,
        1 << KICK | 1 << MAINTENANCE | 1 << DEADLINE | GUEST_PPIS,
    );
    // System registers for EL2 and EL1, no bypass.
    ICC_SRE_EL2.set(0xf);
    isb();
    msr!("icc_pmr_el1", 0xff);
    msr!("icc_bpr1_el1", 0);
    msr!("icc_ctlr_el1", 1 << 1);
    msr!("icc_igrpen1_el1", 1);
    isb();
    true
}

/// Turns the lines of a partition on, towards the CPU with this MPIDR.
pub(super) fn connect(lines: impl Iterator<Item = u32>, mpidr: u64) {
    let Some(gic) = GIC.get() else { return };
    for intid in lines {
        gic.distributor.write64(IROUTER + 8 * intid as usize, mpidr & 0xff_00ff_ffff);
        line(gic.distributor, ISENABLER, intid);
    }
}

/// Turns them off, whatever state a guest left them in.
pub(super) fn disconnect(lines: impl Iterator<Item = u32>) {
    let Some(gic) = GIC.get() else { return };
    for intid in lines {
        line(gic.distributor, ICENABLER, intid);
        line(gic.distributor, ICPENDR, intid);
        line(gic.distributor, ICACTIVER, intid);
    }
}

/// Writes the bit of an interrupt in one of the distributor's bitmaps.
fn line(distributor: Frame, bitmap: usize, intid: u32) {
    distributor.write32(bitmap + 4 * (intid as usize / 32), 1 << (intid % 32));
}

/// Takes the pending physical interrupt. A guest's stays active; others are over.
#[inline(always)]
pub fn acknowledge() -> Interrupt {
    let intid = mrs!("icc_iar1_el1") as u32;
    match intid {
        abi::platform::VIRTUAL_TIMER_INTID => {
            drop_priority(intid);
            Interrupt::Guest(intid)
        }
        KICK => {
            drop_priority(intid);
            deactivate(intid);
            Interrupt::Kick
        }
        _ => sort(intid),
    }
}

/// Lets interrupts of the same priority come again.
#[inline(always)]
fn drop_priority(intid: u32) {
    msr!("icc_eoir1_el1", u64::from(intid));
}

/// The rest of [`acknowledge`].
#[inline(never)]
fn sort(intid: u32) -> Interrupt {
    if intid >= SPECIAL {
        return Interrupt::None;
    }
    drop_priority(intid);
    let console = consoles().any(|known| known == intid);
    if intid > 31 && !console || intid < 32 && GUEST_PPIS & 1 << (intid & 31) != 0 {
        return Interrupt::Guest(intid);
    }
    if intid == DEADLINE {
        super::time::disarm();
    }
    deactivate(intid);
    match intid {
        DEADLINE => Interrupt::Deadline,
        MAINTENANCE => Interrupt::Refresh,
        _ if console => Interrupt::Console,
        _ => Interrupt::None,
    }
}

/// A UART has this interrupt.
pub(super) fn add_console(line: Line, intid: u32) {
    if let Some(place) = CONSOLES.get(line as usize) {
        place.store(intid, Ordering::Relaxed);
    }
}

fn consoles() -> impl Iterator<Item = u32> {
    CONSOLES.iter().map(|known| known.load(Ordering::Relaxed)).filter(|intid| *intid != 0)
}

/// Interrupts the CPU with this MPIDR when something is typed.
pub(super) fn route_console(mpidr: u64) {
    connect(consoles(), mpidr);
}

/// Ends an interrupt whose priority was dropped.
#[inline(always)]
pub(super) fn deactivate(intid: u32) {
    msr!("icc_dir_el1", u64::from(intid));
}

/// How to make one CPU exit from its guest: the value of ICC_SGI1R_EL1.
#[derive(Clone, Copy, Debug)]
pub struct Kick(u64);

impl Kick {
    /// For the CPU with this number.
    #[must_use]
    pub fn new(cpu: u32) -> Self {
        let mpidr = super::mpidr_of(cpu);
        let aff = |level: u64| mpidr >> (8 * level) & 0xff;
        let target = 1 << (aff(0) & 0xf) | (aff(0) >> 4) << 44;
        Self(aff(4) << 48 | aff(2) << 32 | aff(1) << 16 | u64::from(KICK) << 24 | target)
    }

    /// Makes it exit.
    #[inline(always)]
    pub fn send(&self) {
        // The wish must be visible before the interrupt is.
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) }
        msr!("icc_sgi1r_el1", self.0);
    }
}

/// How many list registers there are.
#[must_use]
pub(super) fn list_registers() -> usize {
    (ICH_VTR_EL2.get() & 0x1f) as usize + 1
}

/// Nothing of an earlier guest is left in the virtual interface, and none of
/// its own interrupts stays active on this CPU.
pub(super) fn quiet() {
    ICH_HCR_EL2.set(0);
    let mut lists = Lists;
    for n in 0..lists.count() {
        lists.write(n, 0);
    }
    active_priorities();
    ICH_VMCR_EL2.set(0);
    ICH_HCR_EL2.set(ICH_HCR_ENABLE);
    if let Some(frame) = GIC.get().and_then(redistributor) {
        frame.write32(GICR_SGI_FRAME + ICPENDR, GUEST_PPIS);
        frame.write32(GICR_SGI_FRAME + ICACTIVER, GUEST_PPIS);
    }
}

/// Clears the active priorities, of which there are 1, 2 or 4 registers a group.
fn active_priorities() {
    let preemption_bits = (ICH_VTR_EL2.get() >> 26 & 7) + 1;
    ICH_AP0R0_EL2.set(0);
    ICH_AP1R0_EL2.set(0);
    if preemption_bits >= 6 {
        ICH_AP0R1_EL2.set(0);
        ICH_AP1R1_EL2.set(0);
    }
    if preemption_bits >= 7 {
        ICH_AP0R2_EL2.set(0);
        ICH_AP1R2_EL2.set(0);
        ICH_AP0R3_EL2.set(0);
        ICH_AP1R3_EL2.set(0);
    }
}

/// The list registers of the vCPU that is resident on this CPU.
#[derive(Debug)]
pub(super) struct Lists;

/// One arm for each list register, because their number is part of the
/// instruction. Most machines have four: those are at hand, the others called.
macro_rules! each_list {
    ($n:expr, $far:ident, $do:ident $(, $value:expr)?) => {
        match ($n > 3, $n & 2 != 0, $n & 1 != 0) {
            (false, false, false) => $do!("ich_lr0_el2" $(, $value)?),
            (false, false, true) => $do!("ich_lr1_el2" $(, $value)?),
            (false, true, false) => $do!("ich_lr2_el2" $(, $value)?),
            (false, true, true) => $do!("ich_lr3_el2" $(, $value)?),
            (true, ..) => $far($n $(, $value)?),
        }
    };
}

/// The arms of those from 4 on.
macro_rules! each_far_list {
    ($n:expr, $otherwise:expr, $do:ident $(, $value:expr)?) => {
        match $n {
            4 => $do!("ich_lr4_el2" $(, $value)?),
            5 => $do!("ich_lr5_el2" $(, $value)?),
            6 => $do!("ich_lr6_el2" $(, $value)?),
            7 => $do!("ich_lr7_el2" $(, $value)?),
            8 => $do!("ich_lr8_el2" $(, $value)?),
            9 => $do!("ich_lr9_el2" $(, $value)?),
            10 => $do!("ich_lr10_el2" $(, $value)?),
            11 => $do!("ich_lr11_el2" $(, $value)?),
            12 => $do!("ich_lr12_el2" $(, $value)?),
            13 => $do!("ich_lr13_el2" $(, $value)?),
            14 => $do!("ich_lr14_el2" $(, $value)?),
            15 => $do!("ich_lr15_el2" $(, $value)?),
            _ => $otherwise,
        }
    };
}

#[cold]
#[inline(never)]
fn read_far(n: usize) -> u64 {
    each_far_list!(n, 0, mrs)
}

#[cold]
#[inline(never)]
fn write_far(n: usize, value: u64) {
    each_far_list!(n, (), msr, value);
}

impl ListRegisters for Lists {
    #[inline(always)]
    fn count(&self) -> usize {
        list_registers()
    }

    #[inline(always)]
    fn read(&self, n: usize) -> u64 {
        each_list!(n, read_far, mrs)
    }

    #[inline(always)]
    fn write(&mut self, n: usize, value: u64) {
        each_list!(n, write_far, msr, value);
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "one bit for each of at most 16 registers")]
    fn empty(&self) -> u32 {
        mrs!("ich_elrsr_el2") as u32
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "one bit for each of at most 16 registers")]
    fn ended(&self) -> u32 {
        mrs!("ich_eisr_el2") as u32
    }

    #[inline(always)]
    fn eoi_count(&self) -> u32 {
        (ICH_HCR_EL2.get() >> 27 & 0x1f) as u32
    }

    #[inline(always)]
    fn control(&mut self, hcr: u64) {
        ICH_HCR_EL2.set(hcr);
    }

    #[inline(always)]
    fn deactivate(&mut self, intid: u32) {
        deactivate(intid);
    }
}
