// SPDX-License-Identifier: MIT OR Apache-2.0
//! The UEFI application: it carries the hypervisor's ELF file, bundle and all, as
//! one more section of its own, puts its segments where they belong, leaves the
//! firmware and starts it as a PVH loader does.
//!
//! `xtask` appends the section, so that the whole is one file that can be signed
//! and fetched over a network. What does not fit is said on the firmware's
//! console, and the firmware goes on with its next boot option.
//!
//! UEFI Specification 2.10, "Boot Services"; Xen, "x86/HVM direct boot ABI".
#![no_main]
#![no_std]
#![deny(unsafe_code)]

mod image;
#[expect(unsafe_code, reason = "writes where the hypervisor is loaded, and jumps there")]
mod machine;

use core::time::Duration;

use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use machine::{Handover, Pages};
use uefi::boot;
use uefi::prelude::{Status, entry};

/// How long a refusal can be read before the firmware goes on.
const READABLE: Duration = Duration::from_secs(10);

#[entry]
fn main() -> Status {
    let Err(why) = load();
    uefi::println!("[bulkhead] refused: {why}");
    boot::stall(READABLE);
    Status::LOAD_ERROR
}

/// Starts the hypervisor; comes back only to say why not.
fn load() -> Result<core::convert::Infallible, &'static str> {
    let own = machine::own_image().ok_or("the firmware does not say where this program lies")?;
    let program = image::section(own).ok_or("this program carries no hypervisor")?;
    let file = ElfBytes::<LittleEndian>::minimal_parse(program);
    let file = file.map_err(|_| "the hypervisor's ELF file is damaged")?;
    let entry = image::entry(&file).ok_or("the hypervisor's ELF file has no PVH note")?;
    let root = machine::acpi_root().ok_or("the firmware has no ACPI tables")?;
    for segment in file.segments().into_iter().flatten().filter(|load| load.p_type == PT_LOAD) {
        let bytes = file.segment_data(&segment).map_err(|_| "the hypervisor's ELF file is cut")?;
        let pages = Pages::at(segment.p_paddr, segment.p_memsz);
        pages.ok_or("the firmware uses memory where the hypervisor belongs")?.fill(bytes);
    }
    let handover = Handover::new().ok_or("no memory below 4 GiB")?;
    handover.leave(entry, root)
}
