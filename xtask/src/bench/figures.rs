// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures by name, and those of this tree that were recorded.

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a figure is: a count and, where an operation was repeated, the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    /// The count; of repeated operations the median.
    pub(super) value: i64,
    /// The largest count.
    pub(super) largest: i64,
}

impl From<i64> for Figure {
    fn from(value: i64) -> Self {
        Self { value, largest: value }
    }
}

/// Figures by name.
pub(super) type Figures = BTreeMap<String, Figure>;

/// The file with the figures recorded on an emulator.
fn file(workspace: &Workspace, on: &str) -> PathBuf {
    workspace.root().join(format!("tests/bench/figures/{on}.toml"))
}

/// What was recorded; nothing if the file is missing.
pub(super) fn recorded(workspace: &Workspace, on: &str) -> Result<Figures> {
    let file = file(workspace, on);
    match std::fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).with_context(|| workspace.shown(&file)),
        Err(_) => Ok(Figures::new()),
    }
}

/// Records figures in place of earlier ones of the same names.
pub(super) fn record(workspace: &Workspace, on: &str, measured: &Figures) -> Result<()> {
    let mut all = recorded(workspace, on)?;
    all.extend(measured.iter().map(|(name, figure)| (name.clone(), *figure)));
    let mut text = "# SPDX-License-Identifier: MIT OR Apache-2.0\n\
                    # What this tree measured; written by `cargo xtask bench --record`.\n"
        .to_owned();
    for (name, Figure { value, largest }) in &all {
        text.push_str(&format!("{name} = {{ value = {value}, largest = {largest} }}\n"));
    }
    let file = file(workspace, on);
    std::fs::write(&file, text).with_context(|| workspace.shown(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_figure_is_one_line() {
        let text = "hvc = { value = 90, largest = 91 }";
        let figures: Figures = toml::from_str(text).unwrap();
        assert_eq!(figures["hvc"], Figure { value: 90, largest: 91 });
    }
}
