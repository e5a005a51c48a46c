// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor's own map, and the pages that tables are made of.
//!
//! ```text
//!  0xffff_ffff_8000_0000  the home, 2 MiB: text RX, rodata R, data RW, guard, boot
//!                         stack RW, then pages handed out from below: tables, stacks, heap
//!  0xffff_ff00_0000_0000  one window of 2 MiB a CPU, open for one step (memory.rs)
//!  below 2^47             devices and bundle at their own addresses
//! ```
//! No page is writable and executable, and the page below each stack is not
//! mapped. The boot tables (head.s), which know no rights, are left here for good.

use super::features::Features;
use super::sysreg::{PAT, wrmsr};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use paging::long::Long;
use paging::npt::Npt;
use paging::{Error, HostPhys, HostVirt, Kind, Mapping, OutOfTables, PAGE, Rights, Space, Tables};
use spin::Mutex;

/// Where the home is mapped, and linked.
pub(super) const HOME: u64 = 0xffff_ffff_8000_0000;
/// Where it lies in memory.
pub(super) const HOME_PHYS: u64 = 0x20_0000;
/// Bytes of the home.
pub(super) const HOME_SIZE: u64 = 0x20_0000;
/// Bytes at its end that a boot leaves alone.
const KEPT_SIZE: u64 = 0x1_0000;
/// Where the windows are mapped.
const WINDOWS: u64 = 0xffff_ff00_0000_0000;
/// Bytes of a window.
pub(super) const WINDOW_SIZE: u64 = 0x20_0000;
/// A leaf of 2 MiB: present, writable, accessed, dirty, never executed.
const WINDOW_ENTRY: u64 = 1 << 63 | 0xe3;
/// An entry that names a table.
const TABLE_ENTRY: u64 = 0x23;
/// The bits of an address that tables translate; those above repeat the last of them.
const TRANSLATED: u64 = (1 << 48) - 1;

unsafe extern "C" {
    static __image_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __boot_guard: u8;
    static __boot_stack: u8;
    static __program_end: u8;
}

/// Pages of the home that are not yet given away.
#[derive(Debug)]
pub(super) struct Pages {
    next: u64,
}

/// Physical address of the table whose entry `n` is CPU `n`'s window; written once, by [`Map::new`].
static WINDOW_TABLE: AtomicU64 = AtomicU64::new(0);

static PAGES: Mutex<Pages> = Mutex::new(Pages { next: 0 });

/// The physical address of something in the home.
pub(super) const fn phys(address: u64) -> u64 {
    address - HOME + HOME_PHYS
}

impl Pages {
    /// Pages that nobody has, the first a multiple of `align` pages.
    fn take(&mut self, pages: usize, align: usize) -> Result<HostPhys, OutOfTables> {
        let start = self.next.next_multiple_of(align as u64 * PAGE);
        let end = start + pages as u64 * PAGE;
        if end > HOME_PHYS + HOME_SIZE - KEPT_SIZE {
            return Err(OutOfTables);
        }
        self.next = end;
        Ok(HostPhys::new(start))
    }

    /// The kernel's address of a page of the home.
    fn virt(&self, page: HostPhys) -> *mut u64 {
        (page.get() - HOME_PHYS + HOME) as *mut u64
    }
}

impl Tables for Pages {
    fn allocate(&mut self, pages: usize) -> Result<HostPhys, OutOfTables> {
        let page = self.take(pages, pages)?;
        // SAFETY: these pages lie in the home, are mapped writable and were given to nobody:
        // `next` only grows and started behind the program.
        unsafe { core::ptr::write_bytes(self.virt(page).cast::<u8>(), 0, pages * PAGE as usize) }
        Ok(page)
    }

    fn read(&self, table: HostPhys, index: usize) -> u64 {
        // SAFETY: the walker passes only tables that `allocate` gave, and an index below 512.
        unsafe { self.virt(table).add(index & 511).read_volatile() }
    }

    fn write(&mut self, table: HostPhys, index: usize, entry: u64) {
        // SAFETY: as in `read`. Walks are coherent with stores.
        unsafe { self.virt(table).add(index & 511).write_volatile(entry) }
    }
}

/// Registers that the hypervisor drives itself.
#[derive(Debug)]
pub(super) struct Frame(u64);

impl Frame {
    /// Reads the register at an offset within the page.
    #[inline(always)]
    pub(super) fn read32(&self, offset: usize) -> u32 {
        // SAFETY: `Map::frame` mapped the page as device registers, for ever.
        unsafe { ((self.0 as usize + (offset & 0xffc)) as *const u32).read_volatile() }
    }

    /// Writes it.
    #[inline(always)]
    pub(super) fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ((self.0 as usize + (offset & 0xffc)) as *mut u32).write_volatile(value) }
    }
}

/// The map.
#[derive(Debug)]
pub(super) struct Map {
    space: Space<Long>,
}

/// Bytes of the home in use: program, tables, stacks and heap.
#[must_use]
pub fn used() -> u64 {
    PAGES.lock().next - HOME_PHYS
}

/// Memory that a warm reset and a boot leave alone.
#[must_use]
pub fn kept() -> &'static [AtomicU64] {
    let first = (HOME + HOME_SIZE - KEPT_SIZE) as *const AtomicU64;
    // SAFETY: the end of the home is mapped writable for ever, `Pages::take` gives none of it
    // away, and any bytes are numbers.
    unsafe { core::slice::from_raw_parts(first, KEPT_SIZE as usize / 8) }
}

/// Tables for stage 2, from the same pages.
pub(super) fn with_tables<T>(work: impl FnOnce(&mut Pages) -> T) -> T {
    work(&mut PAGES.lock())
}

/// Zeroed pages of the home, which nobody else has, as the kernel sees them.
#[must_use]
pub(super) fn pages(count: usize) -> Option<*mut u64> {
    let mut store = PAGES.lock();
    let first = store.allocate(count.next_power_of_two()).ok()?;
    Some(store.virt(first))
}

/// Pages full of ones, which nobody else has.
#[must_use]
pub(super) fn ones(count: usize) -> Option<*mut u64> {
    let pages = pages(count)?;
    // SAFETY: these pages were just allocated.
    unsafe { core::ptr::write_bytes(pages.cast::<u8>(), 0xff, count * PAGE as usize) }
    Some(pages)
}

/// Pages for a stack or the heap, as the kernel sees them, with an unmapped page below.
#[must_use]
pub(super) fn allocate(map: &mut Map, pages: usize) -> Option<*mut u8> {
    let mut store = PAGES.lock();
    let guard = store.take(1, 1).ok()?;
    let first = store.take(pages, 1).ok()?;
    let guard = store.virt(guard) as u64;
    let broken = map.space.unmap(&mut *store, input(guard), PAGE).ok()?;
    invalidate(guard);
    broken.make(&mut *store);
    Some(store.virt(first).cast())
}

/// What the walker calls an address of the hypervisor.
const fn input(address: u64) -> HostVirt {
    HostVirt::new(address & TRANSLATED)
}

/// Drops a page of the hypervisor's own map from this CPU's TLB. Only this CPU
/// runs while the map changes, and a window is its CPU's alone.
fn invalidate(address: u64) {
    // SAFETY: forgets a translation.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
}

impl Map {
    /// The map of the home, with nothing else in it.
    ///
    /// # Errors
    /// When the home is too small.
    pub(super) fn new(features: &Features) -> Result<Self, Error> {
        let mut store = PAGES.lock();
        let address = |symbol: *const u8| symbol as u64 - HOME;
        let (rodata, data) = (&raw const __rodata_start, &raw const __data_start);
        let (guard, stack, end) =
            (&raw const __boot_guard, &raw const __boot_stack, &raw const __program_end);
        store.next = HOME_PHYS + address(end).next_multiple_of(PAGE);
        let format = Long::new(features.physical_bits, features.gigabyte_pages);
        let mut space = Space::new(format, &mut *store)?;
        let read_write = Rights::READ | Rights::WRITE;
        for (from, to, rights) in [
            (0, address(rodata), Rights::READ | Rights::EXECUTE),
            (address(rodata), address(data), Rights::READ),
            (address(data), address(guard), read_write),
            (address(stack), HOME_SIZE, read_write),
        ] {
            let mapping = Mapping {
                input: input(HOME + from),
                host: HostPhys::new(HOME_PHYS + from),
                len: to - from,
                rights,
                kind: Kind::Normal,
            };
            space.map(&mut *store, mapping)?;
        }
        let level1 = store.allocate(1)?;
        let windows = store.allocate(1)?;
        store.write(level1, 0, windows.get() | TABLE_ENTRY);
        let root = space.root();
        let slot = (WINDOWS & TRANSLATED) >> 39;
        store.write(root, slot as usize, level1.get() | TABLE_ENTRY);
        WINDOW_TABLE.store(windows.get(), Ordering::Relaxed);
        Ok(Self { space })
    }

    /// Maps a range at its own address, to read or as device registers.
    ///
    /// # Errors
    /// As the walker says.
    pub(super) fn add(
        &mut self,
        start: u64,
        len: u64,
        rights: Rights,
        kind: Kind,
    ) -> Result<(), Error> {
        let first = start & !(PAGE - 1);
        let mapping = Mapping {
            input: HostVirt::new(first),
            host: HostPhys::new(first),
            len: (start + len).next_multiple_of(PAGE) - first,
            rights,
            kind,
        };
        self.space.map(&mut *PAGES.lock(), mapping)
    }

    /// Maps a page of registers that the kernel drives itself; none if it is taken.
    pub(super) fn frame(&mut self, start: u64) -> Option<Frame> {
        let rights = Rights::READ | Rights::WRITE;
        self.add(start, PAGE, rights, Kind::Device).ok()?;
        Some(Frame(start))
    }

    /// The root table, for [`activate`].
    #[must_use]
    pub(super) fn root(&self) -> HostPhys {
        self.space.root()
    }
}

/// Points CR3 at a map that holds the home where it is.
pub(super) fn activate(root: HostPhys) {
    // SAFETY: the new tables map the running code, its data and its stack as the old ones do, and
    // everything that either caches is write-back in both: entry 0 of the PAT is.
    unsafe {
        wrmsr(PAT, Npt::PAT);
        asm!("mov cr3, {}", in(reg) root.get(), options(nostack, preserves_flags));
    }
}

/// This CPU's window, open on one 2 MiB block after the other until it is dropped.
#[derive(Debug)]
pub(super) struct Window {
    place: WindowPlace,
    block: u64,
}

/// Where a CPU's window is.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowPlace {
    /// The address of its entry in the table.
    entry: u64,
    address: u64,
}

impl WindowPlace {
    /// No window's.
    pub(super) const NOWHERE: Self = Self { entry: 0, address: 0 };

    /// The place of CPU `cpu`'s.
    #[inline(always)]
    pub(super) fn of(cpu: usize) -> Self {
        let slot = cpu as u64 & 511;
        // The table is the kernel's (Map::new) and has 512 entries.
        let table = WINDOW_TABLE.load(Ordering::Relaxed) - HOME_PHYS + HOME;
        Self { entry: table + slot * 8, address: WINDOWS + slot * WINDOW_SIZE }
    }
}

impl Window {
    /// No block's address.
    const CLOSED: u64 = u64::MAX;

    /// The window of CPU `cpu`, which runs this and uses no other meanwhile.
    #[inline(always)]
    pub(super) fn of(cpu: usize) -> Self {
        Self::at(WindowPlace::of(cpu))
    }

    /// The window at this place, this CPU's.
    #[inline(always)]
    pub(super) fn at(place: WindowPlace) -> Self {
        Self { place, block: Self::CLOSED }
    }

    /// The 2 MiB block at `block`, until the next call.
    #[inline(always)]
    pub(super) fn on(&mut self, block: u64) -> *mut u8 {
        let block = block & !(WINDOW_SIZE - 1);
        if block != self.block {
            // SAFETY: the entry is this CPU's alone (`of`), and nothing refers into its window: a
            // pointer is good until the next call.
            unsafe { (self.place.entry as *mut u64).write_volatile(block | WINDOW_ENTRY) }
            invalidate(self.place.address);
            self.block = block;
        }
        self.place.address as *mut u8
    }
}

impl Drop for Window {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as in `on`; the translation is dropped before anything else can use it.
        unsafe { (self.place.entry as *mut u64).write_volatile(0) }
        invalidate(self.place.address);
    }
}
