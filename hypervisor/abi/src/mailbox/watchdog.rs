// SPDX-License-Identifier: MIT OR Apache-2.0
//! A watchdog: it ends a partition that did not kick it in time. Times are in
//! nanoseconds. The manifest's time can be shortened, and never taken away.

/// A partition's watchdog.
#[derive(Clone, Debug, Default)]
pub struct Watchdog {
    /// The manifest's.
    given: Option<u64>,
    /// The one in force.
    period: Option<u64>,
    until: u64,
    /// When the partition was paused, which stops the clock.
    paused: Option<u64>,
}

impl Watchdog {
    /// A partition starts: the manifest's time is in force from now.
    #[must_use]
    pub fn begin(given: Option<u64>, now: u64) -> Self {
        let mut watchdog = Self { given, period: given, ..Self::default() };
        watchdog.kick(now);
        watchdog
    }

    /// Sets another time, from now. False, and nothing happened, if it is longer than the manifest's.
    #[must_use]
    pub fn arm(&mut self, period: u64, now: u64) -> bool {
        if self.given.is_some_and(|given| period > given) {
            return false;
        }
        self.period = Some(period);
        self.kick(now);
        true
    }

    /// Back to the manifest's time, from now.
    pub fn disarm(&mut self, now: u64) {
        self.period = self.given;
        self.kick(now);
    }

    /// All is well.
    pub fn kick(&mut self, now: u64) {
        self.until = now.saturating_add(self.period.unwrap_or(0));
        self.paused = self.paused.map(|_| now);
    }

    /// Its partition's vCPUs do not run from now on.
    pub fn pause(&mut self, now: u64) {
        self.paused = Some(now);
    }

    /// They run again.
    pub fn resume(&mut self, now: u64) {
        if let Some(paused) = self.paused.take() {
            self.until = self.until.saturating_add(now.saturating_sub(paused));
        }
    }

    /// Its time; none if it is not armed.
    #[must_use]
    pub const fn period(&self) -> Option<u64> {
        self.period
    }

    /// When it fires; none if it does not.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.period.filter(|_| self.paused.is_none()).map(|_| self.until)
    }
}
