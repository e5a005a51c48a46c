// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this guest's mailbox lies: as the device tree says it, or as Linux
//! shows what an ACPI device has.

use abi::mailbox::ring::MEMORY_LEN;
use std::fs;
use std::path::Path;

/// The device tree's word for a mailbox.
const COMPATIBLE: &str = "bulkhead,mailbox";
/// The first ACPI device with the mailbox's _HID.
const DEVICE: &str = "BULK0002:00";
/// Bytes of the register page.
const REGISTERS_LEN: u64 = 0x1000;

/// Physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The register page.
    pub(crate) registers: u64,
    /// The shared memory.
    pub(crate) memory: u64,
}

/// Finds the mailbox below `root`, which is `/` but for tests.
pub(crate) fn find(root: &Path) -> Option<Place> {
    in_device_tree(&root.join("proc/device-tree")).or_else(|| in_acpi(root))
}

/// The node that is compatible: `reg` is two pairs of 64-bit cells, registers and memory.
fn in_device_tree(tree: &Path) -> Option<Place> {
    let nodes = fs::read_dir(tree).ok()?.flatten();
    let mut nodes = nodes.map(|node| node.path()).filter(|node| {
        let words = fs::read(node.join("compatible")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == COMPATIBLE.as_bytes())
    });
    let reg = fs::read(nodes.next()?.join("reg")).ok()?;
    let (cells, _) = reg.as_chunks();
    match cells.iter().map(|cell| u64::from_be_bytes(*cell)).collect::<Vec<_>>()[..] {
        [registers, _, memory, length] if length >= MEMORY_LEN.into() => {
            Some(Place { registers, memory })
        }
        _ => None,
    }
}

/// What /proc/iomem has of the device: one range of each size.
fn in_acpi(root: &Path) -> Option<Place> {
    if !root.join("sys/bus/acpi/devices").join(DEVICE).exists() {
        return None;
    }
    let text = fs::read_to_string(root.join("proc/iomem")).ok()?;
    let ranges: Vec<(u64, u64)> = text.lines().filter_map(range).collect();
    let of = |length: u64| ranges.iter().find(|range| range.1 == length).map(|range| range.0);
    Some(Place { registers: of(REGISTERS_LEN)?, memory: of(MEMORY_LEN.into())? })
}

/// First address and bytes in a line `  d0010000-d0010fff : BULK0002:00`. Without root's rights
/// all addresses are zero, and so is what is one byte long.
fn range(line: &str) -> Option<(u64, u64)> {
    let (range, name) = line.trim().split_once(" : ")?;
    let (first, last) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (first, last) = (number(first)?, number(last)?);
    (name == DEVICE).then_some((first, last.checked_sub(first)?.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A folder that is gone at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("bulkctl-{name}-{}", std::process::id())))
        }

        fn file(&self, path: &str, content: &[u8]) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_device_tree_names_registers_and_memory() {
        let root = Root::new("tree");
        root.file("proc/device-tree/channel@c000000/compatible", b"bulkhead,channel\0");
        root.file("proc/device-tree/mailbox@c010000/compatible", b"bulkhead,mailbox\0");
        let cells = [0x0c01_0000_u64, 0x1000, 0x0c02_0000, 0x2000];
        let cells: Vec<u8> = cells.into_iter().flat_map(u64::to_be_bytes).collect();
        root.file("proc/device-tree/mailbox@c010000/reg", &cells);
        let place = Place { registers: 0x0c01_0000, memory: 0x0c02_0000 };
        assert_eq!(find(&root.0), Some(place));
        root.file("proc/device-tree/mailbox@c010000/reg", &cells[..24]);
        assert_eq!(find(&root.0), None);
    }

    #[test]
    fn a_pc_has_them_in_its_table_of_memory() {
        let root = Root::new("acpi");
        root.file(
            "proc/iomem",
            b"00000000-00000fff : Reserved\nd0000000-dfffffff : PCI\n  \
              d0010000-d0010fff : BULK0002:00\n  d0020000-d0021fff : BULK0002:00\n",
        );
        assert_eq!(find(&root.0), None, "the device is not there");
        root.file("sys/bus/acpi/devices/BULK0002:00/hid", b"BULK0002\n");
        let place = Place { registers: 0xd001_0000, memory: 0xd002_0000 };
        assert_eq!(find(&root.0), Some(place));
        root.file("proc/iomem", b"00000000-00000000 : BULK0002:00\n");
        assert_eq!(find(&root.0), None, "what is shown without rights");
    }
}
