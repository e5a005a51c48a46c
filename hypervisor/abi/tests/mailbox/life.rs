// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a partition: every change in every state, the restart policy
//! over any story, and the watchdog.

use abi::mailbox::life::{Due, Life};
use abi::mailbox::policy::{Fate, MOST_RESTARTS, Otherwise, Policy};
use abi::mailbox::state::{State, Step, Why};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// `on = ["crash", "watchdog"], max = 3, within = "60 s", backoff = "1 s"`, two seconds of watchdog.
pub(crate) const POLICY: Policy = Policy {
    on: 1 << Why::Crash.number() | 1 << Why::Watchdog.number(),
    max: 3,
    within: 60 * SECOND,
    backoff: SECOND,
    uptime: 0,
    otherwise: Otherwise::RebootMachine,
    watchdog: Some(2 * SECOND),
};

const ASKED: [Step; 5] = [Step::Start, Step::Kill, Step::Restart, Step::Pause, Step::Resume];
const BY_ITSELF: [Why; 4] = [Why::Off, Why::Reset, Why::Crash, Why::Watchdog];

fn running(policy: &Policy, now: u64) -> Life {
    let mut life = Life::new(true);
    assert!(life.filled(policy, now));
    life
}

/// One life in each state, by the shortest way there.
pub(crate) fn lives() -> Vec<Life> {
    let asked = |mut life: Life, step| {
        life.ask(step, &POLICY, 0).unwrap();
        life
    };
    let ended = |why| {
        let mut life = running(&POLICY, 0);
        assert!(life.end(why, &POLICY, 0));
        life
    };
    let mut failed = running(&Policy::NONE, 0);
    assert!(failed.end(Why::Crash, &Policy::NONE, 0));
    let parked = |mut life: Life| {
        life.parked(0);
        life
    };
    let wiped = |mut life: Life| {
        life.wiped();
        life
    };
    let mut stopping = running(&POLICY, 0);
    stopping.stop(SECOND, 0).unwrap();
    vec![
        Life::new(false),
        Life::new(true),
        running(&POLICY, 0),
        asked(running(&POLICY, 0), Step::Pause),
        stopping,
        ended(Why::Off),
        parked(ended(Why::Off)),
        wiped(parked(ended(Why::Crash))),
        wiped(parked(ended(Why::Off))),
        wiped(parked(failed)),
    ]
}

#[test]
fn every_change_in_every_state_is_the_one_of_the_table_or_none() {
    let lives = lives();
    assert!(lives.iter().map(Life::state).eq(State::ALL.iter().copied()));
    for life in &lives {
        let state = life.state();
        let expect = |changed: &Life, step: Step, what: &str| {
            let next = state.after(step).unwrap_or(state);
            assert_eq!(changed.state(), next, "{what} in {state:?}");
        };
        for step in Step::ALL {
            let mut changed = life.clone();
            let asked = changed.ask(step, &POLICY, 0);
            if ASKED.contains(&step) {
                assert_eq!(
                    asked,
                    state.after(step).ok_or(state.refusal()),
                    "{step:?} in {state:?}"
                );
                expect(&changed, step, "asked");
            } else {
                assert!(asked.is_err());
                assert_eq!(changed.state(), state);
            }
        }
        let mut changed = life.clone();
        assert_eq!(changed.stop(0, 0), state.after(Step::Stop).ok_or(state.refusal()));
        for why in BY_ITSELF {
            let mut changed = life.clone();
            assert_eq!(changed.end(why, &POLICY, 0), state.after(Step::End).is_some());
            expect(&changed, Step::End, "ended");
        }
        let mut changed = life.clone();
        assert_eq!(changed.filled(&POLICY, 0), state.after(Step::Filled).is_some());
        expect(&changed, Step::Filled, "filled");
        let mut changed = life.clone();
        changed.abandon(0);
        expect(&changed, Step::Abandon, "abandoned");
        let mut changed = life.clone();
        changed.parked(0);
        expect(&changed, Step::Parked, "parked");
    }
}

/// Runs a story's parking, wiping and filling; what state it comes to rest in.
fn settle(life: &mut Life, policy: &Policy, now: u64) -> State {
    // At most ending, wiping, and starting.
    for _ in 0..3 {
        match life.state() {
            State::Ending => drop(life.parked(now)),
            State::Wiping => drop(life.wiped()),
            State::Starting => assert!(life.filled(policy, now)),
            _ => break,
        }
    }
    assert!(!life.state().is_passing());
    life.state()
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ask(Step),
    Stop(u64),
    End(Why),
    Kick,
    Time(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => prop::sample::select(&ASKED[..]).prop_map(Act::Ask),
        1 => (0..5 * SECOND).prop_map(Act::Stop),
        4 => prop::sample::select(&BY_ITSELF[..]).prop_map(Act::End),
        1 => Just(Act::Kick),
        6 => (0..10 * SECOND).prop_map(Act::Time),
    ];
    prop::collection::vec(act, 0..200)
}

fn policies() -> impl Strategy<Value = Policy> {
    (any::<u32>(), 0..=MOST_RESTARTS, 0..100 * SECOND, 0..5 * SECOND, 0..5 * SECOND).prop_map(
        |(on, max, within, backoff, uptime)| Policy { on, max, within, backoff, uptime, ..POLICY },
    )
}

proptest! {
    #[test]
    fn no_story_restarts_more_often_or_sooner_than_the_policy_says(policy in policies(), acts in acts()) {
        let mut life = running(&policy, 0);
        let mut now = 0;
        let mut restarts: Vec<u64> = Vec::new();
        for act in acts {
            let (state, ended) = (life.state(), life.times().1);
            match act {
                Act::Ask(step) => drop(life.ask(step, &policy, now)),
                Act::Stop(within) => drop(life.stop(within, now)),
                Act::End(why) => drop(life.end(why, &policy, now)),
                Act::Kick => life.watchdog_mut().kick(now),
                Act::Time(passed) => now += passed,
            }
            let due = life.deadline().is_some_and(|deadline| deadline <= now);
            let came = life.due(&policy, now);
            prop_assert_eq!(due, came.is_some());
            if came == Some(Due::Start) {
                prop_assert!(now >= ended + policy.backoff);
                prop_assert!(now >= life.times().0 + policy.uptime);
            }
            if life.state() == State::Ending && matches!(life.fate(), Fate::Again(_)) {
                match life.why().unwrap() {
                    Why::Reset | Why::Restarted => {}
                    why => {
                        prop_assert!(policy.covers(why));
                        restarts.push(now);
                    }
                }
            }
            settle(&mut life, &policy, now);
            prop_assert!(life.state() != State::Starting);
            if state == State::Failed && !matches!(act, Act::Ask(_)) {
                prop_assert_eq!(life.state(), State::Failed);
            }
        }
        for (first, time) in restarts.iter().enumerate() {
            let within = restarts[first..].iter().filter(|other| *other - time < policy.within);
            prop_assert!(within.count() <= policy.max || policy.within == 0);
        }
    }
}

#[test]
fn a_guest_that_gets_stuck_is_caught_and_given_up_after_three_restarts() {
    let mut life = running(&POLICY, 0);
    let mut now = 0;
    for restart in 0..3 {
        assert_eq!(
            (life.restarts(), life.restarts_left(&POLICY, now)),
            (restart, 3 - restart as usize)
        );
        now += 2 * SECOND;
        assert_eq!(life.due(&POLICY, now - 1), None);
        assert_eq!(life.due(&POLICY, now), Some(Due::End(Why::Watchdog)));
        assert_eq!(settle(&mut life, &POLICY, now), State::Backoff);
        now += SECOND;
        assert_eq!(life.due(&POLICY, now - 1), None);
        assert_eq!(life.due(&POLICY, now), Some(Due::Start));
        assert_eq!(settle(&mut life, &POLICY, now), State::Running);
    }
    now += 2 * SECOND;
    assert_eq!(life.due(&POLICY, now), Some(Due::End(Why::Watchdog)));
    assert_eq!(life.fate(), Fate::GivenUp(Otherwise::RebootMachine));
    assert_eq!(settle(&mut life, &POLICY, now), State::Failed);
    assert_eq!(life.deadline(), None);
    // A request starts it all the same, and its past is forgotten in time.
    life.ask(Step::Start, &POLICY, now + 60 * SECOND).unwrap();
    assert_eq!(life.restarts_left(&POLICY, now + 60 * SECOND), 3);
}

#[test]
fn a_guest_that_kicks_lives_and_a_pause_does_not_count() {
    let mut life = running(&POLICY, 0);
    for second in 1..100 {
        life.watchdog_mut().kick(second * SECOND);
        assert_eq!(life.due(&POLICY, second * SECOND), None);
    }
    life.ask(Step::Pause, &POLICY, 100 * SECOND).unwrap();
    assert_eq!((life.deadline(), life.due(&POLICY, 1000 * SECOND)), (None, None));
    life.ask(Step::Resume, &POLICY, 1000 * SECOND).unwrap();
    assert_eq!(life.deadline(), Some(1001 * SECOND));
}

#[test]
fn a_watchdog_of_the_manifest_can_be_shortened_and_not_taken_away() {
    let mut life = running(&POLICY, 0);
    assert!(!life.watchdog_mut().arm(3 * SECOND, 0));
    assert_eq!(life.deadline(), Some(2 * SECOND));
    assert!(life.watchdog_mut().arm(SECOND, 0));
    assert_eq!(life.deadline(), Some(SECOND));
    life.watchdog_mut().disarm(SECOND);
    assert_eq!(life.deadline(), Some(3 * SECOND));

    let none = Policy { watchdog: None, ..POLICY };
    let mut life = running(&none, 0);
    assert_eq!(life.deadline(), None);
    assert!(life.watchdog_mut().arm(3600 * SECOND, 0));
    assert_eq!(life.deadline(), Some(3600 * SECOND));
    life.watchdog_mut().disarm(0);
    assert_eq!(life.deadline(), None);
}

#[test]
fn who_is_asked_to_stop_obeys_or_is_killed() {
    for (why, cause) in [(Why::Off, Why::Stopped), (Why::Reset, Why::Stopped)] {
        let mut life = running(&Policy::NONE, 0);
        assert_eq!(life.stop(5 * SECOND, 0), Ok(State::Stopping));
        assert!(life.end(why, &Policy::NONE, SECOND));
        assert_eq!((life.why(), life.fate()), (Some(cause), Fate::Off));
    }
    let mut life = running(&Policy::NONE, 0);
    assert_eq!(life.stop(5 * SECOND, SECOND), Ok(State::Stopping));
    assert_eq!(life.deadline(), Some(6 * SECOND));
    assert_eq!(life.due(&Policy::NONE, 6 * SECOND), Some(Due::End(Why::Killed)));
    assert_eq!(settle(&mut life, &Policy::NONE, 6 * SECOND), State::Off);
}

#[test]
fn a_reset_starts_again_at_once_whatever_the_policy_says() {
    let mut life = running(&Policy::NONE, 0);
    assert!(life.end(Why::Reset, &Policy::NONE, SECOND));
    assert!(!life.end(Why::Crash, &Policy::NONE, SECOND));
    assert_eq!(life.parked(SECOND), State::Starting);
    assert!(life.filled(&Policy::NONE, SECOND));
    assert_eq!((life.restarts(), life.times()), (1, (SECOND, SECOND)));
}

#[test]
fn who_met_a_bug_of_the_hypervisor_in_any_state_is_never_started_again() {
    for life in lives() {
        let mut life = life;
        life.abandon(7);
        assert_eq!((life.state(), life.why()), (State::Failed, Some(Why::Panic)));
        assert_eq!(life.deadline(), None);
        for step in ASKED {
            assert_eq!(life.ask(step, &POLICY, 8), Err(State::Failed.refusal()));
        }
        assert!(!life.filled(&POLICY, 8) && !life.end(Why::Off, &POLICY, 8));
        assert_eq!((life.parked(8), life.wiped()), (State::Failed, State::Failed));
    }
}

#[test]
fn who_is_not_to_be_started_after_all_was_switched_off() {
    let waits = [lives().remove(0), lives().remove(7)];
    assert_eq!(waits.each_ref().map(Life::state), [State::Waiting, State::Backoff]);
    for life in waits {
        let mut killed = life.clone();
        assert_eq!(killed.ask(Step::Kill, &POLICY, 5), Ok(State::Off));
        assert_eq!((killed.why(), killed.fate()), (Some(Why::Killed), Fate::Off));
        let mut stopped = life.clone();
        assert_eq!(stopped.stop(SECOND, 5), Ok(State::Off));
        assert_eq!((stopped.why(), stopped.fate()), (Some(Why::Stopped), Fate::Off));
        for ended in [killed, stopped] {
            assert_eq!((ended.deadline(), ended.times()), (None, life.times()));
        }
    }
}
