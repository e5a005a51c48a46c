// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask audit`: what a careful reader of the sources looks for first.

mod source;

use crate::failure::{FAILED, PASSED};
use crate::guests::Builder;
use crate::packages::Installer;
use crate::product;
use crate::system::{DEFAULT, System};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask audit
  cargo xtask audit --rows 25 --deny";

/// Folders with sources.
const FOLDERS: [&str; 3] = ["hypervisor", "guests", "xtask"];
/// Endings of source files.
const ENDINGS: [&str; 5] = ["rs", "S", "s", "c", "h"];
/// Lines that a file should not pass.
const FILE_LIMIT: usize = 500;
/// Lines that a function should not pass; clippy counts its code alone.
const FUNCTION_LIMIT: usize = 75;

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rows of each list.
    #[arg(long, default_value_t = 10)]
    rows: usize,
    /// End with 1 if a file or function is over its limit.
    #[arg(long)]
    deny: bool,
}

/// Reads all sources and prints what is in them, and the sizes of what they come to.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let mut sources = BTreeMap::new();
    for folder in FOLDERS {
        for path in files(&workspace.root().join(folder))? {
            let source = Source::read(&path)?;
            sources.insert(workspace.shown(&path), source);
        }
    }
    print_sizes(&sources);
    print_places("unsafe", &sources, |source| &source.unsafes);
    print_places("cfg on the machine", &sources, |source| &source.cfgs);

    let mut long: Vec<_> =
        sources.iter().map(|(path, source)| (source.lines, path.clone())).collect();
    let files_over = print_longest("longest files", &mut long, FILE_LIMIT, arguments.rows);
    let mut long: Vec<_> = sources
        .iter()
        .flat_map(|(path, source)| source.functions.iter().map(move |function| (path, function)))
        .map(|(path, function)| {
            (function.length, format!("{path}:{} {}", function.line, function.name))
        })
        .collect();
    let functions_over =
        print_longest("longest functions", &mut long, FUNCTION_LIMIT, arguments.rows);
    print_image(workspace, installer)?;
    let over = files_over + functions_over;
    Ok(if arguments.deny && over > 0 { FAILED } else { PASSED })
}

/// Bytes of the demo's flash image.
fn print_image(workspace: &Workspace, installer: &Installer) -> Result<()> {
    let system = System::find(workspace, DEFAULT)?;
    let product = product::build(workspace, &mut Builder::new(workspace, installer)?, &system)?;
    heading(&format!("bytes of the flash image of {DEFAULT}"));
    println!("  {:>10}  hypervisor", product.program_len);
    println!("  {:>10}  bundle", product.bundle_len);
    Ok(())
}

/// Lines of code of each package.
fn print_sizes(sources: &BTreeMap<String, Source>) {
    let mut packages: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (path, source) in sources {
        let depth = if path.starts_with("xtask") { 1 } else { 2 };
        let package = path.split('/').take(depth).collect::<Vec<_>>().join("/");
        let sum = packages.entry(package).or_default();
        *sum = (sum.0 + source.code, sum.1 + source.unsafes.len());
    }
    heading("lines of code, and unsafe blocks and functions");
    for (package, (code, unsafes)) in packages {
        println!("  {package:<28} {code:>7} {unsafes:>5}");
    }
}

/// Every file that has such places, with their lines.
fn print_places(
    title: &str,
    sources: &BTreeMap<String, Source>,
    places: impl Fn(&Source) -> &Vec<usize>,
) {
    heading(title);
    for (path, source) in sources {
        let lines = places(source);
        if !lines.is_empty() {
            let numbers: Vec<String> = lines.iter().map(usize::to_string).collect();
            println!("  {:>4}  {path}: {}", lines.len(), numbers.join(" "));
        }
    }
}

/// The longest of a list; how many are over the limit.
fn print_longest(title: &str, list: &mut [(usize, String)], limit: usize, rows: usize) -> usize {
    heading(&format!("{title} (limit {limit} lines)"));
    list.sort_by(|a, b| b.cmp(a));
    for (length, name) in list.iter().take(rows) {
        let mark = if *length > limit { " over" } else { "" };
        println!("  {length:>4}  {name}{mark}");
    }
    list.iter().filter(|(length, _)| *length > limit).count()
}

/// A list's title.
fn heading(title: &str) {
    println!("{title}");
}

/// All source files below a folder, sorted, without what cargo built.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry.with_context(|| folder.display().to_string())?.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
