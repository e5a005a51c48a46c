// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the firmware's device tree says of the machine: one look at the root's
//! children (Devicetree Specification, "Device Node Requirements").

use abi::range::Range;
use alloc::vec::Vec;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

/// A device tree is no longer than this.
pub(super) const MOST: u64 = 0x10_0000;

/// The machine, as the tree describes it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// RAM.
    pub ram: Vec<Range>,
    /// Parts of it that the firmware keeps.
    pub reserved: Vec<Range>,
    /// MPIDR affinities of the CPUs, in order.
    pub cpus: Vec<u64>,
    /// GICv3 distributor.
    pub distributor: Range,
    /// GICv3 redistributors.
    pub redistributors: Range,
    /// The console's PL011.
    pub uart: Range,
    /// Its INTID.
    pub uart_intid: u32,
}

/// Bytes of the tree whose first eight bytes these are.
///
/// # Errors
/// When they are not a device tree's, or it is too long.
pub(super) fn length(head: &[u8]) -> Result<u64, &'static str> {
    let word = |at: usize| {
        head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    match (word(0), u64::from(word(4))) {
        (0xd00d_feed, len) if (8..=MOST).contains(&len) => Ok(len),
        _ => Err(
            "no device tree where the firmware or the board says; check the board's device-tree address",
        ),
    }
}

/// Reads the tree. What is missing in it stays empty.
///
/// The tree is trusted as the firmware is that made it, so it is not walked a
/// second time to validate it, which took half of the boot. A damaged one ends
/// in a refused boot or, inside the reader, in a panic before anything runs.
pub(super) fn read(bytes: &[u8]) -> Found {
    let tree = Fdt::new_unchecked(bytes);
    let mut found = Found::default();
    let mut console = None;
    for node in tree.root().children() {
        match node.name_without_address() {
            "memory" => found.ram.extend(registers(&node)),
            "reserved-memory" => {
                found.reserved.extend(
                    node.children().flat_map(|child| registers(&child).collect::<Vec<_>>()),
                );
            }
            "cpus" => found.cpus.extend(node.children().filter_map(|cpu| cpu_name(&cpu))),
            "chosen" => console = stdout(&node),
            // "Generic Names Recommendation", and what QEMU calls them: most nodes are neither.
            "interrupt-controller" | "intc" | "serial" | "uart" | "pl011" => {
                device(&node, console, &mut found);
            }
            _ => {}
        }
    }
    let reservations = tree.memory_reservations();
    found.reserved.extend(reservations.map(|kept| Range::new(kept.address(), kept.size())));
    found
}

/// A device that the kernel drives.
fn device(node: &FdtNode<'_>, console: Option<&str>, found: &mut Found) {
    if compatible(node, b"arm,gic-v3") {
        let mut frames = registers(node);
        found.distributor = frames.next().unwrap_or_default();
        found.redistributors = frames.next().unwrap_or_default();
    } else if compatible(node, b"arm,pl011") {
        let named = console.is_none_or(|path| path == node.name());
        if found.uart.size == 0 || named {
            found.uart = registers(node).next().unwrap_or_default();
            found.uart_intid = shared_interrupt(node).unwrap_or(0);
        }
    }
}

/// The root's child that /chosen names as console.
fn stdout<'a>(chosen: &FdtNode<'a>) -> Option<&'a str> {
    let path: &'a str = chosen.property("stdout-path")?.value_as().ok()?;
    path.strip_prefix('/')?.split(':').next()
}

/// The MPIDR affinity of a CPU's node.
fn cpu_name(node: &FdtNode<'_>) -> Option<u64> {
    if node.name_without_address() != "cpu" {
        return None;
    }
    Some(bytes(node, "reg").iter().fold(0, |name, byte| name << 8 | u64::from(*byte)))
}

/// Whether a node says it is compatible with this.
fn compatible(node: &FdtNode<'_>, with: &[u8]) -> bool {
    node.property("compatible")
        .is_some_and(|property| property.value().split(|byte| *byte == 0).any(|name| name == with))
}

/// The value of a property, empty if there is none.
fn bytes<'a>(node: &FdtNode<'a>, name: &str) -> &'a [u8] {
    node.property(name).and_then(|property| property.value_as().ok()).unwrap_or(&[])
}

/// Address and size pairs of a root's child, two cells each.
fn registers<'a>(node: &FdtNode<'a>) -> impl Iterator<Item = Range> + use<'a> {
    bytes(node, "reg").chunks_exact(16).map(|pair| {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let (start, size) = pair.split_at(8);
        Range::new(number(start), number(size))
    })
}

/// INTID of a node's first interrupt, if it is a shared one (GICv3 binding: type 0, number, flags).
fn shared_interrupt(node: &FdtNode<'_>) -> Option<u32> {
    let property = node.property("interrupts")?;
    let word = |at: usize| {
        property
            .value()
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes)
    };
    (word(0)? == 0).then(|| word(4)?.checked_add(32)).flatten()
}
