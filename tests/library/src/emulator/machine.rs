// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running emulator: its console as events, and its end.
//!
//! The emulator never outlives its [`Machine`]: dropping it kills it, and
//! `setpriv --pdeathsig` makes the system do so if this program is killed.

use super::command::{shown, which};
use super::launch::{Console, Launch};
use super::switchboard::News;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes read from a pipe at once.
const BLOCK: usize = 4096;
/// How long an emulator may take to connect its console.
const CONNECTED: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The machine wrote to its console.
    Output(Vec<u8>),
    /// The machine wrote to the host's own UART.
    Host(Vec<u8>),
    /// The console is closed: the emulator ended.
    Ended,
    /// The user typed.
    Input(Vec<u8>),
    /// A signal asks this program to stop.
    Signal(i32),
    /// A `ctl` program did something.
    Program(News),
}

/// An emulator that runs.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    console: Sender<Vec<u8>>,
    host: Option<Sender<Vec<u8>>>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    complaints: Option<JoinHandle<String>>,
}

impl Machine {
    /// Starts the emulator and attaches its console.
    pub fn start(launch: &Launch) -> Result<Self> {
        let emulator = &launch.command;
        let mut command = guarded(emulator);
        let standard = matches!(launch.console, Console::Standard);
        let pipe = || if standard { Stdio::piped() } else { Stdio::null() };
        let mut child = command
            .stdin(pipe())
            .stdout(pipe())
            // An emulator with a socket has a log; its errors are among much else.
            .stderr(pipe())
            .spawn()
            .with_context(|| format!("starting `{}`", shown(emulator)))?;
        let (sender, events) = channel();
        let attached = ends(&mut child, &launch.console).and_then(|console| {
            let host = launch.host.as_ref().map(|listener| connected(&mut child, listener));
            Ok((console, host.transpose()?))
        });
        let ((output, input), host) = match attached {
            Ok(attached) => attached,
            Err(why) => {
                // It has no console, so nobody could end it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(why);
            }
        };
        let told = sender.clone();
        let host = host.map(|(output, input)| {
            let reader = std::thread::spawn(move || forward(output, &told, Event::Host));
            (reader, typist(input))
        });
        let (reader, host) = host.unzip();
        let told = sender.clone();
        std::thread::spawn(move || {
            forward(output, &told, Event::Output);
            // What came to the host before the emulator ended is told before its end.
            let _ = reader.map(JoinHandle::join);
            // Nobody listens to a machine that was dropped.
            let _ = told.send(Event::Ended);
        });
        let complaints = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                // What could be read is all there is to show.
                let _ = pipe.read_to_end(&mut said);
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        let console = typist(input);
        Ok(Self { child, console, host, events, sender, complaints })
    }

    /// Where other sources of events send theirs.
    pub fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// The next event, or nothing within `patience`.
    pub fn next(&self, patience: Duration) -> Option<Event> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Ended),
        }
    }

    /// Types at the machine's console.
    pub fn send(&self, bytes: &[u8]) {
        // An emulator that has ended takes nothing.
        let _ = self.console.send(bytes.to_vec());
    }

    /// Sends a request of the host, on its own UART if the machine has one.
    pub fn ask(&self, frame: &[u8]) {
        // An emulator that has ended takes nothing.
        let _ = self.host.as_ref().unwrap_or(&self.console).send(frame.to_vec());
    }

    /// Asks the emulator to end in order, so that its plugins report.
    pub fn terminate(&self) {
        let process = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // An emulator that has ended already needs no asking.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    }

    /// Waits for an emulator that has closed its console, or kills it.
    pub fn finish(mut self, kill: bool) -> Result<(ExitStatus, String)> {
        if kill {
            // An emulator that has ended already needs no killing.
            let _ = self.child.kill();
        }
        let status = self.child.wait().context("waiting for the emulator")?;
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok((status, said))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only for an emulator that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a console writes, and what it reads.
type Ends = (Box<dyn Read + Send>, Box<dyn Write + Send>);

/// Both ends of the console of an emulator that was started.
fn ends(child: &mut Child, console: &Console) -> Result<Ends> {
    match console {
        Console::Standard => {
            let output = child.stdout.take().context("the emulator has no standard output")?;
            let input = child.stdin.take().context("the emulator has no standard input")?;
            Ok((Box::new(output), Box::new(input)))
        }
        Console::Socket(listener) => connected(child, listener),
    }
}

/// Both ends of the socket that an emulator connects.
fn connected(child: &mut Child, listener: &TcpListener) -> Result<Ends> {
    listener.set_nonblocking(true).context("the console's socket")?;
    let limit = Instant::now() + CONNECTED;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).context("the console's socket")?;
                let output = stream.try_clone().context("the console's socket")?;
                return Ok((Box::new(output), Box::new(stream)));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the console's socket"),
        }
        if child.try_wait().context("watching the emulator")?.is_some() {
            bail!("the emulator ended before it had a console");
        }
        if Instant::now() >= limit {
            bail!("the emulator did not connect its console");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A thread that types: a machine that does not read must not stop this one.
fn typist(mut input: Box<dyn Write + Send>) -> Sender<Vec<u8>> {
    let (sender, typed) = channel::<Vec<u8>>();
    std::thread::spawn(move || {
        for bytes in typed {
            if input.write_all(&bytes).and_then(|()| input.flush()).is_err() {
                break;
            }
        }
    });
    sender
}

/// The command under `setpriv`, which every Debian has.
fn guarded(emulator: &Command) -> Command {
    let mut command = match which("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]).arg(emulator.get_program());
            command
        }
        None => Command::new(emulator.get_program()),
    };
    command.args(emulator.get_args());
    command
}

/// Sends a pipe's blocks as events until it closes or nobody listens.
pub fn forward(mut pipe: impl Read, sender: &Sender<Event>, event: fn(Vec<u8>) -> Event) {
    let mut block = [0; BLOCK];
    while let Ok(read @ 1..) = pipe.read(&mut block) {
        if sender.send(event(block[..read].to_vec())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_reaches_the_program_and_comes_back() {
        let machine = Machine::start(&Command::new("cat").into()).unwrap();
        machine.send(b"hello\n");
        let event = machine.next(Duration::from_secs(10));
        assert!(matches!(event, Some(Event::Output(bytes)) if bytes == b"hello\n"));
        let (status, _) = machine.finish(true).unwrap();
        assert!(!status.success());
    }

    #[test]
    fn a_program_that_ends_closes_its_console() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2"]);
        let machine = Machine::start(&command.into()).unwrap();
        assert!(matches!(machine.next(Duration::from_secs(10)), Some(Event::Ended)));
        let (status, said) = machine.finish(false).unwrap();
        assert!(status.success());
        assert_eq!(said, "why\n");
    }
}
