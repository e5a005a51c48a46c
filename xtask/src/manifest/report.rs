// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns what, for a person to read. Every concession is in capitals.

use std::fmt::Write;

use abi::mailbox::rights::{MACHINE, Rights, Set};
use abi::mailbox::state::Why;
use abi::placement::{Purpose, Request};
use abi::range::Range;

use super::board::Device;
use super::units::{Duration, Size};
use super::{Channel, Guest, ImageKind, Manifest, Partition, Restart};

/// The report.
pub fn render(manifest: &Manifest) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(manifest, &mut out);
    out
}

fn write_report(manifest: &Manifest, out: &mut String) -> std::fmt::Result {
    let board = manifest.board();
    writeln!(out, "{} on board {}", manifest.name(), board.name)?;
    for (row, partition) in manifest.partitions().iter().enumerate() {
        writeln!(out)?;
        write_partition(manifest, row, partition, out)?;
    }
    for (row, channel) in manifest.channels().iter().enumerate() {
        writeln!(out)?;
        write_channel(manifest, row, channel, out)?;
    }
    writeln!(out, "\nkept by Bulkhead")?;
    for frame in &board.frames {
        writeln!(
            out,
            "  {:<10} {}",
            "registers",
            shown(frame.range, abi::records::text(&frame.owner))
        )?;
    }
    for ports in &board.ports {
        writeln!(
            out,
            "  {:<10} {}",
            "ports",
            ports_shown(ports.range, abi::records::text(&ports.owner))
        )?;
    }
    for reserved in &board.reserved {
        writeln!(
            out,
            "  {:<10} {}",
            "memory",
            shown(reserved.range, abi::records::text(&reserved.owner))
        )?;
    }
    let owned: Vec<_> =
        manifest.partitions().iter().flat_map(|partition| &partition.devices).collect();
    let free: Vec<_> = board
        .devices
        .iter()
        .filter(|device| owned.iter().all(|owned| owned.name != device.name))
        .collect();
    if !free.is_empty() {
        writeln!(out, "\nowned by nobody")?;
        for device in free {
            writeln!(out, "  {:<10} {}", "device", device_shown(device))?;
        }
    }
    let concessions: Vec<_> = manifest.partitions().iter().flat_map(concessions).collect();
    if !concessions.is_empty() {
        writeln!(out, "\nCONCESSIONS")?;
        for concession in concessions {
            writeln!(out, "  {concession}")?;
        }
    }
    Ok(())
}

fn write_partition(
    manifest: &Manifest,
    row: usize,
    partition: &Partition,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "partition {}", partition.name)?;
    writeln!(out, "  {:<10} {}", "guest", guest(&partition.guest))?;
    let cpus: Vec<_> = partition.cpus.iter().map(u32::to_string).collect();
    writeln!(out, "  {:<10} {}", "CPUs", cpus.join(", "))?;
    let host = host(manifest.placement(), Purpose::Memory, row);
    let how = if partition.host.is_some() { "pinned" } else { "placed" };
    let size = Size(partition.memory.size);
    let guest = addresses(partition.memory);
    writeln!(out, "  {:<10} {size}, guest {guest}, host {} ({how})", "memory", addresses(host))?;
    for device in &partition.devices {
        let interrupts: Vec<_> = device.interrupts.iter().map(u32::to_string).collect();
        let interrupts =
            if interrupts.is_empty() { "none".to_owned() } else { interrupts.join(", ") };
        writeln!(out, "  {:<10} {}, interrupts {interrupts}", "device", device_shown(device))?;
    }
    if let Some(start) = start(manifest, partition) {
        writeln!(out, "  {:<10} {start}", "start")?;
    }
    if let Some(restart) = restart(&partition.restart) {
        writeln!(out, "  {:<10} {restart}", "restart")?;
    }
    if let Some(watchdog) = partition.watchdog {
        writeln!(out, "  {:<10} {}", "watchdog", Duration(watchdog))?;
    }
    if let Some(rights) = &partition.mailbox {
        writeln!(out, "  {:<10} {}", "mailbox", mailbox(manifest, rights))?;
    }
    Ok(())
}

/// When a partition starts first; none if at once.
fn start(manifest: &Manifest, partition: &Partition) -> Option<String> {
    let names: Vec<_> = partition
        .depends
        .iter()
        .filter_map(|row| manifest.partitions().get(*row))
        .map(|other| other.name.as_str())
        .collect();
    match (partition.manual, names.is_empty()) {
        (true, _) => Some("by hand".to_owned()),
        (false, false) => Some(format!("when {} run", names.join(" and "))),
        (false, true) => None,
    }
}

/// What a mailbox lets its partition do.
fn mailbox(manifest: &Manifest, rights: &Rights) -> String {
    let whom = |set: &Set| {
        if set.has(MACHINE) {
            return "everything".to_owned();
        }
        let rows = manifest.partitions().iter().enumerate();
        let names = rows.filter(|(row, _)| set.has(*row)).map(|(_, one)| one.name.as_str());
        names.collect::<Vec<_>>().join(" and ")
    };
    let all = [
        ("observes", &rights.observe),
        ("console of", &rights.console),
        ("controls", &rights.control),
    ];
    let words: Vec<_> = all
        .into_iter()
        .filter(|(_, set)| **set != Set::default())
        .map(|(word, set)| format!("{word} {}", whom(set)))
        .collect();
    if words.is_empty() { "about itself alone".to_owned() } else { words.join(", ") }
}

/// When a partition is started again; none if never.
fn restart(restart: &Restart) -> Option<String> {
    let causes = Why::ALL.iter().filter(|why| restart.on >> why.number() & 1 != 0);
    let causes: Vec<_> = causes.map(|why| why.word()).collect();
    let (within, backoff) = (Duration(restart.within), Duration(restart.backoff));
    let after = causes.join(" and ");
    let uptime = match restart.uptime {
        0 => String::new(),
        uptime => format!(", {} from start to start", Duration(uptime)),
    };
    let then = if restart.reboots { ", then THE MACHINE IS RESET" } else { "" };
    let max = restart.max;
    (!causes.is_empty())
        .then(|| format!("after {after}, {max} times in {within}, after {backoff}{uptime}{then}"))
}

/// A device with its registers, or with its ports if it has no registers.
fn device_shown(device: &Device) -> String {
    if device.registers.size == 0 {
        return ports_shown(device.ports, &device.name);
    }
    shown(device.registers, &device.name)
}

/// A range of I/O ports and whose it is.
fn ports_shown(ports: Range, name: &str) -> String {
    let last = ports.end().saturating_sub(1);
    format!("{name:<16} ports {:#x} to {last:#x}", ports.start)
}

fn write_channel(
    manifest: &Manifest,
    row: usize,
    channel: &Channel,
    out: &mut String,
) -> std::fmt::Result {
    let names = channel.ends.map(|end| {
        manifest.partitions().get(end.partition).map_or("?", |partition| &partition.name)
    });
    writeln!(out, "channel {} between {} and {}", channel.name, names[0], names[1])?;
    let host = host(manifest.placement(), Purpose::Channel, row);
    let interval = Duration(channel.interval_ns);
    writeln!(out, "  {:<10} {}, host {} (placed)", "memory", Size(channel.size), addresses(host))?;
    writeln!(out, "  {:<10} at most one interrupt in {interval} at each end", "bell")?;
    for (name, end) in names.iter().zip(channel.ends) {
        let memory = addresses(Range::new(end.memory, channel.size));
        writeln!(
            out,
            "  {name:<10} registers {:#010x}, memory {memory}, interrupt {}",
            end.registers, end.interrupt
        )?;
    }
    Ok(())
}

fn guest(guest: &Guest) -> String {
    match guest {
        Guest::Folder(name) => format!("{name} (guests/{name})"),
        Guest::Image(image) => {
            let kind = match image.kind {
                ImageKind::Linux => "linux",
                ImageKind::Elf => "elf",
                ImageKind::Raw => "raw",
                ImageKind::Firmware => "firmware",
            };
            let name = image.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name} ({kind} image)")
        }
    }
}

/// What a partition was conceded.
fn concessions(partition: &Partition) -> Vec<String> {
    let name = &partition.name;
    let mut concessions = Vec::new();
    if partition.identity {
        concessions.push(format!("PARTITION {name} HAS IDENTITY MEMORY: IT KNOWS HOST ADDRESSES"));
    }
    if partition.unprotected_dma {
        let devices =
            partition.devices.iter().filter(|device| device.dma).map(|device| device.name.as_str());
        let devices: Vec<_> = devices.collect();
        concessions.push(format!(
            "DEVICES OF PARTITION {name} MAY WRITE ANYWHERE: {}",
            devices.join(", ")
        ));
    }
    if partition.smt_shared {
        concessions.push(format!(
            "PARTITION {name} SHARES CORES WITH OTHERS: EACH CAN MEASURE WHAT THE OTHER DOES"
        ));
    }
    if partition.trap_idle {
        concessions
            .push(format!("PARTITION {name} LEAVES ITS CPU WHEN IDLE: TIMES OF WAKING DIFFER"));
    }
    concessions
}

fn host(placement: &[Request], purpose: Purpose, row: usize) -> Range {
    let request = placement.iter().find(|request| request.purpose == purpose && request.row == row);
    request.and_then(Request::range).unwrap_or_default()
}

fn addresses(range: Range) -> String {
    format!("{:#010x}-{:#010x}", range.start, range.end().saturating_sub(1))
}

fn shown(range: Range, name: &str) -> String {
    format!("{name:<16} {} ({})", addresses(range), Size(range.size))
}
