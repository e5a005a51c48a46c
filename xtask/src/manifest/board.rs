// SPDX-License-Identifier: MIT OR Apache-2.0
//! `boards/NAME/board.toml`: what Bulkhead must know about a family of machines.

use abi::machine::Machine;
use abi::placement::Reserved;
use abi::range::Range;
use abi::records::{self, Name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{At, Named, Read, Reader, Value, record, words};
use super::units::Size;

record! {
    /// A board as its file says it.
    BoardFile is "the board" {
        /// The folder's name.
        name: At<String>,
        /// Instruction set.
        arch: Arch,
        /// CPUs, at most.
        cpus: At<u32>,
        /// Bytes of flash.
        flash: Size,
        /// Where the device tree lies when the machine starts from flash.
        device_tree: u64,
        /// Where the hypervisor keeps its data when it starts from flash.
        home: Area,
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
        start: u64,
        /// Bytes of the registers.
        size: Size,
        /// INTIDs.
        interrupts: Option<Vec<u32>>,
    }
}

record! {
    /// A device that a partition can be given.
    DeviceFile is "device" {
        /// First address of the registers.
        start: u64,
        /// Bytes of the registers.
        size: Size,
        /// INTIDs, level-triggered, at most four.
        interrupts: Option<At<Vec<u32>>>,
        /// The device tree's `compatible`.
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
    }
}

words! {
    /// What stands between a device and memory.
    Iommu {
        /// Nothing.
        None = "none",
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
    /// Its registers.
    pub registers: Range,
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
    /// CPUs, at most.
    pub cpus: u32,
    /// Bytes of flash.
    pub flash: u64,
    /// Where the device tree lies at reset.
    pub device_tree: u64,
    /// Where the hypervisor keeps its data when started from flash.
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
        }
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
        if !reader.mistakes.is_empty() {
            return None;
        }
        let keep =
            |(name, area): (&At<String>, &Area)| Reserved::new(name, area.start, area.size.0);
        let home = Reserved::new("Bulkhead", file.home.start, file.home.size.0);
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
            cpus: file.cpus.value,
            flash: file.flash.0,
            device_tree: file.device_tree,
            home: file.home.range(),
            iommu: file.iommu,
            ram: file.ram.iter().map(Area::range).collect(),
            reserved: file.reserved.tables().map(keep).chain([home]).collect(),
            frames: file
                .kept
                .tables()
                .map(|(name, frame)| Reserved::new(name, frame.start, frame.size.0))
                .collect(),
            interrupts: file.kept.tables().flat_map(intids).collect(),
            devices: file.device.tables().map(device).collect(),
            name: file.name.value,
        })
    }
}

fn device((name, file): (&At<String>, &DeviceFile)) -> Device {
    Device {
        name: name.value.clone(),
        registers: Range::new(file.start, file.size.0),
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
