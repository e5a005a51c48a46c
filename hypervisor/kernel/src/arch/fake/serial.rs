// SPDX-License-Identifier: MIT OR Apache-2.0
//! A UART whose output a test reads, and whose input it types.

use super::machine::Machine;
use crate::console::Line;

/// The physical UART of this thread's machine.
#[derive(Debug)]
pub struct Serial(Line);

impl Serial {
    /// One of the machine's UARTs. A second one would be the same one.
    #[must_use]
    pub fn new(line: Line) -> Self {
        Self(line)
    }

    /// Sends a byte; false if there is no room.
    pub fn send(&mut self, byte: u8) -> bool {
        Machine::current().with(|state| {
            let room = state.room > 0;
            if room {
                state.room -= 1;
                state.sent[self.0 as usize].push(byte);
            }
            room
        })
    }

    /// Whether the last byte has left.
    #[must_use]
    pub fn sent(&self) -> bool {
        Machine::current().with(|state| state.room > 0)
    }

    /// Takes a received byte.
    pub fn receive(&mut self) -> Option<u8> {
        Machine::current().with(|state| state.typed[self.0 as usize].pop_front())
    }
}
