// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees on x86: a small PC. RAM from 0, the devices of the ISA bus
//! at their usual ports, local APICs and an I/O APIC, ACPI tables below 1 MiB,
//! and above all RAM where channels appear.
//!
//! The ports are those of Intel's ICH and PIIX data sheets; the ACPI ones are
//! this platform's own, and the FADT names them.

use super::{Channels, Interrupts, Mailbox, Platform};
use crate::bundle::label;
use crate::machine;
use crate::range::Range;
use crate::rules;

/// Where guest RAM starts.
pub const RAM: u64 = 0;
/// One past the last address that guest RAM can have.
pub const RAM_END: u64 = 0xc000_0000;
/// One past the RAM below the tables, as the memory map says it.
pub const LOW_END: u64 = 0x9_fc00;
/// Where the RAM behind the tables begins.
pub const HIGH: u64 = 0x10_0000;
/// ACPI tables, the RSDP first: guests look for it from here to [`HIGH`].
pub const ACPI: u64 = 0xe_0000;

/// First UART, COM1.
pub const COM1: u16 = 0x3f8;
/// Ports of a UART.
pub const COM_PORTS: u16 = 8;
/// Interrupt of COM1.
pub const COM1_IRQ: u32 = 4;
/// First interrupt controller (8259): command, data.
pub const PIC1: u16 = 0x20;
/// Second interrupt controller (8259): command, data.
pub const PIC2: u16 = 0xa0;
/// Edge or level of the controllers' inputs: two ports.
pub const ELCR: u16 = 0x4d0;
/// Interval timer (8254): three counters, control.
pub const PIT: u16 = 0x40;
/// Gate and output of the timer's third counter.
pub const PIT_GATE: u16 = 0x61;
/// Keyboard controller: data. Only its reset answers.
pub const KEYBOARD_DATA: u16 = 0x60;
/// Keyboard controller: command.
pub const KEYBOARD_COMMAND: u16 = 0x64;
/// Real-time clock (MC146818): index, data.
pub const RTC: u16 = 0x70;
/// Interrupt of the real-time clock.
pub const RTC_IRQ: u32 = 8;
/// Power-on self-test code, which Linux writes to wait; ignored.
pub const POST: u16 = 0x80;
/// Another port that is written to wait; ignored.
pub const DELAY: u16 = 0xed;
/// PCI configuration: address, four ports. There is no bus.
pub const PCI_ADDRESS: u16 = 0xcf8;
/// Reset control, inside the configuration address.
pub const RESET: u16 = 0xcf9;
/// What resets when it is written there.
pub const RESET_VALUE: u8 = 6;
/// PCI configuration: data, four ports.
pub const PCI_DATA: u16 = 0xcfc;
/// ACPI PM1a event block, four ports.
pub const PM_EVENT: u16 = 0x600;
/// ACPI PM1a control block, two ports.
pub const PM_CONTROL: u16 = 0x604;
/// ACPI PM timer, four ports, 32 bits.
pub const PM_TIMER: u16 = 0x608;
/// Hertz of the PM timer.
pub const PM_TIMER_HZ: u32 = 3_579_545;
/// ACPI's interrupt: this input of the I/O APIC, level.
pub const SCI: u32 = 9;
/// Sleep type that switches off, in the PM1a control block.
pub const SOFT_OFF: u8 = 5;
/// The PIT's input of the I/O APIC, instead of 0.
pub const PIT_GSI: u32 = 2;

/// I/O APIC.
pub const IO_APIC: u64 = 0xfec0_0000;
/// Bytes of the I/O APIC's page.
pub const IO_APIC_SIZE: u64 = 0x1000;
/// Inputs of the I/O APIC.
pub const IO_APIC_PINS: u32 = 24;
/// Local APICs, one for each vCPU at the same address; its identifier is the vCPU's number.
pub const LOCAL_APIC: u64 = 0xfee0_0000;
/// Bytes of a local APIC's page.
pub const LOCAL_APIC_SIZE: u64 = 0x1000;

/// Register page of the partition's first channel; the next one follows a page later.
pub const CHANNEL_REGISTERS: u64 = 0xd000_0000;
/// Shared memory of the partition's channels, one behind the other.
pub const CHANNEL_MEMORY: u64 = 0xd010_0000;
/// End of the window for channels.
pub const CHANNEL_END: u64 = 0xe000_0000;
/// Bell of the partition's first channel: an input of the I/O APIC, edge; the next channel has the next one.
pub const CHANNEL_GSI: u32 = 16;
/// Register page of the partition's mailbox, behind those of its channels.
pub const MAILBOX_REGISTERS: u64 = 0xd001_0000;
/// Shared memory of the partition's mailbox.
pub const MAILBOX_MEMORY: u64 = 0xd002_0000;
/// Interrupt of the partition's mailbox: an input of the I/O APIC, edge.
pub const MAILBOX_GSI: u32 = 10;
/// The identifier of a mailbox's ACPI device.
pub const MAILBOX_HID: &str = "BULK0002";
/// The identifier of a channel's ACPI device.
pub const CHANNEL_HID: &str = "BULK0001";

/// EAX when a guest starts: what multiboot's loaders leave there (Multiboot
/// Specification 0.6.96, "Machine state"). EBX is the partition's argument.
pub const START_EAX: u32 = 0x2bad_b002;

/// Guest addresses where neither RAM nor a device can be, and what is there.
pub const RESERVED: [(&str, Range); 3] = [
    ("channels", Range::new(CHANNEL_REGISTERS, CHANNEL_END - CHANNEL_REGISTERS)),
    ("I/O APIC", Range::new(IO_APIC, IO_APIC_SIZE)),
    ("local APICs", Range::new(LOCAL_APIC, LOCAL_APIC_SIZE)),
];

/// Ports that belong to the platform, and what is there.
pub const PORTS: [(&str, Range); 10] = [
    ("PIC", ports(PIC1, 2)),
    ("PIT", ports(PIT, 4)),
    ("keyboard", ports(KEYBOARD_DATA, 5)),
    ("RTC", ports(RTC, 2)),
    ("POST code", ports(POST, 1)),
    ("PIC", ports(PIC2, 2)),
    ("console", ports(COM1, COM_PORTS)),
    ("PIC", ports(ELCR, 2)),
    ("ACPI", ports(PM_EVENT, 12)),
    ("PCI", ports(PCI_ADDRESS, 8)),
];

const fn ports(first: u16, count: u16) -> Range {
    Range::new(first as u64, count as u64)
}

/// The whole, for the rules and the placement.
pub const PLATFORM: Platform = Platform {
    arch: label("x86_64"),
    ram: RAM,
    ram_end: RAM_END,
    reserved: &RESERVED,
    port_end: 0x1_0000,
    ports: &PORTS,
    flash: Range::new(0, 0),
    interrupts: Interrupts {
        first: 1,
        least: IO_APIC_PINS,
        most: IO_APIC_PINS,
        step: IO_APIC_PINS,
        taken: &[
            ("the PIT", PIT_GSI),
            ("the console", COM1_IRQ),
            ("the RTC", RTC_IRQ),
            ("ACPI", SCI),
            ("the mailbox", MAILBOX_GSI),
        ],
    },
    channels: Channels {
        registers: CHANNEL_REGISTERS,
        memory: Range::new(CHANNEL_MEMORY, CHANNEL_END - CHANNEL_MEMORY),
        interrupt: CHANNEL_GSI,
    },
    mailbox: Mailbox {
        registers: MAILBOX_REGISTERS,
        memory: MAILBOX_MEMORY,
        interrupt: MAILBOX_GSI,
    },
    entry_align: 1,
    rules: rules::PC,
    machine_rules: machine::PC,
};
