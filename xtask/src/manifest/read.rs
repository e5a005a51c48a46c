// SPDX-License-Identifier: MIT OR Apache-2.0
//! Strict reading of TOML: positions are kept, unknown keys are refused with
//! the nearest known one, and every mistake is told, not only the first.
//!
//! A table is declared once, with [`record!`]: its fields are the only keys, their
//! documentation goes into the JSON schema, and [`Read`] reads it.

use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Kind, Mistake, Mistakes, Place, Source};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Bytes of the file.
    pub span: Range<usize>,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Tables under freely chosen names, in the file's order; one that could not
/// be read still has its name.
#[derive(Clone, Debug)]
pub struct Named<T>(pub(super) Vec<(At<String>, Option<T>)>);

impl<T> Named<T> {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &At<String>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The tables that could be read.
    pub fn tables(&self) -> impl Iterator<Item = (&At<String>, &T)> {
        self.0.iter().filter_map(|(name, table)| Some((name, table.as_ref()?)))
    }
}

/// A value whose mistakes leave the rest of its table readable.
#[derive(Clone, Debug)]
pub struct Told<T>(pub Option<T>);

/// A value of TOML.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// What can be read from a value; `None` after a mistake was told.
pub trait Read: Sized {
    /// Reads it.
    fn read(value: &Value, reader: &mut Reader) -> Option<Self>;

    /// What stands for a key that is not there, if it need not be.
    fn absent() -> Option<Self> {
        None
    }

    /// What stands for a key that must be there and is not, once that was told.
    fn missing() -> Option<Self> {
        None
    }
}

/// A file being read, and its mistakes so far.
#[derive(Debug)]
pub struct Reader {
    /// The file.
    pub source: Arc<Source>,
    /// What is wrong with it.
    pub mistakes: Mistakes,
    /// The freely named table that is being read.
    pub(super) inside: Option<String>,
}

/// Reads a whole file as one table.
pub fn read<T: Read>(source: &Arc<Source>) -> (Option<T>, Mistakes) {
    let mut reader = Reader::new(source, Mistakes::default());
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let cure = "see https://toml.io for how TOML is written";
        reader.tell(Kind::Syntax, error.span().unwrap_or(0..0), "here", error.message(), cure);
    }
    if !errors.is_empty() {
        return (None, reader.mistakes);
    }
    let span = document.span();
    let document = Spanned::new(span, DeValue::Table(document.into_inner()));
    let value = T::read(&document, &mut reader);
    (value, reader.mistakes)
}

impl Reader {
    /// Goes on with a file after its keys were read.
    pub fn new(source: &Arc<Source>, mistakes: Mistakes) -> Self {
        Self { source: Arc::clone(source), mistakes, inside: None }
    }

    /// Tells a mistake at one place.
    pub fn tell(
        &mut self,
        kind: Kind,
        span: Range<usize>,
        label: &str,
        message: impl Into<String>,
        cure: &str,
    ) {
        self.mistakes.push(Mistake {
            kind,
            source: Arc::clone(&self.source),
            message: message.into(),
            places: vec![Place::new(span, label)],
            cure: cure.to_owned(),
        });
    }

    /// Tells that a value has the wrong type.
    pub fn wrong_type(&mut self, value: &Value, wanted: &str) {
        let message = format!("{} where {wanted} belongs", article(value.get_ref().type_str()));
        self.tell(
            Kind::WrongType,
            value.span(),
            &format!("not {wanted}"),
            message,
            &format!("write {wanted}"),
        );
    }

    /// Tells that a value means nothing.
    pub fn wrong_value(&mut self, span: Range<usize>, message: impl Into<String>, cure: &str) {
        self.tell(Kind::WrongValue, span, "this value", message, cure);
    }

    /// A table as messages call it.
    fn named(&self, keys: &Keys) -> String {
        match &self.inside {
            Some(name) => format!("{} {name}", keys.table),
            None => keys.table.to_owned(),
        }
    }

    /// Looks a table's keys over: those that are neither known nor reserved are told.
    pub fn keys<'a, 'b>(&mut self, value: &'a Value<'b>, keys: &Keys) -> Option<&'a DeTable<'b>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(value, "a table");
            return None;
        };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if let Some((_, why)) = keys.reserved.iter().find(|(reserved, _)| *reserved == name) {
                let message = format!("key `{name}` is reserved: {why}");
                self.tell(Kind::ReservedKey, key.span(), "not served yet", message, "leave it out");
            } else if !keys.known.iter().any(|known| known.as_ref() == name) {
                let message = format!("unknown key `{name}` in {}", self.named(keys));
                self.tell(
                    Kind::UnknownKey,
                    key.span(),
                    "nobody reads this",
                    message,
                    &nearest(name, &keys.known),
                );
            }
        }
        Some(table)
    }

    /// Reads one key of a table.
    pub fn key<T: Read>(
        &mut self,
        table: &DeTable,
        whole: Range<usize>,
        keys: &Keys,
        name: &str,
    ) -> Option<T> {
        if let Some(value) = table.get(name) {
            return T::read(value, self);
        }
        T::absent().or_else(|| {
            let message = format!("{} needs the key `{name}`", self.named(keys));
            self.tell(
                Kind::MissingKey,
                whole,
                "in this table",
                message,
                &format!("add `{name} = …`"),
            );
            T::missing()
        })
    }
}

/// The keys of a table.
#[derive(Debug)]
pub struct Keys {
    /// What the table is.
    pub table: &'static str,
    /// Keys that are read.
    pub known: Vec<Cow<'static, str>>,
    /// Keys that later versions read, and why not yet.
    pub reserved: &'static [(&'static str, &'static str)],
}

/// A key as it is written for a field, which may be a word of Rust's own.
pub fn key(field: &'static str) -> Cow<'static, str> {
    let field = field.trim_start_matches("r#");
    if field.contains('_') { field.replace('_', "-").into() } else { field.into() }
}

/// The cure for a word that nobody knows.
pub fn nearest<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let distance = |known: &&S| strsim::damerau_levenshtein(word, known.as_ref());
    let close = |distance: usize| distance <= 1 + word.len() / 4 && distance < word.len();
    match known.iter().min_by_key(distance) {
        Some(near) if close(distance(&near)) => format!("did you mean `{}`?", near.as_ref()),
        Some(_) => {
            let known: Vec<_> = known.iter().map(AsRef::as_ref).collect();
            format!("known here: {}", known.join(", "))
        }
        None => "there is none to choose".to_owned(),
    }
}

fn article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// Declares a table: a struct, its JSON schema and how it is read.
macro_rules! record {
    (
        $(#[$doc:meta])* $name:ident is $table:literal {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
        $(reserved { $($key:literal => $why:literal,)* })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields, rename_all = "kebab-case")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::manifest::read::Read for $name {
            fn read(
                value: &$crate::manifest::read::Value,
                reader: &mut $crate::manifest::read::Reader,
            ) -> Option<Self> {
                let keys = $crate::manifest::read::Keys {
                    table: $table,
                    known: vec![$($crate::manifest::read::key(stringify!($field)),)*],
                    reserved: &[$($(($key, $why),)*)?],
                };
                let table = reader.keys(value, &keys)?;
                $(let $field = reader.key(table, value.span(), &keys, &$crate::manifest::read::key(stringify!($field)));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(crate) use record;

/// Declares a value that is one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
        pub enum $name { $($(#[$word_doc])* #[schemars(rename = $text)] $word,)* }

        impl $crate::manifest::read::Read for $name {
            fn read(
                value: &$crate::manifest::read::Value,
                reader: &mut $crate::manifest::read::Reader,
            ) -> Option<Self> {
                let text: $crate::manifest::read::At<String> = $crate::manifest::read::Read::read(value, reader)?;
                match text.as_str() {
                    $($text => Some(Self::$word),)*
                    other => {
                        let cure = $crate::manifest::read::nearest(other, &[$($text),*]);
                        reader.wrong_value(text.span.clone(), format!("`{other}` means nothing here"), &cure);
                        None
                    }
                }
            }
        }
    };
}
pub(crate) use words;
