// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames on a serial line: what is sent arrives whole or not at all, and noise
//! of any kind costs at most itself.

use crate::hostile::Dice;
use crate::machine::{Machine, host};
use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::body::Hello;
use abi::mailbox::frame::{
    Carries, ESCAPE, Input, LINE_START, PAYLOAD_LEN, Receiver, SYNC, TEXT_LEN, decode_line, encode,
    encode_request,
};
use abi::mailbox::request::Request;
use abi::mailbox::server::serve;
use proptest::prelude::*;
use zerocopy::IntoBytes;

fn line(carries: Carries, payload: &[u8]) -> Vec<u8> {
    let mut line = LINE_START.as_bytes().to_vec();
    encode(carries, payload, software, &mut |byte| line.push(byte));
    line
}

fn sent(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_request(payload, software, &mut |byte| bytes.push(byte));
    bytes
}

fn without_zeros(payload: &[u8]) -> &[u8] {
    let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &payload[..end]
}

/// The payloads of the whole requests among these bytes.
fn requests(receiver: &mut Receiver, bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = |byte: &u8| {
        let input = receiver.push(*byte, software);
        (input == Input::Frame(Carries::Request)).then(|| receiver.payload().to_vec())
    };
    bytes.iter().filter_map(whole).collect()
}

fn carries() -> impl Strategy<Value = Carries> {
    prop::sample::select(Carries::ALL)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..=PAYLOAD_LEN)
}

proptest! {
    #[test]
    fn a_line_brings_what_was_sent_but_zeros_at_the_end(carries in carries(), payload in payload()) {
        let line = line(carries, &payload);
        prop_assert!(line.iter().all(|byte| matches!(byte, 0x20..=0x7e)));
        prop_assert!(line.len() <= LINE_START.len() + TEXT_LEN);
        let (what, decoder) = decode_line(&line, software).unwrap();
        prop_assert_eq!(what, carries);
        prop_assert_eq!(decoder.payload(), without_zeros(&payload));
    }

    #[test]
    fn a_line_with_one_wrong_letter_or_a_missing_end_brings_nothing(
        payload in payload(), place in any::<prop::sample::Index>(), wrong in any::<u8>(),
    ) {
        let good = line(Carries::Answer, &payload);
        let place = place.index(good.len());
        let mut bad = good.clone();
        bad[place] = wrong;
        prop_assert!(bad == good || decode_line(&bad, software).is_none());
        prop_assert!(decode_line(&good[..place], software).is_none());
    }

    #[test]
    fn no_line_is_too_strange(line in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(decode_line(&line, software).is_none());
    }

    #[test]
    fn a_request_arrives_once_behind_any_bytes(
        noise in prop::collection::vec(prop_oneof![
            Just(ESCAPE), Just(SYNC), Just(b'\r'), Just(b'A'), any::<u8>(),
        ], 0..60),
        first in payload(),
        second in payload(),
    ) {
        let mut receiver = Receiver::new();
        let mut bytes = noise;
        bytes.extend(sent(&first));
        bytes.extend(sent(&second));
        let expected = [without_zeros(&first), without_zeros(&second)];
        prop_assert_eq!(requests(&mut receiver, &bytes), expected);
    }

    #[test]
    fn keys_and_commands_pass_between_frames(keys in "[a-z ]{0,40}", payload in payload()) {
        let mut bytes = keys.clone().into_bytes();
        bytes.extend(sent(&payload));
        bytes.extend_from_slice(&[ESCAPE, b'2', ESCAPE, ESCAPE, b'x']);
        let mut receiver = Receiver::new();
        let mut seen = Vec::new();
        for byte in bytes {
            match receiver.push(byte, software) {
                Input::Nothing | Input::Damaged => {}
                input => seen.push(input),
            }
        }
        let mut expected: Vec<Input> = keys.bytes().map(Input::Key).collect();
        expected.push(Input::Frame(Carries::Request));
        expected.extend([Input::Command(b'2'), Input::Command(ESCAPE), Input::Key(b'x')]);
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn after_a_mebibyte_of_garbage_the_next_request_is_answered() {
    const ALIKE: &[u8] = b"\x1d:\r\n AZaz09+/=]\x1d:";
    let mut dice = Dice(0x0123_4567_89ab_cdef);
    let mut pick = |letters: &[u8]| letters[dice.roll() as usize % letters.len()];
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let one_request = sent(Request::hello().as_bytes());
    // Any bytes; those that frames are made of; starts of a request that never ends.
    let any = (0..1 << 20).map(|_| pick(&every)).collect();
    let alike = (0..1 << 20).map(|_| pick(ALIKE)).collect();
    let cut = one_request[..one_request.len() - 1].iter().copied().cycle().take(1 << 20).collect();
    let garbage: [Vec<u8>; 3] = [any, alike, cut];
    for garbage in garbage {
        let (mut receiver, mut machine) = (Receiver::new(), Machine::new());
        assert_eq!(requests(&mut receiver, &garbage), Vec::<Vec<u8>>::new());
        let found = requests(&mut receiver, &sent(Request::hello().as_bytes()));
        let answer = serve(&found[0], &host(), &mut machine);
        let (_, decoder) =
            decode_line(&line(Carries::Answer, answer.as_bytes()), software).unwrap();
        let answer = Answer::read(decoder.payload());
        assert_eq!((answer.outcome(), answer.get::<Hello>().version.get()), (Ok(()), 1));
    }
}
