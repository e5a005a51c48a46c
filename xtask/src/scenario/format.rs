// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tests/scenarios/NAME/scenario.toml`: how a system is booted and what its
//! console must show.
//!
//! The system is `manifest.toml` in the same folder, or the one that `system`
//! names. Every combination of `each`, `on`, `models`, `boot` and `corrupt` is one run;
//! `same` has the emulators and ways of its own, which all boot one file.
//! `{each}` in either file stands for one of the words in `each`.
//!
//! ```toml
//! about      = "Linux boots and two small guests go on"
//! timeout    = 120                    # seconds for one run
//! heartbeats = ["rtos", "driver"]     # their numbered lines have no gap
//! forbid     = ['lost interrupt']
//!
//! [[step]]
//! expect = '^\[linux\] linux: 2 CPUs'
//! [[step]]
//! type = "nproc\n"
//! to   = "linux"
//! [[step]]
//! ctl    = "restart rtos"             # as behind `cargo xtask ctl`; what follows does not wait for
//! prints = '^rtos: ending$'           # the answer, but the next `type` or `ctl` does
//! status = 0
//! [[step]]
//! noise = 1000                        # bytes of garbage on the console's line
//! ```

use crate::failure::mistake;
use crate::workspace::Workspace;
use bulkhead_test::Boot;
use bulkhead_test::mailbox::Command;
use regex::Regex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::Path;

/// How a run must end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Not by itself: it is over after the last step.
    #[default]
    Never,
    /// With the hypervisor's `end: ok`.
    Ok,
    /// With the hypervisor's `end: failed` and a text that matches.
    Failed(Pattern),
}

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text).map(Self).map_err(D::Error::custom)
    }
}

/// One pattern or several.
struct Patterns(Vec<Pattern>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        let texts = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        let pattern = |text: toml::Value| Pattern::deserialize(text).map_err(D::Error::custom);
        texts.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }
}

/// Numbers that agree.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// How far apart the largest and the smallest may be, as a share of the smallest.
    pub within: f64,
    /// Each is the first group of its pattern, and is on some line.
    pub numbers: Vec<Pattern>,
}

/// One step of a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "StepTable")]
pub enum Step {
    /// Wait for lines after those of the step before.
    Expect {
        /// What lines must match, in any order.
        patterns: Vec<Pattern>,
        /// How many times each.
        times: u32,
    },
    /// Type at a partition's console.
    Type(Typing),
    /// Ask the hypervisor, as `cargo xtask ctl` does.
    Ask(Asking),
    /// Send as many bytes of garbage.
    Noise(usize),
}

/// A command of `cargo xtask ctl`.
#[derive(Clone, Debug)]
pub struct Asking {
    /// As it is typed.
    pub text: String,
    /// What is meant.
    pub command: Command,
    /// What its output must match, line by line.
    pub prints: Vec<Pattern>,
    /// Its exit status.
    pub status: u8,
}

/// Text for a console.
#[derive(Clone, Debug)]
pub struct Typing {
    /// The text, with its newline.
    pub text: String,
    /// The partition.
    pub to: String,
}

/// A step as it is written: see the errors below.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    expect: Option<Patterns>,
    times: Option<u32>,
    #[serde(rename = "type")]
    text: Option<String>,
    to: Option<String>,
    ctl: Option<String>,
    prints: Option<Patterns>,
    status: Option<u8>,
    noise: Option<usize>,
}

impl TryFrom<StepTable> for Step {
    type Error = String;

    fn try_from(table: StepTable) -> Result<Self, String> {
        let StepTable { expect, times, text, to, ctl, prints, status, noise } = table;
        let asks = prints.is_some() || status.is_some();
        match (expect, text, ctl, noise) {
            (Some(Patterns(patterns)), None, None, None) if to.is_none() && !asks => {
                Ok(Self::Expect { patterns, times: times.unwrap_or(1) })
            }
            (None, Some(text), None, None) if times.is_none() && !asks => {
                let to = to.ok_or("`type` needs `to`")?;
                Ok(Self::Type(Typing { text, to }))
            }
            (None, None, Some(text), None) if times.is_none() && to.is_none() => {
                let command = Command::read(&text)?;
                let prints = prints.map(|Patterns(patterns)| patterns).unwrap_or_default();
                Ok(Self::Ask(Asking { text, command, prints, status: status.unwrap_or(0) }))
            }
            (None, None, None, Some(bytes)) if times.is_none() && to.is_none() && !asks => {
                Ok(Self::Noise(bytes))
            }
            _ => Err("a step has `expect`, perhaps with `times`, or `type` with `to`, \
                      or `ctl`, perhaps with `prints` and `status`, or `noise`"
                .to_owned()),
        }
    }
}

/// A scenario as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub about: String,
    /// A board's name or a manifest's path, if the folder has no `manifest.toml`.
    pub system: Option<String>,
    /// Seconds that one run may take.
    pub timeout: u64,
    /// Debian releases, by name, on which it is skipped, and why.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
    /// Words that stand for `{each}` in turn; each is a system of its own.
    #[serde(default)]
    pub each: Vec<String>,
    /// Assembly files by their way from the folder, without `.S`: `NAME.elf` and
    /// `NAME.bin` are made of them beside the manifest, as images from outside.
    #[serde(default)]
    pub assemble: Vec<String>,
    /// Emulators of the board, each one run; its first if empty.
    #[serde(default)]
    pub on: Vec<String>,
    /// CPU models of the emulator, each one run; the board's own if empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// CPUs of the emulator; the board's own if absent.
    pub cpus: Option<u32>,
    /// Memory of the emulator as it takes it; the board's own if absent.
    pub memory: Option<String>,
    /// More arguments for the emulator; in QEMU's, `{folder}` is where the files made of
    /// `assemble` are.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Ways into the machine, each one run; the emulator's first if empty.
    #[serde(default)]
    pub boot: Vec<Boot>,
    /// Commands of GRUB that come first where a PC's BIOS boots: what other firmware did.
    #[serde(default)]
    pub grub: Vec<String>,
    /// Emulators and the ways into each, in place of `on` and `boot`: every run boots
    /// one file, byte for byte, which is written before the first of them.
    #[serde(default)]
    pub same: BTreeMap<String, Vec<Boot>>,
    /// Features of the hypervisor's test build.
    #[serde(default)]
    pub features: Vec<String>,
    /// Bytes of the bundle that are inverted, each one run; negative ones count
    /// from its end.
    #[serde(default)]
    pub corrupt: Vec<i64>,
    /// How it ends.
    #[serde(default)]
    pub end: Ending,
    /// Partitions whose numbered heartbeats have no gap.
    #[serde(default)]
    pub heartbeats: Vec<String>,
    /// Heartbeats that each of them still gives after the last step.
    #[serde(default = "two")]
    pub beats: u32,
    /// What no line may match.
    #[serde(default)]
    pub forbid: Vec<Pattern>,
    /// What several lines must say alike.
    pub agree: Option<Agreement>,
    /// What happens, in order.
    #[serde(default)]
    pub step: Vec<Step>,
}

/// The default of `beats`.
fn two() -> u32 {
    2
}

/// One way to run a scenario.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The scenario's name and what makes this run different.
    pub name: String,
    /// The board's emulator; its first if absent.
    pub on: Option<String>,
    /// CPU model; the board's own if absent.
    pub model: Option<String>,
    /// The way into the machine; the emulator's first if absent.
    pub boot: Option<Boot>,
    /// The byte of the bundle that is inverted.
    pub corrupt: Option<i64>,
}

/// What stands for one of the words in `each`.
const EACH: &str = "{each}";

/// A file's text with a word of `each`.
pub fn with_word(text: &str, word: Option<&str>) -> String {
    word.map_or_else(|| text.to_owned(), |word| text.replace(EACH, word))
}

/// The part of a scenario that is read before the words are put in.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    each: Vec<String>,
}

impl Scenario {
    /// Reads a scenario's folder: one for each word of `each`, with that word.
    pub fn read(
        workspace: &Workspace,
        folder: &Path,
    ) -> anyhow::Result<Vec<(Option<String>, Self)>> {
        let path = folder.join("scenario.toml");
        let shown = workspace.shown(&path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| mistake(format!("{shown}: {error}; every scenario has one")))?;
        let wrong = |error: toml::de::Error| mistake(format!("{shown}: {error}"));
        let words: Words = toml::from_str(&text).map_err(wrong)?;
        choices(&words.each)
            .into_iter()
            .map(|word| {
                let scenario = toml::from_str(&with_word(&text, word.as_deref()));
                Ok((word, scenario.map_err(wrong)?))
            })
            .collect()
    }

    /// The emulators that the scenario names.
    pub fn emulators(&self) -> Vec<String> {
        self.on.iter().chain(self.same.keys()).cloned().collect()
    }

    /// The runs that the scenario asks for.
    pub fn variants(&self, name: &str) -> Vec<Variant> {
        let several = self.emulators().len() > 1;
        let mut variants = Vec::new();
        for (on, boot) in self.entries() {
            for model in choices(&self.models) {
                for corrupt in choices(&self.corrupt) {
                    let said = [
                        on.clone().filter(|_| several),
                        model.clone().filter(|_| self.models.len() > 1),
                        boot.filter(|boot| !matches!(boot, Boot::Flash | Boot::Uefi))
                            .map(|boot| boot.word().into()),
                        corrupt.map(|byte| format!("byte {byte}")),
                    ];
                    variants.push(Variant {
                        name: variant(name, said),
                        on: on.clone(),
                        model: model.clone(),
                        boot,
                        corrupt,
                    });
                }
            }
        }
        variants
    }

    /// Each emulator with each way into it.
    fn entries(&self) -> Vec<(Option<String>, Option<Boot>)> {
        let pairs = |emulators: &[Option<String>], boots: &[Option<Boot>]| {
            let with = |on: &Option<String>| -> Vec<_> {
                boots.iter().map(|boot| (on.clone(), *boot)).collect()
            };
            emulators.iter().flat_map(with).collect::<Vec<_>>()
        };
        if self.same.is_empty() {
            return pairs(&choices(&self.on), &choices(&self.boot));
        }
        let of = |(on, boots): (&String, &Vec<Boot>)| pairs(&[Some(on.clone())], &choices(boots));
        self.same.iter().flat_map(of).collect()
    }
}

/// A run's name with what makes it different.
fn variant(name: &str, said: [Option<String>; 4]) -> String {
    let said: Vec<String> = said.into_iter().flatten().collect();
    match said.as_slice() {
        [] => name.to_owned(),
        said => format!("{name} ({})", said.join(", ")),
    }
}

/// Each choice, or the one of not choosing.
fn choices<T: Clone>(list: &[T]) -> Vec<Option<T>> {
    if list.is_empty() { vec![None] } else { list.iter().cloned().map(Some).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scenario {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_combination_is_a_run_with_a_name_of_its_own() {
        let scenario = read(
            "about = ''\ntimeout = 1\nmodels = ['cortex-a57', 'max']\nboot = ['flash', 'image']",
        );
        let names: Vec<String> =
            scenario.variants("demo").into_iter().map(|variant| variant.name).collect();
        assert_eq!(
            names,
            ["demo (cortex-a57)", "demo (max)", "demo (cortex-a57, image)", "demo (max, image)"]
        );
        assert_eq!(read("about = ''\ntimeout = 1").variants("one")[0].name, "one");
    }

    #[test]
    fn runs_of_one_file_have_emulators_with_ways_of_their_own() {
        let scenario = read(
            "about = ''\ntimeout = 1\n\
             same = { bochs-amd = ['bios'], qemu-amd = ['uefi', 'bios-usb'] }",
        );
        let names: Vec<String> =
            scenario.variants("disk").into_iter().map(|variant| variant.name).collect();
        assert_eq!(
            names,
            ["disk (bochs-amd, bios)", "disk (qemu-amd)", "disk (qemu-amd, bios-usb)"]
        );
        assert_eq!(scenario.emulators(), ["bochs-amd", "qemu-amd"]);
    }

    #[test]
    fn steps_are_told_by_their_keys_and_a_strange_key_is_refused() {
        let scenario = read(
            "about = ''\ntimeout = 1\nend = { failed = 'why' }\n\
             [[step]]\nexpect = ['a', 'b']\n[[step]]\ntype = 'x'\nto = 'linux'",
        );
        assert!(matches!(scenario.step[0], Step::Expect { times: 1, .. }));
        assert!(matches!(scenario.step[1], Step::Type(_)));
        assert!(matches!(scenario.end, Ending::Failed(_)));
        for wrong in ["fobrid = []", "forbid = ['(']", "[[step]]\nexpect = 'a'\nto = 'linux'"] {
            let text = format!("about = ''\ntimeout = 1\n{wrong}");
            assert!(toml::from_str::<Scenario>(&text).is_err(), "{wrong}");
        }
    }
}
