// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the plugin `xtask/counter` wrote: exits by reason, path lengths, address ranges.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Vectors for synchronous exceptions and interrupts of a lower level.
const SYNCHRONOUS: u64 = 0;
const INTERRUPT: u64 = 1;

/// Why a path began: vector, exception class (on a PC 0x1000 and the exit code), detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    vector: u64,
    class: u64,
    detail: u64,
}

/// The paths of one CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    /// TPIDR_EL2; zero for what ran before it was set.
    identity: u64,
    /// How often each length occurred, by reason.
    paths: BTreeMap<Reason, BTreeMap<u64, u64>>,
}

/// What one machine's hypervisor did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Instructions before the first guest.
    pub(super) entry: u64,
    /// Instructions of the paths in each stretch that a guest marked.
    pub(super) stretches: Vec<u64>,
    cpus: Vec<Cpu>,
    /// Instructions of each function before the first guest.
    functions: Vec<(String, u64)>,
}

impl Counts {
    /// Reads the plugin's file.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the counter wrote no {}", file.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            counts.line(&words).with_context(|| format!("the counter wrote `{line}`"))?;
        }
        Ok(counts)
    }

    fn line(&mut self, words: &[&str]) -> Result<()> {
        let hex = |word: &str| u64::from_str_radix(word, 16);
        match words {
            ["entry", all] => self.entry = all.parse()?,
            ["stretch", spent] => self.stretches.push(spent.parse()?),
            ["cpu", identity, ..] => {
                self.cpus.push(Cpu { identity: hex(identity)?, paths: BTreeMap::new() });
            }
            ["path", vector, class, detail, length, count] => {
                let reason =
                    Reason { vector: vector.parse()?, class: hex(class)?, detail: hex(detail)? };
                let cpu = self.cpus.last_mut().context("a path without a CPU")?;
                cpu.paths.entry(reason).or_default().insert(length.parse()?, count.parse()?);
            }
            ["function", name, _, before] => {
                self.functions.push(((*name).to_owned(), before.parse()?));
            }
            _ => bail!("unknown words"),
        }
        Ok(())
    }

    /// Instructions before the first guest, of the functions whose symbol holds this text.
    pub(super) fn before(&self, symbol: &str) -> u64 {
        let functions = self.functions.iter().filter(|(name, _)| name.contains(symbol));
        functions.map(|(_, count)| count).sum()
    }

    /// The functions that executed most before the first guest, with their symbols.
    pub(super) fn busiest(&self, number: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> =
            self.functions.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all.truncate(number);
        all
    }

    /// The longest path and why it began.
    pub(super) fn longest(&self) -> Option<(u64, String)> {
        let all = self
            .paths()
            .filter_map(|(reason, lengths)| Some((*lengths.keys().next_back()?, reason)));
        all.max().map(|(length, reason)| (length, reason.to_string()))
    }

    /// How often a guest was left: for its own instructions, and for interrupts.
    pub(super) fn exits(&self) -> (u64, u64) {
        let of = |vector| {
            let paths = self.paths().filter(|(reason, _)| reason.vector == vector);
            paths.flat_map(|(_, lengths)| lengths.values()).sum()
        };
        (of(SYNCHRONOUS), of(INTERRUPT))
    }

    /// Exits by reason, the most frequent first.
    pub(super) fn reasons(&self) -> Vec<(String, u64)> {
        let mut all = BTreeMap::<String, u64>::new();
        for (reason, lengths) in self.paths().filter(|(reason, _)| reason.is_exit()) {
            *all.entry(reason.to_string()).or_default() += lengths.values().sum::<u64>();
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }

    /// Instructions of all exits.
    pub(super) fn spent(&self) -> u64 {
        let exits = self.paths().filter(|(reason, _)| reason.is_exit());
        exits.flat_map(|(_, lengths)| lengths).map(|(length, count)| length * count).sum()
    }

    /// Instructions of all paths: of exits, and what follows a look for interrupts.
    pub(super) fn all(&self) -> u64 {
        self.paths().flat_map(|(_, lengths)| lengths).map(|(length, count)| length * count).sum()
    }

    /// The paths of all CPUs.
    fn paths(&self) -> impl Iterator<Item = (&Reason, &BTreeMap<u64, u64>)> {
        self.cpus.iter().flat_map(|cpu| &cpu.paths)
    }

    /// Lengths of the interrupt paths of the CPU that was started as number `number`, from zero.
    pub(super) fn interrupts(&self, number: usize) -> BTreeMap<u64, u64> {
        let cpu = self.cpus.iter().filter(|cpu| cpu.identity != 0).nth(number);
        let lengths =
            cpu.and_then(|cpu| cpu.paths.iter().find(|(reason, _)| reason.vector == INTERRUPT));
        lengths.map(|(_, lengths)| lengths.clone()).unwrap_or_default()
    }
}

impl Reason {
    /// Whether a guest was left, not other work interrupted.
    fn is_exit(&self) -> bool {
        self.vector <= 3
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.vector, self.class) {
            (1 | 2, _) => f.write_str("interrupt"),
            (3, _) => f.write_str("system error"),
            (4, _) => f.write_str("work between guests"),
            (_, 0x01) => f.write_str("wait for interrupt"),
            (_, 0x07) => f.write_str("floating point"),
            (_, 0x16) => f.write_str("HVC"),
            (_, 0x17) => f.write_str("SMC"),
            (_, 0x18) => write!(f, "register {}", Register(self.detail)),
            (_, 0x20) => write!(f, "fetch from {:#x}", self.detail),
            (_, 0x24) => write!(f, "{}", Page(self.detail)),
            (_, 0x1064) => f.write_str("interrupt window"),
            (_, 0x1072) => f.write_str("CPUID"),
            (_, 0x1078) => f.write_str("HLT"),
            (_, 0x107b) => write!(f, "port {:#x}", self.detail),
            (_, 0x107c) => write!(f, "MSR {:#x}", self.detail),
            (_, 0x1081) => f.write_str("hypercall"),
            (_, 0x1400) => write!(f, "{}", PcPage(self.detail)),
            (_, class @ 0x1000..) => write!(f, "exit {:#x}", class - 0x1000),
            (_, class) => write!(f, "exception class {class:#x}"),
        }
    }
}

/// A trapped register access, as ESR_EL2.ISS has it.
struct Register(u64);

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = |shift: u64, bits: u64| self.0 >> shift & ((1 << bits) - 1);
        let (op0, op1, crn, crm, op2) =
            (field(20, 2), field(14, 3), field(10, 4), field(1, 4), field(17, 3));
        if (op0, op1, crn) == (3, 0, 0) {
            return f.write_str("of identification");
        }
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

/// A guest's page on Arm, by the device that `abi::platform` has there.
struct Page(u64);

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use abi::platform::{CHANNEL_END, CHANNEL_REGISTERS, GICD, GICD_SIZE, GICR, GPIO, UART};
        let name = match self.0 {
            page if (GICD..GICD + GICD_SIZE).contains(&page) => "distributor",
            page if (GICR..UART).contains(&page) => "redistributor",
            UART => "UART",
            GPIO => "GPIO",
            page if (CHANNEL_REGISTERS..CHANNEL_END).contains(&page) => "channel",
            page => return write!(f, "memory at {page:#x}"),
        };
        f.write_str(name)
    }
}

/// The same on a PC.
struct PcPage(u64);

impl std::fmt::Display for PcPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use abi::platform::pc::{IO_APIC, LOCAL_APIC};
        match self.0 {
            LOCAL_APIC => f.write_str("local APIC"),
            IO_APIC => f.write_str("I/O APIC"),
            page => write!(f, "memory at {page:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "entry 100\nstretch 0\nstretch 7\ncpu 0 90 0\ncpu 7f00 50 10\npath 0 16 0 90 3\npath 0 24 9000000 142 2\n\
                        path 1 0 0 106 7\npath 1 0 0 328 1\npath 4 0 0 8349 5\nfunction a6memory6crc32c 60 40\nfunction main 9 50\n";

    #[test]
    fn exits_are_counted_by_reason() {
        let counts = Counts::parse(TEXT).unwrap();
        assert_eq!(
            (counts.entry, counts.before("6memory6crc32c"), counts.exits()),
            (100, 40, (5, 8))
        );
        assert_eq!(counts.stretches, [0, 7]);
        let reasons = [("interrupt", 8), ("HVC", 3), ("UART", 2)];
        assert_eq!(counts.reasons(), reasons.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(counts.spent(), 3 * 90 + 2 * 142 + 7 * 106 + 328);
        assert_eq!(counts.longest(), Some((8349, "work between guests".to_owned())));
        assert_eq!(counts.busiest(1), [("main", 50)]);
        assert_eq!(counts.interrupts(0), BTreeMap::from([(106, 7), (328, 1)]));
    }

    #[test]
    fn a_pc_s_exits_have_names() {
        let text = "entry 1\ncpu 1 9 1\npath 0 1072 0 250 2\npath 0 107b 3f8 300 1\n\
                    path 0 1400 fee00000 390 1\npath 1 1060 0 40 1\npath 4 0 0 200 1\npath 0 1014 0 80 1\n";
        let counts = Counts::parse(text).unwrap();
        let names: Vec<String> = counts.reasons().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["CPUID", "exit 0x14", "interrupt", "local APIC", "port 0x3f8"]);
        assert_eq!(counts.all(), 2 * 250 + 300 + 390 + 40 + 200 + 80);
    }

    #[test]
    fn a_register_is_named_by_its_encoding() {
        // ICC_SGI1R_EL1: S3_0_C12_C11_5.
        assert_eq!(Register(0x3a_3016).to_string(), "S3_0_C12_C11_5");
    }

    #[test]
    fn other_words_are_refused() {
        assert!(Counts::parse("nonsense 1").is_err());
        assert!(Counts::parse("path 0 16 0 90 3").is_err());
    }
}
