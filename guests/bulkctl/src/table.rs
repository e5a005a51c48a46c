// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text for a person: aligned columns, times and sizes in units that fit.

/// Lines of columns, each as wide as its widest cell. The first column is
/// aligned to the left, and so is every one whose heading begins with `-`.
#[derive(Debug)]
pub struct Table {
    left: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let left = headings.iter().enumerate();
        let left = left.map(|(place, heading)| place == 0 || heading.starts_with('-')).collect();
        let heading = |text: &&str| text.trim_start_matches('-').to_owned();
        Self { left, rows: vec![headings.iter().map(heading).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.left.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&self.left).map(|((cell, &width), left)| {
                if *left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// A time in a unit that fits.
#[must_use]
pub fn time(nanoseconds: u64) -> String {
    let number = nanoseconds as f64;
    match nanoseconds {
        0 => "0".to_owned(),
        1..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} us", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", number / 1e6),
        _ => format!("{:.3} s", number / 1e9),
    }
}

/// A size in the largest unit that it is a multiple of.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(unit, word)| format!("{} {word}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "-STATE", "EXITS"]);
        table.row(vec!["a".into(), "running".into(), "7".into()]);
        table.row(vec!["longer".into(), "off".into(), "123456".into()]);
        let lines =
            ["NAME    STATE     EXITS", "a       running       7", "longer  off      123456"];
        assert_eq!(table.lines(), lines);
    }

    #[test]
    fn numbers_have_units_that_fit() {
        assert_eq!([0, 999, 1_500, 2_500_000].map(time), ["0", "999 ns", "1.5 us", "2.5 ms"]);
        assert_eq!(time(61_000_000_000), "61.000 s");
        assert_eq!(
            [0, 1000, 4096, 512 << 20].map(size),
            ["0 bytes", "1000 bytes", "4 KiB", "512 MiB"]
        );
    }
}
