// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device tree of a guest: QEMU's `virt`, as far as the partition has it,
//! with its devices and channels (the reference is QEMU's hw/arm/virt.c; the
//! words are those of devicetree.org's specification and Linux's bindings).
//! The flash that firmware starts in has no node: `cfi-flash` would promise
//! commands, and it is read-only memory that answers none.

use abi::mailbox::ring::MEMORY_LEN;
use abi::platform::{
    CHANNEL_REGISTERS_STRIDE, GICD, GICD_SIZE, GICR, GICR_STRIDE, GPIO, GPIO_SIZE, MAILBOX_INTID,
    MAILBOX_MEMORY, MAILBOX_REGISTERS, PHYSICAL_TIMER_INTID, PMU_INTID, SPI_FIRST, UART,
    UART_INTID, UART_SIZE, VIRTUAL_TIMER_INTID,
};
use abi::range::Range;
use dtoolkit::ToPropertyValue;
use dtoolkit::error::ModelError;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::manifest::board::Device;
use crate::manifest::{Manifest, Partition};

/// Phandle of the interrupt controller, as QEMU numbers them.
const GIC_PHANDLE: u32 = 0x8001;
/// Phandle of the bus clock.
const CLOCK_PHANDLE: u32 = 0x8000;
/// Hertz of the bus clock.
const CLOCK_HZ: u32 = 24_000_000;
/// First cell of an interrupt: shared.
const SPI: u32 = 0;
/// First cell of an interrupt: private to a CPU.
const PPI: u32 = 1;
/// First PPI.
const PPI_FIRST: u32 = 16;
/// Third cell of an interrupt: a rising edge.
const EDGE: u32 = 1;
/// Third cell of an interrupt: a high level.
const LEVEL: u32 = 4;
/// INTID of the secure physical timer, which no guest has but the binding lists.
const SECURE_TIMER_INTID: u32 = 29;
/// INTID of the hypervisor's timer, likewise.
const HYPERVISOR_TIMER_INTID: u32 = 26;

/// What a guest is told beside its hardware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'a> {
    /// The command line.
    pub(crate) cmdline: &'a str,
    /// Where the initial RAM disk lies.
    pub(crate) initrd: Option<Range>,
    /// Whether it starts in flash.
    pub(crate) firmware: bool,
}

type Result<T> = std::result::Result<T, ModelError>;

/// A node with its properties.
struct Node(DeviceTreeNode);

impl Node {
    fn new(name: &str) -> Result<Self> {
        DeviceTreeNode::new(name).map(Self)
    }

    fn at(name: &str, address: u64) -> Result<Self> {
        Self::new(&format!("{name}@{address:x}"))
    }

    fn with(mut self, name: &str, value: impl ToPropertyValue) -> Result<Self> {
        self.0.add_property(DeviceTreeProperty::new(name, value)?);
        Ok(self)
    }

    /// A property that is there and has no value.
    fn flag(self, name: &str) -> Result<Self> {
        self.with(name, Vec::<u8>::new())
    }

    fn reg(self, ranges: &[Range]) -> Result<Self> {
        let cells = ranges.iter().flat_map(|range| [range.start, range.size]);
        let bytes: Vec<u8> = cells.flat_map(u64::to_be_bytes).collect();
        self.with("reg", bytes)
    }

    fn child(mut self, node: Self) -> Self {
        self.0.add_child(node.0);
        self
    }

    /// The bus clock, under the names that the driver looks for.
    fn clocks(self, names: &[&str]) -> Result<Self> {
        self.with("clocks", vec![CLOCK_PHANDLE; names.len()])?.with("clock-names", names)
    }
}

fn spi(intid: u32, trigger: u32) -> [u32; 3] {
    [SPI, intid.saturating_sub(SPI_FIRST), trigger]
}

fn ppi(intid: u32) -> [u32; 3] {
    [PPI, intid.saturating_sub(PPI_FIRST), LEVEL]
}

/// The device tree of a partition, flattened.
pub(crate) fn write(
    manifest: &Manifest,
    row: usize,
    partition: &Partition,
    chosen: &Chosen,
) -> Result<Vec<u8>> {
    let root = Node(DeviceTreeNode::new_unchecked(""))
        .with("interrupt-parent", GIC_PHANDLE)?
        .flag("dma-coherent")?
        .with("model", "linux,dummy-virt")?
        .with("#size-cells", 2_u32)?
        .with("#address-cells", 2_u32)?
        .with("compatible", "linux,dummy-virt")?
        .child(chosen_node(chosen)?)
        .child(Node::new("aliases")?.with("serial0", uart_path().as_str())?)
        .child(memory(partition.memory)?)
        .child(cpus(partition.cpus.len())?)
        .child(psci()?)
        .child(timer()?)
        .child(
            Node::new("pmu")?
                .with("compatible", "arm,armv8-pmuv3")?
                .with("interrupts", ppi(PMU_INTID))?,
        )
        .child(gic(partition.cpus.len())?)
        .child(clock()?)
        .child(uart()?);
    let mut root = if chosen.firmware { root.child(gpio()?) } else { root };
    for device in &partition.devices {
        root = root.child(passed_through(device)?);
    }
    if partition.mailbox.is_some() {
        root = root.child(mailbox()?);
    }
    for node in channels(manifest, row)? {
        root = root.child(node);
    }
    let mut tree = DeviceTree::new();
    tree.root = root.0;
    Ok(tree.to_dtb())
}

fn uart_path() -> String {
    format!("/pl011@{UART:x}")
}

fn chosen_node(chosen: &Chosen) -> Result<Node> {
    let node = Node::new("chosen")?.with("stdout-path", uart_path().as_str())?;
    let node =
        if chosen.cmdline.is_empty() { node } else { node.with("bootargs", chosen.cmdline)? };
    match chosen.initrd {
        Some(initrd) => {
            node.with("linux,initrd-start", initrd.start)?.with("linux,initrd-end", initrd.end())
        }
        None => Ok(node),
    }
}

fn memory(memory: Range) -> Result<Node> {
    Node::at("memory", memory.start)?.with("device_type", "memory")?.reg(&[memory])
}

fn cpus(count: usize) -> Result<Node> {
    let mut cpus = Node::new("cpus")?.with("#address-cells", 1_u32)?.with("#size-cells", 0_u32)?;
    for number in 0_u32.. {
        if number as usize >= count {
            break;
        }
        let cpu = Node::at("cpu", number.into())?
            .with("device_type", "cpu")?
            .with("compatible", "arm,armv8")?
            .with("reg", number)?
            .with("enable-method", "psci")?;
        cpus = cpus.child(cpu);
    }
    Ok(cpus)
}

/// The function numbers are those of PSCI 1.1; version 0.1, which let firmware choose, wants them written.
fn psci() -> Result<Node> {
    Node::new("psci")?
        .with("compatible", vec!["arm,psci-1.0", "arm,psci-0.2", "arm,psci"])?
        .with("method", "hvc")?
        .with("cpu_suspend", 0xc400_0001_u32)?
        .with("cpu_off", 0x8400_0002_u32)?
        .with("cpu_on", 0xc400_0003_u32)?
        .with("migrate", 0xc400_0005_u32)
}

fn timer() -> Result<Node> {
    let intids =
        [SECURE_TIMER_INTID, PHYSICAL_TIMER_INTID, VIRTUAL_TIMER_INTID, HYPERVISOR_TIMER_INTID];
    Node::new("timer")?
        .with("compatible", vec!["arm,armv8-timer", "arm,armv7-timer"])?
        .flag("always-on")?
        .with("interrupts", intids.map(ppi).concat())
}

fn gic(cpus: usize) -> Result<Node> {
    let redistributors = GICR_STRIDE.saturating_mul(cpus as u64);
    Node::at("intc", GICD)?
        .with("phandle", GIC_PHANDLE)?
        .with("compatible", "arm,gic-v3")?
        .flag("interrupt-controller")?
        .with("#interrupt-cells", 3_u32)?
        .with("#redistributor-regions", 1_u32)?
        .with("#address-cells", 2_u32)?
        .with("#size-cells", 2_u32)?
        .flag("ranges")?
        .reg(&[Range::new(GICD, GICD_SIZE), Range::new(GICR, redistributors)])
}

fn clock() -> Result<Node> {
    Node::new("apb-pclk")?
        .with("phandle", CLOCK_PHANDLE)?
        .with("compatible", "fixed-clock")?
        .with("#clock-cells", 0_u32)?
        .with("clock-frequency", CLOCK_HZ)?
        .with("clock-output-names", "clk24mhz")
}

fn uart() -> Result<Node> {
    Node::at("pl011", UART)?
        .with("compatible", vec!["arm,pl011", "arm,primecell"])?
        .reg(&[Range::new(UART, UART_SIZE)])?
        .with("interrupts", spi(UART_INTID, LEVEL))?
        .clocks(&["uartclk", "apb_pclk"])
}

fn gpio() -> Result<Node> {
    Node::at("pl061", GPIO)?
        .with("compatible", vec!["arm,pl061", "arm,primecell"])?
        .reg(&[Range::new(GPIO, GPIO_SIZE)])?
        .flag("gpio-controller")?
        .with("#gpio-cells", 2_u32)?
        .clocks(&["apb_pclk"])
}

fn passed_through(device: &Device) -> Result<Node> {
    let compatible: Vec<&str> = device.compatible.iter().map(String::as_str).collect();
    let node = Node::at(&device.name, device.registers.start)?
        .with("compatible", compatible)?
        .reg(&[device.registers])?;
    let node = if device.clock { node.clocks(&["apb_pclk"])? } else { node };
    let interrupts: Vec<u32> =
        device.interrupts.iter().flat_map(|intid| spi(*intid, LEVEL)).collect();
    if interrupts.is_empty() { Ok(node) } else { node.with("interrupts", interrupts) }
}

/// The mailbox: `reg` is the register page and the shared memory.
fn mailbox() -> Result<Node> {
    Node::at("mailbox", MAILBOX_REGISTERS)?
        .with("compatible", "bulkhead,mailbox")?
        .reg(&[
            Range::new(MAILBOX_REGISTERS, CHANNEL_REGISTERS_STRIDE),
            Range::new(MAILBOX_MEMORY, MEMORY_LEN.into()),
        ])?
        .with("interrupts", spi(MAILBOX_INTID, EDGE))
}

/// A node for each channel: `reg` is the register page and the shared memory, `label` its name.
fn channels(manifest: &Manifest, row: usize) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for channel in manifest.channels() {
        for (end, peer) in channel
            .ends
            .iter()
            .zip(channel.ends.iter().rev())
            .filter(|(end, _)| end.partition == row)
        {
            let peer =
                manifest.partitions().get(peer.partition).map_or("", |peer| peer.name.as_str());
            let registers = Range::new(end.registers, CHANNEL_REGISTERS_STRIDE);
            let node = Node::at("channel", end.registers)?
                .with("compatible", "bulkhead,channel")?
                .with("label", channel.name.as_str())?
                .with("peer", peer)?
                .reg(&[registers, Range::new(end.memory, channel.size)])?
                .with("interrupts", spi(end.interrupt, EDGE))?;
            nodes.push(node);
        }
    }
    Ok(nodes)
}
