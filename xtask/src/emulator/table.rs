// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulators that a board's `board.toml` describes, and what must be
//! installed for them.

use crate::failure::mistake;
use crate::packages::{BOCHS, BOCHS_BIOS, BOCHS_VGABIOS, OVMF, QEMU_ARM, QEMU_X86, SEABIOS, Tool};
use crate::workspace::Workspace;
use anyhow::Result;
use bulkhead_test::emulator::table::{Emulator, Kind};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The part of a `board.toml` that is read here; `manifest::board` reads the rest.
#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    emulator: BTreeMap<Spanned<String>, Emulator>,
}

/// A board's emulators by name, in the file's order.
pub fn read(workspace: &Workspace, board: &str) -> Result<Vec<(String, Emulator)>> {
    let path = workspace.boards().join(board).join("board.toml");
    let shown = workspace.shown(&path);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| mistake(format!("{shown}: {error}; every board has one")))?;
    let tables: Tables =
        toml::from_str(&text).map_err(|error| mistake(format!("{shown}: {error}")))?;
    let mut emulators: Vec<(Spanned<String>, Emulator)> = tables.emulator.into_iter().collect();
    emulators.sort_by_key(|(name, _)| name.span().start);
    Ok(emulators.into_iter().map(|(name, emulator)| (name.into_inner(), emulator)).collect())
}

/// What must be installed for an emulator.
pub fn tools(emulator: &Emulator) -> &'static [&'static Tool] {
    match (emulator.kind, emulator.program.as_str()) {
        (Kind::Bochs, _) => &[&BOCHS, &BOCHS_BIOS, &BOCHS_VGABIOS, &SEABIOS],
        (Kind::Qemu, "qemu-system-x86_64") => &[&QEMU_X86, &OVMF],
        (Kind::Qemu, _) => &[&QEMU_ARM],
    }
}
