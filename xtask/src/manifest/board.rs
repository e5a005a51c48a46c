// SPDX-License-Identifier: MIT OR Apache-2.0
//! `boards/NAME/board.toml`: what Bulkhead must know about a family of machines.

use abi::bundle::label;
use abi::machine::Machine;
use abi::placement::Reserved;
use abi::platform::{self, Platform};
use abi::range::Range;
use abi::records::{self, Name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::mistake::Kind;
use super::read::{At, Named, Read, Reader, Value, record, words};
use super::units::Size;

record! {
    /// A board as its file says it.
    BoardFile is "the board" {
        /// The folder's name.
        name: At<String>,
        /// Instruction set.
        arch: At<Arch>,
        /// CPUs, at most.
        cpus: At<u32>,
        /// On x86: threads of a core, which have consecutive numbers; 1 if left out.
        threads: Option<u32>,
        /// Bytes of flash; on x86 of hypervisor and bundle together.
        flash: Size,
        /// On Arm: where the device tree lies when the machine starts from flash.
        device_tree: Option<u64>,
        /// On Arm: where the hypervisor keeps its data when it starts from flash.
        home: Option<Area>,
        /// What keeps a device's DMA inside its partition.
        iommu: Iommu,
        /// RAM as it is known before boot.
        ram: Vec<Area>,
        /// RAM that is not for partitions.
        reserved: Named<Area>,
        /// Devices that the hypervisor keeps.
        kept: Named<Frame>,
        /// Devices that a partition can be given.
        device: Named<DeviceFile>,
        /// How the board is emulated.
        emulator: Named<Foreign>,
    }
}

record! {
    /// A range of addresses.
    Area is "range" {
        /// First address.
        start: u64,
        /// Bytes.
        size: Size,
    }
}

record! {
    /// Registers and interrupts.
    Frame is "kept device" {
        /// First address of the registers.
        start: Option<u64>,
        /// Bytes of the registers.
        size: Option<Size>,
        /// I/O ports.
        ports: Option<Ports>,
        /// INTIDs.
        interrupts: Option<Vec<u32>>,
    }
}

record! {
    /// A range of I/O ports.
    Ports is "ports" {
        /// First port.
        first: u32,
        /// How many.
        count: u32,
    }
}

record! {
    /// A device that a partition can be given.
    DeviceFile is "device" {
        /// First address of the registers.
        start: Option<u64>,
        /// Bytes of the registers.
        size: Option<Size>,
        /// I/O ports.
        ports: Option<Ports>,
        /// INTIDs, level-triggered, at most four.
        interrupts: Option<At<Vec<u32>>>,
        /// The device tree's `compatible`; on x86 the ACPI identifier.
        compatible: Vec<String>,
        /// Whether its node needs the bus clock.
        clock: Option<bool>,
        /// Whether it reads and writes memory by itself.
        dma: Option<bool>,
    }
}

words! {
    /// An instruction set.
    Arch {
        /// Arm, 64 bits.
        Aarch64 = "aarch64",
        /// Intel and AMD, 64 bits.
        X86_64 = "x86_64",
    }
}

words! {
    /// What stands between a device and memory.
    Iommu {
        /// Nothing.
        None = "none",
    }
}

impl Arch {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }
}

/// A table that another module reads (`emulator::table`).
#[derive(Clone, Copy, Debug)]
pub struct Foreign;

impl Read for Foreign {
    fn read(_: &Value, _: &mut Reader) -> Option<Self> {
        Some(Self)
    }
}

impl JsonSchema for Foreign {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Emulator".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// A device that a partition can be given.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its registers; no bytes if it has none.
    pub registers: Range,
    /// Its I/O ports; none if it has none.
    pub ports: Range,
    /// Its interrupts.
    pub interrupts: Vec<u32>,
    /// The device tree's `compatible`.
    pub compatible: Vec<String>,
    /// Whether its node needs the bus clock.
    pub clock: bool,
    /// Whether it reads and writes memory by itself.
    pub dma: bool,
}

/// A board.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its name.
    pub name: String,
    /// Instruction set.
    pub arch: Arch,
    /// CPUs, at most.
    pub cpus: u32,
    /// The core of each CPU.
    pub cores: Vec<u32>,
    /// Bytes of flash; on x86 of hypervisor and bundle together.
    pub flash: u64,
    /// Where the device tree lies at reset, on Arm.
    pub device_tree: u64,
    /// Where the hypervisor keeps its data when started from flash, on Arm.
    pub home: Range,
    /// What keeps a device's DMA inside its partition.
    pub iommu: Iommu,
    /// RAM as it is known before boot.
    pub ram: Vec<Range>,
    /// RAM that is not for partitions, the home among it.
    pub reserved: Vec<Reserved>,
    /// Register frames that the hypervisor keeps.
    pub frames: Vec<Reserved>,
    /// Interrupts that the hypervisor keeps.
    pub interrupts: Vec<(Name, u32)>,
    /// I/O ports that the hypervisor keeps.
    pub ports: Vec<Reserved>,
    /// Devices that a partition can be given.
    pub devices: Vec<Device>,
}

impl Area {
    fn range(&self) -> Range {
        Range::new(self.start, self.size.0)
    }
}

impl Board {
    /// The board as it is known before boot.
    pub fn machine(&self) -> Machine<'_> {
        Machine {
            cpus: self.cpus,
            ram: &self.ram,
            frames: &self.frames,
            interrupts: &self.interrupts,
            ports: &self.ports,
            cores: &self.cores,
        }
    }

    /// The hypervisor keeps a device too.
    pub(super) fn keep(&mut self, owner: &str, device: &Device) {
        let Device { registers, ports, interrupts, .. } = device;
        self.frames.push(Reserved::new(owner, registers.start, registers.size));
        self.ports.push(Reserved::new(owner, ports.start, ports.size));
        self.interrupts.extend(interrupts.iter().map(|intid| (label(owner), *intid)));
    }

    /// Registers of the kept device `console`, where the hypervisor says why it
    /// cannot start before it has read anything; zero if the board keeps none.
    pub fn console(&self) -> u64 {
        let console = self.frames.iter().find(|frame| records::text(&frame.owner) == "console");
        console.map_or(0, |frame| frame.range.start)
    }

    /// A device by its name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// What its guests see.
    pub fn platform(&self) -> &'static Platform {
        match self.arch {
            Arch::Aarch64 => &platform::virt::PLATFORM,
            Arch::X86_64 => &platform::pc::PLATFORM,
        }
    }

    /// Checks what a file says of itself.
    pub(super) fn from_file(file: BoardFile, folder: &str, reader: &mut Reader) -> Option<Self> {
        if file.name.value != folder {
            let message = format!("board `{}` lies in the folder {folder}", file.name.value);
            reader.wrong_value(
                file.name.span.clone(),
                message,
                &format!("write `{folder}` or rename the folder"),
            );
        }
        check_tables(&file, reader);
        check_arch(&file, reader);
        if !reader.mistakes.is_empty() {
            return None;
        }
        let keep =
            |(name, area): (&At<String>, &Area)| Reserved::new(name, area.start, area.size.0);
        let home = file.home.as_ref().map_or_else(Range::default, Area::range);
        let own = Reserved::new("Bulkhead", home.start, home.size);
        let threads = file.threads.unwrap_or(1).max(1);
        let intids = |(name, frame): (&At<String>, &Frame)| {
            let name = records::name(name).unwrap_or_default();
            frame
                .interrupts
                .clone()
                .unwrap_or_default()
                .into_iter()
                .map(move |intid| (name, intid))
                .collect::<Vec<_>>()
        };
        Some(Self {
            arch: file.arch.value,
            cpus: file.cpus.value,
            cores: (0..file.cpus.value).map(|cpu| cpu / threads).collect(),
            flash: file.flash.0,
            device_tree: file.device_tree.unwrap_or(0),
            home,
            iommu: file.iommu,
            ram: file.ram.iter().map(Area::range).collect(),
            reserved: file
                .reserved
                .tables()
                .map(keep)
                .chain([own].into_iter().filter(|own| own.range.size != 0))
                .collect(),
            frames: kept(&file, |frame| registers(frame.start, frame.size)),
            ports: kept(&file, |frame| ports(frame.ports.as_ref())),
            interrupts: file.kept.tables().flat_map(intids).collect(),
            devices: file.device.tables().map(device).collect(),
            name: file.name.value,
        })
    }
}

/// Names fit into a bundle, and so do a device's interrupts.
fn check_tables(file: &BoardFile, reader: &mut Reader) {
    let names = file.reserved.names().chain(file.kept.names()).chain(file.device.names());
    for name in names.chain([&file.name]) {
        if records::name(name).is_none() {
            let message = format!("name `{}` is not 1 to 16 characters of ASCII", name.value);
            reader.wrong_value(name.span.clone(), message, "choose a shorter name");
        }
    }
    for (name, device) in file.device.tables() {
        if let Some(interrupts) =
            device.interrupts.as_ref().filter(|interrupts| interrupts.len() > 4)
        {
            let message =
                format!("device {} has {} interrupts, at most 4", name.value, interrupts.len());
            reader.wrong_value(interrupts.span.clone(), message, "describe it as two devices");
        }
    }
}

/// An Arm board says what its flash image must know at reset; an x86 board has
/// none of that, and may have threads.
fn check_arch(file: &BoardFile, reader: &mut Reader) {
    let wanted = file.arch.value == Arch::Aarch64;
    if wanted && file.threads.is_some() {
        let message = "key `threads` belongs to x86 boards: no rule looks at it on Arm";
        reader.wrong_value(file.arch.span.clone(), message, "leave the key out");
    }
    for (key, told) in [("device-tree", file.device_tree.is_some()), ("home", file.home.is_some())]
    {
        match (wanted, told) {
            (true, false) => reader.tell(
                Kind::MissingKey,
                file.arch.span.clone(),
                "an Arm board",
                format!("the board needs the key `{key}`"),
                &format!("add `{key} = …`"),
            ),
            (false, true) => {
                let message = format!("key `{key}` belongs to Arm boards");
                reader.wrong_value(file.arch.span.clone(), message, "leave the key out");
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// What the hypervisor keeps of one sort, with its owner.
fn kept(file: &BoardFile, of: fn(&Frame) -> Range) -> Vec<Reserved> {
    let kept = file.kept.tables().map(|(name, frame)| (name, of(frame)));
    let some = kept.filter(|(_, range)| range.size != 0);
    some.map(|(name, range)| Reserved::new(name, range.start, range.size)).collect()
}

fn registers(start: Option<u64>, size: Option<Size>) -> Range {
    Range::new(start.unwrap_or(0), size.map_or(0, |size| size.0))
}

fn ports(ports: Option<&Ports>) -> Range {
    ports.map_or_else(Range::default, |ports| Range::new(ports.first.into(), ports.count.into()))
}

fn device((name, file): (&At<String>, &DeviceFile)) -> Device {
    Device {
        name: name.value.clone(),
        registers: registers(file.start, file.size),
        ports: ports(file.ports.as_ref()),
        interrupts: file
            .interrupts
            .as_ref()
            .map(|interrupts| interrupts.value.clone())
            .unwrap_or_default(),
        compatible: file.compatible.clone(),
        clock: file.clock.unwrap_or(false),
        dma: file.dma.unwrap_or(false),
    }
}
