// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian packages that are unpacked for guests and never installed.
//!
//! A package is fetched once into `target/cache/debian` and recorded there in
//! `packages.toml` with its version and SHA-256; from then on no network is
//! needed. Deleting that folder fetches the newest versions again.

use super::apt::Lists;
use crate::process;
use crate::terminal::Step;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One package as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The name that was asked for, a metapackage perhaps.
    pub asked: String,
    /// The package itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The architecture asked for, in Debian's words.
    pub architecture: String,
    /// SHA-256 of the `.deb` file.
    pub sha256: String,
}

/// A list of packages, as it is written beside flash images and in the cache.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(default)]
    package: Vec<Package>,
}

/// The cache of fetched packages.
#[derive(Debug)]
pub struct Cache {
    workspace: Workspace,
    folder: PathBuf,
    record: Record,
    /// Lists that are fresh, by architecture.
    lists: BTreeMap<String, Lists>,
}

impl Cache {
    /// Opens the cache.
    pub fn open(workspace: &Workspace) -> Result<Self> {
        let folder = made(workspace.cache().join("debian"))?;
        let file = folder.join("packages.toml");
        let record = match std::fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).with_context(|| {
                format!("{} is damaged: delete it and repeat", workspace.shown(&file))
            })?,
            Err(_) => Record::default(),
        };
        Ok(Self { workspace: workspace.clone(), folder, record, lists: BTreeMap::new() })
    }

    /// The package's files, unpacked, and which version they are of.
    pub fn fetch(&mut self, asked: &str, architecture: &str) -> Result<(PathBuf, Package)> {
        let known = self
            .record
            .package
            .iter()
            .find(|package| package.asked == asked && package.architecture == architecture);
        if let Some(package) = known.cloned() {
            let unpacked = self.unpacked(&package);
            if unpacked.is_dir() {
                return Ok((unpacked, package));
            }
        }
        let package = self
            .download(asked, architecture)
            .with_context(|| format!("fetching Debian's {asked} for {architecture}"))?;
        self.record
            .package
            .retain(|old| (old.asked.as_str(), old.architecture.as_str()) != (asked, architecture));
        self.record.package.push(package.clone());
        self.record.package.sort();
        let text = render(&self.record.package)?;
        let file = self.folder.join("packages.toml");
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok((self.unpacked(&package), package))
    }

    /// Where a package's files lie.
    fn unpacked(&self, package: &Package) -> PathBuf {
        let short: String = package.sha256.chars().take(12).collect();
        self.folder.join(format!("{}-{}-{short}", package.name, package.architecture))
    }

    /// Resolves, downloads, hashes and unpacks a package.
    fn download(&mut self, asked: &str, architecture: &str) -> Result<Package> {
        let lists = match self.lists.entry(architecture.to_owned()) {
            Entry::Occupied(fresh) => fresh.into_mut(),
            Entry::Vacant(place) => {
                let lists = Lists::foreign(&self.workspace, architecture)?;
                lists.update(&format!("fetching Debian's package lists for {architecture}"))?;
                place.insert(lists)
            }
        };
        let depends = process::output(lists.command("apt-cache").args(["depends", asked]))?;
        let name = real_name(asked, &depends).to_owned();
        let shown =
            process::output(lists.command("apt-cache").args(["show", "--no-all-versions", &name]))?;
        let version = field(&shown, "Version").context("apt-cache names no version")?.to_owned();
        let arrived = made(self.folder.join("arriving"))?;
        clear(&arrived)?;
        let mut download = lists.command("apt-get");
        download.arg("download").arg(format!("{name}={version}")).current_dir(&arrived);
        process::run(&format!("downloading {name} {version}"), &mut download)?;
        let deb = only_file(&arrived)?;
        let package = Package {
            asked: asked.to_owned(),
            sha256: sha256(&deb)?,
            name,
            version,
            architecture: architecture.to_owned(),
        };
        if field(&shown, "SHA256").is_some_and(|listed| listed != package.sha256) {
            bail!("{} is not the file that Debian lists: repeat the command", deb.display());
        }
        let files = arrived.join("files");
        let mut unpack = Command::new("dpkg-deb");
        process::run("unpacking", unpack.arg("--extract").arg(&deb).arg(&files))?;
        let place = self.unpacked(&package);
        if place.exists() {
            std::fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
        }
        std::fs::rename(&files, &place).with_context(|| place.display().to_string())?;
        clear(&arrived)?;
        Ok(package)
    }
}

/// The record of packages as text.
pub fn render(packages: &[Package]) -> Result<String> {
    let record = Record { package: packages.to_vec() };
    let list = toml::to_string(&record).context("writing the list of packages")?;
    Ok(format!("# Debian packages that this was made from.\n\n{list}"))
}

/// The package behind a metapackage of a kernel: its one dependency of the
/// same kind. Its name changes with security updates.
fn real_name<'a>(asked: &'a str, depends: &'a str) -> &'a str {
    const KERNEL: &str = "linux-image-";
    if !asked.starts_with(KERNEL) {
        return asked;
    }
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(KERNEL))
        .unwrap_or(asked)
}

/// A field of a package's description.
fn field<'a>(shown: &'a str, key: &str) -> Option<&'a str> {
    shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

/// Empties a folder.
fn clear(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder)
        .and_then(|()| std::fs::create_dir(folder))
        .with_context(|| format!("emptying {}", folder.display()))
}

/// The one file in a folder.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let first = entries.next().transpose()?.context("apt-get downloaded nothing")?;
    Ok(first.path())
}

/// SHA-256 of a file, in hexadecimal.
pub fn sha256(file: &Path) -> Result<String> {
    let _step = Step::begin(&format!("checking {}", file.display()));
    let mut reader = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut block).with_context(|| file.display().to_string())?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_behind_the_metapackage_is_found() {
        let depends = "linux-image-cloud-arm64\n  Depends: linux-image-6.1.0-56-cloud-arm64\n";
        assert_eq!(
            real_name("linux-image-cloud-arm64", depends),
            "linux-image-6.1.0-56-cloud-arm64"
        );
        assert_eq!(real_name("busybox-static", "busybox-static\n"), "busybox-static");
        let own = "linux-image-6.1.0-56-cloud-arm64\n  Depends: kmod\n";
        let name = "linux-image-6.1.0-56-cloud-arm64";
        assert_eq!(real_name(name, own), name);
    }

    #[test]
    fn a_record_survives_being_written_and_read() {
        let package = Package {
            asked: "linux-image-cloud-arm64".into(),
            name: "linux-image-6.1.0-56-cloud-arm64".into(),
            version: "6.1.192-2".into(),
            architecture: "arm64".into(),
            sha256: "00ff".into(),
        };
        let text = render(std::slice::from_ref(&package)).unwrap();
        let back: Record = toml::from_str(&text).unwrap();
        assert_eq!(back.package, [package]);
    }
}
