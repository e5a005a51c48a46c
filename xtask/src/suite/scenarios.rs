// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios as tests: all images are built first, then two machines run
//! side by side.

use super::{Tally, judged, verdict_of};
use crate::emulator::table::tools;
use crate::guests::Builder;
use crate::packages::debian::sha256;
use crate::packages::{Installer, release};
use crate::product::{self, Product, refused_damage};
use crate::scenario::format::{Scenario, Variant};
use crate::scenario::play::{Stage, play};
use crate::scenario::script::Script;
use crate::system::{System, names};
use crate::terminal::Step;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, ensure};
use bulkhead_test::emulator::table::Options;
use bulkhead_test::report::Verdict;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Machines that run at the same time. Each keeps a host CPU busy.
const SIDE_BY_SIDE: usize = 2;

/// Bytes damaged on the host, one after the other, where a scenario boots a few such bundles.
const DAMAGED: usize = 1000;

/// One machine to run.
struct Job<'a> {
    scenario: &'a Scenario,
    product: &'a Product,
    variant: Variant,
    /// The bytes of the one file that all runs of the scenario boot, if they are to.
    same: Option<&'a [u8]>,
}

/// Runs the scenarios that the filter names.
pub fn run(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let mut systems = Vec::new();
    for name in names(&workspace.scenarios()) {
        let named = |system: &System| scenario_name(&system.name).contains(filter);
        systems.extend(System::of_scenario(workspace, &name)?.into_iter().filter(named));
    }
    if systems.is_empty() {
        return Ok(Tally::default());
    }
    let mut tally = Tally::default();
    let release = release();
    let mut builder = Builder::new(workspace, installer)?;
    let mut products = Vec::new();
    for system in &systems {
        let Some(scenario) = &system.scenario else { continue };
        let begun = Instant::now();
        if let Some(why) = release.as_ref().and_then(|release| scenario.skip.get(release)) {
            let verdict = Verdict::Skipped(why.clone());
            tally = tally.and(judged(&scenario_name(&system.name), verdict, begun.elapsed()));
            continue;
        }
        let product = product::build(workspace, &mut builder, system);
        match product {
            Ok(product) => {
                for emulator in product.emulators(&scenario.emulators())? {
                    installer.need(tools(emulator))?;
                }
                products.push((scenario, product));
            }
            Err(why) => {
                let verdict = Verdict::Failed(format!("{why:#}"));
                tally = tally.and(judged(&scenario_name(&system.name), verdict, begun.elapsed()));
            }
        }
    }
    let files: Result<Vec<Option<Vec<u8>>>> =
        products.iter().map(|(scenario, product)| one_file(scenario, product)).collect();
    let files = files?;
    let mut jobs = Vec::new();
    for ((scenario, product), same) in products.iter().zip(&files) {
        for variant in scenario.variants(&product.name) {
            jobs.push(Job { scenario, product, variant, same: same.as_deref() });
        }
    }
    for (_, product) in products.iter().filter(|(scenario, _)| !scenario.corrupt.is_empty()) {
        let begun = Instant::now();
        let way = product.emulator(None)?.way(None)?;
        let platform = product.manifest.board().platform();
        let verdict = refused_damage(&product.bundle(way)?, platform, DAMAGED);
        let name = format!("{} ({DAMAGED} bytes, host)", product.name);
        let verdict = verdict_of(&verdict);
        tally = tally.and(judged(&scenario_name(&name), verdict, begun.elapsed()));
    }
    // The longest first, so that none of them runs alone at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.scenario.timeout));
    Ok(tally.and(play_all(workspace, jobs)))
}

/// What a scenario's run is called.
fn scenario_name(name: &str) -> String {
    format!("scenario/{name}")
}

/// The file that every run of a scenario with `same` boots, as it was written; its SHA-256 is said.
fn one_file(scenario: &Scenario, product: &Product) -> Result<Option<Vec<u8>>> {
    let Some(boot) = scenario.same.values().flatten().next() else { return Ok(None) };
    let file = product.file(*boot)?;
    let hash = sha256(file)?;
    eprintln!("  scenario/{}: all runs boot one file, SHA-256 {hash}", product.name);
    std::fs::read(file).map(Some).with_context(|| file.display().to_string())
}

/// Plays all jobs and reports each as it ends.
fn play_all(workspace: &Workspace, jobs: Vec<Job>) -> Tally {
    let step = Step::begin("scenarios");
    let total = jobs.len();
    let queue = Mutex::new(VecDeque::from(jobs));
    let (sender, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                while let Some(job) = queue.lock().ok().and_then(|mut queue| queue.pop_front()) {
                    let begun = Instant::now();
                    let verdict = job.play(workspace);
                    if sender.send((job.variant.name, verdict, begun.elapsed())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut tally = Tally::default();
        for (done, (name, verdict, took)) in results.into_iter().enumerate() {
            step.detail(&format!("{} of {total}", done + 1));
            let mut one = Tally::default();
            step.above(|| one = judged(&scenario_name(&name), verdict_of(&verdict), took));
            tally = tally.and(one);
        }
        tally
    })
}

impl Job<'_> {
    /// Runs one machine under its script.
    fn play(&self, workspace: &Workspace) -> Result<()> {
        let folder: String = self.variant.name.chars().filter(|c| !"(),".contains(*c)).collect();
        let folder = folder.replace([' ', '/'], "-");
        let folder = made(workspace.target().join("scenarios").join(folder))?;
        let emulator = self.product.emulator(self.variant.on.as_deref())?;
        let way = emulator.way(self.variant.boot)?;
        let image = match self.variant.corrupt {
            None => self.product.file(way)?.to_path_buf(),
            Some(byte) => {
                let damaged = folder.join("damaged.img");
                self.product.corrupted(way, byte, &damaged)?;
                damaged
            }
        };
        let options = Options {
            cpu: self.variant.model.clone(),
            cpus: self.scenario.cpus,
            memory: self.scenario.memory.clone(),
            boot: self.variant.boot,
            more: self.scenario.arguments.clone(),
            gdb: false,
        };
        self.check_file(&image)?;
        let emulator = emulator.launch(&image, &options)?;
        let mut script = Script::new(self.scenario).map_err(anyhow::Error::msg)?;
        let stage = Stage {
            emulator: &emulator,
            partitions: &self.product.built.partitions,
            timeout: Duration::from_secs(self.scenario.timeout),
            log: &folder.join("console.log"),
        };
        let verdict = play(&stage, &mut script);
        self.check_file(&image)?;
        if self.variant.corrupt.is_some() {
            std::fs::remove_file(&image).with_context(|| image.display().to_string())?;
        }
        verdict
    }

    /// Whether the file is, byte for byte, the one that all runs of the scenario are to boot.
    fn check_file(&self, image: &Path) -> Result<()> {
        let Some(same) = self.same else { return Ok(()) };
        let bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
        ensure!(bytes == same, "{} is not the file that the others boot", image.display());
        Ok(())
    }
}
