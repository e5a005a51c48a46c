// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine under test: a bundle is written, booted, and its CPUs take turns.

use abi::draft::Draft;
use abi::mailbox::rights::{Rights, Set};
use abi::placement::Reserved;
use abi::platform::{CHANNEL_INTID, CHANNEL_MEMORY, CHANNEL_REGISTERS, PLATFORM, RAM};
use abi::range::Range;
use abi::records::{ChannelEnd, ChannelRecord, PLACE_AT_BOOT, PartitionRecord, Span, name};
use core::sync::atomic::AtomicU64;
use kernel::arch::{Event, Machine, Reply, Serial, Starter, Stopped, device};
use kernel::boot;
use kernel::exit::{Destination, Direction, Exit, MemoryAccess, Power};
use kernel::partition::Partition;
use paging::GuestPhys;
use proptest::test_runner::Config as ProptestConfig;

/// First host address of RAM; guests see theirs at [`RAM`].
pub(crate) const HOST_RAM: u64 = 0x1_8000_0000;
/// Bytes of a partition's RAM where its size does not matter.
pub(crate) const SMALL: u64 = 0x2000;
/// Where the image's second segment goes.
pub(crate) const SECOND: u64 = 0x1800;
/// Bytes of the image's first segment.
pub(crate) const CODE: [u8; 16] = [0xc0; 16];
/// Bytes of its second one.
pub(crate) const TABLES: [u8; 3] = [7, 8, 9];
/// Rounds after which a machine must have come to rest.
const PATIENCE: usize = 5000;

/// A machine whose CPUs run.
#[derive(Clone, Copy)]
pub(crate) struct Rig {
    /// The machine itself.
    pub(crate) machine: &'static Machine,
}

/// An empty bundle.
pub(crate) fn draft() -> Draft {
    Draft::new(name("fake").expect("short"), &PLATFORM)
}

/// Adds a partition with vCPUs on these CPUs and so much RAM.
pub(crate) fn add(draft: &mut Draft, called: &str, cpus: &[u32], size: u64) {
    let record = PartitionRecord {
        name: name(called).expect("short"),
        flags: 0.into(),
        intids: 64.into(),
        memory_guest: RAM.into(),
        memory_host: PLACE_AT_BOOT.into(),
        memory_size: size.into(),
        rom_size: 0.into(),
        entry: (RAM + 8).into(),
        argument: (RAM + SECOND).into(),
        restart_on: 0.into(),
        restart_max: 0.into(),
        restart_within_ns: 0.into(),
        restart_backoff_ns: 0.into(),
        restart_uptime_ns: 0.into(),
        watchdog_ns: 0.into(),
        depends: Set::default(),
        rights: Rights::default(),
        cpus: Span::default(),
        segments: Span::default(),
        devices: Span::default(),
    };
    let image = vec![(RAM, CODE.to_vec()), (RAM + SECOND, TABLES.to_vec())];
    draft.add(record, cpus, image, &[]);
}

/// A channel between two partitions, which is the `slot`th of both.
pub(crate) fn channel(called: &str, between: [u32; 2], slot: u32, interval: u64) -> ChannelRecord {
    let end = |partition: u32| ChannelEnd {
        partition: partition.into(),
        interrupt: (CHANNEL_INTID + slot).into(),
        registers: (CHANNEL_REGISTERS + u64::from(slot) * 0x1000).into(),
        memory: (CHANNEL_MEMORY + u64::from(slot) * 0x1000).into(),
    };
    ChannelRecord {
        name: name(called).expect("short"),
        size: 0x1000.into(),
        interval_ns: interval.into(),
        ends: between.map(end),
    }
}

/// What firmware tells of a machine with this many CPUs and this bundle. The
/// last CPU is nobody's: it boots.
/// Registers of the console's UART.
pub(crate) const CONSOLE: u64 = 0x2000;

pub(crate) fn facts(bundle: &'static [u8], cpus: usize) -> boot::Machine {
    boot::Machine {
        cpus: cpus + 1,
        this: cpus,
        ram: vec![Range::new(HOST_RAM, 0x100_0000)],
        reserved: vec![Reserved::new("hypervisor", HOST_RAM, 0x1000)],
        frames: vec![Reserved::new("console", CONSOLE, 0x1000)],
        interrupts: Vec::new(),
        ports: Vec::new(),
        cores: Vec::new(),
        bundle,
        starter: Starter::new(),
    }
}

impl Rig {
    /// Boots; no CPU has taken a turn yet.
    pub(crate) fn boot(draft: Draft) -> Self {
        Self::boot_on(Machine::start(), draft)
    }

    /// Boots after a reset, with the memory that outlived it.
    pub(crate) fn boot_again(draft: Draft, kept: &'static [AtomicU64]) -> Self {
        Self::boot_on(Machine::start_again(kept), draft)
    }

    fn boot_on(machine: &'static Machine, draft: Draft) -> Self {
        let cpus = draft.cpus.iter().map(|record| record.cpu.get() as usize + 1).max().unwrap_or(0);
        let facts = facts(machine.keep(&draft.write()), cpus);
        machine.leave_at_wait(cpus);
        let booted = machine.on(cpus, || {
            kernel::console::start(
                Serial::new(kernel::console::Line::Console),
                kernel::console::Line::Console,
            );
            boot::boot(facts)
        });
        assert_eq!(booted.err(), Some(Stopped::Waiting), "{}", text(&machine.sent()));
        Self { machine }
    }

    /// Boots, and goes on until every guest runs. What was logged is forgotten.
    pub(crate) fn running(draft: Draft) -> Self {
        let rig = Self::boot(draft);
        rig.settle();
        let _ = (rig.console(), rig.machine.events());
        rig
    }

    /// One guest on CPU 0.
    pub(crate) fn alone() -> Self {
        let mut draft = draft();
        add(&mut draft, "solo", &[0], SMALL);
        Self::running(draft)
    }

    /// A guest with vCPUs on CPUs 0 to 2, all of which run, and one on CPU 3.
    pub(crate) fn pair() -> Self {
        let mut draft = draft();
        add(&mut draft, "three", &[0, 1, 2], SMALL);
        add(&mut draft, "other", &[3], SMALL);
        let rig = Self::running(draft);
        for vcpu in 1..3 {
            rig.power(0, 0, cpu_on(vcpu, RAM, 0));
        }
        let _ = (rig.console(), rig.machine.events());
        rig
    }

    /// The partition with this number.
    pub(crate) fn partition(&self, number: usize) -> &'static Partition {
        self.machine.shared.partitions()[number]
    }

    /// One turn of a CPU.
    pub(crate) fn turn(&self, cpu: usize) -> Result<(), Stopped> {
        self.machine.turn(cpu)
    }

    /// Turns, until every CPU waits. False if the machine was switched off.
    pub(crate) fn settle(&self) -> bool {
        let cpus = self.machine.started();
        for _ in 0..PATIENCE {
            let mut busy = false;
            for cpu in &cpus {
                match self.turn(*cpu) {
                    Ok(()) => busy |= !self.machine.is_waiting(*cpu),
                    Err(Stopped::Cpu) => {}
                    Err(Stopped::Machine | Stopped::Reset) => return false,
                    Err(Stopped::Waiting) => panic!("only the booting CPU leaves"),
                }
            }
            let rests =
                |cpu: &usize| self.machine.is_waiting(*cpu) || self.machine.is_stopped(*cpu);
            if !busy && cpus.iter().all(rests) {
                return true;
            }
        }
        panic!("the machine does not come to rest");
    }

    /// Plays exits on a vCPU, settles, and tells what the guest got for them.
    pub(crate) fn play(&self, partition: usize, vcpu: usize, exits: &[Exit]) -> Vec<Reply> {
        let _ = self.machine.replies(partition, vcpu);
        self.machine.play(partition, vcpu, exits.iter().copied());
        self.settle();
        self.machine.replies(partition, vcpu)
    }

    /// One power request of a vCPU, and its result if it has one.
    pub(crate) fn power(&self, partition: usize, vcpu: usize, power: Power) -> Option<Reply> {
        self.play(partition, vcpu, &[Exit::Power(power)]).first().copied()
    }

    /// A guest writes to its terminal.
    pub(crate) fn print(&self, partition: usize, bytes: &[u8]) {
        let exits: Vec<Exit> = bytes.iter().map(|byte| write(device::TERMINAL, *byte)).collect();
        self.play(partition, 0, &exits);
    }

    /// The console's output since the last call.
    pub(crate) fn console(&self) -> String {
        text(&self.machine.sent())
    }

    /// What was logged since the last call and matches.
    pub(crate) fn events(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.machine.events().into_iter().filter(wanted).collect()
    }
}

/// Console output, which is ASCII.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the console's output is ASCII")
}

/// A load from a device.
pub(crate) fn read(address: u64) -> Exit {
    memory(address, Direction::Read)
}

/// A store to a device.
pub(crate) fn write(address: u64, value: impl Into<u64>) -> Exit {
    memory(address, Direction::Write(value.into()))
}

fn memory(address: u64, direction: Direction) -> Exit {
    Exit::Memory(MemoryAccess {
        address: GuestPhys::new(address),
        size: devices::Size::Word,
        direction,
        destination: Destination { register: 3, sign_extend: false, wide: true },
    })
}

/// A request to start a vCPU.
pub(crate) fn cpu_on(vcpu: usize, entry: u64, argument: u64) -> Power {
    Power::CpuOn { target: kernel::arch::name_of_vcpu(vcpu), entry, argument }
}

/// So many cases of a property, and a few where each takes long.
pub(crate) fn cases(many: u32) -> ProptestConfig {
    let cases = if cfg!(miri) { 3 } else { many };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
