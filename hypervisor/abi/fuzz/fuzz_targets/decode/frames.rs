// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames: a second reader, written from the specification, agrees with the decoder on every
//! line and on every stream; what is sent behind any stream arrives, once and whole.

use crate::base64;
use abi::crc32c::{Step, software};
use abi::mailbox::frame::{
    Carries, END, ESCAPE, FRAME_HEAD, Input, LINE_START, PAYLOAD_LEN, Receiver, SYNC, TEXT_LEN,
    decode_line, encode, encode_request,
};
use libfuzzer_sys::arbitrary::Unstructured;

/// A checksum of which chance finds the right one: of a sum that is zero, four letters "A".
fn weak(_: u32, _: &[u8]) -> u32 {
    0
}

/// What a frame's letters carry; none if it is damaged.
fn frame(letters: &[u8], step: Step) -> Option<(Carries, Vec<u8>)> {
    let bytes = base64::bytes(letters)?;
    let (head, payload) = bytes.split_at_checked(FRAME_HEAD)?;
    let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let right = step(step(0, &head[..4]), payload).to_le_bytes();
    let whole = payload.len() == length && length <= PAYLOAD_LEN && head[4..] == right;
    Carries::from_number(head[0]).filter(|_| whole).map(|carries| (carries, payload.to_vec()))
}

fn without_zeros(payload: &[u8]) -> &[u8] {
    let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &payload[..end]
}

fn written(carries: Carries, payload: &[u8], step: Step) -> Vec<u8> {
    let mut letters = Vec::new();
    encode(carries, payload, step, &mut |byte| letters.push(byte));
    assert!(letters.len() <= TEXT_LEN && letters.iter().all(|letter| base64::is_letter(*letter)));
    letters
}

fn sent(payload: &[u8], step: Step) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_request(payload, step, &mut |byte| bytes.push(byte));
    bytes
}

/// Bytes that stand in a line where a frame would, and the same bytes as a frame's payload.
pub(crate) fn line(bytes: &[u8]) {
    for step in [weak, software] {
        decoded(bytes, step);
    }
    let Some((first, payload)) = bytes.split_first() else { return };
    let payload = &payload[..payload.len().min(PAYLOAD_LEN)];
    let carries = Carries::ALL[usize::from(*first) % Carries::ALL.len()];
    let good = written(carries, payload, software);
    assert_eq!(decoded(&good, software), Some((carries, without_zeros(payload).to_vec())));
    // One wrong letter, or one too few.
    let place = usize::from(*first) % good.len();
    let mut bad = good.clone();
    bad[place] = if bad[place] == b'A' { b'B' } else { b'A' };
    assert_eq!(decoded(&bad, software), None);
    assert_eq!(decoded(&good[1..], software), None);
    assert_eq!(decoded(&good[..good.len() - 1], software), None);
}

/// What a line carries, which is what the second reader finds in it.
fn decoded(letters: &[u8], step: Step) -> Option<(Carries, Vec<u8>)> {
    let line = [LINE_START.as_bytes(), letters].concat();
    let found =
        decode_line(&line, step).map(|(carries, decoder)| (carries, decoder.payload().to_vec()));
    assert_eq!(found, frame(letters, step));
    if let Some((carries, payload)) = &found {
        let again = written(*carries, payload, step);
        // There is one way to write a frame, but for zeros at its end and the byte that nobody looks at.
        let plain =
            without_zeros(payload) == payload && base64::bytes(letters).is_some_and(|b| b[1] == 0);
        assert!(!plain || again == letters);
        assert_eq!(frame(&again, step), Some((*carries, without_zeros(payload).to_vec())));
    }
    found
}

/// A stream made of what makes trouble: keys, frames that are whole, cut, damaged or endless, and noise.
fn made(input: &mut Unstructured, step: Step) -> Vec<u8> {
    let mut stream = Vec::new();
    while let Ok(choice) = input.arbitrary::<u8>() {
        let length = input.arbitrary::<u8>().unwrap_or(0);
        if input.is_empty() {
            break;
        }
        let some = input.len().min(usize::from(length) % 48);
        let payload = input.bytes(some).unwrap_or(&[]);
        let mut whole = sent(payload, step);
        match choice % 8 {
            0 => stream.extend_from_slice(payload),
            1 => stream.extend([ESCAPE, SYNC]),
            2 => stream.extend([ESCAPE, length]),
            3 => stream.extend(core::iter::repeat_n(b'A', usize::from(length) * 2)),
            4 => whole.truncate(usize::from(length) % whole.len()),
            5 => {
                let place = usize::from(length) % whole.len();
                whole[place] ^= choice | 1;
            }
            6 => {
                let carries = Carries::ALL[usize::from(length) % Carries::ALL.len()];
                stream.extend([ESCAPE, SYNC]);
                stream.extend(written(carries, payload, step));
                stream.push(END);
            }
            _ => {}
        }
        if matches!(choice % 8, 4 | 5 | 7) {
            stream.extend(whole);
        }
    }
    stream
}

/// What a receiver makes of a stream, with a frame's payload behind it.
type Seen = (Input, Vec<u8>);

/// The same by the second reader, without what has not ended.
fn expected(mut rest: &[u8], step: Step) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        match rest {
            [] | [ESCAPE] => return seen,
            [ESCAPE, SYNC, after @ ..] => {
                let letters = after.iter().take_while(|byte| base64::is_letter(**byte)).count();
                if letters > TEXT_LEN + 1 {
                    // Given up at the letter with which a byte too many is complete.
                    rest = &after[TEXT_LEN + 1..];
                    continue;
                }
                match after.get(letters) {
                    None => return seen,
                    Some(&END) => {
                        seen.push(match frame(&after[..letters], step) {
                            Some((carries, payload)) => (Input::Frame(carries), payload),
                            None => (Input::Damaged, Vec::new()),
                        });
                        rest = &after[letters + 1..];
                    }
                    Some(_) => rest = &after[letters..],
                }
            }
            [ESCAPE, key, after @ ..] => {
                seen.push((Input::Command(*key), Vec::new()));
                rest = after;
            }
            [key, after @ ..] => {
                seen.push((Input::Key(*key), Vec::new()));
                rest = after;
            }
        }
    }
}

fn received(receiver: &mut Receiver, stream: &[u8], step: Step) -> Vec<Seen> {
    let mut seen = Vec::new();
    for byte in stream {
        match receiver.push(*byte, step) {
            Input::Nothing => {}
            input @ Input::Frame(_) => seen.push((input, receiver.payload().to_vec())),
            input @ (Input::Key(_) | Input::Command(_) | Input::Damaged) => {
                seen.push((input, Vec::new()));
            }
        }
    }
    seen
}

/// Bytes that say what comes in on a serial line.
pub(crate) fn stream(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let step = if which & 1 == 0 { weak } else { software };
    let stream =
        if which & 2 == 0 { bytes.to_vec() } else { made(&mut Unstructured::new(bytes), step) };
    let mut receiver = Receiver::new();
    assert_eq!(received(&mut receiver, &stream, step), expected(&stream, step));
    // Whatever came before: the next request arrives, once, with its last byte.
    let payload = &bytes[..bytes.len().min(PAYLOAD_LEN)];
    let request = sent(payload, step);
    let whole = (Input::Frame(Carries::Request), without_zeros(payload).to_vec());
    let (last, start) = request.split_last().unwrap();
    let frames =
        |seen: &[Seen]| seen.iter().filter(|(input, _)| matches!(input, Input::Frame(_))).count();
    assert_eq!(frames(&received(&mut receiver, start, step)), 0);
    assert_eq!(received(&mut receiver, &[*last], step), [whole]);
}
