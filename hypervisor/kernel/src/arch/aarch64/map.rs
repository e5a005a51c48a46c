// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor's own map, and the pages that tables are made of.
//!
//! ```text
//!  0x7f00_0000_0000  the home, 2 MiB: text RX, rodata R, data RW, guard, boot
//!                    stack RW, then pages handed out from below: tables, stacks, heap
//!  0x7e00_0000_0000  one window of 2 MiB a CPU, open for one step (memory.rs)
//!  below             devices, device tree and bundle at their own addresses
//! ```
//! No page is writable and executable (SCTLR_EL2.WXN says so once more), and
//! the page below each stack is not mapped.

use super::sysreg::{dsb_sy, isb, msr};
use core::sync::atomic::{AtomicU64, Ordering};
use paging::stage1::Stage1;
use paging::{Error, HostPhys, HostVirt, Kind, Mapping, OutOfTables, PAGE, Rights, Space, Tables};
use spin::Mutex;

/// Where the home is mapped, and linked.
pub(super) const HOME: u64 = 0x7f00_0000_0000;
/// Bytes of the home.
pub(super) const HOME_SIZE: u64 = 0x20_0000;
/// Bytes at its end that a boot leaves alone.
const KEPT_SIZE: u64 = 0x1_0000;
/// Where the windows are mapped.
pub(super) const WINDOWS: u64 = 0x7e00_0000_0000;
/// Bytes of a window.
pub(super) const WINDOW_SIZE: u64 = 0x20_0000;
/// A leaf of level 2 in stage 1: valid, normal, inner shareable, writable, never executed.
const WINDOW_ENTRY: u64 = 1 << 54 | 1 << 10 | 3 << 8 | 1 << 6 | 1;
/// An entry that names a table.
const TABLE_ENTRY: u64 = 3;

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
    home: u64,
    next: u64,
}

/// The home's physical address; written once, by [`Map::new`], before other CPUs start.
static HOME_PHYS: AtomicU64 = AtomicU64::new(0);

static PAGES: Mutex<Pages> = Mutex::new(Pages { home: 0, next: 0 });

impl Pages {
    /// Pages that nobody has, the first a multiple of `align` pages.
    fn take(&mut self, pages: usize, align: usize) -> Result<HostPhys, OutOfTables> {
        let start = self.next.next_multiple_of(align as u64 * PAGE);
        let end = start + pages as u64 * PAGE;
        if end > self.home + HOME_SIZE - KEPT_SIZE {
            return Err(OutOfTables);
        }
        self.next = end;
        Ok(HostPhys::new(start))
    }

    /// The kernel's address of a page of the home.
    fn virt(&self, page: HostPhys) -> *mut u64 {
        (page.get() - self.home + HOME) as *mut u64
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
        // SAFETY: as in `read`. Walks are inner-shareable and write-back, as this store is, so
        // the barrier alone lets every walker see it.
        unsafe {
            self.virt(table).add(index & 511).write_volatile(entry);
            core::arch::asm!("dsb ishst", options(nostack, preserves_flags));
        }
    }
}

/// The map and the table of windows.
#[derive(Debug)]
pub(super) struct Map {
    space: Space<Stage1>,
    windows: HostPhys,
}

/// Physical address of the home, for the firmware and for placement.
#[must_use]
pub(super) fn home() -> u64 {
    HOME_PHYS.load(Ordering::Relaxed)
}

/// Bytes of the home in use: program, tables, stacks and heap.
#[must_use]
pub fn used() -> u64 {
    let pages = PAGES.lock();
    pages.next - pages.home
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

/// Pages for a stack or the heap, as the kernel sees them, with an unmapped page below.
#[must_use]
pub(super) fn allocate(map: &mut Map, pages: usize) -> Option<*mut u8> {
    let mut store = PAGES.lock();
    let guard = store.take(1, 1).ok()?;
    let first = store.take(pages, 1).ok()?;
    let guard_virt = guard.get() - store.home + HOME;
    let broken = map.space.unmap(&mut *store, HostVirt::new(guard_virt), PAGE).ok()?;
    invalidate(guard_virt);
    broken.make(&mut *store);
    Some((first.get() - store.home + HOME) as *mut u8)
}

/// Drops a page of the hypervisor's own map from the TLBs of all CPUs.
fn invalidate(address: u64) {
    dsb_sy();
    // SAFETY: forgets a translation that its caller has taken out of the map.
    unsafe { core::arch::asm!("tlbi vae2is, {}", in(reg) address >> 12, options(nostack)) }
    dsb_sy();
    isb();
}

impl Map {
    /// The map of the home, with nothing else in it. `home` is its physical address.
    ///
    /// # Errors
    /// When the home is too small.
    pub(super) fn new(home: u64, pa_range: u8) -> Result<Self, Error> {
        let mut store = PAGES.lock();
        let address = |symbol: *const u8| symbol as u64 - HOME;
        let (rodata, data) = (&raw const __rodata_start, &raw const __data_start);
        let (guard, stack, end) =
            (&raw const __boot_guard, &raw const __boot_stack, &raw const __program_end);
        HOME_PHYS.store(home, Ordering::Relaxed);
        store.home = home;
        store.next = home + address(end).next_multiple_of(PAGE);
        let mut space = Space::new(Stage1::new(pa_range), &mut *store)?;
        let read_write = Rights::READ | Rights::WRITE;
        for (from, to, rights) in [
            (0, address(rodata), Rights::READ | Rights::EXECUTE),
            (address(rodata), address(data), Rights::READ),
            (address(data), address(guard), read_write),
            (address(stack), HOME_SIZE, read_write),
        ] {
            let mapping = Mapping {
                input: HostVirt::new(HOME + from),
                host: HostPhys::new(home + from),
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
        store.write(root, (WINDOWS >> 39) as usize, level1.get() | TABLE_ENTRY);
        Ok(Self { space, windows })
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

    /// The root table, for [`activate`].
    #[must_use]
    pub(super) fn root(&self) -> HostPhys {
        self.space.root()
    }

    /// The table whose entry `n` is CPU `n`'s window.
    #[must_use]
    pub(super) fn windows(&self) -> HostPhys {
        self.windows
    }
}

/// Points TTBR0_EL2 at a map that holds the home where it is, and turns WXN on.
pub(super) fn activate(root: HostPhys) {
    dsb_sy();
    msr!("ttbr0_el2", root.get());
    isb();
    // SAFETY: the new tables map the running code, its data and its stack as the old ones do.
    unsafe { core::arch::asm!("tlbi alle2", options(nostack)) }
    dsb_sy();
    isb();
    // RES1, WXN, SA, I, C, M.
    msr!("sctlr_el2", 0x30cd_183d);
    isb();
}

/// Opens CPU `cpu`'s window on the 2 MiB block at `block`, runs `work` on it, closes it.
pub(super) fn with_window<T>(
    windows: HostPhys,
    cpu: usize,
    block: u64,
    work: impl FnOnce(*mut u8) -> T,
) -> T {
    let address = WINDOWS + cpu as u64 * WINDOW_SIZE;
    let entry = {
        let home = HOME_PHYS.load(Ordering::Relaxed);
        (windows.get() - home + HOME) as *mut u64
    };
    // SAFETY: the table is the kernel's (Map::new), entry `cpu` is this CPU's alone, and its
    // window is closed: this function closes it before it returns.
    unsafe {
        entry.add(cpu & 511).write_volatile(block & !(WINDOW_SIZE - 1) | WINDOW_ENTRY);
        core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags));
    }
    let result = work(address as *mut u8);
    // SAFETY: as above; the translation is dropped before anything else can use it.
    unsafe {
        entry.add(cpu & 511).write_volatile(0);
        core::arch::asm!(
            "dsb ishst",
            "tlbi vae2, {}",
            "dsb nsh",
            "isb",
            in(reg) address >> 12,
            options(nostack, preserves_flags)
        );
    }
    result
}
