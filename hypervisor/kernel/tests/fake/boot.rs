// SPDX-License-Identifier: MIT OR Apache-2.0
//! What does not fit is refused with the names of both owners, and nothing
//! half-starts.

use crate::rig::{HOST_RAM, SMALL, add, channel, draft, facts, text};
use abi::placement::Reserved;
use abi::records::name;
use kernel::arch::{Event, Machine, Serial, Stopped};
use kernel::boot;
use kernel::exit::{Exit, Power};

/// Boots what must be refused; the console's last line.
fn refusal(change: impl FnOnce(&mut boot::Machine), bundle: Vec<u8>) -> String {
    let machine = Machine::start();
    let mut facts = facts(machine.keep(&bundle), 2);
    change(&mut facts);
    let booted = machine.on(2, || {
        kernel::console::start(
            Serial::new(kernel::console::Line::Console),
            kernel::console::Line::Console,
        );
        boot::boot(facts)
    });
    assert_eq!(booted.err(), Some(Stopped::Machine));
    assert!(machine.started().is_empty(), "something started");
    let written = |event: &Event| matches!(event, Event::Copied { .. } | Event::Zeroed { .. });
    assert!(!machine.events().iter().any(written), "memory was written");
    let console = text(&machine.sent());
    let last = console.lines().last().expect("it says why").to_owned();
    let why = last.strip_prefix("[bulkhead] end: failed boot ").expect("it failed at boot");
    assert!(console.contains(&format!("[bulkhead] refused: {why}\r\n")), "{console}");
    why.to_owned()
}

fn good() -> Vec<u8> {
    let mut draft = draft();
    add(&mut draft, "one", &[0], SMALL);
    add(&mut draft, "two", &[1], SMALL);
    draft.channels = vec![channel("line", [0, 1], 0, 0)];
    draft.write()
}

#[test]
#[cfg_attr(miri, ignore = "the seats of a CPU that boots and serves are leaked")]
fn a_machine_of_one_cpu_boots_runs_and_powers_off() {
    let machine = Machine::start();
    let mut draft = draft();
    add(&mut draft, "solo", &[1], SMALL);
    // CPU 1 boots and serves its own seat.
    let facts = facts(machine.keep(&draft.write()), 1);
    machine.play(0, 0, [Power::SystemReset, Power::SystemOff].map(Exit::Power));
    let booted = machine.on(1, || {
        kernel::console::start(
            Serial::new(kernel::console::Line::Console),
            kernel::console::Line::Console,
        );
        boot::boot(facts)
    });
    assert_eq!(booted.err(), Some(Stopped::Machine));
    let console = text(&machine.sent());
    let (head, life) = console.split_once("KiB in use\r\n").expect("it says what memory it uses");
    assert!(head.starts_with("[bulkhead] Bulkhead "), "{head}");
    assert_eq!(
        life,
        "[bulkhead] solo: started\r\n[bulkhead] solo: restarted (1)\r\n\
         [bulkhead] solo: off\r\n[bulkhead] end: ok\r\n"
    );
}

#[test]
fn a_damaged_bundle_is_refused() {
    let mut bundle = good();
    let middle = bundle.len() / 2;
    bundle[middle] ^= 0x10;
    assert!(!refusal(|_| (), bundle).is_empty());
    assert!(!refusal(|_| (), Vec::new()).is_empty());
}

#[test]
fn a_cpu_that_is_absent_is_refused_with_its_partition() {
    let why = refusal(|machine| machine.cpus = 1, good());
    assert!(why.contains("two"), "{why}");
}

#[test]
fn memory_that_does_not_fit_is_refused_with_its_owner() {
    let all = |machine: &mut boot::Machine| {
        machine.reserved = vec![Reserved::new("firmware", HOST_RAM, 0xff_f000)];
    };
    let why = refusal(all, good());
    assert!(why.contains("two") || why.contains("one"), "{why}");
}

#[test]
fn the_hypervisors_own_memory_is_given_to_nobody() {
    let mut draft = draft();
    add(&mut draft, "thief", &[0], SMALL);
    draft.partitions[0].memory_host = HOST_RAM.into();
    let why = refusal(|_| (), draft.write());
    assert!(why.contains("thief") && why.contains("hypervisor"), "{why}");
}

#[test]
fn a_bundle_without_partitions_is_refused_or_ends() {
    let empty = draft().write();
    assert!(!refusal(|_| (), empty).is_empty());
    assert!(name("this name is too long for a record").is_none());
}
