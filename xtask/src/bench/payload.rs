// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the payload `guests/bench` on Arm, bare and under Bulkhead, the time
//! to the guest's first instruction, and sizes.

use super::Measured;
use super::figures::{Figure, Figures};
use super::lab::{Lab, Run, figure, loaded_bytes};
use crate::manifest::board::Arch;
use crate::packages::QEMU_ARM;
use anyhow::{Context, Result, bail};

/// What the payload's checks of the counter must say.
const CHECKS: [(&str, i64); 3] =
    [("self-empty", 3), ("self-four-nops", 4), ("self-ten-million", 10_000_002)];
/// The payload's row with the counter at its first instructions.
const ENTRY: &str = "entry";

/// Functions that check the bundle, and those that zero memory, as parts of their symbols.
const CRC: &[&str] = &["6memory6crc32c"];
const ZEROING: &[&str] = &["6memory4zero", "6memory12clean_mapped"];

/// Measures the payload.
pub(super) fn measure(lab: &mut Lab, measured: &mut Measured) -> Result<()> {
    lab.installer.need(&[&QEMU_ARM])?;
    let payload = lab.builder.build("bench", Arch::Aarch64)?.image.display().to_string();
    let bare =
        Run { what: "the payload, bare", cpus: 2, until: None, until_user: false, seconds: 60 };
    let console = lab.bare(&["-m", "512", "-kernel", &payload], &bare)?;
    measured.bare = checked(&console, bare.what)?;
    let entry = measured.bare.get(ENTRY).copied();
    measured.bare.extend(entry.map(|entry| ("reset-to-entry".to_owned(), entry)));

    let product = lab.build("payload")?;
    let run = Run { what: "the payload", ..bare };
    let (console, _) = lab.run(&product, &run)?;
    measured.ours = checked(&console, run.what)?;
    measured.ours.insert("program-bytes".to_owned(), figure(loaded_bytes(&product.kernel)?));
    measured.ours.insert("memory-bytes".to_owned(), figure(memory(&console)?));
    measured.ours.insert("plain-program-bytes".to_owned(), lab.plain_bytes(Arch::Aarch64)?);

    let product = lab.build_plain("payload")?;
    let run = Run { what: "the payload, without statistics", ..run };
    let (console, _) = lab.run(&product, &run)?;
    statistics(measured, &checked(&console, run.what)?, "hvc-psci-version");

    let product = lab.build("entry")?;
    let run = Run { what: "reset to guest entry", cpus: 1, ..run };
    let (console, counts) = lab.run(&product, &run)?;
    let entry = checked(&console, run.what)?.get(ENTRY).copied().context("no row `entry`")?;
    let [crc, zero] =
        [CRC, ZEROING].map(|symbols| symbols.iter().map(|symbol| counts.before(symbol)).sum());
    let (crc, zero) = (figure(crc), figure(zero));
    measured
        .ours
        .insert("reset-to-entry".to_owned(), (entry.value - crc.value - zero.value).into());
    measured.ours.insert("entry-crc".to_owned(), crc);
    measured.ours.insert("entry-zero".to_owned(), zero);
    let busiest: Vec<String> = counts
        .busiest(8)
        .iter()
        .map(|(symbol, count)| format!("{} {count}", short(symbol)))
        .collect();
    measured.notes.push(format!("busiest before the guest: {}", busiest.join(", ")));
    Ok(())
}

/// What counting adds to an exit, by the row of a call with and without it.
pub(super) fn statistics(measured: &mut Measured, without: &Figures, row: &str) {
    if let (Some(with), Some(without)) = (measured.ours.get(row), without.get(row)) {
        let added = Figure::from(with.value - without.value);
        measured.ours.insert("statistics".to_owned(), added);
    }
}

/// The payload's rows, if its counter ticks once for each instruction.
pub(super) fn checked(console: &str, what: &str) -> Result<Figures> {
    let rows = rows(console);
    for (name, expected) in CHECKS {
        match rows.get(name) {
            Some(figure) if figure.value == expected && figure.largest == expected => (),
            Some(figure) if name == "self-ten-million" && figure.value >= expected => (),
            other => bail!(
                "{what}: {name} is {}, not {expected}: the emulator does not count instructions",
                other.map_or("missing".to_owned(), Figure::to_string)
            ),
        }
    }
    Ok(rows)
}

/// The payload's rows.
pub(super) fn rows(console: &str) -> Figures {
    console.lines().filter_map(row).collect()
}

/// Reads `… bench: NAME SMALLEST MEDIAN LARGEST`.
fn row(line: &str) -> Option<(String, Figure)> {
    let (_, rest) = line.rsplit_once("bench: ")?;
    let mut words = rest.split_ascii_whitespace();
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    let (_smallest, value, largest): (i64, i64, i64) = (number()?, number()?, number()?);
    Some((name, Figure { value, largest }))
}

/// The last two words of a mangled path: `_ZN6kernel6memory4zero17h…E` is `memory::zero`.
fn short(symbol: &str) -> String {
    let mut rest = symbol.strip_prefix("_ZN").unwrap_or("");
    let mut words = Vec::new();
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
        let length = rest[..end].parse().unwrap_or(0);
        let Some(word) = rest.get(end..end + length).filter(|word| !word.is_empty()) else { break };
        words.push(word);
        rest = &rest[end + length..];
    }
    // The last word is the hash.
    words.pop();
    match words.as_slice() {
        [] => symbol.to_owned(),
        words => words[words.len().saturating_sub(2)..].join("::"),
    }
}

/// What the hypervisor says it uses, in bytes.
pub(super) fn memory(console: &str) -> Result<u64> {
    let line = console.lines().find_map(|line| line.strip_prefix("[bulkhead] memory: "));
    let kib = line.and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
    Ok(kib.context("the hypervisor does not say how much memory it uses")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_behind_any_tag() {
        let expected = Some(("hvc".to_owned(), Figure { value: 2, largest: 3 }));
        assert_eq!(row("[bench] bench: hvc 1 2 3"), expected);
        assert_eq!(row("(XEN) DOM1: bench: hvc 1 2 3"), expected);
        assert_eq!(row("bench: smc none"), None);
    }

    #[test]
    fn a_symbol_is_shortened_to_two_words() {
        assert_eq!(short("_ZN6kernel4arch6memory4zero17h44f1e5aef0a94513E"), "memory::zero");
        assert_eq!(short("kernel_boot"), "kernel_boot");
    }

    #[test]
    fn a_counter_that_counts_something_else_is_refused() {
        let good = "bench: self-empty 3 3 3\nbench: self-four-nops 4 4 4\n\
                    bench: self-ten-million 10000002 10000002 10000002\n";
        assert!(checked(good, "x").is_ok());
        assert!(checked(&good.replace("3 3 3", "6 6 6"), "x").is_err());
    }
}
