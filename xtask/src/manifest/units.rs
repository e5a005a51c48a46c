// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quantities with their unit: `"512 MiB"`, `"100 us"`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Read, Reader, Value};

const SIZES: [(&str, u64); 4] =
    [("bytes", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const TIMES: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub u64);

/// A number and a unit, such as `"8 MiB"`.
fn quantity(
    value: &Value,
    reader: &mut Reader,
    units: &[(&str, u64)],
    example: &str,
) -> Option<u64> {
    let Some(text) = value.get_ref().as_str() else {
        reader.wrong_type(value, &format!("a quantity such as \"{example}\""));
        return None;
    };
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim();
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    let quantity = number.parse::<u64>().ok().and_then(|number| {
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor)
    });
    if quantity.is_none() {
        let cure =
            format!("write a whole number and one of {}, such as \"{example}\"", names.join(", "));
        reader.wrong_value(value.span(), format!("\"{}\" is no quantity", text), &cure);
    }
    quantity
}

/// A quantity in the largest unit that leaves no rest.
fn shown(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fitting =
        units.iter().rev().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    let (name, factor) = fitting.unwrap_or(&units[0]);
    write!(f, "{} {name}", value / factor)
}

impl Read for Size {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        quantity(value, reader, &SIZES, "512 MiB").map(Self)
    }
}

impl Read for Duration {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        quantity(value, reader, &TIMES, "100 us").map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, &SIZES, f)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, &TIMES, f)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(bytes|KiB|MiB|GiB)$", "examples": ["512 MiB"] })
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(ns|us|ms|s)$", "examples": ["100 us"] })
    }
}
