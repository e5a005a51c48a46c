// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manifest as it is written: keys, types and positions. What the keys
//! mean together is [`super::resolve`]'s.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::read::{At, Named, Read, Reader, Told, Value, record, words};
use super::units::{Duration, Size};

record! {
    /// How a machine is partitioned.
    ManifestFile is "the manifest" {
        /// Version of the manifest: 1.
        version: u64,
        /// Folder in boards/.
        board: At<String>,
        /// Device of the board, a UART, on which the host is answered; on the console if left out.
        management: Option<At<String>>,
        /// Partitions, by name.
        partition: Named<PartitionFile>,
        /// Channels, by name.
        channel: Option<Named<ChannelFile>>,
    }
}

record! {
    /// vCPUs, memory and devices that belong together and to nobody else.
    PartitionFile is "partition" {
        /// Folder in guests/, or an image.
        guest: Told<At<GuestFile>>,
        /// CPUs; one vCPU runs on each.
        cpus: Told<At<Vec<At<u32>>>>,
        /// Size of the memory, or a table with addresses.
        memory: Told<At<MemoryFile>>,
        /// Devices, by their names in board.toml.
        devices: Option<Told<Vec<At<String>>>>,
        /// Command line for the guest, instead of its own.
        cmdline: Option<Told<At<String>>>,
        /// `unprotected`: its devices may write anywhere; needs identity.
        dma: Option<Told<At<Dma>>>,
        /// `trap`: the guest's idling is an exit.
        idle: Option<Told<Idle>>,
        /// `shared`: threads of a core may be in another partition that says so too.
        smt: Option<Told<Smt>>,
        /// When it is started again after it has ended; otherwise only when it restarts itself.
        restart: Option<Told<RestartFile>>,
        /// What it may see and steer by its mailbox; without this it has none.
        mailbox: Option<Told<At<MailboxFile>>>,
        /// It counts as failed if it does not kick its watchdog within this time: 1 ms to an hour.
        watchdog: Option<Told<At<Duration>>>,
        /// Partitions that run before it is started.
        depends: Option<Told<Vec<At<String>>>>,
        /// `manual`: it waits until somebody starts it by the mailbox.
        start: Option<Told<Start>>,
    }
    reserved {
        "interrupts" => "direct interrupts come with a later version; all go through the hypervisor",
    }
}

record! {
    /// When a partition is started again.
    RestartFile is "restart of partition" {
        /// Ends after which it is.
        on: Vec<EndWord>,
        /// How often within that time; then it stays ended. 1 to 16.
        max: At<u32>,
        /// That time.
        within: At<Duration>,
        /// From an end to the next start; none if left out.
        backoff: Option<Duration>,
        /// From a start to the next one at least; none if left out.
        uptime: Option<Duration>,
        /// What happens when it ended more often: `stop` if left out.
        r#else: Option<Else>,
    }
}

record! {
    /// What a partition may see and steer by its mailbox.
    MailboxTable is "mailbox of partition" {
        /// Whose details, statistics, faults and events it sees.
        observe: Option<WhomFile>,
        /// Whose console it reads and writes.
        console: Option<WhomFile>,
        /// Whom it starts, stops and the like.
        control: Option<WhomFile>,
    }
}

record! {
    /// Memory with its addresses.
    MemoryTable is "memory of partition" {
        /// Bytes.
        size: Size,
        /// First guest address; the platform's if left out.
        guest: Option<u64>,
        /// First host address; placed at boot if left out.
        host: Option<u64>,
        /// Whether guest and host address are the same.
        identity: Option<bool>,
    }
}

record! {
    /// An image from outside.
    ImageFile is "image of partition" {
        /// Path of the file, from the manifest's folder.
        image: At<String>,
        /// What it is.
        kind: At<ImageKind>,
        /// For `linux`: path of the initial RAM disk.
        initrd: Option<At<String>>,
        /// For `raw`: where it is copied.
        load: Option<At<u64>>,
        /// For `raw`: the first instruction.
        entry: Option<At<u64>>,
        /// For `raw` on x86: 16, 32 or 64, the bits of the first instruction.
        mode: Option<At<u32>>,
    }
}

record! {
    /// Memory that two partitions share, with a doorbell each.
    ChannelFile is "channel" {
        /// The two partitions.
        between: Told<At<Vec<At<String>>>>,
        /// Bytes that they share.
        size: Told<At<Size>>,
        /// Shortest time between two interrupts at a receiver; 100 us if left out.
        interval: Option<Told<Duration>>,
    }
}

words! {
    /// What an image is.
    ImageKind {
        /// An arm64 `Image`, compressed or not; on x86 a bzImage.
        Linux = "linux",
        /// An ELF executable; on x86 with a PVH note or a multiboot header.
        Elf = "elf",
        /// Bytes with a load address.
        Raw = "raw",
        /// What a machine's flash holds.
        Firmware = "firmware",
    }
}

words! {
    /// What keeps devices from writing anywhere.
    Dma {
        /// Nothing.
        Unprotected = "unprotected",
    }
}

words! {
    /// What becomes of an idle guest's CPU.
    Idle {
        /// It comes back to the hypervisor.
        Trap = "trap",
    }
}

words! {
    /// Who may have the other threads of a core.
    Smt {
        /// Another partition.
        Shared = "shared",
    }
}

words! {
    /// How a partition ended.
    EndWord {
        /// It could not go on.
        Crash = "crash",
        /// It did not kick its watchdog in time.
        Watchdog = "watchdog",
        /// It switched itself off.
        Off = "off",
    }
}

words! {
    /// When a partition starts.
    Start {
        /// When somebody asks for it.
        Manual = "manual",
    }
}

words! {
    /// What happens when a partition ended too often.
    Else {
        /// It stays ended.
        Stop = "stop",
        /// The machine is reset.
        RebootMachine = "reboot-machine",
    }
}

/// Whom a right is over.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum WhomFile {
    /// Every partition and the machine, or nobody.
    All(bool),
    /// These partitions.
    These(Vec<At<String>>),
}

impl Read for WhomFile {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::Array(_)) {
            return Read::read(value, reader).map(Self::These);
        }
        if value.get_ref().as_bool().is_none() {
            reader.wrong_type(value, "true or an array of partitions");
            return None;
        }
        bool::read(value, reader).map(Self::All)
    }
}

/// A mailbox: with all rights, or a table of them.
#[derive(Clone, Debug)]
pub struct MailboxFile(pub MailboxTable);

impl Read for MailboxFile {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let all = || Some(WhomFile::All(true));
        match value.get_ref().as_bool() {
            Some(true) => {
                Some(Self(MailboxTable { observe: all(), console: all(), control: all() }))
            }
            Some(false) => {
                let message = "a partition without the key has no mailbox";
                reader.wrong_value(value.span(), message, "leave it out, or write true or a table");
                None
            }
            None if matches!(value.get_ref(), DeValue::Table(_)) => {
                MailboxTable::read(value, reader).map(Self)
            }
            None => {
                reader.wrong_type(value, "true or a table of rights");
                None
            }
        }
    }
}

impl JsonSchema for MailboxFile {
    fn schema_name() -> Cow<'static, str> {
        "Mailbox".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<MailboxTable>();
        json_schema!({ "anyOf": [{ "const": true }, table] })
    }
}

/// A guest: a folder or an image.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum GuestFile {
    /// Folder in guests/.
    Folder(String),
    /// An image from outside.
    Image(ImageFile),
}

impl Read for GuestFile {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(folder) => Some(Self::Folder(folder.to_string())),
            DeValue::Table(_) => ImageFile::read(value, reader).map(Self::Image),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                reader.wrong_type(value, "a guest's name or an image table");
                None
            }
        }
    }
}

/// Memory: a size, or a table with addresses.
#[derive(Clone, Debug)]
pub struct MemoryFile(pub MemoryTable);

impl Read for MemoryFile {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        if matches!(value.get_ref(), DeValue::Table(_)) {
            return MemoryTable::read(value, reader).map(Self);
        }
        let size = Size::read(value, reader)?;
        Some(Self(MemoryTable { size, guest: None, host: None, identity: None }))
    }
}

impl JsonSchema for MemoryFile {
    fn schema_name() -> Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let size = generator.subschema_for::<Size>();
        let table = generator.subschema_for::<MemoryTable>();
        json_schema!({ "anyOf": [size, table] })
    }
}
