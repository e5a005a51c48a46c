// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a flattened device tree, in one pass and in its order.
//!
//! The tree comes from the firmware: whatever it says, nothing here reads beyond
//! it or panics. Everything that is passed on was checked to lie in the tree;
//! what is wrong further on is told at the end of the pass, so its reader keeps
//! nothing of a damaged tree.
//!
//! It is not a library's, because the general ones bring half as much code again
//! as the rest of the boot. Devicetree Specification, "Flattened Devicetree
//! (DTB) Format".

/// The tree contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// What a pass through a tree meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A node begins; its name. Its properties come next, then its children.
    Begin(&'a [u8]),
    /// A property of the node that began last.
    Property(Property<'a>),
    /// The node ends.
    End,
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// Its name, a zero, and whatever follows.
    name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl Property<'_> {
    /// Whether this is its name.
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// A flattened device tree whose blocks lie where its header says.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
}

const MAGIC: u32 = 0xd00d_feed;
/// The version that is read here; later ones may say that they are compatible.
const VERSION: u32 = 17;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Bytes of the tree whose first eight bytes these are, if they are a tree's.
#[must_use]
pub fn length(head: &[u8]) -> Option<u32> {
    (word_at(head, 0)? == MAGIC).then(|| word_at(head, 4)).flatten()
}

impl<'a> Tree<'a> {
    /// The tree in these bytes.
    ///
    /// # Errors
    /// When its header is wrong.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        Self::open(bytes).ok_or(Damaged)
    }

    fn open(bytes: &'a [u8]) -> Option<Self> {
        let field = |number: usize| word_at(bytes, 4 * number);
        let fits = length(bytes)? as usize == bytes.len();
        let known = (field(6)?..=field(5)?).contains(&VERSION);
        let block = |at: u32, len: u32| bytes.get(at as usize..)?.get(..len as usize);
        let strings = block(field(3)?, field(8)?)?;
        let tree = Self {
            structure: block(field(2)?, field(9)?)?,
            strings,
            reservations: bytes.get(field(4)? as usize..)?,
        };
        // With a zero at its end every name in it ends.
        let ended = strings.last().is_none_or(|last| *last == 0);
        (fits && known && ended).then_some(tree)
    }

    /// Goes through the nodes. `visit` is told how deep each is; the root is 1.
    ///
    /// # Errors
    /// When the tree is damaged; what was visited before is then worth nothing.
    pub fn walk(&self, visit: &mut dyn FnMut(usize, Item<'a>)) -> Result<(), Damaged> {
        let mut rest = self.structure;
        let mut depth = 0;
        let mut roots = 0;
        loop {
            match word(&mut rest).ok_or(Damaged)? {
                BEGIN_NODE => {
                    roots += usize::from(depth == 0);
                    depth += 1;
                    visit(depth, Item::Begin(name(&mut rest).ok_or(Damaged)?));
                }
                END_NODE if depth > 0 => {
                    visit(depth, Item::End);
                    depth -= 1;
                }
                PROP if depth > 0 => {
                    let property = self.property(&mut rest).ok_or(Damaged)?;
                    visit(depth, Item::Property(property));
                }
                NOP => {}
                END if depth == 0 && roots == 1 => return Ok(()),
                _ => return Err(Damaged),
            }
        }
    }

    fn property(&self, rest: &mut &'a [u8]) -> Option<Property<'a>> {
        let (len, at) = (word(rest)? as usize, word(rest)? as usize);
        let value = take(rest, len)?;
        // At the very end of the block there would be a name without its zero.
        let name = self.strings.get(at..).filter(|name| !name.is_empty())?;
        Some(Property { name, value })
    }

    /// Address and size of each part of memory that is reserved.
    ///
    /// # Errors
    /// When the list has no end.
    pub fn reservations(&self, visit: &mut dyn FnMut(u64, u64)) -> Result<(), Damaged> {
        for pair in self.reservations.chunks_exact(16) {
            match (number(&pair[..8]), number(&pair[8..])) {
                (0, 0) => return Ok(()),
                (address, size) => visit(address, size),
            }
        }
        Err(Damaged)
    }
}

/// The number that these bytes are, the first one the highest; of more than eight, the last eight.
#[must_use]
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The word at an offset.
#[must_use]
pub fn word_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Takes a word.
fn word(rest: &mut &[u8]) -> Option<u32> {
    let (word, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_be_bytes(*word))
}

/// Takes bytes, and what pads them to whole words.
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let taken = rest.get(..len)?;
    *rest = rest.get(len.next_multiple_of(4)..)?;
    Some(taken)
}

/// Takes a name and its zero.
fn name<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = rest.iter().position(|byte| *byte == 0)?;
    Some(&take(rest, len + 1)?[..len])
}
