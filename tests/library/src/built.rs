// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system that is built: what boots, and which emulators its board has. The
//! command line writes it as `machine.json` (`cargo xtask stage`).

use crate::emulator::table::Emulator;
use crate::emulator::way::Boot;
use crate::mistake::mistake;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is needed to start a system.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Built {
    /// The board.
    pub board: String,
    /// Names of the partitions, in the order of the console's digits.
    pub partitions: Vec<String>,
    /// What boots, by the way into the machine.
    pub files: BTreeMap<Boot, PathBuf>,
    /// The board's emulators by name, the usual one first.
    pub emulators: Vec<(String, Emulator)>,
}

impl Built {
    /// An emulator of the board by name, or its first.
    ///
    /// # Errors
    /// When the board has none of that name.
    pub fn emulator(&self, named: Option<&str>) -> Result<&Emulator> {
        let mut emulators = self.emulators.iter();
        let found = match named {
            None => emulators.next(),
            Some(named) => emulators.find(|(name, _)| name == named),
        };
        found.map(|(_, emulator)| emulator).ok_or_else(|| {
            let names: Vec<&str> = self.emulators.iter().map(|(name, _)| name.as_str()).collect();
            mistake(format!(
                "board {} has no emulator {}; it has: {}",
                self.board,
                named.unwrap_or("at all"),
                names.join(", ")
            ))
        })
    }

    /// The file that one way into the machine starts from.
    ///
    /// # Errors
    /// When the board does not boot so.
    pub fn file(&self, boot: Boot) -> Result<&Path> {
        self.files.get(&boot).map(PathBuf::as_path).ok_or_else(|| {
            mistake(format!(
                "nothing is built that boots board {} from {}",
                self.board,
                boot.word()
            ))
        })
    }
}
