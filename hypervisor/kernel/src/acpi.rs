// SPDX-License-Identifier: MIT OR Apache-2.0
//! A short reader of the firmware's ACPI tables, of every version: only what
//! the hypervisor wants to know, and nothing of a table whose length or checksum
//! is wrong.
//!
//! ACPI Specification: "Root System Description Pointer (RSDP)", "Multiple APIC
//! Description Table (MADT)", "Fixed ACPI Description Table (FADT)", "PCI
//! Express Memory-mapped Configuration Space base address description table";
//! Microsoft, "Serial Port Console Redirection Table".

use alloc::vec::Vec;

/// Bytes of physical memory; none if they cannot be read.
pub trait Memory {
    /// The bytes of a range.
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]>;
}

/// A line whose legacy interrupt has another number or trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// The legacy interrupt.
    pub irq: u8,
    /// The global system interrupt.
    pub line: u32,
    /// Polarity and trigger.
    pub flags: u16,
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its registers.
    pub address: u64,
    /// Its first global system interrupt.
    pub first: u32,
}

/// A 16550 at I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    /// Its first port.
    pub port: u16,
    /// Its legacy interrupt.
    pub irq: u8,
    /// What divides its clock of 115,200 baud; zero: leave it as firmware set it.
    pub divisor: u8,
}

/// What the tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Local APIC ids of the CPUs that can be used.
    pub cpus: Vec<u32>,
    /// Registers of the local APICs.
    pub local_apic: u64,
    /// I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// Legacy interrupts that are not as they were.
    pub overrides: Vec<Override>,
    /// Registers of the high precision event timer.
    pub hpet: Option<u64>,
    /// First port of the PM timer.
    pub pm_timer: Option<u16>,
    /// Port of PM1a control, and what to write there for soft off.
    pub soft_off: Option<(u16, u16)>,
    /// Memory-mapped configuration space of PCI: its address, first and last bus.
    pub pci: Option<(u64, u8, u8)>,
    /// The console that firmware uses, if it is one that can be used here.
    pub console: Option<Uart>,
}

/// Most bytes of a table that are read.
const LONGEST: u64 = 1 << 20;

/// A little-endian number within bytes; zero where they end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = at.checked_add(N).and_then(|end| bytes.get(at..end)).unwrap_or(&[]);
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether all bytes add up to zero.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// A table, if it is whole.
fn table(memory: &dyn Memory, address: u64) -> Option<&[u8]> {
    let len = number::<4>(memory.bytes(address, 36)?, 4);
    let bytes = memory.bytes(address, len.clamp(36, LONGEST))?;
    is_whole(bytes).then_some(bytes)
}

/// Where the root pointer is, in a range of a PC's memory that firmware keeps it in.
fn scan(memory: &dyn Memory, start: u64, len: u64) -> Option<u64> {
    let bytes = memory.bytes(start, len)?;
    let candidates = bytes.windows(20).step_by(16);
    let found =
        candidates.enumerate().find(|(_, root)| root.starts_with(b"RSD PTR ") && is_whole(root));
    found.map(|(place, _)| start + 16 * place as u64)
}

/// The root pointer that a boot loader told of, or else the one of a PC.
fn root(memory: &dyn Memory, told: Option<u64>) -> Option<u64> {
    const EXTENDED_BIOS_SEGMENT: u64 = 0x40e;
    let is_root = |address: &u64| {
        memory
            .bytes(*address, 20)
            .is_some_and(|root| root.starts_with(b"RSD PTR ") && is_whole(root))
    };
    told.filter(is_root).or_else(|| {
        let extended = number::<2>(memory.bytes(EXTENDED_BIOS_SEGMENT, 2)?, 0) << 4;
        scan(memory, extended, 1024).or_else(|| scan(memory, 0xe_0000, 0x2_0000))
    })
}

/// Reads all that is wanted. `told` is where a boot loader says that the root pointer is.
///
/// # Errors
/// What is missing, with the cure.
pub fn read(memory: &dyn Memory, told: Option<u64>) -> Result<Facts, &'static str> {
    let root = root(memory, told).ok_or("the firmware has no ACPI tables")?;
    let pointer = memory.bytes(root, 20).unwrap_or(&[]);
    let extended = if number::<1>(pointer, 15) >= 2 { memory.bytes(root, 36) } else { None };
    let wide = extended.map(|pointer| number::<8>(pointer, 24)).filter(|wide| *wide != 0);
    let (list, entry) = match wide.and_then(|wide| table(memory, wide)) {
        Some(list) => (list, 8),
        None => (table(memory, number::<4>(pointer, 16)).unwrap_or(&[]), 4),
    };
    let mut facts = Facts::default();
    for entry in list.get(36..).unwrap_or(&[]).chunks_exact(entry) {
        let address = if entry.len() == 8 { number::<8>(entry, 0) } else { number::<4>(entry, 0) };
        let Some(table) = table(memory, address) else { continue };
        match table.get(..4) {
            Some(b"APIC") => interrupts(table, &mut facts),
            Some(b"FACP") => fixed(memory, table, &mut facts),
            Some(b"MCFG") if table.len() >= 60 => {
                let (first, last) = (number::<1>(table, 54) as u8, number::<1>(table, 55) as u8);
                facts.pci = Some((number::<8>(table, 44), first, last));
            }
            // Its registers are in memory: address space 0.
            Some(b"HPET") if number::<1>(table, 40) == 0 => {
                facts.hpet = Some(number::<8>(table, 44)).filter(|address| *address != 0);
            }
            Some(b"SPCR") => facts.console = console(table),
            _ => {}
        }
    }
    if facts.cpus.is_empty() || facts.io_apics.is_empty() {
        return Err("the firmware's ACPI tables list no CPUs or no I/O APIC");
    }
    Ok(facts)
}

/// The MADT.
fn interrupts(table: &[u8], facts: &mut Facts) {
    const USABLE: u64 = 1;
    facts.local_apic = number::<4>(table, 36);
    let mut rest = table.get(44..).unwrap_or(&[]);
    while let (Some(kind), Some(len)) = (rest.first(), rest.get(1)) {
        let Some(entry) = rest.get(..usize::from(*len)).filter(|entry| entry.len() >= 2) else {
            break;
        };
        match *kind {
            0 if number::<4>(entry, 4) & USABLE != 0 => {
                facts.cpus.push(number::<1>(entry, 3) as u32)
            }
            9 if number::<4>(entry, 8) & USABLE != 0 => {
                facts.cpus.push(number::<4>(entry, 4) as u32)
            }
            1 => facts.io_apics.push(IoApic {
                address: number::<4>(entry, 4),
                first: number::<4>(entry, 8) as u32,
            }),
            2 => facts.overrides.push(Override {
                irq: number::<1>(entry, 3) as u8,
                line: number::<4>(entry, 4) as u32,
                flags: number::<2>(entry, 8) as u16,
            }),
            5 => facts.local_apic = number::<8>(entry, 4),
            _ => {}
        }
        rest = rest.get(entry.len()..).unwrap_or(&[]);
    }
}

/// The SPCR, if it names a 16550 at I/O ports with a legacy interrupt.
fn console(table: &[u8]) -> Option<Uart> {
    const KINDS: [u64; 3] = [0, 1, 0x12];
    const PORTS: u64 = 1;
    const LEGACY: u64 = 1;
    let usable = KINDS.contains(&number::<1>(table, 36))
        && number::<1>(table, 40) == PORTS
        && number::<1>(table, 52) & LEGACY != 0;
    let port = u16::try_from(number::<8>(table, 44)).ok();
    let port = port.filter(|port| usable && *port != 0 && port % 8 == 0)?;
    let divisor = match number::<1>(table, 58) {
        3 => 12,
        4 => 6,
        6 => 2,
        7 => 1,
        _ => 0,
    };
    Some(Uart { port, irq: number::<1>(table, 53) as u8, divisor })
}

/// The FADT, and the package \_S5 of the DSDT.
fn fixed(memory: &dyn Memory, fadt: &[u8], facts: &mut Facts) {
    const SLEEP_ENABLE: u16 = 1 << 13;
    let timer = number::<4>(fadt, 76) as u16;
    facts.pm_timer = (timer != 0).then_some(timer);
    let wide = number::<8>(fadt, 140);
    let address = if wide != 0 { wide } else { number::<4>(fadt, 40) };
    let control = number::<4>(fadt, 64) as u16;
    let kind = table(memory, address).and_then(soft_off);
    facts.soft_off =
        kind.filter(|_| control != 0).map(|kind| (control, u16::from(kind) << 10 | SLEEP_ENABLE));
}

/// The first number of the package `\_S5`, found by its name: PackageOp, a length of one byte,
/// the count, then the number as a constant or behind a BytePrefix ("AML Grammar Definition").
fn soft_off(dsdt: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"_S5_\x12";
    const BYTE_PREFIX: u8 = 0x0a;
    const ONE: u8 = 1;
    let at = dsdt.windows(NAME.len()).position(|bytes| bytes == NAME)?;
    let package = dsdt.get(at + NAME.len() + 2..)?;
    let kind = match *package.first()? {
        BYTE_PREFIX => *package.get(1)?,
        constant if constant <= ONE => constant,
        _ => return None,
    };
    (kind < 8).then_some(kind)
}

impl Facts {
    /// The line and trigger of a legacy interrupt.
    #[must_use]
    pub fn line(&self, irq: u8) -> (u32, u16) {
        let found = self.overrides.iter().find(|found| found.irq == irq);
        found.map_or((irq.into(), 0), |found| (found.line, found.flags))
    }
}
