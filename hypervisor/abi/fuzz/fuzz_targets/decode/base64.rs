// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a frame's letters say, read in the plainest way: as a row of bits.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether a frame can have the letter.
pub(crate) fn is_letter(byte: u8) -> bool {
    LETTERS.contains(&byte)
}

/// The bytes that letters stand for; none if there is another character among them, a letter too
/// many, or a bit behind the last byte that is not zero.
pub(crate) fn bytes(letters: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<usize>> =
        letters.iter().map(|byte| LETTERS.iter().position(|letter| letter == byte)).collect();
    let bit = |digit: usize| (0..6).rev().map(move |place| digit >> place & 1 == 1);
    let bits: Vec<bool> = digits?.into_iter().flat_map(bit).collect();
    let (whole, rest) = bits.split_at(bits.len() / 8 * 8);
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    (rest.len() < 6 && rest.iter().all(|bit| !bit)).then(|| whole.chunks(8).map(byte).collect())
}
