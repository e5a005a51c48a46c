// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the values are read that are no tables of their own, and what the JSON
//! schema says of the wrappers: nothing, they are transparent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::read::{At, Named, Read, Reader, Told, Value};

impl<T: Read> Read for At<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        Some(Self { value: T::read(value, reader)?, span: value.span() })
    }
}

impl<T: Read> Read for Option<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        T::read(value, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Told<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        Some(Self(T::read(value, reader)))
    }

    fn absent() -> Option<Self> {
        T::absent().map(|value| Self(Some(value)))
    }

    fn missing() -> Option<Self> {
        Some(Self(None))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            reader.wrong_type(value, "an array");
            return None;
        };
        let items: Vec<Option<T>> = array.iter().map(|item| T::read(item, reader)).collect();
        items.into_iter().collect()
    }
}

impl<T: Read> Read for Named<T> {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(value, "a table");
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut entry = |key: &Spanned<DeString>, value| {
            let name = At { value: key.get_ref().to_string(), span: key.span() };
            reader.inside = Some(name.value.clone());
            let table = T::read(value, reader);
            reader.inside = None;
            (name, table)
        };
        Some(Self(entries.into_iter().map(|(key, value)| entry(key, value)).collect()))
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

impl Read for String {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            reader.wrong_type(value, "a string");
        }
        text
    }
}

impl Read for bool {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            reader.wrong_type(value, "true or false");
        }
        truth
    }
}

impl Read for u64 {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let Some(number) = value.get_ref().as_integer() else {
            reader.wrong_type(value, "a number");
            return None;
        };
        let parsed = Self::from_str_radix(number.as_str(), number.radix()).ok();
        if parsed.is_none() {
            reader.wrong_value(
                value.span(),
                "not a number from 0 to 2^64 - 1",
                "write a smaller number, without a sign",
            );
        }
        parsed
    }
}

impl Read for u32 {
    fn read(value: &Value, reader: &mut Reader) -> Option<Self> {
        let number = Self::try_from(u64::read(value, reader)?).ok();
        if number.is_none() {
            reader.wrong_value(
                value.span(),
                "not a number from 0 to 2^32 - 1",
                "write a smaller number",
            );
        }
        number
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Told<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": entry })
    }
}
