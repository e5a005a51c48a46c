// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the first Rust instruction to the machine-independent boot: what the
//! boot loader and ACPI tell, the map, the heap, the console; and the same for
//! the other CPUs.

use super::apic::{self, IoApics};
use super::features::Maker;
use super::map::{self, Map};
use super::serial::{COM1, Serial};
use super::tables::{self, Tables};
use super::time::Reference;
use super::{LOCALS, Local, NAMES, features, float, memory, pci, svm, time, vmx};
use crate::acpi::{self, Facts, Uart};
use crate::boot::{self, Machine};
use crate::console::{self, Line};
use crate::cpu::Cpu;
use crate::loader::{self, Told};
use crate::memory::Heap;
use abi::bundle::label;
use abi::placement::Reserved;
use abi::range::Range;
use abi::records::DeviceRecord;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};
use paging::{HostPhys, Kind, PAGE, Rights};

/// Pages of each stack.
const STACK_PAGES: usize = 8;
/// Pages of the heap.
const HEAP_PAGES: usize = 48;
/// Where CPUs start: a page below 1 MiB, below every firmware's own data there.
const TRAMPOLINE: u64 = 0x8000;
/// Memory below this belongs to firmware on a PC, whatever its map says.
const LOW_MEMORY: u64 = 0x10_0000;
/// How long a CPU may take to start.
const START_NS: u64 = 1_000_000_000;

/// What `xtask` wrote behind the program's first bytes (head.s).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Record {
    magic: u64,
    bundle: u64,
    bundle_len: u64,
}

/// What a secondary CPU needs before it can ask anybody.
#[repr(C)]
struct Start {
    /// Its own facts.
    local: &'static Local,
    /// Its seats.
    cpu: &'static mut Cpu,
}

/// Root of the map, for CPUs that start later.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// The [`Start`] at the top of the stack of the CPU that starts next; zero once it has.
#[unsafe(no_mangle)]
static SECONDARY_STACK: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static boot_record: Record;
    static trampoline: u8;
    static trampoline_end: u8;
}

/// The first 4 GiB at their own addresses, as long as the boot tables are in use.
struct Identity(());

impl acpi::Memory for Identity {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let end = start.checked_add(len)?;
        if start == 0 || len == 0 || end > 1 << 32 {
            return None;
        }
        // SAFETY: head.s mapped it, and an Identity lives no longer than that map; firmware wrote
        // it before and nothing of the hypervisor's lies in what is read.
        Some(unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) })
    }
}

/// Called by head.s on the first CPU.
#[unsafe(no_mangle)]
extern "C" fn kernel_boot(magic: u32, info: u64) -> ! {
    tables::load_vectors();
    // SAFETY: nobody else drives the console: firmware has handed the machine over.
    if let Some(serial) = unsafe { Serial::new(COM1) } {
        console::start(serial, Line::Console);
    }
    // SAFETY: head.s keeps the record in the program's first bytes, where xtask patches the file:
    // the compiler must not believe what it was built with.
    let record = unsafe { (&raw const boot_record).read_volatile() };
    match gather(&record, magic, info) {
        Ok(machine) => boot::boot(machine),
        Err(why) => boot::refuse(format_args!("{why}")),
    }
}

/// Builds the map, and gathers what firmware knows.
fn gather(record: &Record, magic: u32, info: u64) -> Result<Machine, &'static str> {
    if record.bundle == 0 {
        return Err("the boot record is empty; build the image with cargo xtask image");
    }
    let no_room = |_| "the home is too small for the hypervisor's map";
    let mut map = Map::new(&features::features()).map_err(no_room)?;
    let heap = map::allocate(&mut map, HEAP_PAGES).ok_or("no room for the heap")?;
    // SAFETY: these pages were just allocated for it.
    unsafe { Heap::fill(heap, HEAP_PAGES * PAGE as usize) }
    let (told, facts) = ask_firmware(magic, info)?;
    let console = move_console(facts.console);

    let overlaps = |_| "the bundle lies where the hypervisor is";
    map.add(record.bundle, record.bundle_len, Rights::READ, Kind::Normal).map_err(overlaps)?;
    pci::silence();
    start_devices(&mut map, &facts, console)?;
    let hpet = facts.hpet.and_then(|address| map.frame(address));
    map::activate(map.root());
    ROOT.store(map.root().get(), Ordering::Relaxed);
    apic::start_cpu();
    let pm_timer = facts.pm_timer.map(Reference::PmTimer);
    time::calibrate([hpet.and_then(Reference::hpet), pm_timer])?;
    super::SOFT_OFF.call_once(|| facts.soft_off);
    let names: &'static [u32] = Box::leak(facts.cpus.clone().into_boxed_slice());
    NAMES.call_once(|| names);
    let this = names.iter().position(|name| *name == apic::id());
    let this = this.ok_or("ACPI does not list this CPU")?;
    let locals = (0..names.len()).map(|number| local(&mut map, number));
    let locals: Result<Box<[&'static Local]>, _> = locals.collect();
    let locals: &'static [&'static Local] = Box::leak(locals?);
    tables::load(locals.get(this).copied().ok_or("ACPI does not list this CPU")?);
    LOCALS.call_once(|| locals);
    start_virtualization()?;
    machine(record, &facts, console, told.ram, this, map)
}

/// What the boot loader and ACPI tell, as long as the boot tables are in use.
fn ask_firmware(magic: u32, info: u64) -> Result<(Told, Facts), &'static str> {
    let identity = Identity(());
    let told = loader::read(&identity, magic, info)?;
    let facts = acpi::read(&identity, told.root)?;
    Ok((told, facts))
}

/// Moves the console to the UART that ACPI names, if that answers; which it is from then on.
fn move_console(told: Option<Uart>) -> Uart {
    if let Some(uart) = told {
        // SAFETY: as for COM1, which is not used any more once this one answers.
        if let Some(serial) = unsafe { Serial::new(uart) } {
            console::start(serial, Line::Console);
            if uart.port != COM1.port {
                Serial::silence(COM1);
            }
            return uart;
        }
    }
    if !console::is_started() {
        super::stop_cpu();
    }
    COM1
}

/// The machine, in words that name no architecture.
fn machine(
    record: &Record,
    facts: &Facts,
    console: Uart,
    ram: alloc::vec::Vec<Range>,
    this: usize,
    map: Map,
) -> Result<Machine, &'static str> {
    // SAFETY: the bundle is mapped, for reading, by `gather`; nothing writes to it.
    let bundle = unsafe {
        core::slice::from_raw_parts(record.bundle as *const u8, record.bundle_len as usize)
    };
    let reserved = alloc::vec![
        Reserved::new("firmware", 0, LOW_MEMORY),
        Reserved::new("hypervisor", map::HOME_PHYS, map::HOME_SIZE),
        Reserved::new("bundle", record.bundle, record.bundle_len.next_multiple_of(PAGE)),
    ];
    let mut frames = alloc::vec![Reserved::new("local APIC", facts.local_apic, PAGE)];
    frames.extend(facts.hpet.map(|address| Reserved::new("HPET", address, PAGE)));
    frames.extend(facts.io_apics.iter().map(|one| Reserved::new("I/O APIC", one.address, PAGE)));
    Ok(Machine {
        cpus: facts.cpus.len(),
        this,
        ram,
        reserved,
        frames,
        interrupts: alloc::vec![(label("console"), facts.line(console.irq).0)],
        ports: kept_ports(facts, console),
        cores: facts.cpus.iter().map(|id| id >> features::thread_bits()).collect(),
        bundle,
        starter: Starter(map),
    })
}

/// Ports of the machine's devices that the hypervisor keeps, or that reach everybody.
fn kept_ports(facts: &Facts, console: Uart) -> alloc::vec::Vec<Reserved> {
    let mut kept = alloc::vec![
        Reserved::new("PIC", 0x20, 2),
        Reserved::new("PIT", 0x40, 4),
        Reserved::new("keyboard", 0x60, 5),
        Reserved::new("PIC", 0xa0, 2),
        Reserved::new("console", console.port.into(), 8),
        Reserved::new("PIC", 0x4d0, 2),
        Reserved::new("PCI", 0xcf8, 8),
    ];
    kept.extend(facts.pm_timer.map(|port| Reserved::new("PM timer", port.into(), 4)));
    kept.extend(facts.soft_off.map(|(port, _)| Reserved::new("ACPI", port.into(), 2)));
    kept
}

/// Maps the interrupt controllers, and starts them.
fn start_devices(map: &mut Map, facts: &Facts, console: Uart) -> Result<(), &'static str> {
    let taken = "ACPI's interrupt controllers overlap each other or memory";
    let local = match apic::has_x2apic() {
        true => None,
        false => Some(map.frame(facts.local_apic).ok_or(taken)?),
    };
    let mut frames = alloc::vec::Vec::new();
    for one in &facts.io_apics {
        frames.push((map.frame(one.address).ok_or(taken)?, one.first));
    }
    // Their registers answer only where they are mapped.
    map::activate(map.root());
    apic::start(local, IoApics::new(frames.into_iter()), facts, facts.line(console.irq).0);
    Ok(())
}

/// What CPU `number` knows of itself, with a stack for its exceptions.
fn local(map: &mut Map, number: usize) -> Result<&'static Local, &'static str> {
    let stack = map::allocate(map, 1).ok_or("no room for the stacks")?;
    let local = Box::leak(Box::new(Local::new(number, Tables::new(stack as u64 + PAGE))));
    local.this = core::ptr::from_ref(&*local) as u64;
    local.tables.finish();
    Ok(local)
}

/// Turns on what this CPU virtualizes with.
fn start_virtualization() -> Result<(), &'static str> {
    float::start_cpu();
    match features::maker() {
        Some(Maker::Intel) => vmx::start_cpu(),
        Some(Maker::Amd) => svm::start_cpu(),
        None => Err("this CPU has neither VT-x nor AMD-V, or the firmware hides it"),
    }
}

/// The map, for starting other CPUs.
#[derive(Debug)]
pub struct Starter(Map);

impl Starter {
    /// The UART of a device that is nobody's, with its interrupt; none if nothing answers.
    pub fn serial(&mut self, device: &DeviceRecord) -> Option<Serial> {
        let uart = Uart { port: device.port.get() as u16, divisor: 1, ..COM1 };
        // SAFETY: no partition is granted the ports (`boot::keep`), and nobody else was asked for it.
        let serial = unsafe { Serial::new(uart) };
        device.lines().for_each(|line| apic::add_console(Line::Host, line));
        serial
    }

    /// Starts CPU `number`, which will serve `cpu`.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(&mut self, number: usize, cpu: &'static mut Cpu) -> Result<(), &'static str> {
        let local = LOCALS.get().and_then(|locals| locals.get(number)).copied();
        let local = local.ok_or("ACPI does not list it")?;
        let stack = map::allocate(&mut self.0, STACK_PAGES).ok_or("no room for the stacks")?;
        let top =
            stack as usize + STACK_PAGES * PAGE as usize - size_of::<Start>().next_multiple_of(16);
        // SAFETY: the top of a stack that nobody uses yet.
        unsafe { (top as *mut Start).write(Start { local, cpu }) }
        SECONDARY_STACK.store(top as u64, Ordering::Release);
        place_trampoline();
        apic::start_other(super::apic_id_of(number as u32), TRAMPOLINE as u32, time::pause);
        let end = time::now() + time::ticks(START_NS);
        while SECONDARY_STACK.load(Ordering::Acquire) != 0 {
            if time::now() > end {
                return Err("it does not answer");
            }
            super::relax();
        }
        Ok(())
    }
}

/// Copies the trampoline to its page.
fn place_trampoline() {
    let (start, end) = (&raw const trampoline, &raw const trampoline_end);
    // SAFETY: head.s has both around its code.
    let code = unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) };
    memory::copy(HostPhys::new(TRAMPOLINE), code);
}

/// Called by head.s on every other CPU, with the stack pointer at its [`Start`].
#[unsafe(no_mangle)]
extern "C" fn kernel_secondary(start: *const Start) -> ! {
    map::activate(HostPhys::new(ROOT.load(Ordering::Relaxed)));
    // SAFETY: `Starter::start` wrote it there for this CPU alone.
    let Start { local, cpu } = unsafe { start.read() };
    tables::load(local);
    apic::start_cpu();
    let started = start_virtualization();
    SECONDARY_STACK.store(0, Ordering::Release);
    match started {
        Ok(()) => cpu.serve(),
        Err(why) => {
            console::say(format_args!("CPU {}: {why}", local.number));
            super::stop_cpu()
        }
    }
}

/// Called by head.s: an exception of the hypervisor itself is a bug.
#[unsafe(no_mangle)]
extern "C" fn kernel_exception(number: u64, error: u64, pc: u64, address: u64) -> ! {
    boot::panicked(format_args!(
        "exception {number} at {pc:#x}, error {error:#x}, address {address:#x}"
    ))
}
