// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest asks its device tree: memory, CPUs, command line, channels, mailbox.

use super::boot::tree_bytes;
use super::mmio::channel_window;
use crate::Boot;
use crate::channel::{Channel, Channels};
use crate::mailbox::Mailbox;
use abi::platform;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

/// What the guest's device tree says.
#[derive(Clone, Copy)]
pub struct Facts(Fdt<'static>);

impl Facts {
    /// The tree x0 points at, else the one at the start of RAM, where bare QEMU leaves it for an ELF.
    #[must_use]
    pub fn find(boot: Boot) -> Option<Facts> {
        let bytes = tree_bytes(boot.argument).or_else(|| tree_bytes(platform::RAM))?;
        Fdt::new(bytes).ok().map(Facts)
    }

    /// RAM: first address and bytes.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u64)> {
        let node = self.0.root().children().find(|node| node.name_without_address() == "memory")?;
        reg(node, 0)
    }

    /// CPUs in the tree.
    #[must_use]
    pub fn cpus(&self) -> usize {
        let cpus = self.0.find_node("/cpus");
        cpus.map_or(1, |cpus| {
            cpus.children().filter(|node| node.name_without_address() == "cpu").count()
        })
    }

    /// The command line.
    #[must_use]
    pub fn command_line(&self) -> &'static str {
        let chosen = self.0.find_node("/chosen");
        let property = chosen.and_then(|node| node.property("bootargs"));
        property.and_then(|property| property.value_as::<&str>().ok()).unwrap_or("")
    }

    /// The mailbox, if the partition has one.
    #[must_use]
    pub fn mailbox(&self) -> Option<Mailbox> {
        let node = self.0.root().children().find(|node| {
            node.compatible().is_some_and(|mut all| all.any(|one| one == "bulkhead,mailbox"))
        })?;
        let window = |index| reg(node, index).and_then(|(base, size)| channel_window(base, size));
        Mailbox::attach(window(0)?, window(1)?)
    }

    /// Every channel, in the order of the tree.
    #[must_use]
    pub fn channels(&self) -> Channels {
        let mut found = Channels::new();
        for node in self.0.root().children() {
            let ours =
                node.compatible().is_some_and(|mut all| all.any(|one| one == "bulkhead,channel"));
            if let Some(channel) = ours.then(|| channel(node)).flatten() {
                let _ = found.try_push(channel);
            }
        }
        found
    }
}

/// Address and size number `index` of a node's `reg`.
fn reg(node: FdtNode<'static>, index: usize) -> Option<(u64, u64)> {
    let reg = node.reg().ok()??.nth(index)?;
    Some((reg.address::<u64>().ok()?, reg.size::<u64>().ok()?))
}

/// A channel's node: `label`, `reg` (register page, shared memory), `interrupts` (SPI, number, edge).
fn channel(node: FdtNode<'static>) -> Option<Channel> {
    let (registers, registers_size) = reg(node, 0)?;
    let (memory, memory_size) = reg(node, 1)?;
    let interrupts = node.property("interrupts")?;
    let spi = interrupts.value().get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
    Some(Channel::new(
        node.property("label")?.value_as::<&str>().ok()?,
        channel_window(registers, registers_size)?,
        channel_window(memory, memory_size)?,
        spi + 32,
    ))
}
