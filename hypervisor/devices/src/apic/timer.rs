// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC's timer, which counts ticks of the TSC through its divider.
//! Nothing happens here as time passes: whoever asks says what time it is.
//! Intel SDM volume 3, "APIC Timer", "TSC-Deadline Mode".

/// Bits 18:17 of the timer's local vector.
const PERIODIC: u32 = 1 << 17;
const TSC_DEADLINE: u32 = 1 << 18;
/// The shortest period, in ticks: a guest that asks for less would see nothing but interrupts.
const SHORTEST: u64 = 4096;

/// The timer without its local vector, which every call is given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timer {
    pub(super) initial: u32,
    /// Divide configuration register.
    pub(super) divide: u32,
    /// When the count reaches zero; zero if it does not run.
    expiry: u64,
    /// `IA32_TSC_DEADLINE`, in the guest's TSC; zero if it is not armed.
    pub(super) deadline: u64,
    /// What the guest's TSC is ahead of the machine's.
    pub(super) offset: u64,
}

impl Timer {
    pub(super) const STOPPED: Self =
        Self { initial: 0, divide: 0, expiry: 0, deadline: 0, offset: 0 };

    /// The divider's logarithm.
    const fn shift(&self) -> u32 {
        // 0 divides by two … 6 by 128, 7 by one.
        (self.divide & 3 | self.divide >> 1 & 4).wrapping_add(1) & 7
    }

    /// Ticks from the initial count to zero.
    #[inline(always)]
    const fn period(&self, vector: u32) -> u64 {
        let ticks = (self.initial as u64) << self.shift();
        if vector & PERIODIC != 0 && ticks < SHORTEST { SHORTEST } else { ticks }
    }

    /// The initial count is written: the count starts there, or stops with zero.
    pub(super) const fn start(&mut self, vector: u32, initial: u32, now: u64) {
        if vector & TSC_DEADLINE != 0 {
            return;
        }
        self.initial = initial;
        self.expiry = if initial == 0 { 0 } else { now.saturating_add(self.period(vector)) };
    }

    /// The divider is written: the count goes on from where it is.
    pub(super) fn set_divide(&mut self, vector: u32, divide: u32, now: u64) {
        let left = u64::from(self.count(vector, now));
        self.divide = divide & 0xb;
        if self.expiry != 0 {
            self.expiry = now.saturating_add(left << self.shift());
        }
    }

    /// The local vector changes its mode: whatever was armed is no longer.
    pub(super) const fn change(&mut self, old: u32, new: u32) {
        if (old ^ new) & TSC_DEADLINE != 0 {
            self.expiry = 0;
            self.deadline = 0;
        }
    }

    /// `IA32_TSC_DEADLINE` is written.
    #[inline(always)]
    pub(super) const fn arm(&mut self, vector: u32, deadline: u64) {
        if vector & TSC_DEADLINE != 0 {
            self.deadline = deadline;
        }
    }

    /// The current count.
    pub(super) fn count(&self, vector: u32, now: u64) -> u32 {
        if self.expiry == 0 {
            return 0;
        }
        let mut left = self.expiry.saturating_sub(now);
        if left == 0 && vector & PERIODIC != 0 {
            let period = self.period(vector).max(1);
            let behind = now.wrapping_sub(self.expiry);
            left = period.wrapping_sub(behind.checked_rem(period).unwrap_or(0));
        }
        u32::try_from(left >> self.shift()).unwrap_or(u32::MAX)
    }

    /// When [`Timer::expire`] will have something to say, in the machine's TSC.
    #[inline(always)]
    pub(super) const fn due(&self, vector: u32) -> Option<u64> {
        if vector & TSC_DEADLINE != 0 {
            if self.deadline == 0 {
                return None;
            }
            // The offset is signed; neither end of time is passed.
            let ahead = self.offset.cast_signed() >= 0;
            let behind = self.offset.wrapping_neg();
            return Some(if ahead {
                self.deadline.saturating_sub(self.offset)
            } else {
                self.deadline.saturating_add(behind)
            });
        }
        if self.expiry == 0 { None } else { Some(self.expiry) }
    }

    /// The first period that has not passed begins. Never inlined, for the program's size.
    #[inline(never)]
    fn start_next(&mut self, vector: u32, now: u64) {
        let period = self.period(vector).max(1);
        let behind = now.wrapping_sub(self.expiry);
        let passed = behind.checked_div(period).unwrap_or(0).wrapping_add(1);
        self.expiry = self.expiry.saturating_add(passed.saturating_mul(period));
    }

    /// Whether the timer has reached zero since the last call, and what [`Timer::due`] says then.
    #[inline(always)]
    pub(super) fn expire(&mut self, vector: u32, now: u64) -> (bool, Option<u64>) {
        let due = self.due(vector);
        if due.is_none_or(|due| due > now) {
            return (false, due);
        }
        if vector & TSC_DEADLINE != 0 {
            self.deadline = 0;
        } else if vector & PERIODIC != 0 {
            self.start_next(vector, now);
            return (true, Some(self.expiry));
        } else {
            self.expiry = 0;
        }
        (true, None)
    }
}
