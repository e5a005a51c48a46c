// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was counted, until it is printed.

/// How often each operation is repeated.
pub(crate) const REPEATS: usize = 16;
/// Rows that there is room for.
const ROWS: usize = 24;

/// The counts of one operation.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub smallest: u64,
    pub median: u64,
    pub largest: u64,
}

impl Spread {
    /// Sorts the counts to say how they spread.
    #[inline(never)]
    pub(crate) fn of(counts: &mut [u64; REPEATS]) -> Self {
        for end in 1..REPEATS {
            for at in (1..=end).rev() {
                if counts[at] < counts[at - 1] {
                    counts.swap(at, at - 1);
                }
            }
        }
        Self { smallest: counts[0], median: counts[REPEATS / 2], largest: counts[REPEATS - 1] }
    }
}

/// A row's name and what was counted, or `None` where the operation is undefined.
type Row = (&'static str, Option<Spread>);

/// All rows so far.
#[derive(Default)]
pub(crate) struct Rows {
    rows: [Row; ROWS],
    used: usize,
}

impl Rows {
    /// Notes a row.
    #[inline(never)]
    pub(crate) fn row(&mut self, name: &'static str, spread: Option<Spread>) {
        if let Some(row) = self.rows.get_mut(self.used) {
            *row = (name, spread);
            self.used += 1;
        }
    }

    /// The rows in the order they were noted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().take(self.used).copied()
    }
}
