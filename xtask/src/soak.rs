// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask soak`: what takes long, in full. Restarts over and over, which must
//! cost the last time what they cost the first, and a mailbox under random words.
//!
//! An RTOS tells its own exits at a fixed place of its boot, where it first asks for its
//! statistics; how long its restart took is the hypervisor's own time from the end of one run to
//! the start of the next. In QEMU these machines run with one nanosecond an instruction, so
//! that both are counts. Linux's exits are read by the mailbox once its line was seen, when it
//! runs on: they tell a drift, and are not equal. Every machine has a witness, an RTOS whose
//! heartbeats have no gap.

use crate::bench::{COUNTING_CPU, ONE_TICK};
use crate::emulator::table::tools;
use crate::failure::{FAILED, PASSED, mistake};
use crate::guests::Builder;
use crate::packages::Installer;
use crate::product;
use crate::suite::{Tally, judged, verdict_of};
use crate::system::System;
use crate::terminal::Step;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, ensure};
use bulkhead_test::emulator::table::{Kind, Options};
use bulkhead_test::{System as Machine, secs};
use std::fmt;
use std::time::{Duration, Instant};

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask soak
  cargo xtask soak rtos/qemu-amd
  cargo xtask soak mailbox --times 50000
  cargo xtask soak --list";

/// How long a machine may take to its first line, an answer and a boot to come.
const BOOT: Duration = secs(900);
const ANSWER: Duration = secs(120);
/// The partition that nothing is done to, and what it must still say at the end.
const WITNESS: &str = "witness";
const HEARTBEAT: &str = r"heartbeat (\d+) ";
/// What an RTOS says of itself: exits, interrupts, restarts.
const OWN: &str = r"^keeper: \d+ ms of CPU, (\d+) exits, (\d+) interrupts, (\d+) restarts$";
/// How many messages mischief has sent so far, and that they are all sent.
const SENT: &str = r"^mischief: mailbox (?:(\d+) sent|messages: done x\d+)$";
/// Linux's first line on its console, and its first program's.
const FIRST_LINE: &str = r"^\[ +0\.0+\] ";
const READY: &str = r"^linux: \d+ CPUs, \d+ MiB, ready$";
/// Bochs has slower CPUs here, so that it has less to do where they wait; and it would log each
/// virtual interrupt under VT-x, each exit by a port under AMD-V.
const BOCHS: [&str; 3] = ["cpu: ips=10000000", "info: action=ignore", "error: action=ignore"];
/// By how much the last restarts may cost more than the first, where no count is exact; and how many
/// exits a guest may get on before its line was seen here and they were asked for.
const DRIFT: f64 = 1.05;
const LATE: u64 = 16;
/// How many of how many boots have the same number of exits, where they are counted exactly: the
/// console is the witness's too, and a line that meets another waits for room.
const USUAL: (usize, usize) = (9, 10);
/// How many times progress is told of.
const TOLD: u32 = 10;
/// How many times a soak restarts its RTOS as one of the tests, and where.
const SHORT: u32 = 20;
const TESTED: [&str; 2] = ["rtos/qemu", "rtos/qemu-amd"];

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Run only what has this name, or has it in its name.
    #[arg(default_value = "")]
    filter: String,
    /// As many restarts or messages, in place of each soak's own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    times: Option<u32>,
    /// Name what there is, and stop.
    #[arg(long)]
    list: bool,
}

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// An RTOS is restarted once it told its statistics.
    Rtos,
    /// Linux is restarted at a line.
    Linux(&'static str),
    /// Mischief sends messages.
    Messages,
}

/// One soak.
#[derive(Clone, Copy, Debug)]
struct Soak {
    /// What is done, for its name.
    what: &'static str,
    /// In which emulator.
    on: &'static str,
    /// The system: a manifest in `tests/soak`.
    manifest: &'static str,
    deed: Deed,
    times: u32,
}

/// All soaks, one line each.
const SOAKS: [Soak; 13] = [
    soak("rtos", "qemu", "soak-rtos", Deed::Rtos, 1_000),
    soak("rtos", "qemu-amd", "soak-pc-rtos", Deed::Rtos, 200),
    soak("rtos", "bochs-intel", "soak-pc-rtos", Deed::Rtos, 200),
    soak("rtos", "bochs-amd", "soak-pc-rtos", Deed::Rtos, 200),
    soak("linux-first-line", "qemu", "soak-linux", Deed::Linux(FIRST_LINE), 200),
    soak("linux-first-line", "qemu-amd", "soak-pc-linux", Deed::Linux(FIRST_LINE), 20),
    soak("linux-first-line", "bochs-intel", "soak-pc-linux", Deed::Linux(FIRST_LINE), 5),
    soak("linux-ready", "qemu", "soak-linux", Deed::Linux(READY), 5),
    soak("linux-ready", "qemu-amd", "soak-pc-linux", Deed::Linux(READY), 2),
    soak("mailbox", "qemu", "soak-mailbox", Deed::Messages, 1_000_000),
    soak("mailbox", "qemu-amd", "soak-pc-mailbox", Deed::Messages, 100_000),
    soak("mailbox", "bochs-intel", "soak-pc-mailbox", Deed::Messages, 100_000),
    soak("mailbox", "bochs-amd", "soak-pc-mailbox", Deed::Messages, 100_000),
];

const fn soak(
    what: &'static str,
    on: &'static str,
    manifest: &'static str,
    deed: Deed,
    times: u32,
) -> Soak {
    Soak { what, on, manifest, deed, times }
}

/// What one boot after a restart was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Boot {
    /// Exits up to its line.
    exits: u64,
    /// Nanoseconds of the machine from the end of the run before to this one's start.
    restart: u64,
}

/// Runs the soaks that the filter names.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let chosen = chosen(&arguments.filter);
    if chosen.is_empty() {
        let names: Vec<String> = SOAKS.iter().map(Soak::name).collect();
        let (filter, names) = (&arguments.filter, names.join(", "));
        return Err(mistake(format!("no soak has a name with `{filter}`; there are: {names}")));
    }
    if arguments.list {
        for soak in chosen {
            println!("{:<30} {}", soak.name(), soak.times);
        }
        return Ok(PASSED);
    }
    let mut builder = Builder::new(workspace, installer)?;
    let mut failed = 0;
    let mut figures = Vec::new();
    for soak in &chosen {
        let times = arguments.times.unwrap_or(soak.times);
        let begun = Instant::now();
        let outcome = soak.run(workspace, installer, &mut builder, times);
        let took = begun.elapsed().as_secs_f64();
        let (word, text) = match outcome {
            Ok(text) => ("ok  ", text),
            Err(why) => {
                failed += 1;
                ("FAIL", format!("{why:#}"))
            }
        };
        let line = format!("{word} {:<30} {took:>7.0} s  {text}", soak.name());
        eprintln!("{line}");
        figures.push(line);
    }
    for line in &figures {
        println!("{line}");
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(if failed == 0 { PASSED } else { FAILED })
}

/// The soaks of an RTOS in QEMU, shortened, as tests.
pub fn test(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let mut all = Tally::default();
    for soak in SOAKS.iter().filter(|soak| TESTED.contains(&soak.name().as_str())) {
        let name = format!("soak/{}", soak.name());
        if name.contains(filter) {
            let mut builder = Builder::new(workspace, installer)?;
            let begun = Instant::now();
            let outcome = soak.run(workspace, installer, &mut builder, SHORT);
            all = all.and(judged(&name, verdict_of(&outcome), begun.elapsed()));
        }
    }
    Ok(all)
}

/// The soak of this name, or else all whose names contain it.
fn chosen(filter: &str) -> Vec<Soak> {
    let whole = SOAKS.into_iter().find(|soak| soak.name() == filter);
    let parts = || SOAKS.into_iter().filter(|soak| soak.name().contains(filter)).collect();
    whole.map_or_else(parts, |soak| vec![soak])
}

impl Soak {
    fn name(&self) -> String {
        format!("{}/{}", self.what, self.on)
    }

    /// Runs it; its figures in words.
    fn run(
        &self,
        workspace: &Workspace,
        installer: &Installer,
        builder: &mut Builder,
        times: u32,
    ) -> Result<String> {
        let system = System {
            name: self.manifest.to_owned(),
            manifest: workspace.root().join(format!("tests/soak/{}.toml", self.manifest)),
            scenario: None,
            word: Some(times.to_string()),
        };
        let product = product::build(workspace, builder, &system)?;
        let emulator = product.emulator(Some(self.on))?;
        installer.need(tools(emulator))?;
        let counted = self.deed != Deed::Messages && emulator.kind == Kind::Qemu;
        let boot = emulator.quickest()?;
        let mut options = Options { cpus: Some(2), boot: Some(boot), ..Options::default() };
        if counted {
            options.more = ONE_TICK.map(str::to_owned).to_vec();
            options.cpu = (self.on == "qemu").then(|| COUNTING_CPU.to_owned());
        }
        if emulator.kind == Kind::Bochs {
            options.more = BOCHS.map(str::to_owned).to_vec();
        }
        let launch = emulator.launch(product.file(boot)?, &options)?;
        let folder = made(workspace.target().join("soak"))?;
        let log = folder.join(format!("{}.log", self.name().replace('/', "-")));
        let machine = Machine::boot(&launch, product.built.partitions.clone(), &log)?;
        let progress = Progress::begin(self, times);
        let figures = match self.deed {
            Deed::Rtos => told(&restart_rtos(&machine, times, &progress)?, counted)?,
            Deed::Linux(line) => told(&restart_linux(&machine, line, times, &progress)?, false)?,
            Deed::Messages => messages(&machine, times, &progress)?,
        };
        Ok(format!("{figures}; {}", witness(&machine)?))
    }
}

/// What is shown of a soak while it runs.
struct Progress {
    step: Step,
    name: String,
    times: u32,
    begun: Instant,
}

impl Progress {
    fn begin(soak: &Soak, times: u32) -> Self {
        let name = format!("soak {}", soak.name());
        Self { step: Step::begin(&name), name, times, begun: Instant::now() }
    }

    /// So many are done. Where nothing moves, the first and each tenth part are lines of their own.
    fn done(&self, number: u32) {
        self.step.detail(&format!("{number} of {}", self.times));
        if number == 1 || number.is_multiple_of((self.times / TOLD).max(1)) {
            let (name, times) = (&self.name, self.times);
            let took = self.begun.elapsed().as_secs();
            self.step.above(|| eprintln!("  {name}: {number} of {times}, {took} s"));
        }
    }
}

/// Restarts the RTOS each time it has told of its own exits.
fn restart_rtos(machine: &Machine, times: u32, progress: &Progress) -> Result<Vec<Boot>> {
    let rtos = machine.partition("rtos");
    rtos.wait_for(OWN, BOOT)?;
    let mut boots = Vec::new();
    for number in 1..=times {
        let patient = machine.mailbox().patience(ANSWER);
        patient.restart("rtos")?;
        let exits = loop {
            let seen = rtos.wait_for(OWN, BOOT)?;
            // The run before tells its statistics every ten seconds.
            if seen.number(3) == Some(number) {
                break seen.number(1).context("no number of exits")?;
            }
        };
        boots.push(Boot { exits, restart: restart_time(machine, "rtos", number)? });
        progress.done(number);
    }
    Ok(boots)
}

/// Restarts Linux each time it has written a line.
fn restart_linux(
    machine: &Machine,
    line: &str,
    times: u32,
    progress: &Progress,
) -> Result<Vec<Boot>> {
    let linux = machine.partition("linux");
    linux.wait_for(line, BOOT)?;
    let mut boots = Vec::new();
    for number in 1..=times {
        let patient = machine.mailbox().patience(ANSWER);
        patient.restart("linux")?;
        machine.hypervisor().wait_for(&format!(r"^linux: restarted \({number}\)$"), BOOT)?;
        linux.wait_for(line, BOOT)?;
        let exits = patient.statistics("linux")?.exits;
        boots.push(Boot { exits, restart: restart_time(machine, "linux", number)? });
        progress.done(number);
    }
    Ok(boots)
}

/// How long the last restart took, which must have been this one.
fn restart_time(machine: &Machine, name: &str, number: u32) -> Result<u64> {
    let details = machine.mailbox().patience(ANSWER).details(name)?;
    let restarts = details.restarts;
    ensure!(restarts == number, "{name}: {restarts} restarts were counted, not {number}");
    let took = details.started.checked_sub(details.ended);
    let took = took.with_context(|| format!("{name} started before it ended"))?;
    Ok(u64::try_from(took.as_nanos())?)
}

/// Waits until mischief's messages are sent, and its mailbox answers after all.
fn messages(machine: &Machine, times: u32, progress: &Progress) -> Result<String> {
    let mischief = machine.partition("mischief");
    loop {
        let seen = mischief.wait_for(SENT, BOOT)?;
        let Some(sent) = seen.number(1) else { break };
        progress.done(sent);
    }
    mischief.wait_for("^mischief: mailbox answered after all: done x1$", BOOT)?;
    mischief.wait_for(r"^mischief: mailbox done \d+ probes, 0 faults$", BOOT)?;
    machine.hypervisor().wait_for("^mischief: off$", BOOT)?;
    let list = machine.mailbox().patience(ANSWER).list()?;
    let restarts: Vec<String> =
        list.iter().map(|row| format!("{} {}", row.name, row.restarts)).collect();
    Ok(format!("{times} messages, answered after all; restarts: {}", restarts.join(", ")))
}

/// The witness still lives, and its heartbeats have no gap; in words.
fn witness(machine: &Machine) -> Result<String> {
    let witness = machine.partition(WITNESS);
    witness.skip()?;
    witness.wait_for(HEARTBEAT, BOOT)?;
    let beat = |line: &String| line.strip_prefix("heartbeat ")?.split(' ').next()?.parse().ok();
    let beats: Vec<u64> = witness.lines()?.iter().filter_map(beat).collect();
    let gap = beats.windows(2).find(|pair| pair[1] != pair[0] + 1);
    ensure!(gap.is_none(), "the witness's heartbeats have a gap: {gap:?}");
    Ok(format!("witness {} heartbeats, no gap", beats.len()))
}

/// The figures of all boots in words; an error if the last ones cost more than the first.
fn told(boots: &[Boot], exact: bool) -> Result<String> {
    let exits = Spread::of(boots.iter().map(|boot| boot.exits));
    let restart = Spread::of(boots.iter().map(|boot| boot.restart));
    let text =
        format!("{} restarts; exits per boot {exits}; ns per restart {restart}", boots.len());
    if exact {
        let same = exits.early == exits.late && exits.often * USUAL.1 >= boots.len() * USUAL.0;
        ensure!(same, "exits per boot are not equal: {text}");
    }
    for (what, spread) in [("exits", &exits), ("restart", &restart)] {
        ensure!(!spread.grows(), "{what}: the last cost more: {text}");
    }
    Ok(text)
}

/// How numbers spread, and whether they grow.
#[derive(Debug)]
struct Spread {
    first: u64,
    last: u64,
    smallest: u64,
    largest: u64,
    /// The medians of the first and the last third.
    early: u64,
    late: u64,
    /// How many are the median of all.
    often: usize,
    all: usize,
    /// The largest of the first third, and the smallest of the last.
    bound: u64,
    least: u64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = u64>) -> Self {
        let numbers: Vec<u64> = numbers.collect();
        let third = numbers.len().div_ceil(3);
        let at = |number: Option<&u64>| number.copied().unwrap_or_default();
        let usual = median(&numbers);
        Self {
            first: at(numbers.first()),
            last: at(numbers.last()),
            smallest: at(numbers.iter().min()),
            largest: at(numbers.iter().max()),
            early: median(&numbers[..third]),
            late: median(&numbers[numbers.len() - third..]),
            often: numbers.iter().filter(|&&number| number == usual).count(),
            all: numbers.len(),
            bound: at(numbers[..third].iter().max()),
            least: at(numbers[numbers.len() - third..].iter().min()),
        }
    }

    /// Whether even the cheapest of the last third cost more than the dearest of the first.
    fn grows(&self) -> bool {
        self.least as f64 > (self.bound + LATE) as f64 * DRIFT
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, smallest, largest, early, late, often, all, .. } = self;
        if smallest == largest {
            return write!(f, "{first}, all equal");
        }
        write!(
            f,
            "first {first}, last {last}, {smallest} to {largest}, \
             median of the first third {early}, of the last {late}, {often} of {all} equal"
        )
    }
}

fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boots(exits: &[u64]) -> Vec<Boot> {
        exits.iter().map(|&exits| Boot { exits, restart: 7 }).collect()
    }

    #[test]
    fn equal_boots_are_called_equal() {
        let text = told(&boots(&[90, 90, 90]), true).unwrap();
        assert_eq!(text, "3 restarts; exits per boot 90, all equal; ns per restart 7, all equal");
    }

    #[test]
    fn where_counts_are_exact_one_boot_in_ten_may_differ() {
        assert!(told(&boots(&[90, 91, 90]), true).is_err());
        assert!(told(&boots(&[90, 91, 90]), false).is_ok());
        assert!(told(&boots(&[90, 90, 90, 90, 90, 94, 90, 90, 90, 90]), true).is_ok());
    }

    #[test]
    fn exits_that_grow_from_boot_to_boot_fail() {
        assert!(told(&boots(&[990, 991, 1030, 1050, 1090, 1140]), false).is_err());
    }

    #[test]
    fn exits_that_vary_do_not_fail_where_they_are_read_late() {
        assert!(told(&boots(&[11, 12, 12]), false).is_ok());
        assert!(told(&boots(&[990, 1140, 1030, 1050, 1090, 1140]), false).is_ok());
    }

    #[test]
    fn a_whole_name_chooses_no_other_soak() {
        assert_eq!(chosen("rtos/qemu").len(), 1);
        assert_eq!(chosen("rtos").len(), 4);
        assert_eq!(chosen("").len(), SOAKS.len());
    }

    #[test]
    fn every_soak_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = SOAKS.iter().map(Soak::name).collect();
        assert_eq!(names.len(), SOAKS.len());
    }
}
