// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of guests by emulator. It is made of the scenarios, each of which is a
//! test, so it says nothing that `cargo xtask test` does not show.

use crate::emulator::table;
use crate::failure::PASSED;
use crate::scenario::format::{Ending, Scenario, Step};
use crate::system::{System, names};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Examples for the help.
pub const EXAMPLES: &str = "Example:\n  cargo xtask compatibility";

/// Where the table is kept.
const FILE: &str = "boards/COMPATIBILITY.md";
/// What stands above it.
const HEAD: &str = "\
# Guests by emulator

Each word in the table is a scenario that runs the guest there: `cargo xtask test scenario/WORD`.
Written by `cargo xtask compatibility`; a test holds it to the scenarios.

";

/// Scenarios by guest, and by board with emulator.
type Rows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Writes the table.
pub fn run(workspace: &Workspace) -> Result<u8> {
    let path = workspace.root().join(FILE);
    std::fs::write(&path, render(workspace)?).with_context(|| path.display().to_string())?;
    println!("{}", workspace.shown(&path));
    Ok(PASSED)
}

/// The file's text.
fn render(workspace: &Workspace) -> Result<String> {
    let mut columns = Vec::new();
    for board in names(&workspace.boards()) {
        for (emulator, _) in table::read(workspace, &board)? {
            columns.push(column(&board, &emulator));
        }
    }
    let mut text = HEAD.to_owned();
    // Writing to a string does not fail.
    let _ = writeln!(text, "| guest | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for (guest, cells) in rows(workspace)? {
        let cell = |column: &String| {
            let words = cells.get(column).into_iter().flatten().cloned();
            words.collect::<Vec<_>>().join(", ")
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        let _ = writeln!(text, "| {guest} | {} |", cells.join(" | "));
    }
    Ok(text)
}

/// The name of a column.
fn column(board: &str, emulator: &str) -> String {
    format!("{board}, {emulator}")
}

/// What each scenario runs, and where.
fn rows(workspace: &Workspace) -> Result<Rows> {
    let mut rows = Rows::new();
    for name in names(&workspace.scenarios()) {
        for system in System::of_scenario(workspace, &name)? {
            let Some(scenario) = system.scenario.as_ref().filter(|one| starts_guests(one)) else {
                continue;
            };
            let shown = workspace.shown(&system.manifest);
            let text = std::fs::read_to_string(&system.manifest).context(shown.clone())?;
            let manifest: toml::Table = toml::from_str(&text).context(shown)?;
            let board = manifest.get("board").and_then(toml::Value::as_str).unwrap_or_default();
            let mut emulators = scenario.emulators();
            if emulators.is_empty() {
                let first = table::read(workspace, board)?.into_iter().next();
                emulators.extend(first.map(|(emulator, _)| emulator));
            }
            for guest in guests(&manifest) {
                for emulator in &emulators {
                    let cells = rows.entry(guest.clone()).or_default();
                    cells.entry(column(board, emulator)).or_default().insert(name.clone());
                }
            }
        }
    }
    Ok(rows)
}

/// Whether the scenario gets as far as its guests: nothing is refused in it.
fn starts_guests(scenario: &Scenario) -> bool {
    let refused = |step: &Step| match step {
        Step::Expect { patterns, .. } => {
            patterns.iter().any(|pattern| pattern.0.as_str().contains("refused"))
        }
        Step::Type(_) | Step::Ask(_) | Step::Noise(_) => false,
    };
    !matches!(scenario.end, Ending::Failed(_)) && !scenario.step.iter().any(refused)
}

/// The guests of a manifest: by name, or by their kind of image.
fn guests(manifest: &toml::Table) -> BTreeSet<String> {
    let partitions = manifest.get("partition").and_then(toml::Value::as_table);
    let guest = |partition: &toml::Value| {
        let guest = partition.get("guest")?;
        if let Some(name) = guest.as_str() {
            return Some(name.to_owned());
        }
        let kind = guest.get("kind")?.as_str()?;
        Some(match guest.get("mode").and_then(toml::Value::as_integer) {
            Some(mode) => format!("an image: {kind}, {mode} bits"),
            None => format!("an image: {kind}"),
        })
    };
    partitions.into_iter().flat_map(toml::Table::values).filter_map(guest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_is_kept_is_what_the_scenarios_show() {
        let workspace = Workspace::find().unwrap();
        let kept = std::fs::read_to_string(workspace.root().join(FILE)).unwrap();
        assert!(kept == render(&workspace).unwrap(), "type `cargo xtask compatibility`");
    }
}
