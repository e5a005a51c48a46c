// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two requesters and the CPU that parks, wipes and fills, as threads of shuttle: the server's
//! own code over one life behind a lock, in schedules that a seed picks. Beside `interleave`,
//! which walks all orders of what happens under the lock, this has what happens between: a state
//! that was looked at is an old one when the request is carried out.

use crate::life::{POLICY, lives};
use abi::mailbox::answer::Answer;
use abi::mailbox::body::Changed;
use abi::mailbox::life::Life;
use abi::mailbox::request::{Order, Request};
use abi::mailbox::rights::{Asker, Rights};
use abi::mailbox::server::{Backend, serve};
use abi::mailbox::state::{State, Step};
use abi::mailbox::{Code, Failure, Message};
use shuttle::Runner;
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;
use zerocopy::IntoBytes;

const SEED: u64 = 0x00b0_1de5_7a7e;
/// Schedules of each pair of requests in each state.
const SCHEDULES: usize = 30;
const NOW: u64 = 1_500_000_000;
const STEPS: [Message; 6] = [
    Message::Start,
    Message::Stop,
    Message::Kill,
    Message::Restart,
    Message::Pause,
    Message::Resume,
];

/// A partition, its life behind the one lock, and how many are alive beside it.
struct World {
    life: Mutex<Life>,
    alive: AtomicI32,
    asking: AtomicUsize,
}

const fn is_alive(state: State) -> bool {
    !matches!(state, State::Waiting | State::Off | State::Failed)
}

impl World {
    fn state(&self) -> State {
        self.life.lock().unwrap().state()
    }

    fn change(&self, step: Step) -> Result<(), Failure> {
        let mut life = self.life.lock().unwrap();
        let before = life.state();
        let asked = match step {
            Step::Stop => life.stop(0, NOW)?,
            _ => life.ask(step, &POLICY, NOW)?,
        };
        if !is_alive(before) && asked == State::Starting {
            self.alive.fetch_add(1, Ordering::SeqCst);
        }
        drop(life);
        if is_alive(before) && asked == State::Off {
            self.alive.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// What the CPU does next; false if there is nothing.
    fn work(&self) -> bool {
        let mut life = self.life.lock().unwrap();
        match life.state() {
            State::Starting => assert!(life.filled(&POLICY, NOW)),
            State::Ending => {
                life.parked(NOW);
            }
            State::Wiping => {
                let ended = !is_alive(life.wiped());
                drop(life);
                if ended {
                    self.alive.fetch_sub(1, Ordering::SeqCst);
                }
            }
            _ => return false,
        }
        true
    }

    /// The one answer to a request.
    fn ask(&self, number: u32, message: Message) -> Answer {
        let request = Request { number: number.into(), ..Request::new(message, 0) };
        let asker = Asker { own: None, rights: Rights::all() };
        let answer = serve(request.as_bytes(), &asker, &mut Desk(self));
        assert_eq!((answer.number.get(), answer.known()), (number, Some(message)));
        answer
    }
}

struct Desk<'a>(&'a World);

impl Backend for Desk<'_> {
    fn partitions(&self) -> usize {
        1
    }

    fn vcpus(&self, _: usize) -> usize {
        1
    }

    fn state(&self, _: usize) -> State {
        self.0.state()
    }

    fn denied(&mut self, _: &Asker, message: Message, _: usize) {
        unreachable!("{message:?} is allowed");
    }

    fn carry_out(
        &mut self,
        order: &Order,
        _: usize,
        _: &Asker,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.0.change(match order {
            Order::Start => Step::Start,
            Order::Stop(_) => Step::Stop,
            Order::Kill => Step::Kill,
            Order::Restart => Step::Restart,
            Order::Pause => Step::Pause,
            Order::Resume => Step::Resume,
            other => unreachable!("{other:?}"),
        })?;
        let state = self.0.state().number().into();
        answer.put(&Changed { state, ..Changed::default() });
        Ok(())
    }
}

/// Two requests at once, while the CPU works.
fn race(life: Life, messages: [Message; 2]) {
    let before = life.state();
    let alive = AtomicI32::new(i32::from(is_alive(before)));
    let world = Arc::new(World { life: Mutex::new(life), alive, asking: AtomicUsize::new(2) });
    let askers = [0, 1].map(|asker| {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            let answer = world.ask(asker as u32 + 7, messages[asker]);
            world.asking.fetch_sub(1, Ordering::SeqCst);
            Code::from_number(answer.code.get()).unwrap()
        })
    });
    let cpu = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            while world.work() || world.asking.load(Ordering::SeqCst) > 0 {
                thread::yield_now();
            }
        })
    };
    let codes = askers.map(|asker| asker.join().unwrap());
    cpu.join().unwrap();
    while world.work() {}
    let case = format!("{messages:?} in {before:?}: {codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Code::Ok | Code::State | Code::Busy)), "{case}");
    let state = world.state();
    assert!(!state.is_passing(), "{case}, {state:?}");
    assert_eq!(world.alive.load(Ordering::SeqCst), i32::from(is_alive(state)), "{case}, {state:?}");
    let changed = codes.contains(&Code::Ok);
    assert!(changed || before.is_passing() || state == before, "{case}, {state:?}");
    // Of two that can happen once, one does.
    let once = [Message::Start, Message::Pause, Message::Resume].contains(&messages[0]);
    if messages[0] == messages[1] && once {
        assert!(codes != [Code::Ok; 2], "{case}");
    }
}

#[test]
fn of_two_requests_at_once_each_has_one_answer_and_the_count_is_right() {
    for life in lives() {
        for first in STEPS {
            for second in STEPS {
                let scheduler = RandomScheduler::new_from_seed(SEED, SCHEDULES);
                let life = life.clone();
                Runner::new(scheduler, shuttle::Config::default())
                    .run(move || race(life.clone(), [first, second]));
            }
        }
    }
}
