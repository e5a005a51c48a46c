// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of a bundle, each a short function with its sentence above it.
//!
//! A rule tells every breach to its [`Sink`]: the kernel keeps the first and
//! refuses, `xtask` runs the same rules on the tables it is about to write and
//! shows all. The rules that need the machine are in [`crate::machine`].

mod channels;
mod devices;
mod images;
mod memory;
mod partitions;

use crate::bundle::Tables;
use crate::refusal::Refusal;

pub(crate) use devices::{owned, ports};
pub use partitions::{OWN_NAME, PARTITIONS};

/// Where a rule tells its breaches.
pub type Sink<'a> = &'a mut dyn FnMut(Refusal);

/// A rule.
pub type Check = fn(&Tables, Sink);

/// The rules of the partitions, CPUs, memory, devices and channels.
const STRUCTURE: &[Check] = &[
    partitions::some_but_not_too_many,
    partitions::rows_follow_one_another,
    partitions::names_are_plain,
    partitions::names_are_unique,
    partitions::cpus_are_some_but_not_too_many,
    partitions::a_cpu_has_one_owner,
    memory::is_whole_pages,
    memory::is_below_the_last_guest_address,
    memory::leaves_the_platform_alone,
    memory::pinned_ones_are_disjoint,
    memory::identity_means_one_address,
    devices::intids_are_whole_words,
    devices::registers_are_whole_pages,
    devices::registers_are_beside_memory,
    devices::registers_are_beside_the_platform,
    devices::a_device_has_one_owner,
    devices::interrupts_are_shown,
    devices::an_interrupt_has_one_owner,
    channels::names_are_plain_and_unique,
    channels::ends_are_two_partitions,
    channels::partitions_have_few,
    channels::have_whole_pages,
    channels::are_in_their_window,
    channels::are_disjoint,
    channels::interrupts_are_shown,
];

/// The rules that a PC adds: its memory has one place, and its devices have ports.
pub(crate) const PC: &[Check] = &[
    memory::starts_where_the_platform_has_it,
    devices::ports_exist_beside_the_platform,
    devices::a_port_has_one_owner,
];

/// The rules of the images.
const IMAGES: &[Check] = &[
    images::flash_fits,
    images::segments_are_inside,
    images::segments_are_disjoint,
    images::entry_is_inside,
];

/// Runs the rules that need no images.
pub fn check_structure(tables: &Tables, sink: Sink) {
    for rule in STRUCTURE.iter().chain(tables.platform.rules) {
        rule(tables, sink);
    }
}

/// Runs the rules of the images.
pub fn check_images(tables: &Tables, sink: Sink) {
    for rule in IMAGES {
        rule(tables, sink);
    }
}

/// Runs all rules.
///
/// # Errors
/// The first one that is broken.
pub fn first(tables: &Tables) -> Result<(), Refusal> {
    let mut first = None;
    for rule in STRUCTURE.iter().chain(tables.platform.rules).chain(IMAGES) {
        rule(tables, &mut |refusal| first = first.or(Some(refusal)));
        if let Some(refusal) = first {
            return Err(refusal);
        }
    }
    Ok(())
}

/// Each pair of a slice's items once: the later one, then an earlier one.
fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    items
        .iter()
        .enumerate()
        .flat_map(|(index, later)| items.iter().take(index).map(move |earlier| (later, earlier)))
}
