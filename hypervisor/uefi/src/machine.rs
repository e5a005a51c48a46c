// SPDX-License-Identifier: MIT OR Apache-2.0
//! The firmware's memory, and the way out of it: the one module with unsafe code.
//!
//! Nothing is written but pages that the firmware gave to this program, so its own
//! code, stack and tables stay whole until the last jump.
//!
//! Intel SDM, volume 3, "Switching Out of IA-32e Mode Operation"; Xen,
//! `xen/include/public/arch-x86/hvm/start_info.h`.

use core::arch::global_asm;
use core::mem::offset_of;
use core::ptr::NonNull;

use uefi::boot::{self, AllocateType, MemoryType};
use uefi::mem::memory_map::{MemoryMap, MemoryMapOwned};
use uefi::proto::loaded_image::LoadedImage;
use uefi::system;
use uefi::table::cfg::ConfigTableEntry;

/// Bytes of a page.
const PAGE: usize = 4096;
/// The trampoline runs with 32 bits, so all that it uses lies below this.
const LIMIT: u64 = 0xffff_ffff;
/// Entries that the memory map can have.
const ENTRIES: usize = 1024;
/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// Type of usable memory.
const USABLE: u32 = 1;
/// Type of all other memory.
const RESERVED: u32 = 2;
/// Code, 32 bits, flat.
const CODE: u64 = 0x00cf_9b00_0000_ffff;
/// Data, flat.
const DATA: u64 = 0x00cf_9300_0000_ffff;

// The trampoline: RDI the start info, ESI the entry, RDX the descriptor table's
// register image. It is copied below 4 GiB, so it names nothing by its address.
global_asm!(
    ".global trampoline, trampoline_end",
    "trampoline:",
    "cli",
    "lgdt [rdx]",
    "push 0x08",
    "lea rax, [rip + 2f]",
    "push rax",
    "retfq",
    ".code32",
    "2: mov eax, 0x10",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov eax, cr0",
    "and eax, 0x7fffffff", // PG
    "mov cr0, eax",
    "mov ecx, 0xc0000080", // EFER
    "rdmsr",
    "and eax, 0xfffffeff", // LME
    "wrmsr",
    "xor eax, eax",
    "mov cr4, eax",
    "mov ebx, edi",
    "jmp esi",
    ".code64",
    "trampoline_end:",
);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

/// This program as the firmware loaded it.
pub(crate) fn own_image() -> Option<&'static [u8]> {
    let image = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle()).ok()?;
    let (base, size) = image.info();
    let size = usize::try_from(size).ok()?;
    // SAFETY: the firmware loaded these bytes, headers and all, and this program, which runs from
    // them, never gives them back; what is read of them is constant.
    (!base.is_null()).then(|| unsafe { core::slice::from_raw_parts(base.cast::<u8>(), size) })
}

/// Address of ACPI's root pointer, the newer one if there are two.
pub(crate) fn acpi_root() -> Option<u64> {
    system::with_config_table(|entries| {
        let find = |guid| entries.iter().find(|entry| entry.guid == guid);
        let found =
            find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID));
        found.map(|entry| entry.address.addr() as u64)
    })
}

/// Pages that the firmware gave to this program.
pub(crate) struct Pages(&'static mut [u8]);

impl Pages {
    /// The pages that hold `size` bytes at an address, unless somebody uses one of them.
    pub(crate) fn at(address: u64, size: u64) -> Option<Self> {
        let before = address % PAGE as u64;
        let size = usize::try_from(size.checked_add(before)?).ok()?;
        let how = AllocateType::Address(address - before);
        let first = Self::allocate(how, MemoryType::LOADER_DATA, size)?;
        Some(Self(first.0.get_mut(usize::try_from(before).ok()?..)?))
    }

    fn allocate(how: AllocateType, kind: MemoryType, size: usize) -> Option<Self> {
        let pages = size.div_ceil(PAGE);
        let start = boot::allocate_pages(how, kind, pages).ok()?;
        // SAFETY: the firmware just gave these pages to this program and to nobody else; it maps
        // all memory at its own address.
        Some(Self(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), pages * PAGE) }))
    }

    /// Puts bytes at their beginning and zeroes the rest.
    pub(crate) fn fill(self, bytes: &[u8]) {
        let (start, rest) = self.0.split_at_mut(bytes.len().min(self.0.len()));
        start.copy_from_slice(bytes.get(..start.len()).unwrap_or(&[]));
        rest.fill(0);
    }
}

/// The image of a descriptor table's register.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// An entry of the memory map.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    start: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// All that outlives this program, below 4 GiB: what the hypervisor reads, and the trampoline.
#[repr(C)]
struct Block {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    root: u64,
    map: u64,
    entries: u32,
    reserved: u32,
    memory: [Entry; ENTRIES],
    table: [u64; 3],
    pointer: Pointer,
    code: [u8; 128],
}

/// The block on its way to the hypervisor.
pub(crate) struct Handover(&'static mut Block);

impl Handover {
    /// With the trampoline, and without the memory map.
    pub(crate) fn new() -> Option<Self> {
        let how = AllocateType::MaxAddress(LIMIT);
        let pages = Pages::allocate(how, MemoryType::LOADER_CODE, size_of::<Block>())?;
        pages.0.fill(0);
        let place = NonNull::from(pages.0).cast::<Block>();
        // SAFETY: the pages are large enough, aligned, this program's alone, and zero, which is a
        // value that each of the block's fields can have.
        let block = unsafe { &mut *place.as_ptr() };
        let (start, end) = (&raw const trampoline, &raw const trampoline_end);
        let len = end.addr().checked_sub(start.addr())?;
        // SAFETY: the linker put the trampoline's bytes between both symbols, in this order.
        let code = unsafe { core::slice::from_raw_parts(start, len) };
        block.code.get_mut(..len)?.copy_from_slice(code);
        block.table = [0, CODE, DATA];
        block.pointer = Pointer {
            limit: (size_of_val(&block.table) - 1) as u16,
            base: (&raw const block.table).addr() as u64,
        };
        Some(Self(block))
    }

    /// Leaves the firmware and starts the hypervisor.
    pub(crate) fn leave(self, entry: u32, root: u64) -> ! {
        let block = self.0;
        // SAFETY: no protocol is open and nothing of the firmware's boot services is used below.
        let map = unsafe { boot::exit_boot_services(None) };
        let count = list(&map, &mut block.memory);
        (block.magic, block.version, block.root) = (MAGIC, 1, root);
        block.map = (&raw const block.memory).addr() as u64;
        block.entries = count as u32;
        let block = core::ptr::from_mut(block);
        let code = block.addr() + offset_of!(Block, code);
        // SAFETY: the code is the trampoline, in pages of a kind that can be executed; what it uses lies below 4 GiB, and the hypervisor's segments are in place.
        unsafe {
            core::arch::asm!(
                "jmp {code}",
                code = in(reg) code,
                in("rdi") block,
                in("rsi") u64::from(entry),
                in("rdx") block.addr() + offset_of!(Block, pointer),
                options(noreturn),
            )
        }
    }
}

/// Writes the memory map, neighbours of one kind as one; how many entries there are. What does
/// not fit is left out, and so used by nobody.
fn list(map: &MemoryMapOwned, memory: &mut [Entry]) -> usize {
    let mut count = 0_usize;
    for descriptor in map.entries() {
        let usable = matches!(
            descriptor.ty,
            MemoryType::CONVENTIONAL
                | MemoryType::BOOT_SERVICES_CODE
                | MemoryType::BOOT_SERVICES_DATA
                | MemoryType::LOADER_CODE
                | MemoryType::LOADER_DATA
        );
        let kind = if usable { USABLE } else { RESERVED };
        let (start, size) = (descriptor.phys_start, descriptor.page_count * PAGE as u64);
        let last = count.checked_sub(1).and_then(|last| memory.get_mut(last));
        match last.filter(|last| last.kind == kind && last.start + last.size == start) {
            Some(last) => last.size += size,
            None => {
                let Some(entry) = memory.get_mut(count) else { break };
                *entry = Entry { start, size, kind, reserved: 0 };
                count += 1;
            }
        }
    }
    count
}

const _: () = {
    assert!(offset_of!(Block, root) == 32 && offset_of!(Block, map) == 40);
    assert!(offset_of!(Block, entries) == 48 && size_of::<Entry>() == 24);
};
