// SPDX-License-Identifier: MIT OR Apache-2.0
//! SYSTEM on the command line: a manifest's path, a board's name, which means
//! its demo, or a scenario's name, with `/WORD` for one of the words in its `each`.

use crate::failure::mistake;
use crate::scenario::format::Scenario;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What runs when nothing is named.
pub const DEFAULT: &str = "qemu-arm64";

/// A system that can be built.
#[derive(Clone, Debug)]
pub struct System {
    /// What it is called on the command line.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The scenario that it was named by.
    pub scenario: Option<Scenario>,
    /// What stands for `{each}`: the scenario's word, or a soak's number.
    pub word: Option<String>,
}

impl System {
    /// Finds what the user named.
    pub fn find(workspace: &Workspace, named: &str) -> Result<Self> {
        if let Some(system) = Self::of_board(workspace, named) {
            return Ok(system);
        }
        let scenario = named.split('/').next().unwrap_or_default();
        if is_name(scenario) && workspace.scenarios().join(scenario).is_dir() {
            let systems = Self::of_scenario(workspace, scenario)?;
            let names: Vec<String> = systems.iter().map(|system| system.name.clone()).collect();
            let whole = |system: &Self| named == scenario || named == system.name;
            return systems.into_iter().find(whole).ok_or_else(|| {
                mistake(format!(
                    "scenario {scenario} has no such word; there are: {}",
                    names.join(", ")
                ))
            });
        }
        let path = Path::new(named);
        if path.is_file() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok(Self {
                name: stem.into_owned(),
                manifest: path.to_path_buf(),
                scenario: None,
                word: None,
            });
        }
        Err(mistake(format!(
            "no board, scenario or manifest is called {named}; boards: {}; scenarios: {}; \
             else give the path of a manifest",
            names(&workspace.boards()).join(", "),
            names(&workspace.scenarios()).join(", ")
        )))
    }

    /// The demo of a board.
    fn of_board(workspace: &Workspace, named: &str) -> Option<Self> {
        let manifest = workspace.boards().join(named).join("demo.toml");
        (is_name(named) && manifest.is_file()).then(|| Self {
            name: named.to_owned(),
            manifest,
            scenario: None,
            word: None,
        })
    }

    /// The systems of a scenario: one for each of its words, or one.
    pub fn of_scenario(workspace: &Workspace, name: &str) -> Result<Vec<Self>> {
        let folder = workspace.scenarios().join(name);
        let mut systems = Vec::new();
        for (word, scenario) in Scenario::read(workspace, &folder)? {
            systems.push(Self {
                name: word
                    .as_ref()
                    .map_or_else(|| name.to_owned(), |word| format!("{name}/{word}")),
                manifest: manifest_of(workspace, name, &folder, &scenario)?,
                scenario: Some(scenario),
                word,
            });
        }
        Ok(systems)
    }
}

/// A scenario's own manifest, or the one that it names.
fn manifest_of(
    workspace: &Workspace,
    name: &str,
    folder: &Path,
    scenario: &Scenario,
) -> Result<PathBuf> {
    let own = folder.join("manifest.toml");
    let manifest = match &scenario.system {
        None => own,
        Some(_) if own.is_file() => {
            return Err(mistake(format!(
                "scenario {name} has both a manifest.toml and `system`: leave one out"
            )));
        }
        Some(board) => match System::of_board(workspace, board) {
            Some(system) => system.manifest,
            None => folder.join(board),
        },
    };
    if manifest.is_file() {
        return Ok(manifest);
    }
    Err(mistake(format!(
        "scenario {name} has no manifest {}; write it, or name a board by `system`",
        workspace.shown(&manifest)
    )))
}

/// Whether the text can be a folder's name and nothing else.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The folders below a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{USAGE, status_of};

    #[test]
    fn a_name_that_nothing_has_is_a_mistake_that_says_what_there_is() {
        let workspace = Workspace::find().unwrap();
        for named in ["no-such-thing", "", "../..", "a/b.toml"] {
            let error = System::find(&workspace, named).unwrap_err();
            assert_eq!(status_of(&error), USAGE, "{named}");
            assert!(error.to_string().contains("scenarios:"), "{error}");
        }
    }
}
