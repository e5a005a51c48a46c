// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ACPI tables of a guest (ACPI Specification 6.5, "ACPI Software Programming
//! Model"): the vCPUs and interrupt controllers in the MADT, the fixed registers
//! in the FADT, and in the DSDT how to switch off, the devices, and the channels.
//! There is no PCI bus, so no MCFG.

use abi::mailbox::ring::MEMORY_LEN;
use abi::platform::{CHANNEL_REGISTERS_STRIDE, pc};
use acpi_tables::Aml;
use acpi_tables::aml::{
    Device, IO, Interrupt, Memory32Fixed, Name, Package, Path, ResourceTemplate, Scope,
};
use acpi_tables::facs::FACS;
use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use crate::manifest::{Manifest, Partition};

/// Who made the tables.
const OEM: [u8; 6] = *b"BULKHD";
/// What they describe.
const OEM_TABLE: [u8; 8] = *b"BULKPC  ";
/// Their revision.
const OEM_REVISION: u32 = 1;
/// Alignment of each table; the FACS needs it.
const ALIGN: usize = 64;
/// Bytes of a table's header.
const HEADER: u32 = 36;
/// There are PICs beside the APICs.
const PCAT_COMPAT: u32 = 1;
/// An interrupt of the ISA bus on another pin of the I/O APIC.
const OVERRIDE: u8 = 2;
/// Level, active high.
const LEVEL_HIGH: u16 = 0x0d;
/// As the bus has it: edge, active high.
const CONFORMS: u16 = 0;
/// The I/O APIC's identifier.
const IO_APIC_ID: u8 = 0;
/// Devices of the ISA bus, and no VGA.
const BOOT_ARCH: u16 = 1 | 1 << 2;
/// Latency of a C-state that there is not.
const NEVER: u16 = 0xffff;

/// All tables of a partition, for [`pc::ACPI`], the RSDP first.
pub(super) fn tables(manifest: &Manifest, row: usize, partition: &Partition) -> Vec<u8> {
    let mut tables = vec![0; Rsdp::len()];
    let facs = add(&mut tables, &FACS::new());
    let dsdt = add(&mut tables, &dsdt(manifest, row, partition));
    let fadt = add(&mut tables, &fadt(facs, dsdt).finalize());
    let madt = add(&mut tables, &madt(partition.cpus.len()));
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    xsdt.add_entry(fadt.into());
    xsdt.add_entry(madt.into());
    let xsdt = add(&mut tables, &xsdt);
    let mut rsdp = Vec::new();
    Rsdp::new(OEM, xsdt.into()).to_aml_bytes(&mut rsdp);
    tables[..rsdp.len()].copy_from_slice(&rsdp);
    tables
}

/// Adds a table; its guest address.
fn add(tables: &mut Vec<u8>, table: &dyn Aml) -> u32 {
    tables.resize(tables.len().next_multiple_of(ALIGN), 0);
    let at = pc::ACPI + tables.len() as u64;
    table.to_aml_bytes(tables);
    u32::try_from(at).unwrap_or(0)
}

fn madt(cpus: usize) -> Sdt {
    let mut madt = Sdt::new(*b"APIC", HEADER, 4, OEM, OEM_TABLE, OEM_REVISION);
    madt.append_slice(&(pc::LOCAL_APIC as u32).to_le_bytes());
    madt.append_slice(&PCAT_COMPAT.to_le_bytes());
    let append = |madt: &mut Sdt, entry: &dyn Aml| {
        let mut bytes = Vec::new();
        entry.to_aml_bytes(&mut bytes);
        madt.append_slice(&bytes);
    };
    for cpu in 0..u8::try_from(cpus).unwrap_or(u8::MAX) {
        append(&mut madt, &ProcessorLocalApic::new(cpu, cpu, EnabledStatus::Enabled));
    }
    append(&mut madt, &IoApic::new(IO_APIC_ID, pc::IO_APIC as u32, 0));
    for (irq, gsi, how) in [(0, pc::PIT_GSI, CONFORMS), (pc::SCI as u8, pc::SCI, LEVEL_HIGH)] {
        madt.append_slice(&[OVERRIDE, 10, 0, irq]);
        madt.append_slice(&gsi.to_le_bytes());
        madt.append_slice(&how.to_le_bytes());
    }
    madt
}

fn fadt(facs: u32, dsdt: u32) -> FADTBuilder {
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .firmware_ctrl_32(facs)
        .dsdt_32(dsdt)
        .preferred_pm_profile(PmProfile::EnterpriseServer)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::FixRtc)
        .flag(Flags::TmrValExt)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless);
    let block = |port: u16, bytes: u8, size: AccessSize| {
        (u32::from(port).into(), GAS::new(AddressSpace::SystemIo, bytes * 8, 0, size, port.into()))
    };
    fadt.sci_int = (pc::SCI as u16).into();
    (fadt.pm1a_evt_blk, fadt.x_pm1a_evt_blk) = block(pc::PM_EVENT, 4, AccessSize::WordAccess);
    (fadt.pm1a_cnt_blk, fadt.x_pm1a_cnt_blk) = block(pc::PM_CONTROL, 2, AccessSize::WordAccess);
    (fadt.pm_tmr_blk, fadt.x_pm_tmr_blk) = block(pc::PM_TIMER, 4, AccessSize::DwordAccess);
    (fadt.pm1_evt_len, fadt.pm1_cnt_len, fadt.pm_tmr_len) = (4, 2, 4);
    (fadt.p_lvl2_lat, fadt.p_lvl3_lat) = (NEVER.into(), NEVER.into());
    fadt.iapc_boot_arch = BOOT_ARCH.into();
    fadt.reset_reg = block(pc::RESET, 1, AccessSize::ByteAccess).1;
    fadt.reset_value = pc::RESET_VALUE;
    fadt
}

fn dsdt(manifest: &Manifest, row: usize, partition: &Partition) -> Sdt {
    let mut aml = Vec::new();
    let off = Package::new(vec![&pc::SOFT_OFF, &pc::SOFT_OFF, &0_u8, &0_u8]);
    Name::new("_S5_".into(), &off).to_aml_bytes(&mut aml);
    let mut devices = isa("COM1", "PNP0501", "COM1", pc::COM1, pc::COM_PORTS, &[pc::COM1_IRQ]);
    devices.extend(isa("RTC_", "PNP0B00", "RTC", pc::RTC, 2, &[pc::RTC_IRQ]));
    for (number, device) in partition.devices.iter().enumerate() {
        let identifier = device.compatible.first().map_or("", String::as_str);
        let port = |value: u64| u16::try_from(value).unwrap_or(0);
        devices.extend(isa(
            &format!("D{number:03}"),
            identifier,
            &device.name,
            port(device.ports.start),
            port(device.ports.size),
            &device.interrupts,
        ));
    }
    devices.extend(channels(manifest, row));
    if manifest.partitions().get(row).is_some_and(|partition| partition.mailbox.is_some()) {
        devices.extend(mailbox());
    }
    aml.extend(Scope::raw(Path::new("_SB_"), devices));
    let mut dsdt = Sdt::new(*b"DSDT", HEADER, 2, OEM, OEM_TABLE, OEM_REVISION);
    dsdt.append_slice(&aml);
    dsdt
}

/// A device of the ISA bus.
fn isa(
    node: &str,
    identifier: &str,
    name: &str,
    port: u16,
    ports: u16,
    interrupts: &[u32],
) -> Vec<u8> {
    let ports = IO::new(port, port, 1, u8::try_from(ports).unwrap_or(u8::MAX));
    let interrupts: Vec<Interrupt> =
        interrupts.iter().map(|irq| Interrupt::new(true, true, false, false, *irq)).collect();
    let mut resources: Vec<&dyn Aml> = vec![&ports];
    resources.extend(interrupts.iter().map(|interrupt| -> &dyn Aml { interrupt }));
    device(node, identifier, name, ResourceTemplate::new(resources))
}

/// A device with its identifier, its name and what it uses.
fn device(node: &str, identifier: &str, name: &str, resources: ResourceTemplate) -> Vec<u8> {
    let (identifier, name) = (identifier.to_owned(), name.to_owned());
    let mut aml = Vec::new();
    Device::new(
        Path::new(node),
        vec![
            &Name::new("_HID".into(), &identifier),
            &Name::new("_UID".into(), &name),
            &Name::new("_CRS".into(), &resources),
        ],
    )
    .to_aml_bytes(&mut aml);
    aml
}

/// The mailbox: the register page, the shared memory, its interrupt.
fn mailbox() -> Vec<u8> {
    let low = |address: u64| u32::try_from(address).unwrap_or(0);
    let registers =
        Memory32Fixed::new(true, low(pc::MAILBOX_REGISTERS), low(CHANNEL_REGISTERS_STRIDE));
    let memory = Memory32Fixed::new(true, low(pc::MAILBOX_MEMORY), MEMORY_LEN);
    let interrupt = Interrupt::new(true, true, false, false, pc::MAILBOX_GSI);
    let resources = ResourceTemplate::new(vec![&registers, &memory, &interrupt]);
    device("MBOX", pc::MAILBOX_HID, "mailbox", resources)
}

/// A device for each channel: the register page, the shared memory, the bell;
/// `_UID` is the channel's name.
fn channels(manifest: &Manifest, row: usize) -> Vec<u8> {
    let mut aml = Vec::new();
    let mut number = 0;
    for channel in manifest.channels() {
        for end in channel.ends.iter().filter(|end| end.partition == row) {
            let low = |address: u64| u32::try_from(address).unwrap_or(0);
            let stride = low(CHANNEL_REGISTERS_STRIDE);
            let registers = Memory32Fixed::new(true, low(end.registers), stride);
            let memory = Memory32Fixed::new(true, low(end.memory), low(channel.size));
            let bell = Interrupt::new(true, true, false, false, end.interrupt);
            let resources = ResourceTemplate::new(vec![&registers, &memory, &bell]);
            let node = format!("CH{number:02}");
            aml.extend(device(&node, pc::CHANNEL_HID, &channel.name, resources));
            number += 1;
        }
    }
    aml
}
