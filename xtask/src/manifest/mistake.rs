// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mistakes in what a person wrote: all of a file at once, each with the lines
//! it is about, both owners and the cure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use abi::refusal::Rule;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// What sort of mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// A rule that the kernel checks too.
            Rule(Rule),
        }

        impl Kind {
            /// All that are not the kernel's rules too.
            pub const OWN: &'static [Self] = &[$(Self::$kind,)*];
        }
    };
}

kinds! {
    /// The file cannot be read.
    Unreadable,
    /// It is not TOML.
    Syntax,
    /// A key that nobody knows.
    UnknownKey,
    /// A key that must be there.
    MissingKey,
    /// A key that a later version serves.
    ReservedKey,
    /// A string where a number belongs, and the like.
    WrongType,
    /// The right type with a value that means nothing.
    WrongValue,
    /// A version of the manifest that this program does not read.
    UnknownVersion,
    /// No folder in boards/.
    UnknownBoard,
    /// No folder in guests/.
    UnknownGuest,
    /// Not in board.toml.
    UnknownDevice,
    /// No table in the manifest.
    UnknownPartition,
    /// A device that can write anywhere.
    Dma,
    /// `dma = "unprotected"` without identity.
    DmaNeedsIdentity,
    /// No such file.
    ImageMissing,
    /// Not an ELF file for this machine.
    NotElf,
    /// Not a Linux kernel for this machine.
    NotLinux,
    /// Compressed, and damaged.
    Damaged,
    /// No room in the partition's memory.
    ImageTooLarge,
    /// The flash image does not fit into the board's flash.
    FlashTooSmall,
}

/// A file and its text.
#[derive(Debug)]
pub struct Source {
    /// Its path, as it is shown.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// A place in a file and what is said of it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What is said.
    pub label: String,
}

impl Place {
    /// A place with a few words.
    pub fn new(span: Range<usize>, label: impl Into<String>) -> Self {
        Self { span, label: label.into() }
    }
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// What sort.
    pub kind: Kind,
    /// The file.
    pub source: Arc<Source>,
    /// What is wrong, with both owners.
    pub message: String,
    /// Where, the first one above all.
    pub places: Vec<Place>,
    /// What to do.
    pub cure: String,
}

/// All mistakes of a system, in the order of its files' lines.
#[derive(Clone, Debug, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Adds one.
    pub fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    /// Adds many.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// The value if there is no mistake.
    ///
    /// # Errors
    /// The mistakes.
    pub fn or<T>(mut self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                self.0.sort_by_key(|mistake| {
                    (
                        mistake.source.path.clone(),
                        mistake.places.first().map_or(0, |place| place.span.start),
                    )
                });
                Err(self)
            }
        }
    }

    /// The text to show, with colours for a terminal.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let shown: Vec<String> = self.0.iter().map(|mistake| one(mistake, &renderer)).collect();
        let count = match self.0.len() {
            1 => "1 mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        format!("{}\n\n{count}\n", shown.join("\n\n"))
    }
}

fn one(mistake: &Mistake, renderer: &Renderer) -> String {
    let annotations = mistake.places.iter().enumerate().map(|(row, place)| {
        let kind = if row == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        kind.span(place.span.clone()).label(place.label.as_str())
    });
    let mut group = Level::ERROR.primary_title(mistake.message.as_str()).element(
        Snippet::source(mistake.source.text.as_str())
            .path(mistake.source.path.as_str())
            .annotations(annotations),
    );
    if !mistake.cure.is_empty() {
        group = group.element(Level::HELP.message(mistake.cure.as_str()));
    }
    renderer.render(&[group])
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Mistakes {}
