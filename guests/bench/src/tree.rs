// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the devices that are measured in the device tree, so that one payload
//! runs on every hypervisor's platform. What the tree does not name is taken
//! from QEMU's `virt` machine.

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

/// Where the devices are.
pub(crate) struct Addresses {
    /// PL011.
    pub uart: u64,
    /// Distributor.
    pub distributor: u64,
    /// First redistributor; each CPU has 128 KiB.
    pub redistributors: u64,
}

/// Reads the addresses from the device tree at `blob`.
pub(crate) fn addresses(blob: &[u8]) -> Addresses {
    let mut found =
        Addresses { uart: 0x0900_0000, distributor: 0x0800_0000, redistributors: 0x080a_0000 };
    if blob.is_empty() {
        return found;
    }
    for node in Fdt::new_unchecked(blob).root().children() {
        if is(&node, &["arm,gic-v3"]) {
            (found.distributor, found.redistributors) = (reg(&node, 0), reg(&node, 1));
        } else if is(&node, &["arm,pl011", "arm,sbsa-uart"]) {
            found.uart = reg(&node, 0);
        }
    }
    found
}

/// Whether `compatible` holds one of `names`.
fn is(node: &FdtNode<'_>, names: &[&str]) -> bool {
    node.property("compatible").is_some_and(|property| {
        property
            .value()
            .split(|&byte| byte == 0)
            .any(|entry| names.iter().any(|name| name.as_bytes() == entry))
    })
}

/// Address of the node's register block number `index`: both cells sizes are two on these platforms.
fn reg(node: &FdtNode<'_>, index: usize) -> u64 {
    node.property("reg").map_or(0, |property| {
        let bytes = property.value().get(index * 16..index * 16 + 8);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
    })
}
