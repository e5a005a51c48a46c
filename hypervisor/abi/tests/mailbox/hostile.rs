// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that changes its whole mailbox while it is served: it may steer what
//! it has the right to, and nothing else notices.

use crate::machine::{Machine, host, humble, set};
use crate::memory::Memory;
use abi::mailbox::rights::{Asker, Rights};
use abi::mailbox::ring::{
    Found, MEMORY_LEN, REQUESTS, REQUESTS_WRITTEN, SLOTS, Server, Words, is_servers,
};
use abi::mailbox::server::serve;
use abi::mailbox::state::State;
use abi::mailbox::{Code, HEAD_LEN};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Turns of the server, each after some words have changed.
const TURNS: u64 = 10_000_000;

/// Marsaglia's xorshift: any stream of numbers will do, but the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What the guest does before a turn: half of the time something that looks like a request.
fn spoil(dice: &mut Dice, words: &Memory, server_at: u32) {
    let roll = dice.roll();
    let slot = REQUESTS + server_at % SLOTS * 64;
    match roll & 7 {
        0 => words.set_count((dice.roll() % u64::from(MEMORY_LEN)) as u32 & !3, roll as u32 >> 3),
        1 => words.set_count(REQUESTS_WRITTEN, dice.roll() as u32),
        2 => words.set_count(slot + (roll >> 8 & 0x3c) as u32, dice.roll() as u32),
        _ => {
            let message = (roll >> 8) as u32 % 26;
            let length = if roll >> 16 & 15 == 0 { (roll >> 20) as u32 % 80 } else { 64 };
            let partition = if roll >> 28 & 1 == 0 { 0xffff } else { (roll >> 29) as u32 % 6 };
            words.set_count(slot + 4, message | length << 16);
            words.set_count(slot + 8, partition | ((roll >> 40) as u32 % 4) << 16);
            words.set_count(slot + 16, (roll >> 44) as u32 % 40);
            words.set_count(slot + 20, 0);
            words.set_count(slot + 24, (roll >> 56) as u32 % 4);
            words.set_count(slot + 28, 0);
            let ahead = if roll >> 60 == 0 { 0 } else { 1 };
            words.set_count(REQUESTS_WRITTEN, server_at.wrapping_add(ahead));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered_with_their_own_number_and_a_code(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        message in 0..30u8,
        length in 0..80u8,
        rights in any::<bool>(),
    ) {
        // What looks most like a request is the most dangerous.
        let mut alike = bytes.clone();
        for (place, value) in [(4, message), (5, 0), (6, length), (7, 0)] {
            if let Some(byte) = alike.get_mut(place) {
                *byte = value;
            }
        }
        let asker = if rights { host() } else { humble(3) };
        for bytes in [bytes, alike] {
            let mut machine = Machine::new();
            let answer = serve(&bytes, &asker, &mut machine);
            let code = Code::from_number(answer.code.get());
            prop_assert!(code.is_some());
            prop_assert!(usize::from(answer.length.get()) >= HEAD_LEN);
            let mut head = [0; HEAD_LEN];
            head.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
            prop_assert_eq!(&answer.as_bytes()[..6], &head[..6]);
            // Who has no rights reaches nobody but itself.
            let others = machine.states[..3] == [State::Running; 3];
            prop_assert!(others || rights && code == Some(Code::Ok));
            prop_assert!(machine.done.len() <= 1);
        }
    }
}

#[test]
fn ten_million_hostile_messages_reach_only_what_they_may() {
    let guest = Memory::new();
    let words = guest.side(is_servers);
    let mut server = Server::begin(&guest);
    let asker = Asker {
        own: Some(0),
        rights: Rights { observe: set(&[0, 1, 2, 3]), control: set(&[1]), ..Rights::default() },
    };
    let mut machine = Machine::new();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut answered, mut refused, mut codes) = (0u32, 0u64, [0u64; Code::ALL.len()]);
    for _ in 0..TURNS {
        spoil(&mut dice, &guest, answered);
        match server.next(&words) {
            Found::Nothing => {}
            Found::Refused => refused += 1,
            Found::Request(bytes) => {
                let answer = serve(&bytes, &asker, &mut machine);
                codes[usize::from(answer.code.get())] += 1;
                server.answer(&words, &answer);
                answered = answered.wrapping_add(1);
            }
        }
        machine.done.clear();
        assert_eq!(machine.states[2..], [State::Running; 2]);
        // The two that it may steer come back to life, so that the story goes on.
        for state in &mut machine.states[..2] {
            if state.is_passing() || *state == State::Off {
                *state = State::Running;
            }
        }
    }
    // The dice saw to it that the test tried what it says.
    assert!(u64::from(answered) > TURNS / 2 && refused > TURNS / 100, "{answered} {refused}");
    let never = [Code::Unsupported, Code::Nothing, Code::Busy, Code::Version];
    for code in Code::ALL.iter().filter(|code| !never.contains(code)) {
        assert!(codes[usize::from(code.number())] > 0, "{code:?}");
    }
    assert_eq!(machine.denied, codes[usize::from(Code::Denied.number())]);
}
