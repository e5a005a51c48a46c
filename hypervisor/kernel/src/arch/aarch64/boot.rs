// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the first Rust instruction to the machine-independent boot: the map,
//! the heap, what the device tree tells, the console; and the same for the
//! other CPUs.

use super::map::{self, Map};
use super::mmio::Frame;
use super::serial::Serial;
use super::sysreg::{self, isb, msr};
use super::{Local, NAMES, WINDOWS, features, gic};
use crate::boot::{self, Machine};
use crate::console::{self, Line};
use crate::cpu::Cpu;
use crate::memory::Heap;
use aarch64_cpu::registers::{MPIDR_EL1, Readable};
use abi::bundle::label;
use abi::placement::Reserved;
use abi::range::Range;
use abi::records::DeviceRecord;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use paging::{HostPhys, Kind, PAGE, Rights};

mod tree;

use tree::{Found, Uart};

/// Pages of each stack.
const STACK_PAGES: usize = 8;
/// Pages of the heap.
const HEAP_PAGES: usize = 48;
/// Where head.s keeps the record, and its magic.
const RECORD: usize = 64;
const RECORD_MAGIC: u64 = u64::from_le_bytes(*b"BHBOOT\0\0");

/// What `xtask` wrote behind the Image header (head.s, `_record`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Record {
    magic: u64,
    bundle_offset: u64,
    bundle_len: u64,
    reset_device_tree: u64,
    reset_home: u64,
    home_len: u64,
    uart: u64,
    flash: u64,
}

/// What a secondary CPU needs before it can ask anybody.
#[repr(C)]
struct Start {
    /// Root of the map.
    root: u64,
    /// Its own facts.
    local: &'static Local,
    /// Its seats.
    cpu: &'static mut Cpu,
}

/// Root of the map, for CPUs that start later.
static ROOT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static vectors: u8;
    static secondary_entry: u8;
}

/// Called by head.s on the first CPU: `file` is where the flat program lies,
/// `tree` the device tree, `home` where the program runs, all physical.
#[unsafe(no_mangle)]
extern "C" fn kernel_boot(file: u64, tree: u64, home: u64) -> ! {
    set_vectors();
    // SAFETY: head.s keeps the record at this offset of the home, which its tables map at HOME.
    let record = unsafe { ((map::HOME as usize + RECORD) as *const Record).read() };
    let machine = match gather(&record, file, tree, home) {
        Ok(machine) => machine,
        Err(why) if console::is_started() => boot::refuse(format_args!("{why}")),
        Err(_) => super::stop_cpu(),
    };
    boot::boot(machine)
}

/// Builds the map and the console, and gathers what the firmware knows.
fn gather(record: &Record, file: u64, tree: u64, home: u64) -> Result<Machine, &'static str> {
    if record.magic != RECORD_MAGIC || record.home_len != map::HOME_SIZE {
        return Err("the boot record is missing; build the flash image with cargo xtask image");
    }
    let no_room = |_| "the home is too small for the hypervisor's map";
    let mut map = Map::new(home, features::features().pa_range).map_err(no_room)?;
    let uart = Range::new(record.uart, if record.uart == 0 { 0 } else { PAGE });
    let early = frame(&mut map, uart);
    map::activate(map.root());
    start_console(early);
    let overlaps = |_| "the device tree or the bundle lies where the hypervisor or its console is";
    map.add(tree, 8, Rights::READ, Kind::Normal).map_err(overlaps)?;
    let bundle = file + record.bundle_offset;
    map.add(bundle, record.bundle_len, Rights::READ, Kind::Normal).map_err(overlaps)?;
    ROOT.store(map.root().get(), Ordering::Relaxed);
    WINDOWS.store(map.windows().get(), Ordering::Relaxed);
    let heap = map::allocate(&mut map, HEAP_PAGES).ok_or("no room for the heap")?;
    // SAFETY: these pages were just allocated for it.
    unsafe { Heap::fill(heap, HEAP_PAGES * PAGE as usize) }

    let tree_bytes = map_tree(&mut map, tree)?;
    let found = tree::read(tree_bytes)?;
    let console = found.console();
    start_devices(&mut map, &found, uart)?;
    // SAFETY: the bundle was mapped, for reading, above; nothing writes to it.
    let bundle_bytes =
        unsafe { core::slice::from_raw_parts(bundle as *const u8, record.bundle_len as usize) };
    let names: &'static [u64] = Box::leak(found.cpus.into_boxed_slice());
    NAMES.call_once(|| names);
    let this = names.iter().position(|name| *name == MPIDR_EL1.get() & 0xff_00ff_ffff);
    let this = this.ok_or("the device tree does not list this CPU")?;
    start_this_cpu(local(&mut map, this)?)?;
    let file_len = record.bundle_offset + record.bundle_len;
    let tree_len = tree_bytes.len() as u64;
    let kept = [
        ("hypervisor", home, map::HOME_SIZE),
        ("device tree", tree, tree_len),
        ("bundle", file, file_len),
    ];
    let firmware = found.reserved.iter().map(|range| ("firmware", range.start, range.size));
    let reserved = kept.into_iter().chain(firmware);
    let reserved = reserved.map(|(owner, start, size)| Reserved::new(owner, start, size)).collect();
    let frames = [
        ("interrupt ctrl", found.distributor),
        ("interrupt ctrl", found.redistributors),
        ("console", console.registers),
    ];
    let frames = frames.map(|(owner, range)| Reserved::new(owner, range.start, range.size));
    gic::add_console(Line::Console, console.intid);
    let interrupts = alloc::vec![(label("console"), console.intid)];
    let ram = found.ram;
    Ok(Machine {
        cpus: names.len(),
        this,
        ram,
        reserved,
        frames: frames.into(),
        interrupts,
        ports: alloc::vec::Vec::new(),
        cores: alloc::vec::Vec::new(),
        bundle: bundle_bytes,
        starter: Starter(map, found.uarts),
    })
}

/// Maps the whole device tree, whose first bytes are mapped.
fn map_tree(map: &mut Map, tree: u64) -> Result<&'static [u8], &'static str> {
    // SAFETY: the page of the tree's first eight bytes is mapped for reading, and nobody writes there.
    let head = unsafe { core::slice::from_raw_parts(tree as *const u8, 8) };
    let len = tree::length(head)?;
    let mapped = (tree + 8).next_multiple_of(PAGE);
    if tree + len > mapped {
        let added = map.add(mapped, tree + len - mapped, Rights::READ, Kind::Normal);
        added.map_err(|_| "the device tree overlaps the hypervisor's image")?;
    }
    // SAFETY: all of it is mapped now, for reading, and nobody writes there.
    Ok(unsafe { core::slice::from_raw_parts(tree as *const u8, len as usize) })
}

/// Maps registers that the kernel drives itself; none if there are none or the
/// range is taken.
fn frame(map: &mut Map, range: Range) -> Option<Frame> {
    let rights = Rights::READ | Rights::WRITE;
    map.add(range.start, range.size, rights, Kind::Device).ok()?;
    // SAFETY: just mapped as Device memory, for ever; the board or the device tree says whose
    // registers they are, and `boot` refuses a bundle that grants them to a partition.
    Some(unsafe { Frame::new(range.start as usize, range.size as usize) })
}

/// Gives the console its UART, if it is there.
fn start_console(uart: Option<Frame>) {
    // SAFETY: the firmware has handed the machine over; nobody else drives its console.
    if let Some(serial) = uart.and_then(|frame| unsafe { Serial::new(frame) }) {
        console::start(serial, Line::Console);
    }
}

/// Maps the interrupt controller and the console, and starts them. `early` is
/// the board's UART, which is mapped and serves already.
fn start_devices(map: &mut Map, found: &Found, early: Range) -> Result<(), &'static str> {
    let console = found.console().registers;
    if console.start != early.start {
        start_console(frame(map, console));
    }
    if !console::is_started() {
        return Err("no PL011 for the console");
    }
    if found.ram.is_empty() {
        return Err("the device tree lists no memory");
    }
    if found.distributor.size == 0 {
        return Err("no GICv3; give the machine one (QEMU: -M virt,gic-version=3)");
    }
    let taken = "the device tree's devices overlap each other or memory";
    let distributor = frame(map, found.distributor).ok_or(taken)?;
    // The device tree may reserve room for many more CPUs than there are.
    let most = found.cpus.len() as u64 * gic::REDISTRIBUTOR as u64;
    let Range { start, size } = found.redistributors;
    let redistributors = Range::new(start, size.min(most));
    gic::start(distributor, frame(map, redistributors).ok_or(taken)?);
    Ok(())
}

/// What CPU `number` knows of itself, with a stack for its exceptions.
fn local(map: &mut Map, number: usize) -> Result<&'static Local, &'static str> {
    let stack = map::allocate(map, 1).ok_or("no room for the stacks")?;
    Ok(Box::leak(Box::new(Local { emergency_stack: stack as u64 + PAGE, number })))
}

/// What each CPU does first.
fn start_this_cpu(local: &'static Local) -> Result<(), &'static str> {
    set_vectors();
    msr!("tpidr_el2", core::ptr::from_ref(local) as u64);
    if let Some(why) = features::missing() {
        return Err(why);
    }
    if gic::start_cpu() { Ok(()) } else { Err("a CPU has no GICv3 redistributor") }
}

fn set_vectors() {
    msr!("vbar_el2", &raw const vectors as u64);
    isb();
}

/// The map, for starting other CPUs, and the UARTs that there are.
#[derive(Debug)]
pub struct Starter(Map, Vec<Uart<'static>>);

impl Starter {
    /// The UART of a device that is nobody's, with its interrupt; none if the device tree has none there.
    pub fn serial(&mut self, device: &DeviceRecord) -> Option<Serial> {
        let is_it = |uart: &&Uart| uart.registers.start == device.host.get();
        let frame = frame(&mut self.0, self.1.iter().find(is_it)?.registers)?;
        // SAFETY: no partition is granted the registers (`boot::keep`), and nobody else was asked for it.
        let serial = unsafe { Serial::new(frame) };
        device.lines().for_each(|intid| gic::add_console(Line::Host, intid));
        serial
    }

    /// Starts CPU `number`, which will serve `cpu`.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(&mut self, number: usize, cpu: &'static mut Cpu) -> Result<(), &'static str> {
        let local = local(&mut self.0, number)?;
        let stack = map::allocate(&mut self.0, STACK_PAGES).ok_or("no room for the stacks")?;
        let top =
            stack as usize + STACK_PAGES * PAGE as usize - size_of::<Start>().next_multiple_of(16);
        let start = Start { root: ROOT.load(Ordering::Relaxed), local, cpu };
        // SAFETY: the top of a stack that nobody uses yet.
        unsafe { (top as *mut Start).write(start) }
        let entry = &raw const secondary_entry as u64 - map::HOME + map::home();
        sysreg::dsb_sy();
        let name = super::mpidr_of(number as u32);
        smccc::psci::cpu_on::<smccc::Smc>(name, entry, top as u64)
            .map_err(|_| "the firmware did not start a CPU")
    }
}

/// Called by head.s on every other CPU, with the stack pointer at its [`Start`].
#[unsafe(no_mangle)]
extern "C" fn kernel_secondary(start: *const Start) -> ! {
    // SAFETY: `Starter::start` wrote it there for this CPU alone.
    let Start { root, local, cpu } = unsafe { start.read() };
    map::activate(HostPhys::new(root));
    match start_this_cpu(local) {
        Ok(()) => cpu.serve(),
        Err(why) => {
            console::say(format_args!("CPU {}: {why}", local.number));
            super::stop_cpu()
        }
    }
}

/// Called by head.s: an exception of the hypervisor itself is a bug.
#[unsafe(no_mangle)]
extern "C" fn kernel_exception(kind: u64, syndrome: u64, pc: u64, address: u64) -> ! {
    crate::boot::panicked(format_args!(
        "exception {kind} at {pc:#x}, syndrome {syndrome:#x}, address {address:#x}"
    ))
}
