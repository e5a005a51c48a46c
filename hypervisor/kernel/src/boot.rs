// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a machine whose facts are known to running partitions: a table of
//! contents, and what each entry means. What does not fit is refused with the
//! names of both owners; nothing half-starts.

use crate::MAILBOX;
use crate::arch::{self, Platform, Stage2, Stage2Purpose, Starter, Vcpu, time};
use crate::bell::Bell;
use crate::channel::Port;
use crate::console::{self, Line};
use crate::cpu::{Cpu, end_machine};
use crate::interrupt::move_focus;
use crate::mailbox::{Facts, Mailbox};
use crate::partition::{Memory, Partition, Parts, Segment, Start};
use crate::statistics::Counters;
use crate::{log, records};
use abi::bundle::{Bundle, label};
use abi::machine;
use abi::mailbox::event::Kind;
use abi::mailbox::policy::{Otherwise, Policy};
use abi::placement::{self, Purpose, Request, Reserved};
use abi::range::Range;
use abi::records::{DeviceRecord, Name, PartitionFlags, PartitionRecord, text};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use paging::{GuestPhys, HostPhys};

/// The machine, as its firmware describes it.
#[derive(Debug)]
pub struct Machine {
    /// Number of CPUs.
    pub cpus: usize,
    /// The CPU that runs this.
    pub this: usize,
    /// RAM.
    pub ram: Vec<Range>,
    /// What of it is taken.
    pub reserved: Vec<Reserved>,
    /// Register frames that the hypervisor keeps.
    pub frames: Vec<Reserved>,
    /// Interrupts that it keeps.
    pub interrupts: Vec<(Name, u32)>,
    /// I/O ports that it keeps.
    pub ports: Vec<Reserved>,
    /// The core of each CPU, where CPUs are threads.
    pub cores: Vec<u32>,
    /// The bundle, not yet checked.
    pub bundle: &'static [u8],
    /// What starts the other CPUs.
    pub starter: Starter,
}

/// Boots: checks, places, builds, starts. Becomes the loop of this CPU.
pub fn boot(mut machine: Machine) -> ! {
    console::say(format_args!(
        "Bulkhead {}, {} CPUs, {} MiB",
        env!("CARGO_PKG_VERSION"),
        machine.cpus,
        machine.ram.iter().map(|ram| ram.size >> 20).sum::<u64>(),
    ));
    let bundle = open(&mut machine);
    let placed = place(&machine, &bundle);
    if MAILBOX {
        Facts::keep(bundle.board(), machine.cpus, machine.ram.iter().map(|ram| ram.size).sum());
    }
    let partitions = build(&bundle, &placed);
    let mut cpus = seat(&machine, &bundle, partitions);
    records::begin();
    start_others(&mut machine, &mut cpus);
    console::say(format_args!("memory: {} KiB in use", arch::memory_used() >> 10));
    arch::time::tell();
    match cpus.into_iter().nth(machine.this).flatten() {
        Some(cpu) => cpu.serve(),
        None => Cpu::new().serve(),
    }
}

/// Refuses to start anything, says why, and switches the machine off.
#[inline(never)]
pub fn refuse(why: fmt::Arguments<'_>) -> ! {
    console::say(format_args!("refused: {why}"));
    console::say_last(format_args!("end: failed boot {why}"));
    arch::power_off()
}

/// Checks the bundle, and that the machine has what it asks for.
#[inline(never)]
fn open(machine: &mut Machine) -> Bundle<'static> {
    let bundle = match Bundle::open(machine.bundle, arch::crc32c, &arch::PLATFORM) {
        Ok(bundle) => bundle,
        Err(refusal) => refuse(format_args!("{refusal}")),
    };
    // One that the console has already, as firmware may say, is shared like any console.
    let management = bundle.management().filter(|device| MAILBOX && is_free(device, machine));
    if let Some(device) = management {
        keep(device, machine);
    }
    let facts = machine::Machine {
        cpus: machine.cpus as u32,
        ram: &machine.ram,
        frames: &machine.frames,
        interrupts: &machine.interrupts,
        ports: &machine.ports,
        cores: &machine.cores,
    };
    if let Err(refusal) = machine::first(&bundle.tables(), &facts) {
        refuse(format_args!("{refusal}"));
    }
    if let Some(device) = management {
        match machine.starter.serial(device) {
            Some(serial) => console::start(serial, Line::Host),
            None => console::say(format_args!("no UART answers as {}", text(&device.name))),
        }
    }
    bundle
}

/// Whether no UART that the hypervisor keeps begins where this one does, which has registers or ports.
fn is_free(device: &DeviceRecord, machine: &Machine) -> bool {
    let at = device.host.get() | u64::from(device.port.get());
    !machine.frames.iter().chain(&machine.ports).any(|kept| kept.range.start == at)
}

/// The host's UART is nobody else's.
#[inline(never)]
fn keep(device: &DeviceRecord, machine: &mut Machine) {
    let owner = label("management");
    machine.frames.push(Reserved::new("management", device.host.get(), device.size.get()));
    let (port, ports) = (device.port.get().into(), device.ports.get().into());
    machine.ports.push(Reserved::new("management", port, ports));
    machine.interrupts.extend(device.lines().map(|line| (owner, line)));
}

/// Finds room for everything.
#[inline(never)]
fn place(machine: &Machine, bundle: &Bundle<'_>) -> Vec<Request> {
    let mut requests = Vec::new();
    placement::requests(&bundle.tables(), &mut |request| requests.push(request));
    if let Err(refusal) = placement::place(&machine.ram, &machine.reserved, &mut requests) {
        refuse(format_args!("{refusal}"));
    }
    requests
}

/// Where a request of this purpose and row was placed.
#[inline(never)]
fn room(placed: &[Request], purpose: Purpose, row: usize) -> Memory {
    let found = placed.iter().find(|request| request.purpose == purpose && request.row == row);
    let (guest, host, size) =
        found.map_or((0, 0, 0), |found| (found.guest, found.host, found.size));
    Memory { guest: GuestPhys::new(guest), host: HostPhys::new(host), size }
}

/// Makes the partitions and joins their channels.
#[inline(never)]
fn build(bundle: &Bundle<'static>, placed: &[Request]) -> &'static [&'static Partition] {
    let mut partitions: Vec<&'static Partition> = Vec::new();
    for partition in bundle.partitions() {
        match build_one(bundle, &partition, placed) {
            Ok(made) => partitions.push(Box::leak(Box::new(made))),
            Err(error) => refuse(format_args!("memory of {}: {error}", partition.name())),
        }
    }
    let partitions: &'static [_] = Box::leak(partitions.into_boxed_slice());
    for (row, _) in bundle.channels().iter().enumerate() {
        let memory = room(placed, Purpose::Channel, row);
        arch::zero(memory.host, memory.size as usize);
    }
    join(bundle, partitions);
    arch::shared().partitions.call_once(|| partitions);
    partitions
}

/// Makes one partition: its translation, devices, channels and bells.
#[inline(never)]
fn build_one(
    bundle: &Bundle<'static>,
    partition: &abi::bundle::Partition<'static>,
    placed: &[Request],
) -> Result<Partition, paging::Error> {
    let record = partition.record;
    let memory = [
        room(placed, Purpose::Memory, partition.index),
        room(placed, Purpose::Flash, partition.index),
    ];
    let mut stage2 = Stage2::new(partition.index)?;
    for (region, purpose) in memory.iter().zip([Stage2Purpose::Ram, Stage2Purpose::Flash]) {
        if region.size > 0 {
            stage2.map(region.guest, region.host, region.size, purpose)?;
        }
    }
    for device in partition.devices() {
        let (guest, host) = (GuestPhys::new(device.guest.get()), HostPhys::new(device.host.get()));
        if device.size.get() > 0 {
            stage2.map(guest, host, device.size.get(), Stage2Purpose::Device)?;
        }
        stage2.grant_ports(device.port.get(), device.ports.get())?;
    }
    let page = room(placed, Purpose::Mailbox, partition.index);
    let mailbox =
        (MAILBOX && page.size > 0).then(|| Mailbox::new(partition.index, page.host, record.rights));
    if mailbox.is_some() {
        stage2.map(page.guest, page.host, page.size, Stage2Purpose::Channel)?;
    }
    let mut channels = Vec::new();
    for (row, channel) in bundle.channels().iter().enumerate() {
        for (side, end) in channel.ends.iter().enumerate() {
            if end.partition.get() as usize == partition.index {
                let shared = room(placed, Purpose::Channel, row);
                stage2.map(
                    GuestPhys::new(end.memory.get()),
                    shared.host,
                    shared.size,
                    Stage2Purpose::Channel,
                )?;
                channels.push(Port::new(channel, row, side, end));
            }
        }
    }
    let lines = partition.devices().iter().flat_map(DeviceRecord::lines);
    let vcpus = partition.cpus();
    Ok(Partition::new(Parts {
        name: partition.name(),
        index: partition.index,
        memory,
        segments: segments(bundle, partition, &memory),
        entry: (record.entry.get(), record.argument.get()),
        stage2,
        platform: Platform::new(vcpus.len(), record.intids.get(), lines, memory[1].size > 0),
        channels: channels.into(),
        counters: vcpus.iter().map(|_| Counters::new()).collect(),
        bells: vcpus.iter().map(|record| Bell::new(record.cpu.get())).collect(),
        mailbox,
        start: start(record),
        policy: policy(record),
    }))
}

fn start(record: &PartitionRecord) -> Start {
    let flags = PartitionFlags::from_bits_truncate(record.flags.get());
    Start { manual: flags.contains(PartitionFlags::MANUAL), depends: record.depends }
}

/// A partition's policy, with times in ticks.
#[inline(never)]
fn policy(record: &PartitionRecord) -> Policy {
    let watchdog = record.watchdog_ns.get();
    let reboots = PartitionFlags::from_bits_truncate(record.flags.get())
        .contains(PartitionFlags::REBOOT_MACHINE);
    Policy {
        on: record.restart_on.get(),
        max: record.restart_max.get() as usize,
        within: time::ticks(record.restart_within_ns.get()),
        backoff: time::ticks(record.restart_backoff_ns.get()),
        uptime: time::ticks(record.restart_uptime_ns.get()),
        otherwise: if reboots { Otherwise::RebootMachine } else { Otherwise::Stop },
        watchdog: (MAILBOX && watchdog != 0).then(|| time::ticks(watchdog)),
    }
}

/// Where a partition's image goes, in host addresses. abi's rules say that every
/// segment lies in one of its memories.
#[inline(never)]
fn segments(
    bundle: &Bundle<'static>,
    partition: &abi::bundle::Partition<'static>,
    memory: &[Memory],
) -> Box<[Segment]> {
    let placed = bundle.segments(partition).filter_map(|segment| {
        let guest = GuestPhys::new(segment.guest);
        let region = memory.iter().find(|region| region.holds(guest))?;
        let host = region.host.checked_add(guest.offset_from(region.guest)?)?;
        Some(Segment { host, bytes: segment.bytes })
    });
    placed.collect()
}

/// Tells each end of a channel where the other one is.
#[inline(never)]
fn join(bundle: &Bundle<'_>, partitions: &[&'static Partition]) {
    for channel in bundle.channels() {
        let find = |side: usize| {
            let end = channel.ends.get(side)?;
            let partition = *partitions.get(end.partition.get() as usize)?;
            let place =
                partition.channels.iter().position(|port| port.registers == end.registers.get())?;
            Some((partition, place))
        };
        for (side, other) in [(0, 1), (1, 0)] {
            if let (Some((partition, place)), Some(peer)) = (find(side), find(other))
                && let Some(port) = partition.channels.get(place)
            {
                port.peer.call_once(|| peer);
            }
        }
    }
}

/// Gives every vCPU its seat. CPUs that no partition names stay off.
#[inline(never)]
fn seat(
    machine: &Machine,
    bundle: &Bundle<'_>,
    partitions: &'static [&'static Partition],
) -> Vec<Option<&'static mut Cpu>> {
    let mut cpus: Vec<Option<&'static mut Cpu>> = Vec::new();
    cpus.resize_with(machine.cpus, || None);
    for (record, partition) in bundle.partitions().zip(partitions) {
        let trap_idle = record.flags().contains(PartitionFlags::TRAP_IDLE);
        for (index, cpu) in record.cpus().iter().enumerate() {
            let slot = cpus.get_mut(cpu.cpu.get() as usize);
            if let (Some(slot), Some(counters)) = (slot, partition.counters.get(index)) {
                let cpu = slot.get_or_insert_with(|| Box::leak(Box::new(Cpu::new())));
                let controls = partition.stage2.controls(index, trap_idle);
                cpu.seat(Vcpu::new(index, controls, counters), partition);
            }
        }
    }
    move_focus(partitions, 0, 0);
    cpus
}

/// Starts the other CPUs that have seats.
#[inline(never)]
fn start_others(machine: &mut Machine, cpus: &mut [Option<&'static mut Cpu>]) {
    for (number, slot) in cpus.iter_mut().enumerate() {
        if number == machine.this {
            continue;
        }
        if let Some(cpu) = slot.take()
            && let Err(why) = machine.starter.start(number, cpu)
        {
            refuse(format_args!("CPU {number}: {why}"));
        }
    }
}

/// A bug of the hypervisor: this CPU stops, its partition ends, the others run on.
pub fn panicked(what: fmt::Arguments<'_>) -> ! {
    let cpu = arch::cpu_number();
    console::say_in_panic(format_args!("panic on CPU {cpu}: {what}"));
    records::panicked(cpu, what);
    log::tell(Kind::Panic, None, cpu as u32, 0, 0);
    let Some(partitions) = arch::shared().partitions.get() else {
        console::say_last(format_args!("end: failed boot panic on CPU {cpu}"));
        arch::power_off()
    };
    let mut last = false;
    for partition in *partitions {
        if partition.bells.iter().any(|bell| bell.cpu() as usize == cpu) {
            last |= partition.abandon();
        }
    }
    if last {
        end_machine();
    }
    arch::stop_cpu()
}
