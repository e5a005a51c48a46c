// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of `tests/bench/tables/*.toml`, a file for each emulator: which figures
//! they show, what peers were measured at, and the budgets.

use super::Measured;
use super::figures::{Figure, Figures};
use crate::failure::mistake;
use crate::workspace::Workspace;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::fmt;

/// All rows of one emulator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// The emulator.
    #[serde(skip)]
    on: String,
    /// Peers with recorded figures, as columns.
    peers: Vec<String>,
    row: Vec<Row>,
}

/// One row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What is measured.
    name: String,
    /// Figures; the smallest that was measured counts.
    figures: Vec<String>,
    /// Recorded figures of the peers, in their order; empty where there is none.
    #[serde(default)]
    peers: Vec<String>,
    /// The largest figure that is accepted.
    budget: Option<i64>,
    /// It changes with Debian's kernel too, so it is not recorded.
    #[serde(default)]
    varies: bool,
}

/// What a row came to.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    row: &'a Row,
    figure: Option<Figure>,
}

impl Table {
    /// Reads an emulator's table.
    pub(super) fn read(workspace: &Workspace, on: &str) -> Result<Self> {
        let file = workspace.root().join(format!("tests/bench/tables/{on}.toml"));
        let shown = workspace.shown(&file);
        let text =
            std::fs::read_to_string(&file).map_err(|error| mistake(format!("{shown}: {error}")))?;
        let mut table: Self =
            toml::from_str(&text).map_err(|error| mistake(format!("{shown}: {error}")))?;
        on.clone_into(&mut table.on);
        for row in &table.row {
            let peers = row.peers.len();
            ensure!(
                peers == 0 || peers == table.peers.len(),
                "{shown}: {}: {peers} peers",
                row.name
            );
        }
        Ok(table)
    }

    /// Names of the tests, one for each row.
    pub(super) fn tests(&self) -> Vec<String> {
        self.row.iter().map(|row| format!("bench/{}/{}", self.on, row.name.trim())).collect()
    }

    /// What each row came to.
    pub(super) fn judge(&self, ours: &Figures) -> Vec<Verdict<'_>> {
        self.row.iter().map(|row| Verdict { row, figure: row.figure(ours) }).collect()
    }

    /// The figures that change with this tree alone.
    pub(super) fn pinned(&self, ours: &Figures) -> Figures {
        let names = self.row.iter().filter(|row| !row.varies).flat_map(|row| &row.figures);
        names.filter_map(|name| Some((name.clone(), *ours.get(name)?))).collect()
    }

    /// All rows as text.
    pub(super) fn show(&self, measured: &Measured) -> String {
        let mut lines = vec![self.head(!measured.xen.is_empty())];
        for verdict in self.judge(&measured.ours) {
            lines.push(verdict.line(measured, self.peers.len()));
        }
        let columns = lines.first().map_or(0, |line| line.0.len());
        let width = |column: usize| {
            lines.iter().map(|line| line.0[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        lines.iter().map(|line| line.show(&widths)).collect()
    }

    fn head(&self, xen: bool) -> Line {
        let mut cells = vec![format!("instructions on {}", self.on)];
        cells.extend(["bare", "Bulkhead", "budget", ""].map(str::to_owned));
        cells.extend(self.peers.iter().cloned());
        if xen {
            cells.push("Xen, this run".to_owned());
        }
        Line(cells)
    }
}

impl Row {
    /// The smallest of the row's figures.
    fn figure(&self, measured: &Figures) -> Option<Figure> {
        self.figures
            .iter()
            .filter_map(|name| measured.get(name))
            .min_by_key(|figure| figure.value)
            .copied()
    }
}

impl Verdict<'_> {
    /// Whether the budget does not hold. What was not measured does not fail.
    pub(super) fn fails(&self) -> bool {
        self.row.budget.zip(self.figure).is_some_and(|(budget, figure)| figure.value > budget)
    }

    /// Whether there is nothing to say: not measured.
    pub(super) fn is_silent(&self) -> bool {
        self.figure.is_none()
    }

    /// By how much the figure is larger than the recorded one.
    pub(super) fn grown(&self, recorded: &Figures) -> Option<String> {
        let (figure, old) = (self.figure?, self.row.figure(recorded)?);
        let grown = figure.value > old.value || figure.largest > old.largest;
        grown.then(|| {
            format!(
                "{figure}, recorded was {old}; if that is meant, type `cargo xtask bench --record` and commit"
            )
        })
    }

    fn line(&self, measured: &Measured, peers: usize) -> Line {
        let cell =
            |figure: Option<Figure>| figure.map(|figure| figure.to_string()).unwrap_or_default();
        let mut cells = vec![
            self.row.name.clone(),
            cell(self.row.figure(&measured.bare)),
            cell(self.figure),
            self.row.budget.map(|budget| format!("<= {}", grouped(budget))).unwrap_or_default(),
            match (self.row.budget, self.figure) {
                (None, _) | (_, None) => String::new(),
                (Some(_), Some(_)) if self.fails() => "OVER".to_owned(),
                (Some(_), Some(_)) => "ok".to_owned(),
            },
        ];
        cells.extend(self.row.peers.iter().cloned());
        cells.resize(5 + peers, String::new());
        if !measured.xen.is_empty() {
            cells.push(cell(self.row.figure(&measured.xen)));
        }
        Line(cells)
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.figure, self.row.budget) {
            (Some(figure), Some(budget)) => write!(f, "{figure}, budget {}", grouped(budget)),
            (Some(figure), None) => write!(f, "{figure}"),
            (None, _) => f.write_str("not measured"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(self.value))?;
        if self.largest == self.value {
            return Ok(());
        }
        write!(f, " (max {})", grouped(self.largest))
    }
}

/// A number with commas.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// The cells of one line.
struct Line(Vec<String>);

impl Line {
    fn show(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        for (index, (cell, width)) in self.0.iter().zip(widths).enumerate() {
            if index == 0 {
                text.push_str(&format!("{cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        toml::from_str("peers = ['a', 'b', 'c', 'd']\n[[row]]\nname = 'HVC'\nfigures = ['a', 'b']\nbudget = 100\npeers = ['417', '', '150', '']")
            .unwrap()
    }

    #[test]
    fn the_smallest_figure_is_held_against_the_budget() {
        let table = table();
        let mut ours =
            Figures::from([("a".into(), Figure::from(120)), ("b".into(), Figure::from(90))]);
        assert!(!table.judge(&ours)[0].fails());
        ours.remove("b");
        assert!(table.judge(&ours)[0].fails());
        ours.clear();
        assert!(table.judge(&ours)[0].is_silent());
    }

    #[test]
    fn what_changes_with_debians_kernel_is_not_recorded() {
        let mut table = table();
        let ours = Figures::from([("a".into(), Figure::from(1)), ("c".into(), Figure::from(2))]);
        assert_eq!(table.pinned(&ours).into_keys().collect::<Vec<_>>(), ["a"]);
        table.row[0].varies = true;
        assert!(table.pinned(&ours).is_empty());
    }

    #[test]
    fn a_figure_that_grew_is_named() {
        let table = table();
        let old = Figures::from([("a".into(), Figure::from(80))]);
        let new = Figures::from([("a".into(), Figure { value: 80, largest: 81 })]);
        assert!(table.judge(&new)[0].grown(&old).is_some());
        assert!(table.judge(&old)[0].grown(&old).is_none());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(-1_234_567), "-1,234,567");
        assert_eq!(grouped(100), "100");
    }
}
