// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two askers, the guest, the clock and the CPU that parks, wipes and fills: every
//! order of what each of them does to one life. A life is behind one lock, so
//! what happens under it is one step; how many partitions are alive is counted
//! beside it, as the kernel does, when one starts, and when one has ended.

use crate::life::{POLICY, lives};
use abi::mailbox::Failure;
use abi::mailbox::life::Life;
use abi::mailbox::state::{State, Step, Why};

/// Time enough for a backoff to be over, and for a stop.
const NOW: u64 = 1_500_000_000;
const STEPS: [Step; 6] =
    [Step::Start, Step::Stop, Step::Kill, Step::Restart, Step::Pause, Step::Resume];

/// Whoever does something, once; the CPU does as long as there is something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Actor {
    Asks(Step),
    Ends(Why),
    Clock,
    Cpu,
    /// Takes one from the count, in a step of its own.
    Uncounts,
    Done,
}

#[derive(Clone)]
struct World {
    life: Life,
    alive: i32,
    actors: [Actor; 5],
}

const fn is_alive(state: State) -> bool {
    !matches!(state, State::Waiting | State::Off | State::Failed)
}

impl World {
    fn ask(&mut self, step: Step) -> Result<State, Failure> {
        let before = self.life.state();
        let asked = match step {
            Step::Stop => self.life.stop(0, NOW),
            _ => self.life.ask(step, &POLICY, NOW),
        };
        assert_eq!(asked, before.after(step).ok_or(before.refusal()));
        if !is_alive(before) && asked == Ok(State::Starting) {
            self.alive += 1;
        }
        asked
    }

    /// One step of an actor, if it has one; what it does next.
    fn act(&mut self, actor: Actor) -> Option<Actor> {
        let before = self.life.state();
        Some(match actor {
            Actor::Done => return None,
            Actor::Uncounts => {
                self.alive -= 1;
                Actor::Done
            }
            Actor::Asks(step) => match self.ask(step) {
                Ok(State::Off) if is_alive(before) => Actor::Uncounts,
                _ => Actor::Done,
            },
            Actor::Ends(why) => {
                let ended = self.life.end(why, &POLICY, NOW);
                assert_eq!(ended, before.after(Step::End).is_some());
                Actor::Done
            }
            Actor::Clock => {
                let due = self.life.due(&POLICY, NOW);
                assert_eq!(due.is_some(), before != self.life.state());
                Actor::Done
            }
            Actor::Cpu => match before {
                State::Starting => {
                    assert!(self.life.filled(&POLICY, NOW));
                    Actor::Cpu
                }
                State::Ending => {
                    self.life.parked(NOW);
                    Actor::Cpu
                }
                State::Wiping => {
                    let uncounts = !is_alive(self.life.wiped());
                    // The CPU takes nothing else up before it has counted.
                    if uncounts { Actor::Uncounts } else { Actor::Cpu }
                }
                _ => return None,
            },
        })
    }

    /// All that can follow; how many orders there were.
    fn explore(self) -> u64 {
        let mut orders = 0;
        for number in 0..self.actors.len() {
            let mut next = self.clone();
            let actor = next.actors[number];
            let Some(then) = next.act(actor) else { continue };
            // The CPU goes on after it has counted.
            let cpu = number == 0 && then == Actor::Done;
            next.actors[number] = if cpu { Actor::Cpu } else { then };
            assert!(next.alive >= 0);
            orders += next.explore();
        }
        if orders == 0 {
            let state = self.life.state();
            assert!(!state.is_passing(), "{state:?}");
            assert_eq!(self.alive, i32::from(is_alive(state)), "{state:?}");
            return 1;
        }
        orders
    }
}

#[test]
fn in_every_order_of_two_requests_an_end_and_a_deadline_the_count_is_right() {
    let mut orders = 0;
    for life in lives() {
        for first in STEPS {
            for second in STEPS {
                for end in [Why::Off, Why::Reset, Why::Crash] {
                    let actors = [
                        Actor::Cpu,
                        Actor::Asks(first),
                        Actor::Asks(second),
                        Actor::Ends(end),
                        Actor::Clock,
                    ];
                    let alive = i32::from(is_alive(life.state()));
                    orders += World { life: life.clone(), alive, actors }.explore();
                }
            }
        }
    }
    assert!(orders > 50_000, "{orders}");
}
