// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to a hypervisor, and what can go wrong on it.

use abi::mailbox::answer::Answer;
use abi::mailbox::request::Request;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// None came in time.
    Silent,
    /// The way is gone: why.
    Gone(String),
}

/// Something that carries requests to a hypervisor and answers back.
pub trait Link {
    /// Sends a request under a number of its own, and waits for the answer with that number.
    ///
    /// # Errors
    /// [`Broken`].
    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, Broken>;

    /// The name of what lies at an address of a partition's guest, where that program is known.
    fn symbol(&self, _partition: &str, _address: u64) -> Option<String> {
        None
    }
}
