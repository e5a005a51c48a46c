// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's side of a serial line that frames share with a console
//! (`MAILBOX.md`, "On a serial line").

use crate::mistake::mistake;
use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::frame::{Carries, decode_line, encode_request};
use abi::mailbox::request::Request;
use abi::records::U32;
use anyhow::{Context, Result};
use bulkctl::link::{Broken, Link};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::termios::{ControlModes, OptionalActions, isatty, tcgetattr, tcsetattr};
use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Bytes read at once.
const BLOCK: usize = 4096;
/// Longest line that is kept; a frame's line is shorter.
const LONGEST: usize = 1024;

/// A line with a hypervisor at its other end.
#[derive(Debug)]
pub struct Line {
    fd: OwnedFd,
    /// The last request's number. It begins anywhere, so that neither what another program was
    /// answered nor what a guest makes up can pass for an answer.
    number: u32,
    partial: Vec<u8>,
    /// The line is too long to be a frame's; the rest of it is none either.
    torn: bool,
}

impl Line {
    /// A line that is open.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        ioctl_fionbio(&fd, true).context("the serial line")?;
        #[expect(clippy::cast_possible_truncation, reason = "any number does")]
        let number = RandomState::new().build_hasher().finish() as u32;
        Ok(Self { fd, number, partial: Vec::new(), torn: false })
    }

    /// Opens a serial device.
    pub fn open(device: &Path, speed: u32) -> Result<Self> {
        let shown = device.display();
        // A device without a carrier would make the opening wait for one.
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        #[expect(clippy::cast_possible_wrap, reason = "flags")]
        let flags = flags.bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags);
        let fd: OwnedFd = options
            .open(device)
            .map_err(|error| {
                mistake(format!(
                    "--port {shown}: {error}; name a serial device, such as /dev/ttyS0"
                ))
            })?
            .into();
        if isatty(&fd) {
            let mut mode = tcgetattr(&fd).with_context(|| format!("the mode of {shown}"))?;
            mode.make_raw();
            mode.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
            mode.set_speed(speed)
                .map_err(|_| mistake(format!("--speed {speed}: no such speed; try 115200")))?;
            tcsetattr(&fd, OptionalActions::Now, &mode)
                .with_context(|| format!("the mode of {shown}"))?;
        }
        Self::new(fd)
    }

    /// Waits until the line is ready, at the longest until a time.
    fn wait(&self, flags: PollFlags, until: Instant) -> Result<(), Broken> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Broken::Silent);
        }
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&self.fd, flags)], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(gone(error)),
        }
    }

    fn send(&self, mut bytes: &[u8], until: Instant) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match write(&self.fd, bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::OUT, until)?,
                Err(error) => return Err(gone(error)),
            }
        }
        Ok(())
    }

    /// The answer with the last request's number, if it is among what comes now.
    fn receive(&mut self, until: Instant) -> Result<Option<Answer>, Broken> {
        let mut block = [0; BLOCK];
        match read(&self.fd, &mut block) {
            Ok(0) => Err(Broken::Gone("the machine has ended".to_owned())),
            Ok(read) => Ok(self.take(block.get(..read).unwrap_or(&[]))),
            Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::IN, until).map(|()| None),
            Err(error) => Err(gone(error)),
        }
    }

    /// Takes bytes in, and finds the answer in the lines that they complete.
    fn take(&mut self, bytes: &[u8]) -> Option<Answer> {
        let mut found = None;
        for byte in bytes {
            if *byte != b'\n' {
                self.partial.push(*byte);
                self.torn |= self.partial.len() > LONGEST;
                if self.torn {
                    self.partial.clear();
                }
                continue;
            }
            if !std::mem::take(&mut self.torn) {
                found = answer(&self.partial).filter(|a| a.number.get() == self.number).or(found);
            }
            self.partial.clear();
        }
        found
    }
}

/// The answer that a line carries.
fn answer(line: &[u8]) -> Option<Answer> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match decode_line(line, software)? {
        (Carries::Answer, decoder) => Some(Answer::read(decoder.payload())),
        (Carries::Request | Carries::Event, _) => None,
    }
}

fn gone(error: Errno) -> Broken {
    Broken::Gone(format!("the serial line: {error}"))
}

impl Link for Line {
    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, Broken> {
        self.number = self.number.wrapping_add(1);
        let request = Request { number: U32::new(self.number), ..*request };
        let mut bytes = Vec::new();
        encode_request(request.as_bytes(), software, &mut |byte| bytes.push(byte));
        let until = Instant::now() + patience;
        self.send(&bytes, until)?;
        loop {
            if let Some(answer) = self.receive(until)? {
                return Ok(answer);
            }
        }
    }
}
