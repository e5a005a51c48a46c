// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running system. One thread follows its console, writes the log and passes
//! mailbox frames on, whatever the test does meanwhile.

use crate::emulator::frames::Filter;
use crate::emulator::keys;
use crate::emulator::launch::Launch;
use crate::emulator::lines::{End, Lines};
use crate::emulator::machine::{Event, Machine};
use crate::emulator::switchboard::{Switchboard, join};
use crate::error::Error;
use crate::journal::{HYPERVISOR, Journal};
use crate::line::Line;
use crate::mailbox::Mailbox;
use crate::partition::Partition;
use crate::setup::Setup;
use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a line without an ending is left to grow before it counts as a prompt.
const PROMPT: Duration = Duration::from_millis(200);

/// A system under test. Dropping it ends its emulator.
#[derive(Debug)]
pub struct System {
    partitions: Vec<String>,
    log: PathBuf,
    shared: Arc<Shared>,
    machine: Sender<Event>,
    pump: Option<JoinHandle<()>>,
}

/// What the console has shown, and a bell for those who wait.
#[derive(Debug, Default)]
struct Shared {
    journal: Mutex<Journal>,
    news: Condvar,
}

impl System {
    /// Builds the system of a manifest, or of a board's demo by the board's name, and boots it
    /// in the board's first emulator.
    ///
    /// # Errors
    /// [`Error::Start`], with all that is wrong with the manifest.
    pub fn start(manifest: impl AsRef<Path>) -> Result<Self, Error> {
        Self::setup(manifest).start()
    }

    /// The same with choices: which emulator, how many CPUs and so on.
    pub fn setup(manifest: impl AsRef<Path>) -> Setup {
        Setup::new(manifest.as_ref())
    }

    /// Starts an emulator whose machine has these partitions, in the order of the console's
    /// digits, and writes the console into a file.
    ///
    /// # Errors
    /// When it does not start, or the file cannot be written.
    pub fn boot(launch: &Launch, partitions: Vec<String>, log: &Path) -> Result<Self, Error> {
        let file = File::create(log).with_context(|| log.display().to_string());
        let file = file.map_err(Error::Start)?;
        let machine = Machine::start(launch).map_err(Error::Start)?;
        let shared = Arc::new(Shared::default());
        let (sender, told) = (machine.sender(), Arc::clone(&shared));
        let pump = std::thread::spawn(move || pump(machine, &told, file));
        let log = log.to_path_buf();
        Ok(Self { partitions, log, shared, machine: sender, pump: Some(pump) })
    }

    /// The names of the partitions.
    #[must_use]
    pub fn partitions(&self) -> &[String] {
        &self.partitions
    }

    /// One partition's console. That there is such a partition shows when it is used.
    #[must_use]
    pub fn partition(&self, name: &str) -> Partition<'_> {
        Partition::new(self, name)
    }

    /// The hypervisor's own lines.
    #[must_use]
    pub fn hypervisor(&self) -> Partition<'_> {
        Partition::new(self, HYPERVISOR)
    }

    /// The mailbox, as the host at the serial line has it: with all rights.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::new(self)
    }

    /// The whole console from its beginning, line by line.
    #[must_use]
    pub fn console(&self) -> Console<'_> {
        Console { system: self, line: 0, quiet: 0 }
    }

    /// Where the console is written, bytes as they came.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until the machine has switched itself off; what the hypervisor's last line said.
    ///
    /// # Errors
    /// [`Error::Late`], and [`Error::Ended`] without such a line.
    pub fn wait_for_end(&self, within: Duration) -> Result<End, Error> {
        let end = |journal: &mut Journal| journal.ended.as_ref().and(journal.end.clone());
        self.wait("end of the machine", within, true, end)
    }

    /// Ends the emulator at once, as pulling the plug would.
    pub fn stop(&self) {
        // A machine that has ended hears no more.
        let _ = self.machine.send(Event::Signal(0));
    }

    /// Sends bytes to the machine's serial line as they are: noise, perhaps.
    pub fn send_raw(&self, bytes: Vec<u8>) {
        // A machine that has ended hears no more.
        let _ = self.machine.send(Event::Input(bytes));
    }

    /// Types at a partition.
    pub(crate) fn send(&self, name: &str, text: &str) -> Result<(), Error> {
        let place = self.place(name)?;
        self.journal().typed(name);
        self.send_raw(keys::focused(place, text));
        Ok(())
    }

    /// A line to the hypervisor, beside the console.
    pub(crate) fn line(&self) -> Result<Line, Error> {
        let (near, far) = UnixStream::pair()?;
        join(far, &self.machine);
        Line::new(near.into()).map_err(Error::Start)
    }

    /// A partition's row.
    pub(crate) fn place(&self, name: &str) -> Result<usize, Error> {
        self.partitions.iter().position(|known| known == name).ok_or_else(|| Error::NoPartition {
            name: name.to_owned(),
            names: self.partitions.clone(),
        })
    }

    /// What the console has shown.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.shared.journal()
    }

    /// Waits until something is there. A panic of the hypervisor is an error at once, unless
    /// it may be what is awaited.
    pub(crate) fn wait<T>(
        &self,
        awaited: &str,
        within: Duration,
        panics: bool,
        mut look: impl FnMut(&mut Journal) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + within;
        let mut journal = self.journal();
        loop {
            if let Some(found) = look(&mut journal) {
                return Ok(found);
            }
            let awaited = || awaited.to_owned();
            let console = || format!("console: {}\n{}", self.log.display(), journal.tail());
            if let Some(line) = journal.panic.clone().filter(|_| !panics) {
                return Err(Error::Panic { line, console: console() });
            }
            if journal.ended.is_some() {
                let (end, console) = (journal.end.clone(), console());
                return Err(Error::Ended { awaited: awaited(), end, console });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Late { awaited: awaited(), within, console: console() });
            }
            journal = self.shared.news(journal, left);
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.stop();
        if let Some(pump) = self.pump.take() {
            // A thread that died has dropped its machine.
            let _ = pump.join();
        }
    }
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        // A test that failed while it looked at the journal has not changed it by halves.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news, at the longest for a time.
    fn news<'a>(
        &self,
        journal: MutexGuard<'a, Journal>,
        longest: Duration,
    ) -> MutexGuard<'a, Journal> {
        self.news.wait_timeout(journal, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Changes the journal and wakes those who wait.
    fn tell(&self, change: impl FnOnce(&mut Journal)) {
        change(&mut self.journal());
        self.news.notify_all();
    }
}

/// Follows a machine to its end.
fn pump(machine: Machine, shared: &Shared, mut log: File) {
    let (mut filter, mut host) = (Filter::default(), Filter::default());
    let mut lines = Lines::default();
    let mut programs = Switchboard::default();
    let mut said = String::new();
    loop {
        match machine.next(PROMPT) {
            Some(Event::Output(bytes)) => {
                if let Err(why) = log.write_all(&bytes) {
                    said = format!("writing the console's log: {why}\n");
                    break;
                }
                let parted = filter.push(&bytes);
                for (carries, line) in &parted.frames {
                    programs.tell(*carries, line);
                }
                let whole = lines.push(&parted.shown);
                if !whole.is_empty() {
                    shared.tell(|journal| whole.into_iter().for_each(|line| journal.line(line)));
                }
            }
            Some(Event::Host(bytes)) => programs.pass_on(host.push(&bytes)),
            Some(Event::Input(bytes)) => machine.send(&bytes),
            Some(Event::Program(news)) => programs.take(news),
            Some(Event::Ended | Event::Signal(_)) => break,
            None => shared.tell(|journal| journal.still(lines.partial())),
        }
        while let Some(request) = programs.next_request() {
            machine.ask(&request);
        }
    }
    // Whoever asks now gets no answer.
    drop(programs);
    match machine.finish(true) {
        Ok((_, complaints)) => said.push_str(&complaints),
        Err(why) => said.push_str(&format!("{why:#}\n")),
    }
    shared.tell(|journal| journal.ended = Some(said));
}

/// A reader of the whole console.
#[derive(Debug)]
pub struct Console<'a> {
    system: &'a System,
    line: usize,
    quiet: u64,
}

/// What a console did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It showed a whole line, which has a tag.
    Line(String),
    /// It stands still behind an unfinished line. This is told again and again.
    Prompt(String),
    /// The machine has ended.
    Ended,
    /// Nothing.
    Nothing,
}

impl Console<'_> {
    /// The next thing, or nothing within `patience`.
    pub fn next(&mut self, patience: Duration) -> Heard {
        let deadline = Instant::now() + patience;
        let mut journal = self.system.journal();
        loop {
            if let Some(line) = journal.lines.get(self.line) {
                self.line += 1;
                return Heard::Line(line.clone());
            }
            if journal.quiet != self.quiet && !journal.prompt.is_empty() {
                self.quiet = journal.quiet;
                return Heard::Prompt(journal.prompt.clone());
            }
            if journal.ended.is_some() {
                return Heard::Ended;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            journal = self.system.shared.news(journal, left);
        }
    }

    /// The console's last lines and where all of it is, for a failure.
    #[must_use]
    pub fn tail(&self) -> String {
        format!("console: {}\n{}", self.system.log.display(), self.system.journal().tail())
    }
}
