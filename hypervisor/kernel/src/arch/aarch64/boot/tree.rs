// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the firmware's device tree says of the machine: one look at the root's
//! children (Devicetree Specification, "Device Node Requirements").

use crate::devicetree::{self, Item, Property, Tree, number, word_at};
use abi::range::Range;
use alloc::vec::Vec;

/// A device tree is no longer than this.
pub(super) const MOST: u64 = 0x10_0000;

/// The machine, as the tree describes it.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
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
    /// The PL011s, the console's first.
    pub uarts: Vec<Uart<'a>>,
}

impl<'a> Found<'a> {
    /// The console's UART; an empty one if there is none.
    pub(super) fn console(&self) -> Uart<'a> {
        self.uarts.first().copied().unwrap_or_default()
    }
}

/// A PL011.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uart<'a> {
    /// Its node's name.
    name: &'a [u8],
    /// Its registers.
    pub registers: Range,
    /// Its INTID; zero if it has none.
    pub intid: u32,
}

/// Bytes of the tree whose first eight bytes these are.
///
/// # Errors
/// When they are not a device tree's, or it is too long.
pub(super) fn length(head: &[u8]) -> Result<u64, &'static str> {
    devicetree::length(head).map(u64::from).filter(|len| (8..=MOST).contains(len)).ok_or(
        "no device tree where the firmware or the board says; check the board's device-tree address",
    )
}

/// Reads the tree. What is missing in it stays empty.
///
/// # Errors
/// When it is damaged.
pub(super) fn read(bytes: &[u8]) -> Result<Found<'_>, &'static str> {
    let damaged = |_| "the device tree is damaged";
    let tree = Tree::new(bytes).map_err(damaged)?;
    let mut reader = Reader::default();
    tree.walk(&mut |depth, item| reader.meet(depth, item)).map_err(damaged)?;
    let Reader { mut found, console, .. } = reader;
    // /chosen may come behind the UARTs.
    if let Some(named) = found.uarts.iter().position(|uart| Some(uart.name) == console) {
        found.uarts.swap(0, named);
    }
    let reserved = &mut found.reserved;
    tree.reservations(&mut |start, size| reserved.push(Range::new(start, size)))
        .map_err(damaged)?;
    Ok(found)
}

/// A node, as far as the kernel looks at one.
#[derive(Clone, Copy, Debug, Default)]
struct Node<'a> {
    name: &'a [u8],
    compatible: &'a [u8],
    registers: &'a [u8],
    interrupts: &'a [u8],
    stdout_path: &'a [u8],
}

impl<'a> Node<'a> {
    fn new(name: &'a [u8]) -> Self {
        Self { name, ..Self::default() }
    }

    fn meet(&mut self, property: &Property<'a>) {
        for (name, value) in [
            ("reg", &mut self.registers),
            ("compatible", &mut self.compatible),
            ("interrupts", &mut self.interrupts),
            ("stdout-path", &mut self.stdout_path),
        ] {
            if property.is(name.as_bytes()) {
                *value = property.value;
            }
        }
    }

    /// Its name without the address.
    fn base_name(&self) -> &'a [u8] {
        self.name.split(|byte| *byte == b'@').next().unwrap_or(&[])
    }

    /// The `place`th pair of address and size, two cells each; empty if there is none.
    fn frame(&self, place: usize) -> Range {
        self.registers.chunks_exact(16).nth(place).map_or(Range::default(), range)
    }

    /// INTID of its first interrupt, if it is a shared one (GICv3 binding: type 0, number, flags).
    fn shared_interrupt(&self) -> Option<u32> {
        let number = word_at(self.interrupts, 4)?;
        (word_at(self.interrupts, 0)? == 0).then(|| number.checked_add(32)).flatten()
    }
}

/// Gathers what is found on the way through the tree.
#[derive(Debug, Default)]
struct Reader<'a> {
    found: Found<'a>,
    /// The root's child that /chosen names as console.
    console: Option<&'a [u8]>,
    /// The root's child, and its child, that the way leads through.
    child: Node<'a>,
    grandchild: Node<'a>,
}

impl<'a> Reader<'a> {
    fn meet(&mut self, depth: usize, item: Item<'a>) {
        let node = match depth {
            2 => &mut self.child,
            3 => &mut self.grandchild,
            _ => return,
        };
        match item {
            Item::Begin(name) => *node = Node::new(name),
            Item::Property(property) => node.meet(&property),
            Item::End if depth == 2 => self.child_ends(),
            Item::End => self.grandchild_ends(),
        }
    }

    fn child_ends(&mut self) {
        let node = self.child;
        match node.base_name() {
            b"memory" => keep(&mut self.found.ram, &node),
            b"chosen" => self.console = console(node.stdout_path),
            _ => self.device(&node),
        }
    }

    fn grandchild_ends(&mut self) {
        let node = self.grandchild;
        match (self.child.base_name(), node.base_name()) {
            (b"reserved-memory", _) => keep(&mut self.found.reserved, &node),
            (b"cpus", b"cpu") => self.found.cpus.push(number(node.registers)),
            _ => {}
        }
    }

    /// A device that the kernel drives.
    fn device(&mut self, node: &Node<'a>) {
        let found = &mut self.found;
        for name in node.compatible.split(|byte| *byte == 0) {
            match name {
                b"arm,gic-v3" => {
                    found.distributor = node.frame(0);
                    found.redistributors = node.frame(1);
                }
                b"arm,pl011" => {
                    let intid = node.shared_interrupt().unwrap_or(0);
                    found.uarts.push(Uart { name: node.name, registers: node.frame(0), intid });
                }
                _ => {}
            }
        }
    }
}

/// Keeps all that a node's registers name.
#[inline(never)]
fn keep(ranges: &mut Vec<Range>, node: &Node<'_>) {
    ranges.extend(node.registers.chunks_exact(16).map(range));
}

/// An address and a size, two cells each.
fn range(pair: &[u8]) -> Range {
    let (start, size) = pair.split_at(8);
    Range::new(number(start), number(size))
}

/// The name of the root's child that a path like `/pl011@9000000:115200` leads to.
fn console(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(b"/")?.split(|byte| matches!(byte, b':' | 0)).next()
}
