// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pair of 8259A interrupt controllers, the second behind line 2 of the
//! first, with the edge/level registers that chipsets add.
//!
//! Always: a chip's output is high exactly if an unmasked request is more urgent
//! than what is in service. A request by edge stays although its line falls, as
//! on QEMU. The modes of 8080 processors, buffers and ICW1's level bit are not there.
//! Intel 8259A data sheet, "Programming the 8259A"; "Edge/Level Control Registers".

/// One chip.
#[derive(Clone, Copy, Debug)]
struct Chip {
    /// Levels of its lines.
    lines: u8,
    requests: u8,
    in_service: u8,
    mask: u8,
    /// Lines that are triggered by level.
    level: u8,
    /// The line that is most urgent.
    first: u8,
    base: u8,
    /// Initialization words that are still to come: the one that comes next, or zero.
    next_word: u8,
    needs_fourth: bool,
    single: bool,
    reads_service: bool,
    polled: bool,
    special_mask: bool,
    fully_nested: bool,
    automatic: bool,
    rotates: bool,
}

const fn bit(line: u8) -> u8 {
    1u8.wrapping_shl(line as u32)
}

impl Chip {
    const NEW: Self = Self {
        lines: 0,
        requests: 0,
        in_service: 0,
        mask: 0,
        level: 0,
        first: 0,
        base: 0,
        next_word: 0,
        needs_fourth: false,
        single: false,
        reads_service: false,
        polled: false,
        special_mask: false,
        fully_nested: false,
        automatic: false,
        rotates: false,
    };

    /// Places behind the most urgent line at which the first of these is; 8 if there is none.
    #[inline]
    const fn urgency(&self, lines: u8) -> u32 {
        lines.rotate_right(self.first as u32).trailing_zeros()
    }

    #[inline]
    const fn at(&self, urgency: u32) -> u8 {
        self.first.wrapping_add((urgency & 7) as u8) & 7
    }

    /// The line whose request goes to the processor. `cascade`: lines with a chip behind them.
    #[inline]
    const fn output(&self, cascade: u8) -> Option<u8> {
        let request = self.urgency(self.requests & !self.mask);
        let mut serviced = self.in_service;
        if self.special_mask {
            serviced &= !self.mask;
        }
        if self.fully_nested {
            serviced &= !cascade;
        }
        if request < self.urgency(serviced) { Some(self.at(request)) } else { None }
    }

    const fn set_line(&mut self, line: u8, high: bool) {
        let bit = bit(line);
        if high {
            if self.level & bit != 0 || self.lines & bit == 0 {
                self.requests |= bit;
            }
            self.lines |= bit;
        } else {
            self.lines &= !bit;
            self.requests &= !(bit & self.level);
        }
    }

    const fn acknowledge(&mut self, line: u8) {
        let bit = bit(line);
        if !self.automatic {
            self.in_service |= bit;
        } else if self.rotates {
            self.first = line.wrapping_add(1) & 7;
        }
        self.requests &= !bit | self.level;
    }

    const fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            let requests = self.requests & self.level;
            let (lines, level) = (self.lines, self.level);
            *self = Self { lines, level, requests, ..Self::NEW };
            self.next_word = 2;
            self.needs_fourth = value & 1 != 0;
            self.single = value & 2 != 0;
        } else if value & 8 != 0 {
            self.polled = value & 4 != 0;
            if value & 2 != 0 {
                self.reads_service = value & 1 != 0;
            }
            if value & 0x40 != 0 {
                self.special_mask = value & 0x20 != 0;
            }
        } else {
            self.end(value >> 5, value & 7);
        }
    }

    /// OCW2: an end of interrupt, or which line is most urgent.
    const fn end(&mut self, command: u8, named: u8) {
        let urgency = self.urgency(self.in_service);
        let line = if command & 2 != 0 { named } else { self.at(urgency) };
        match command {
            0 | 4 => self.rotates = command == 4,
            // Nothing in service: an unspecific end does nothing.
            1 | 5 if urgency == 8 => {}
            1 | 3 | 5 | 7 => {
                self.in_service &= !bit(line);
                if command & 4 != 0 {
                    self.first = line.wrapping_add(1) & 7;
                }
            }
            6 => self.first = line.wrapping_add(1) & 7,
            _ => {}
        }
    }

    const fn write_data(&mut self, value: u8) {
        match self.next_word {
            2 => {
                self.base = value & 0xf8;
                self.next_word = match (self.single, self.needs_fourth) {
                    (false, _) => 3,
                    (true, true) => 4,
                    (true, false) => 0,
                };
            }
            3 => self.next_word = if self.needs_fourth { 4 } else { 0 },
            4 => {
                self.fully_nested = value & 0x10 != 0;
                self.automatic = value & 2 != 0;
                self.next_word = 0;
            }
            _ => self.mask = value,
        }
    }

    const fn read(&mut self, data: bool, cascade: u8) -> u8 {
        if self.polled {
            self.polled = false;
            let Some(line) = self.output(cascade) else { return 0 };
            self.acknowledge(line);
            return 0x80 | line;
        }
        match (data, self.reads_service) {
            (true, _) => self.mask,
            (false, true) => self.in_service,
            (false, false) => self.requests,
        }
    }
}

/// The line of the first chip that the second is behind.
const CASCADE: u8 = 2;
/// Lines that can be triggered by level: not timer, keyboard, cascade, RTC and coprocessor.
const LEVELS: [u8; 2] = [0xf8, 0xde];

/// Both chips.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pics {
    chips: [Chip; 2],
}

impl Pics {
    pub(super) const fn new() -> Self {
        Self { chips: [Chip::NEW; 2] }
    }

    /// Line 0 to 15 rises or falls.
    pub(super) const fn set_line(&mut self, line: u8, high: bool) {
        if line & 8 != 0 {
            self.chips[1].set_line(line & 7, high);
        } else if line != CASCADE {
            self.chips[0].set_line(line & 7, high);
        }
    }

    /// The level of the output to the processor, the cascade brought up to date.
    #[inline]
    pub(super) const fn output(&mut self) -> bool {
        let behind = self.chips[1].output(0).is_some();
        self.chips[0].set_line(CASCADE, behind);
        self.chips[0].output(bit(CASCADE)).is_some()
    }

    /// The processor takes an interrupt: its vector. One that went away meanwhile is spurious.
    pub(super) const fn acknowledge(&mut self) -> u8 {
        const SPURIOUS: u8 = 7;
        let _ = self.output();
        let [first, second] = &mut self.chips;
        let Some(line) = first.output(bit(CASCADE)) else { return first.base | SPURIOUS };
        first.acknowledge(line);
        if line != CASCADE {
            return first.base | line;
        }
        let Some(line) = second.output(0) else { return second.base | SPURIOUS };
        second.acknowledge(line);
        second.base | line
    }

    /// Whether a line cannot interrupt now, whatever its level.
    pub(super) const fn is_masked(&self, line: u8) -> bool {
        let chip = if line & 8 == 0 { &self.chips[0] } else { &self.chips[1] };
        chip.mask & bit(line & 7) != 0 || chip.next_word != 0
    }

    /// Reads port 0x20, 0x21, 0xa0 or 0xa1.
    pub(super) const fn read(&mut self, port: u16) -> u8 {
        let data = port & 1 != 0;
        if port & 0x80 == 0 {
            self.chips[0].read(data, bit(CASCADE))
        } else {
            self.chips[1].read(data, 0)
        }
    }

    /// Writes port 0x20, 0x21, 0xa0 or 0xa1.
    pub(super) const fn write(&mut self, port: u16, value: u8) {
        let chip = if port & 0x80 == 0 { &mut self.chips[0] } else { &mut self.chips[1] };
        if port & 1 == 0 {
            chip.write_command(value);
        } else {
            chip.write_data(value);
        }
    }

    /// Reads port 0x4d0 or 0x4d1.
    pub(super) const fn read_levels(&self, port: u16) -> u8 {
        if port & 1 == 0 { self.chips[0].level } else { self.chips[1].level }
    }

    /// Writes port 0x4d0 or 0x4d1.
    pub(super) const fn write_levels(&mut self, port: u16, value: u8) {
        let [first, second] = &mut self.chips;
        let (chip, possible) = if port & 1 == 0 { (first, LEVELS[0]) } else { (second, LEVELS[1]) };
        chip.level = value & possible;
        // What is high requests at once; what was requested by level and is low does no more.
        chip.requests = chip.requests & !chip.level | chip.lines & chip.level;
    }
}
