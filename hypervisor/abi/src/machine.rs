// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules that need the machine: what the manifest wants must be there, and
//! must not be what the hypervisor keeps for itself. `xtask` asks the board's
//! known facts, the kernel what it found at boot. Memory is [`crate::placement`]'s.

use crate::bundle::{Partition, Tables};
use crate::placement::Reserved;
use crate::range::Range;
use crate::records::{CpuRecord, Name, PartitionFlags};
use crate::refusal::{Refusal, Rule};
use crate::rules::{Sink, owned, ports};

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Number of CPUs.
    pub cpus: u32,
    /// RAM.
    pub ram: &'a [Range],
    /// Register frames that the hypervisor keeps: interrupt controller, console.
    pub frames: &'a [Reserved],
    /// Interrupts that the hypervisor keeps, and for what.
    pub interrupts: &'a [(Name, u32)],
    /// I/O ports that the hypervisor keeps.
    pub ports: &'a [Reserved],
    /// The core of each CPU; one that is not listed is its CPU's alone.
    pub cores: &'a [u32],
}

/// A rule that needs the machine.
pub type Check = fn(&Tables, &Machine, Sink);

/// The rules that a PC adds: its devices have ports, and its CPUs may be threads.
pub(crate) const PC: &[Check] = &[ports_are_not_kept, cores_are_not_shared];

/// Checks a bundle's tables against the machine.
#[inline(never)]
pub fn check(tables: &Tables, machine: &Machine, sink: Sink) {
    cpus_are_present(tables, machine, sink);
    devices_are_no_ram(tables, machine, sink);
    devices_are_not_kept(tables, machine, sink);
    interrupts_are_not_kept(tables, machine, sink);
    for rule in tables.platform.machine_rules {
        rule(tables, machine, sink);
    }
}

/// Checks a bundle's tables against the machine.
///
/// # Errors
/// The first rule that is broken.
pub fn first(tables: &Tables, machine: &Machine) -> Result<(), Refusal> {
    let mut first = None;
    check(tables, machine, &mut |refusal| first = first.or(Some(refusal)));
    first.map_or(Ok(()), Err)
}

/// Every CPU that a partition names exists.
fn cpus_are_present(tables: &Tables, machine: &Machine, sink: Sink) {
    for partition in tables.iter() {
        for cpu in partition
            .cpus()
            .iter()
            .map(|record| record.cpu.get())
            .filter(|cpu| *cpu >= machine.cpus)
        {
            let refusal = Refusal::new(Rule::CpuAbsent).owner(partition.record.name);
            sink(refusal.numbers(cpu.into(), machine.cpus.saturating_sub(1).into()));
        }
    }
}

/// A device's registers are no RAM: else a partition would get memory of another.
fn devices_are_no_ram(tables: &Tables, machine: &Machine, sink: Sink) {
    for (partition, device) in owned(tables) {
        let range = Range::new(device.host.get(), device.size.get());
        if machine.ram.iter().any(|ram| ram.overlaps(range)) {
            let refusal = Refusal::new(Rule::DeviceOnRam).owner(partition.record.name);
            sink(refusal.what(device.name).numbers(range.start, 0));
        }
    }
}

/// A device's registers are not the hypervisor's.
fn devices_are_not_kept(tables: &Tables, machine: &Machine, sink: Sink) {
    for (partition, device) in owned(tables) {
        let range = Range::new(device.host.get(), device.size.get());
        for kept in machine.frames.iter().filter(|kept| kept.range.overlaps(range)) {
            let refusal = Refusal::new(Rule::DeviceReserved).owner(partition.record.name);
            sink(refusal.what(device.name).other(kept.owner));
        }
    }
}

/// A device's interrupts are not the hypervisor's.
fn interrupts_are_not_kept(tables: &Tables, machine: &Machine, sink: Sink) {
    for (partition, device) in owned(tables) {
        for intid in device.lines() {
            for (keeper, _) in machine.interrupts.iter().filter(|(_, kept)| *kept == intid) {
                let refusal = Refusal::new(Rule::InterruptReserved).owner(partition.record.name);
                sink(refusal.what(device.name).other(*keeper).numbers(intid.into(), 0));
            }
        }
    }
}

/// A device's ports are not the hypervisor's.
fn ports_are_not_kept(tables: &Tables, machine: &Machine, sink: Sink) {
    for (partition, device) in owned(tables) {
        let range = ports(device);
        for kept in machine.ports.iter().filter(|kept| kept.range.overlaps(range)) {
            let refusal = Refusal::new(Rule::PortReserved).owner(partition.record.name);
            let first = kept.range.start.max(range.start);
            sink(refusal.what(device.name).other(kept.owner).numbers(first, 0));
        }
    }
}

/// Threads of one core, which can measure each other, are one partition's; or all owners conceded it.
fn cores_are_not_shared(tables: &Tables, machine: &Machine, sink: Sink) {
    let core = |cpu: u32| machine.cores.get(cpu as usize);
    let shares = |partition: &Partition| partition.flags().contains(PartitionFlags::SMT_SHARED);
    for partition in tables.iter() {
        for other in tables.iter().take(partition.index) {
            if shares(&partition) && shares(&other) {
                continue;
            }
            for cpu in partition.cpus().iter().map(|record| record.cpu.get()) {
                let shared = |taken: &CpuRecord| {
                    taken.cpu.get() != cpu
                        && core(cpu).is_some()
                        && core(taken.cpu.get()) == core(cpu)
                };
                if other.cpus().iter().any(shared) {
                    let refusal = Refusal::new(Rule::CoreShared).owner(partition.record.name);
                    sink(refusal.other(other.record.name).numbers(cpu.into(), 0));
                }
            }
        }
    }
}
