// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers: what all of them begin with. What follows is in `body.rs`.
//!
//! ```text
//!  0        4        6       8       10     12       16                                256
//!  | number | message| length| code  | zero | detail | body …                            |
//! ```
//! A body may grow at its end, up to [`BODY_LEN`]; what an asker's build does not
//! know of it ignores, and what an older server did not write reads as zero.

use super::{ANSWER_LEN, Code, Failure, HEAD_LEN, Message};
use crate::records::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most bytes of a body.
pub const BODY_LEN: usize = ANSWER_LEN - HEAD_LEN;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Answer {
    /// The request's.
    pub number: U32,
    /// The request's.
    pub message: U16,
    /// Bytes that the server wrote, from the first on; what follows is zero.
    pub length: U16,
    /// Number of a [`Code`].
    pub code: U16,
    /// Zero.
    pub reserved: U16,
    /// What the code says of it.
    pub detail: U32,
    /// As the message says; zero if the code is not [`Code::Ok`].
    pub body: [u8; BODY_LEN],
}

const _: () = assert!(size_of::<Answer>() == ANSWER_LEN);

/// What can stand in an answer behind its head.
pub trait Body: FromBytes + IntoBytes + Immutable + KnownLayout {}

impl Answer {
    /// All zero.
    pub const EMPTY: Self = Self {
        number: U32::new(0),
        message: U16::new(0),
        length: U16::new(0),
        code: U16::new(0),
        reserved: U16::new(0),
        detail: U32::new(0),
        body: [0; BODY_LEN],
    };

    /// Writes a body, from its first byte on.
    pub fn put<T: Body>(&mut self, body: &T) {
        self.put_bytes(body.as_bytes());
    }

    /// The part of [`Answer::put`] that is the same for all bodies.
    fn put_bytes(&mut self, bytes: &[u8]) {
        for (to, from) in self.body.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.set_length(HEAD_LEN.saturating_add(bytes.len()));
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    /// How far it was written.
    pub fn set_length(&mut self, length: usize) {
        self.length = U16::from(u16::try_from(length.min(ANSWER_LEN)).unwrap_or(0));
    }

    /// The body as this build knows it: cut, or filled up with zeros.
    #[must_use]
    pub fn get<T: Body>(&self) -> T {
        let written = usize::from(self.length.get()).saturating_sub(HEAD_LEN);
        let mut body = T::new_zeroed();
        let places = body.as_mut_bytes().iter_mut();
        for (to, from) in places.zip(self.body.iter().take(written)) {
            *to = *from;
        }
        body
    }

    /// What bytes say, as many as there are; the rest counts as zero.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut whole = [0; ANSWER_LEN];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self::read_from_bytes(&whole).unwrap_or(Self::EMPTY)
    }

    /// How it came out; the number of the code where this build has no name for it.
    ///
    /// # Errors
    /// The failure, [`Code::Unknown`] standing for any that this build does not know.
    pub fn outcome(&self) -> Result<(), Failure> {
        match Code::from_number(self.code.get()) {
            Some(Code::Ok) => Ok(()),
            Some(code) => Err(Failure::with(code, self.detail.get())),
            None => Err(Failure::with(Code::Unknown, self.code.get().into())),
        }
    }

    /// Its message, if this build knows it.
    #[must_use]
    pub fn known(&self) -> Option<Message> {
        Message::from_number(self.message.get())
    }
}
