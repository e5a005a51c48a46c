// SPDX-License-Identifier: MIT OR Apache-2.0
//! apt with lists of our own: the machine's Debian archives, as its own
//! configuration names them, plus backports where the release is too old.
//!
//! `update` runs as the user into a folder below the cache; only `install`
//! needs root, and it writes where installing always writes. apt's options are
//! described in apt.conf(5), "Directories"; the archives are read from
//! `apt-get indextargets`, apt's interface for front ends.

use super::Tool;
use crate::failure::mistake;
use crate::process;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release whose QEMU is too old, so that it is taken from backports.
const NEEDS_BACKPORTS: &str = "bookworm";
/// Debian's keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What `indextargets` prints for each archive.
const FORMAT: &str = "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN) $(LABEL)";

/// Debian's archives as this machine reaches them.
#[derive(Debug)]
pub(super) struct Archives {
    codename: String,
    /// Site and suite of each archive, component `main`.
    suites: BTreeSet<(String, String)>,
}

impl Archives {
    /// Reads them from the machine's configuration.
    pub(super) fn find(cache: &Path) -> Result<Self> {
        let codename = release()
            .filter(|_| process::which("apt-get").is_some())
            .ok_or_else(|| mistake("this machine is not a Debian: install the packages by hand"))?;
        let mut suites = parse(&process::output(&mut targets())?);
        if suites.is_empty() {
            // A fresh machine has no lists yet, and apt then names no archive.
            let lists = Lists::new(&made(cache.join("apt/probe"))?, None, None)?;
            suites = parse(&process::output(targets().args(&lists.options))?);
            if suites.is_empty() {
                lists.update("reading the package lists")?;
                suites = parse(&process::output(targets().args(&lists.options))?);
            }
        }
        if suites.is_empty() {
            bail!("apt names no Debian archive; add one to /etc/apt/sources.list and repeat");
        }
        Ok(Self { codename, suites })
    }

    /// The site that has the release itself, where backports are too.
    fn main_site(&self) -> Option<&str> {
        let main = self.suites.iter().find(|(_, suite)| *suite == self.codename);
        main.map(|(site, _)| site.as_str())
    }

    /// A sources.list of these archives, with backports if asked for.
    fn sources(&self, backports: bool) -> String {
        let signed = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let mut suites = self.suites.clone();
        if let (true, Some(site)) = (backports, self.main_site()) {
            suites.insert((site.to_owned(), format!("{}-backports", self.codename)));
        }
        suites.iter().map(|(site, suite)| format!("deb {signed}{site} {suite} main\n")).collect()
    }
}

/// The question for the archives.
fn targets() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", FORMAT, "Created-By: Packages"]);
    command
}

/// Debian's own archives in what `indextargets` printed.
fn parse(targets: &str) -> BTreeSet<(String, String)> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (site, suite) = (words.next()?, words.next()?);
        let rest: Vec<&str> = words.collect();
        let debian = rest.first() == Some(&"main") && rest.get(1) == Some(&"Debian");
        debian.then(|| (site.to_owned(), suite.to_owned()))
    };
    targets.lines().filter_map(row).collect()
}

/// The name of this machine's release, if it is a Debian.
pub fn release() -> Option<String> {
    codename(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

/// The release's name in the text of /etc/os-release, if it is a Debian.
fn codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME")).flatten()
}

/// Package lists in a folder of ours.
#[derive(Debug)]
pub(super) struct Lists {
    options: Vec<String>,
}

impl Lists {
    /// Lists in `folder`: of `sources` or else the machine's own, and of another
    /// architecture if one is named.
    fn new(folder: &Path, sources: Option<&str>, architecture: Option<&str>) -> Result<Self> {
        let lists = made(folder.join("lists/partial"))?;
        let cache = made(folder.join("cache/archives/partial"))?;
        let parent = |path: &Path, up: usize| -> PathBuf {
            path.ancestors().nth(up).unwrap_or(path).to_path_buf()
        };
        let mut options = vec![
            format!("-oDir::State::Lists={}", parent(&lists, 1).display()),
            format!("-oDir::Cache={}", parent(&cache, 2).display()),
            "-oAPT::Sandbox::User=root".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
        ];
        if let Some(sources) = sources {
            let file = folder.join("sources.list");
            std::fs::write(&file, sources).with_context(|| file.display().to_string())?;
            options.push(format!("-oDir::Etc::SourceList={}", file.display()));
            options.push("-oDir::Etc::SourceParts=/dev/null".to_owned());
        }
        if let Some(architecture) = architecture {
            options.push(format!("-oAPT::Architecture={architecture}"));
            options.push(format!("-oAPT::Architectures={architecture}"));
        }
        Ok(Self { options })
    }

    /// Lists of another architecture's packages, of this machine's release.
    pub(super) fn foreign(workspace: &Workspace, architecture: &str) -> Result<Self> {
        let cache = workspace.cache();
        let archives = Archives::find(&cache)?;
        let folder = made(cache.join("apt").join(architecture))?;
        Self::new(&folder, Some(&archives.sources(false)), Some(architecture))
    }

    /// One of apt's programs with these lists.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).env("LC_ALL", "C");
        command
    }

    /// Fetches the lists.
    pub(super) fn update(&self, step: &str) -> Result<()> {
        process::run(step, self.command("apt-get").arg("update")).map(|_| ())
    }
}

/// Installs the packages of tools.
pub(super) fn install(workspace: &Workspace, tools: &[&Tool]) -> Result<()> {
    let cache = workspace.cache();
    let archives = Archives::find(&cache)?;
    let backports = archives.codename == NEEDS_BACKPORTS;
    let folder = made(cache.join("apt/host"))?;
    let lists = Lists::new(&folder, Some(&archives.sources(backports)), None)?;
    lists.update("fetching Debian's package lists")?;

    let (old, current): (Vec<&Tool>, Vec<&Tool>) =
        tools.iter().partition(|tool| backports && tool.oldest.is_some());
    if !current.is_empty() {
        apply(&lists, &[], &current)?;
    }
    if old.is_empty() {
        return Ok(());
    }
    let suite = format!("{NEEDS_BACKPORTS}-backports");
    apply(&lists, &["-t".to_owned(), suite], &old).or_else(|_| {
        // Packages that something on the machine holds back: let QEMU and its
        // firmware alone come from backports, whatever their version.
        let file = folder.join("preferences");
        let pin = format!(
            "Package: src:qemu src:seabios src:ipxe\nPin: release n={NEEDS_BACKPORTS}-backports\nPin-Priority: 990\n"
        );
        std::fs::write(&file, pin).with_context(|| file.display().to_string())?;
        apply(&lists, &[format!("-oDir::Etc::Preferences={}", file.display())], &old)
    })
}

/// One `apt-get install`, as root.
fn apply(lists: &Lists, options: &[String], tools: &[&Tool]) -> Result<()> {
    let mut command = as_root()?;
    // Archives go where the machine keeps them; the private lists must not end
    // up in its package cache.
    command
        .args(["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"])
        .args(lists.options.iter().filter(|option| !option.starts_with("-oDir::Cache=")))
        .args(["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache="])
        .args(["-oDPkg::Lock::Timeout=300", "--yes", "--no-install-recommends"])
        .args(options)
        .arg("install")
        .args(tools.iter().map(|tool| tool.package));
    process::run("installing", &mut command).map(|_| ())
}

/// A command that is run as root: nothing for root, else `sudo`.
fn as_root() -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        // `env` takes another `env` as its program, so both cases are one.
        return Ok(Command::new("env"));
    }
    if process::which("sudo").is_none() {
        return Err(mistake("installing needs root: repeat the command as root, or install sudo"));
    }
    Ok(Command::new("sudo"))
}

/// What a person types to install the packages by hand.
pub(super) fn hint(tools: &[&Tool]) -> String {
    let backports = release().as_deref() == Some(NEEDS_BACKPORTS);
    let names: Vec<String> = tools
        .iter()
        .map(|tool| match tool.oldest {
            Some(_) if backports => format!("{}/{NEEDS_BACKPORTS}-backports", tool.package),
            _ => tool.package.to_owned(),
        })
        .collect();
    format!("sudo apt-get install --no-install-recommends {}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "\
        http://mirror.example/debian bookworm main Debian Debian\n\
        http://mirror.example/debian bookworm contrib Debian Debian\n\
        http://mirror.example/security bookworm-security main Debian Debian-Security\n\
        https://other.example/apt stable main Other Other\n";

    #[test]
    fn only_debians_own_main_archives_are_taken() {
        let suites = parse(TARGETS);
        let names: Vec<&str> = suites.iter().map(|(_, suite)| suite.as_str()).collect();
        assert_eq!(names, ["bookworm", "bookworm-security"]);
    }

    #[test]
    fn backports_come_from_the_site_of_the_release() {
        let archives = Archives { codename: "bookworm".into(), suites: parse(TARGETS) };
        let sources = archives.sources(true);
        assert!(sources.contains("http://mirror.example/debian bookworm-backports main"));
        assert!(!archives.sources(false).contains("backports"));
    }

    #[test]
    fn another_distribution_has_no_codename_here() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n").as_deref(), Some("trixie"));
        assert_eq!(codename("ID=\"fedora\"\nVERSION_CODENAME=x\n"), None);
        assert_eq!(codename(""), None);
    }
}
