// SPDX-License-Identifier: MIT OR Apache-2.0
//! A keyboard controller with no keyboard: enough for drivers that insist on one
//! to come to an end, and for the reset that they all know.
//! IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".

/// Status: a byte waits to be read; the self test has passed; the keyboard is not locked.
const FULL: u8 = 1 << 0;
const TESTED: u8 = 1 << 2;
const UNLOCKED: u8 = 1 << 4;

/// The controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyboard {
    /// What waits to be read at port 0x60.
    output: Option<u8>,
    /// A command's argument is written to port 0x60 next.
    pending: u8,
    command: u8,
}

impl Keyboard {
    pub(super) const fn new() -> Self {
        Self { output: None, pending: 0, command: 0x30 }
    }

    /// Reads port 0x60 or 0x64.
    pub(super) const fn read(&mut self, port: u16) -> u8 {
        if port & 4 == 0 {
            return match self.output.take() {
                Some(byte) => byte,
                None => 0,
            };
        }
        let full = if self.output.is_some() { FULL } else { 0 };
        full | TESTED | UNLOCKED
    }

    /// Writes port 0x60 or 0x64; true if the processor is to be reset.
    pub(super) const fn write(&mut self, port: u16, byte: u8) -> bool {
        if port & 4 == 0 {
            return self.write_data(byte);
        }
        self.pending = 0;
        match byte {
            0x20 => self.output = Some(self.command),
            // Self test passed; both interfaces work.
            0xaa => self.output = Some(0x55),
            0xa9 | 0xab => self.output = Some(0),
            0xad => self.command |= 0x10,
            0xae => self.command &= !0x10,
            0xa7 => self.command |= 0x20,
            0xa8 => self.command &= !0x20,
            // The output port: A20 is open, the processor runs.
            0xd0 => self.output = Some(3),
            0x60 | 0xd1..=0xd4 => self.pending = byte,
            // Pulses the low four lines of the output port; line 0 resets.
            0xf0..=0xff => return byte & 1 == 0,
            _ => {}
        }
        false
    }

    const fn write_data(&mut self, byte: u8) -> bool {
        let pending = self.pending;
        self.pending = 0;
        match pending {
            0x60 => self.command = byte,
            0xd1 => return byte & 1 == 0,
            0xd2 | 0xd3 => self.output = Some(byte),
            // A device that is not there: the transfer times out.
            _ => self.output = Some(0xfe),
        }
        false
    }
}
