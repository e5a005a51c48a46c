// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition that ends is started again as its policy says, and not oftener
//! or sooner; the others run on.

use crate::rig::{Rig, SMALL, add, draft};
use abi::mailbox::state::State;
use abi::mailbox::state::Why;
use kernel::exit::Power;

const SECOND: u64 = 1_000_000_000;
/// Restarts that are few enough for any policy, because they come seldom.
const MANY: u32 = if cfg!(miri) { 4 } else { 20 };
const BACKOFF: u64 = SECOND / 4;
const SEEN: &str = "[bulkhead] solo: vCPU 0: every vCPU switched itself off\r\n";
const STOPPED: &str = "[bulkhead] solo: stopped: every vCPU switched itself off\r\n";

/// Two partitions, of which the first is restarted twice in a minute after these ends.
fn rig(on: &[Why]) -> Rig {
    let mut draft = draft();
    add(&mut draft, "solo", &[0], SMALL);
    add(&mut draft, "other", &[1], SMALL);
    let record = draft.partitions.first_mut().expect("just added");
    record.restart_on = on.iter().fold(0, |all, why| all | 1 << why.number()).into();
    record.restart_max = 2.into();
    record.restart_within_ns = (60 * SECOND).into();
    record.restart_backoff_ns = BACKOFF.into();
    Rig::running(draft)
}

/// Waits out the backoff; the line that told of the restart.
fn start_again(rig: &Rig) -> String {
    rig.machine.advance(BACKOFF);
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Running);
    rig.console()
}

#[test]
fn a_crash_is_followed_by_a_fresh_start_when_the_backoff_is_over() {
    let rig = rig(&[Why::Crash]);
    rig.power(0, 0, Power::CpuOff);
    assert_eq!(rig.console(), format!("{SEEN}{STOPPED}"));
    rig.machine.advance(BACKOFF - 8);
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Backoff);
    assert_eq!(rig.console(), "");
    rig.machine.advance(8);
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Running);
    assert_eq!(rig.console(), "[bulkhead] solo: restarted (1)\r\n");
    // Its own resets do not wait, and do not count.
    for round in 2..4 {
        rig.power(0, 0, Power::SystemReset);
        assert_eq!(rig.console(), format!("[bulkhead] solo: restarted ({round})\r\n"));
    }
    assert_eq!(rig.partition(1).state(), State::Running);
}

#[test]
fn who_crashes_too_often_is_given_up_and_the_others_run_on() {
    let rig = rig(&[Why::Crash]);
    for round in 1..=2 {
        rig.power(0, 0, Power::CpuOff);
        assert_eq!(rig.console(), format!("{SEEN}{STOPPED}"));
        assert_eq!(start_again(&rig), format!("[bulkhead] solo: restarted ({round})\r\n"));
    }
    rig.power(0, 0, Power::CpuOff);
    let given_up = "[bulkhead] solo: given up after 2 restarts\r\n";
    assert_eq!(rig.console(), format!("{SEEN}{given_up}{STOPPED}"));
    assert_eq!(rig.partition(0).state(), State::Failed);
    rig.machine.advance(1000 * SECOND);
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Failed);
    assert_eq!(rig.partition(1).state(), State::Running);
}

#[test]
fn who_crashes_seldom_is_always_started_again() {
    let rig = rig(&[Why::Crash]);
    for round in 1..=MANY {
        rig.power(0, 0, Power::CpuOff);
        assert_eq!(rig.console(), format!("{SEEN}{STOPPED}"));
        assert_eq!(start_again(&rig), format!("[bulkhead] solo: restarted ({round})\r\n"));
        rig.machine.advance(30 * SECOND);
    }
}

#[test]
fn only_the_ends_that_the_policy_names_are_followed_by_a_start() {
    let rig_off = rig(&[Why::Off]);
    rig_off.power(0, 0, Power::SystemOff);
    assert_eq!(rig_off.console(), "[bulkhead] solo: off\r\n");
    assert_eq!(start_again(&rig_off), "[bulkhead] solo: restarted (1)\r\n");
    rig_off.power(0, 0, Power::CpuOff);
    assert_eq!(rig_off.console(), format!("{SEEN}{STOPPED}"));
    assert_eq!(rig_off.partition(0).state(), State::Failed);

    let rig_crash = rig(&[Why::Crash]);
    rig_crash.power(0, 0, Power::SystemOff);
    assert_eq!(rig_crash.console(), "[bulkhead] solo: off\r\n");
    assert_eq!(rig_crash.partition(0).state(), State::Off);
}
