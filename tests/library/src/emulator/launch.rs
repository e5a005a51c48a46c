// SPDX-License-Identifier: MIT OR Apache-2.0
//! What starts a machine: the emulator's command, and where its console is.

use std::net::TcpListener;
use std::process::Command;

/// A machine about to start.
#[derive(Debug)]
pub struct Launch {
    /// The emulator.
    pub command: Command,
    /// Its console.
    pub console: Console,
    /// The socket to which it connects the host's own UART, if it has one.
    pub host: Option<TcpListener>,
}

/// Where a machine's serial line comes out.
#[derive(Debug)]
pub enum Console {
    /// The emulator's standard input and output.
    Standard,
    /// The emulator connects to this socket.
    Socket(TcpListener),
}

impl From<Command> for Launch {
    fn from(command: Command) -> Self {
        Self { command, console: Console::Standard, host: None }
    }
}
