// SPDX-License-Identifier: MIT OR Apache-2.0
//! The partition's mailbox: requests and their answers, and events, all of them
//! looked for and none by interrupt. `hypervisor/abi/MAILBOX.md` specifies it.

use crate::machine::{Registers, barrier};
use abi::mailbox::answer::Answer;
use abi::mailbox::client::Client;
use abi::mailbox::event::Event;
use abi::mailbox::request::Request;
use abi::mailbox::ring::Words;
// A mailbox has the registers of a channel.
use abi::platform::channel::{DOORBELL, MASK};

/// The mailbox; one at a time may use it.
#[derive(Debug)]
pub struct Mailbox {
    registers: Registers,
    client: Client<Memory>,
}

impl Mailbox {
    /// Begins to use it, if it is one that this build understands.
    pub(crate) fn attach(registers: Registers, memory: Registers) -> Option<Mailbox> {
        let client = Client::attach(Memory(memory)).ok()?;
        registers.write32(MASK, 0);
        Some(Mailbox { registers, client })
    }

    /// Begins anew, for whoever does not know what is in the page.
    pub fn begin(&mut self) {
        if let Ok(client) = Client::attach(self.client.words().clone()) {
            self.client = client;
        }
    }

    /// The register page.
    #[must_use]
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The shared memory.
    #[must_use]
    pub fn memory(&self) -> &Registers {
        &self.client.words().0
    }

    /// Says that there are requests.
    pub fn ring(&self) {
        self.registers.write32(DOORBELL, 1);
    }

    /// Asks something; its number, or none if the mailbox is full.
    pub fn ask(&mut self, request: &Request) -> Option<u32> {
        let number = self.put(request)?;
        self.ring();
        Some(number)
    }

    /// Puts a request into the mailbox without saying so; its number, or none if the mailbox is full.
    pub fn put(&mut self, request: &Request) -> Option<u32> {
        self.client.ask(request).ok()
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        self.client.answer()
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Option<Event> {
        self.client.event()
    }
}

/// The shared memory.
#[derive(Clone, Debug)]
struct Memory(Registers);

impl Memory {
    fn has(&self, offset: u32, width: u32) -> bool {
        offset.is_multiple_of(width) && u64::from(offset) + u64::from(width) <= self.0.size()
    }
}

impl Words for Memory {
    fn load(&self, offset: u32) -> [u8; 8] {
        let word = if self.has(offset, 8) { self.0.read64(offset.into()) } else { 0 };
        word.to_le_bytes()
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        if self.has(offset, 8) {
            self.0.write64(offset.into(), u64::from_le_bytes(bytes));
        }
    }

    fn count(&self, offset: u32) -> u32 {
        if self.has(offset, 4) { self.0.read32(offset.into()) } else { 0 }
    }

    fn set_count(&self, offset: u32, count: u32) {
        if self.has(offset, 4) {
            self.0.write32(offset.into(), count);
        }
    }

    fn barrier(&self) {
        barrier();
    }
}
