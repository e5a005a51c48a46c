// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program types at the machine's console to reach one partition.

/// Ctrl-], after which a digit moves the hypervisor's focus, and `n` to the next partition.
const ESCAPE: u8 = 0x1d;
/// The last partition that has a digit.
const LAST: usize = 9;

/// The bytes that type `text` at a partition, by its place in the manifest.
#[must_use]
pub fn focused(partition: usize, text: &str) -> Vec<u8> {
    let near = partition.min(LAST);
    let digit = u8::try_from(near).map_or(b'0', |place| b'0' + place);
    let mut bytes = vec![ESCAPE, digit];
    for _ in near..partition {
        bytes.extend([ESCAPE, b'n']);
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_beyond_the_digits_are_reached_step_by_step() {
        assert_eq!(focused(3, "ls\n"), b"\x1d3ls\n");
        assert_eq!(focused(9, "x"), b"\x1d9x");
        assert_eq!(focused(11, "x"), b"\x1d9\x1dn\x1dnx");
    }
}
