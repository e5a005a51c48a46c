// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the CPU checks of a guest's segment registers (Intel SDM, volume 3:
//! "Checks on Guest Segment Registers").

use super::checks::{canonical, long, unrestricted};
use super::state::{BASE, CR0, LIMIT, RFLAGS, RIGHTS, SELECTOR, State};

/// Distances of a register's fields from the first register's.
const NAMES: [&str; 8] = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];
pub(super) const CODE: u32 = 2;
pub(super) const STACK: u32 = 4;
const FS: u32 = 8;
const GS: u32 = 10;
const LDTR: u32 = 12;
const TR: u32 = 14;
const UNUSABLE: u64 = 1 << 16;

/// Virtual-8086 mode.
pub(super) fn v8086(state: &State) -> bool {
    state.has(RFLAGS, 17)
}

/// A segment's privilege level.
pub(super) fn dpl(state: &State, at: u32) -> u64 {
    state.get(RIGHTS + at) >> 5 & 3
}

/// What is wrong with the registers.
pub(super) fn wrong(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, name) in (0..).step_by(2).zip(NAMES) {
        let register = Register { state, at };
        let whys = match at {
            LDTR | TR => register.system(),
            _ if v8086(state) => register.old(),
            CODE => [register.code(), register.common()].concat(),
            STACK if register.usable() => [register.stack(), register.common()].concat(),
            _ if register.usable() => [register.data(), register.common()].concat(),
            _ => Vec::new(),
        };
        let whys = [whys, register.address()].concat();
        lines.extend(whys.into_iter().map(|why| format!("{name}: {why}")));
    }
    lines
}

/// One register.
struct Register<'a> {
    state: &'a State,
    at: u32,
}

impl Register<'_> {
    fn rights(&self) -> u64 {
        self.state.get(RIGHTS + self.at)
    }

    fn kind(&self) -> u64 {
        self.rights() & 15
    }

    fn base(&self) -> u64 {
        self.state.get(BASE + self.at)
    }

    fn selector(&self) -> u64 {
        self.state.get(SELECTOR + self.at)
    }

    fn usable(&self) -> bool {
        self.rights() & UNUSABLE == 0
    }

    /// In virtual-8086 mode.
    fn old(&self) -> Vec<&'static str> {
        those([
            (self.base() != self.selector() << 4, "its base is not the selector times 16"),
            (self.state.get(LIMIT + self.at) != 0xffff, "its limit is not 0xffff"),
            (self.rights() != 0xf3, "its access rights are not 0xf3"),
        ])
    }

    fn code(&self) -> Vec<&'static str> {
        let (own, stack) = (dpl(self.state, CODE), dpl(self.state, STACK));
        let level = match self.kind() {
            3 => own != 0,
            9 | 11 => own != stack,
            13 | 15 => own > stack,
            _ => false,
        };
        let kind = match self.kind() {
            9 | 11 | 13 | 15 => false,
            3 => !unrestricted(self.state),
            _ => true,
        };
        let both = long(self.state) && self.rights() & 3 << 13 == 3 << 13;
        those([
            (!self.usable(), "it is unusable"),
            (kind, "its type is no accessed code"),
            (level, "its DPL does not go with its type and SS's DPL"),
            (both, "L and D/B are both one"),
        ])
    }

    fn stack(&self) -> Vec<&'static str> {
        let code = self.state.get(RIGHTS + CODE) & 15;
        let zero = code == 3 || !self.state.has(CR0, 0);
        let level = dpl(self.state, STACK);
        let restricted = !unrestricted(self.state);
        let (own, others) = (self.selector() & 3, self.state.get(SELECTOR + CODE) & 3);
        those([
            (!matches!(self.kind(), 3 | 7), "its type is no accessed data that can be written"),
            (restricted && own != others, "its RPL differs from CS's"),
            (restricted && level != own, "its DPL differs from its RPL"),
            (zero && level != 0, "its DPL is not zero in real mode or with CS of type 3"),
        ])
    }

    fn data(&self) -> Vec<&'static str> {
        let unreadable = self.kind() & 8 != 0 && self.kind() & 2 == 0;
        let above = !unrestricted(self.state)
            && self.kind() <= 11
            && dpl(self.state, self.at) < self.selector() & 3;
        those([
            (self.kind() & 1 == 0, "its type is not accessed"),
            (unreadable, "its type is code that cannot be read"),
            (above, "its RPL is above its DPL"),
        ])
    }

    /// What holds for code and data.
    fn common(&self) -> Vec<&'static str> {
        [those([(self.rights() & 1 << 4 == 0, "S is zero")]), self.shape()].concat()
    }

    /// What holds for all: P, reserved bits, and G beside the limit.
    fn shape(&self) -> Vec<&'static str> {
        let limit = self.state.get(LIMIT + self.at);
        let pages = self.rights() & 1 << 15 != 0;
        let granularity = pages && limit & 0xfff != 0xfff || !pages && limit >> 20 != 0;
        those([
            (self.rights() & 1 << 7 == 0, "P is zero"),
            (self.rights() & 0xfffe_0f00 != 0, "reserved bits of its access rights are one"),
            (granularity, "G does not go with its limit"),
        ])
    }

    /// LDTR or TR.
    fn system(&self) -> Vec<&'static str> {
        if self.at == LDTR && !self.usable() {
            return Vec::new();
        }
        let kind = match self.at {
            LDTR => self.kind() != 2,
            _ => self.kind() != 11 && (long(self.state) || self.kind() != 3),
        };
        let own = those([
            (!self.usable(), "it is unusable"),
            (self.selector() & 4 != 0, "its selector names the LDT"),
            (kind, "its type is no LDT or busy TSS"),
            (self.rights() & 1 << 4 != 0, "S is one"),
        ]);
        [own, self.shape()].concat()
    }

    /// Its base.
    fn address(&self) -> Vec<&'static str> {
        let whole = matches!(self.at, FS | GS | TR) || self.at == LDTR && self.usable();
        let short = self.at == CODE || self.at < FS && self.usable();
        those([
            (whole && !canonical(self.base()), "its base is not canonical"),
            (short && self.base() >> 32 != 0, "bits 63:32 of its base are not zero"),
        ])
    }
}

/// The texts whose condition holds.
fn those<const N: usize>(checks: [(bool, &'static str); N]) -> Vec<&'static str> {
    checks.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
}
