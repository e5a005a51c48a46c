// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device tree's reader agrees with dtoolkit's on what it accepts, and no
//! bytes whatever make it read beyond them or panic.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests end that way")]

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node, Property};
use kernel::devicetree::{Damaged, Item, Tree, number};
use proptest::prelude::*;

/// Names that property names are looked for among.
const NAMES: [&str; 3] = ["reg", "compatible", "reg-names"];

/// What a pass met, in lines.
type Met = Vec<String>;

fn ours(bytes: &[u8]) -> Result<Met, Damaged> {
    let tree = Tree::new(bytes)?;
    let mut met = Met::new();
    tree.walk(&mut |depth, item| {
        met.push(match item {
            Item::Begin(name) => format!("{depth} begin {}", String::from_utf8_lossy(name)),
            Item::Property(property) => {
                let name = NAMES.iter().find(|name| property.is(name.as_bytes()));
                format!("{depth} {name:?} {:?}", property.value)
            }
            Item::End => format!("{depth} end"),
        });
    })?;
    tree.reservations(&mut |address, size| met.push(format!("{address} {size}")))?;
    Ok(met)
}

fn theirs(tree: &Fdt<'_>) -> Met {
    fn follow(node: &FdtNode<'_>, depth: usize, met: &mut Met) {
        met.push(format!("{depth} begin {}", node.name()));
        for property in node.properties() {
            let name = NAMES.iter().find(|name| **name == property.name());
            met.push(format!("{depth} {name:?} {:?}", property.value()));
        }
        for child in node.children() {
            follow(&child, depth + 1, met);
        }
        met.push(format!("{depth} end"));
    }
    let mut met = Met::new();
    follow(&tree.root(), 1, &mut met);
    met.extend(
        tree.memory_reservations().map(|kept| format!("{} {}", kept.address(), kept.size())),
    );
    met
}

fn properties() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    prop::collection::vec((0..NAMES.len(), prop::collection::vec(any::<u8>(), 0..9)), 0..3)
}

fn node(name: &str, properties: Vec<(usize, Vec<u8>)>) -> DeviceTreeNode {
    let mut node = DeviceTreeNode::new_unchecked(name);
    for (name, value) in properties {
        node.add_property(DeviceTreeProperty::new(NAMES[name], value).expect("a property"));
    }
    node
}

prop_compose! {
    fn trees()(
        root in properties(),
        children in prop::collection::vec((properties(), prop::collection::vec(properties(), 0..3)), 0..4),
        reserved in prop::collection::vec((1u64.., 1u64..), 0..3),
    ) -> Vec<u8> {
        let mut tree = DeviceTree::new();
        tree.root = node("", root);
        for (number, (properties, grandchildren)) in children.into_iter().enumerate() {
            let mut child = node(&format!("child@{number}"), properties);
            for (number, properties) in grandchildren.into_iter().enumerate() {
                child.add_child(node(&format!("g{number}"), properties));
            }
            tree.root.add_child(child);
        }
        tree.memory_reservations =
            reserved.into_iter().map(|(start, size)| MemoryReservation::new(start, size)).collect();
        tree.to_dtb()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_tree_reads_as_dtoolkit_reads_it(bytes in trees()) {
        let tree = Fdt::new(&bytes).expect("it wrote it itself");
        prop_assert_eq!(ours(&bytes), Ok(theirs(&tree)));
    }

    #[test]
    fn a_damaged_tree_is_read_the_same_or_refused(
        mut bytes in trees(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Only dtoolkit looks at the characters of names.
        if let (Ok(met), Ok(tree)) = (ours(&bytes), Fdt::new(&bytes)) {
            prop_assert_eq!(met, theirs(&tree));
        }
    }

    #[test]
    fn a_tree_that_was_cut_is_refused(bytes in trees(), at in any::<prop::sample::Index>()) {
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(ours(cut), Err(Damaged));
    }
}

#[test]
fn numbers_have_their_highest_byte_first() {
    assert_eq!(number(&[]), 0);
    assert_eq!(number(&[1, 2]), 0x102);
    assert_eq!(number(&[9, 1, 2, 3, 4, 5, 6, 7, 8]), 0x0102_0304_0506_0708);
}
