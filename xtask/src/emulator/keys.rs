// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program types at the machine's console to reach one partition.

/// Ctrl-], after which a digit moves the hypervisor's focus.
const ESCAPE: u8 = 0x1d;

/// The bytes that type `text` at a partition, by its place in the manifest.
pub fn focused(partition: usize, text: &str) -> Vec<u8> {
    let digit = u8::try_from(partition).map_or(b'0', |place| b'0'.saturating_add(place));
    let mut bytes = vec![ESCAPE, digit];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}
