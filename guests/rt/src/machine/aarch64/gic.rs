// SPDX-License-Identifier: MIT OR Apache-2.0
//! GICv3, one security state as a guest sees it: every interrupt in group 1,
//! all with the same priority, ended and deactivated by one write to EOIR1.
//! Manual: GIC Architecture Specification (IHI 0069), "Programmers' model".

use super::{GICD, Registers, cpu_index, redistributor};
use aarch64_cpu::asm::barrier::{SY, isb};
pub use arm_gic::Trigger;
use arm_gic::gicv3::{GicCpuInterface, SgiTarget, SgiTargetGroup};
use arm_gic::{IntId, InterruptGroup};

const CTLR: u64 = 0x0;
const CTLR_RWP: u32 = 1 << 31;
const CTLR_ENABLE: u32 = 1 << 4 | 1 << 1;
const WAKER: u64 = 0x14;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;
const WAKER_CHILDREN_ASLEEP: u32 = 1 << 2;
/// Offset of a redistributor's SGI and PPI frame, whose registers lie as the distributor's.
const SGI_FRAME: u64 = 0x1_0000;
const IGROUPR: u64 = 0x80;
const ISENABLER: u64 = 0x100;
const ICENABLER: u64 = 0x180;
const ISPENDR: u64 = 0x200;
const IPRIORITYR: u64 = 0x400;
const ICFGR: u64 = 0xc00;
const IROUTER: u64 = 0x6000;
/// Priority of an interrupt that asked for none.
const PRIORITY: u8 = 0xa0;

/// Readies this CPU's side and, on CPU 0, the distributor. Nothing is enabled yet.
pub fn init() {
    if cpu_index() == 0 {
        GICD.write32(CTLR, CTLR_ENABLE);
        while GICD.read32(CTLR) & CTLR_RWP != 0 {
            core::hint::spin_loop();
        }
    }
    let own = redistributor(cpu_index());
    own.write32(WAKER, own.read32(WAKER) & !WAKER_PROCESSOR_SLEEP);
    while own.read32(WAKER) & WAKER_CHILDREN_ASLEEP != 0 {
        core::hint::spin_loop();
    }
    own.write32(SGI_FRAME + IGROUPR, u32::MAX);
    GicCpuInterface::enable_system_register_el1();
    isb(SY);
    GicCpuInterface::set_priority_mask(0xff);
    GicCpuInterface::enable_group1(true);
    isb(SY);
}

/// The frame that holds an interrupt's bits and the offset to add to a register.
fn frame(intid: u32) -> (Registers, u64) {
    if intid < 32 { (redistributor(cpu_index()), SGI_FRAME) } else { (GICD, 0) }
}

/// Enables an interrupt; an SPI is routed to this CPU.
pub fn enable(intid: u32, trigger: Trigger) {
    let (registers, base) = frame(intid);
    let word = u64::from(intid / 32) * 4;
    let bit = 1 << (intid % 32);
    let group = base + IGROUPR + word;
    registers.write32(group, registers.read32(group) | bit);
    set_priority(intid, PRIORITY);
    if intid >= 16 {
        let config = base + ICFGR + u64::from(intid / 16) * 4;
        let edge = 2 << (intid % 16 * 2);
        let others = registers.read32(config) & !edge;
        registers.write32(config, if trigger == Trigger::Edge { others | edge } else { others });
    }
    if intid >= 32 {
        registers.write64(IROUTER + u64::from(intid) * 8, cpu_index() as u64);
    }
    registers.write32(base + ISENABLER + word, bit);
}

/// Gives an interrupt a priority; zero is the highest.
pub fn set_priority(intid: u32, priority: u8) {
    let (registers, base) = frame(intid);
    let offset = base + IPRIORITYR + u64::from(intid & !3);
    let shift = intid % 4 * 8;
    let others = registers.read32(offset) & !(0xff << shift);
    registers.write32(offset, others | u32::from(priority) << shift);
}

/// Disables an interrupt.
pub fn disable(intid: u32) {
    let (registers, base) = frame(intid);
    registers.write32(base + ICENABLER + u64::from(intid / 32) * 4, 1 << (intid % 32));
}

/// Makes an interrupt pending.
pub fn set_pending(intid: u32) {
    let (registers, base) = frame(intid);
    registers.write32(base + ISPENDR + u64::from(intid / 32) * 4, 1 << (intid % 32));
}

/// Takes the next interrupt; pair it with [`end`].
#[must_use]
pub fn acknowledge() -> Option<u32> {
    GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1).map(u32::from)
}

/// Ends an acknowledged interrupt.
pub fn end(intid: u32) {
    if let Ok(intid) = IntId::try_from(intid) {
        GicCpuInterface::end_interrupt(intid, InterruptGroup::Group1);
    }
}

/// Sends SGI `sgi` (0 to 15) to CPU `cpu` (0 to 15).
pub fn send_sgi(sgi: u32, cpu: usize) {
    let target =
        SgiTarget::List { affinity3: 0, affinity2: 0, affinity1: 0, target_list: 1 << (cpu % 16) };
    let _ = GicCpuInterface::send_sgi(IntId::sgi(sgi % 16), target, SgiTargetGroup::CurrentGroup1);
}
