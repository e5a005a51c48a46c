// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows the head of an answer, for each message that has something to say.

use super::answer::{BODY_LEN, Body};
use super::event::Event;
use super::numbers;
use crate::platform::VCPUS_PER_PARTITION;
use crate::records::{Name, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Most rows in an answer to [`super::Message::List`].
pub const ROWS: usize = 7;
/// Most bytes in an answer to [`super::Message::ConsoleRead`] or [`super::Message::Fault`].
pub const PIECE: usize = 216;
/// Most events in an answer to [`super::Message::Log`].
pub const EVENTS: usize = 3;
/// Places for reasons of exits.
pub const REASONS: usize = 16;
/// Places of a histogram.
pub const BUCKETS: usize = 24;

/// Bodies: the trait for each, that it fits, and its size as the specification has it.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident: $size:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
            #[repr(C)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
            impl Body for $name {}
            impl Default for $name {
                fn default() -> Self { Self::new_zeroed() }
            }
            const _: () = assert!(size_of::<$name>() == $size && $size <= BODY_LEN);
        )*
        /// Every body's name, its size, and where its fields are: for the test that reads the specification.
        pub const BODIES: &[(&str, usize, &[(&str, usize)])] = &[
            $((stringify!($name), $size, &[$((stringify!($field), core::mem::offset_of!($name, $field)),)*]),)*
        ];
    };
}

bodies! {
    /// Answer to [`super::Message::Hello`].
    Hello: 48 {
        /// The version that both speak: the lower of both sides' highest.
        version: U32,
        /// The asker's own row, or [`super::OWN`] for the host.
        own: U16,
        /// How many partitions there are.
        partitions: U16,
        /// [`super::Features`].
        features: U64,
        /// The highest message number that the server knows.
        last_message: U16,
        /// The rights over the machine: bits of [`super::rights::Right`].
        rights: U16,
        /// Number of this boot, where it survives a warm reset; else zero.
        boot: U32,
        /// Number that the next event of the machine's log will have.
        next_event: U64,
        /// Version of the hypervisor, as text.
        release: Name,
    }

    /// Answer to [`super::Message::Machine`].
    Machine: 80 {
        /// Board that the manifest was written for.
        board: Name,
        /// Instruction set.
        arch: Name,
        /// CPUs that the machine has.
        cpus: U32,
        /// Partitions.
        partitions: U32,
        /// Bytes of RAM.
        memory: U64,
        /// Nanoseconds since boot.
        uptime_ns: U64,
        /// Nanoseconds since 1970 at boot; zero if nobody knows.
        booted_ns: U64,
        /// Ticks per second of the clock that times are measured with.
        clock_hz: U64,
        /// Requests denied since boot.
        denied: U64,
    }

    /// Answer to [`super::Message::List`].
    List: 240 {
        /// Rows here.
        count: U32,
        /// What to ask for next; zero if these were the last.
        next: U32,
        /// How many partitions there are.
        total: U32,
        /// Zero.
        reserved: U32,
        /// The rows; those behind `count` are zero.
        rows: [Row; ROWS],
    }

    /// One partition in a [`List`]. One that the asker may not observe has its name and its rights alone.
    Row: 32 {
        /// Its name.
        name: Name,
        /// Its row in the manifest, by which requests name it.
        index: U16,
        /// Number of its [`super::state::State`]; zero if the asker may not observe it.
        state: U16,
        /// The asker's rights over it.
        rights: U16,
        /// Its vCPUs.
        vcpus: U16,
        /// Times it was started afresh.
        restarts: U32,
        /// Zero.
        reserved: U32,
    }

    /// Answer to [`super::Message::Partition`].
    Partition: 128 {
        /// Its name.
        name: Name,
        /// Its row in the manifest.
        index: U16,
        /// Number of its [`super::state::State`].
        state: U16,
        /// The asker's rights over it.
        rights: U16,
        /// Its vCPUs.
        vcpus: U16,
        /// Times it was started afresh.
        restarts: U32,
        /// Number of the [`super::state::Why`] it ended last; zero if it never did.
        why: U16,
        /// Bit 0: it starts by hand; bit 1: its watchdog is armed.
        flags: U16,
        /// Bytes of its memory.
        memory: U64,
        /// Nanoseconds since boot when it started last; zero if it never did.
        started_ns: U64,
        /// Nanoseconds since boot when it ended last; zero if it never did.
        ended_ns: U64,
        /// Its watchdog's time; zero if none is armed.
        watchdog_ns: U64,
        /// Until the watchdog fires, if it is armed.
        watchdog_left_ns: U64,
        /// Restarts that its policy still allows within its time; all ones if it has no bound.
        restarts_left: U32,
        /// Bits of what its policy restarts it for: bit N for the [`super::state::Why`] with number N.
        restart_on: U32,
        /// Until it is started again, in state backoff.
        backoff_left_ns: U64,
        /// CPU of each vCPU.
        cpus: [U32; VCPUS_PER_PARTITION],
        /// Requests of its own that were denied.
        denied: U64,
    }

    /// Answer to [`super::Message::Statistics`]: sums over all vCPUs since the partition's last start, unless they say otherwise.
    Statistics: 96 {
        /// Nanoseconds since boot when this was read.
        time_ns: U64,
        /// Nanoseconds that its vCPUs were on, together.
        cpu_ns: U64,
        /// Exits.
        exits: U64,
        /// Interrupts injected.
        interrupts: U64,
        /// Times it rang a channel's bell.
        rings: U64,
        /// Times a channel's bell interrupted it.
        rung: U64,
        /// Bytes written to its console since boot.
        console: U64,
        /// Bytes dropped because its console was full, since boot.
        dropped: U64,
        /// Bytes typed for it that it had no room for, since boot.
        untyped: U64,
        /// Mailbox requests since boot.
        requests: U64,
        /// Of those, denied.
        denied: U64,
        /// Times it was started afresh since boot.
        restarts: U64,
    }

    /// Answer to [`super::Message::Vcpu`] with topic `counters`; since the partition's last start.
    Counters: 176 {
        /// Nanoseconds since boot when this was read.
        time_ns: U64,
        /// Nanoseconds that it was on.
        cpu_ns: U64,
        /// Interrupts injected.
        interrupts: U64,
        /// Which CPU it lives on, in bits 31:0; whether it is on, in bit 32.
        place: U64,
        /// Exits by [`Reason`], at the place of its number.
        exits: [U64; REASONS],
        /// Zero.
        reserved: [U64; 2],
    }

    /// Answer to [`super::Message::Vcpu`] with topic `exit-time` or `lateness`.
    Histogram: 232 {
        /// Nanoseconds since boot when this was read.
        time_ns: U64,
        /// The longest, in nanoseconds.
        worst_ns: U64,
        /// Sum of all, in nanoseconds.
        sum_ns: U64,
        /// One past what the first place counts, in picoseconds; each further place reaches twice as far, the last without end.
        first_ps: U64,
        /// How many there were.
        places: [U64; BUCKETS],
        /// Zero.
        reserved: U64,
    }

    /// Answer to [`super::Message::ConsoleRead`] and, with bytes of a record, to [`super::Message::Fault`].
    Piece: 240 {
        /// Where to read on.
        next: U64,
        /// How much of what was asked for exists no more; the piece begins behind it. Zero for a record.
        lost: U64,
        /// Bytes here.
        count: U32,
        /// Bytes that there are in all, modulo 2^32.
        total: U32,
        /// The bytes; those behind `count` are zero.
        bytes: [u8; PIECE],
    }

    /// Answer to [`super::Message::ConsoleWrite`].
    Written: 8 {
        /// Bytes taken; the rest had no room.
        count: U32,
        /// Zero.
        reserved: U32,
    }

    /// Answer to [`super::Message::Log`].
    Log: 216 {
        /// Number to ask for next.
        next: U64,
        /// Events asked for that exist no more.
        lost: U64,
        /// Events here. Those that the asker may not see are left out, so that `next` can move with none here.
        count: U32,
        /// One if there are more now.
        more: U32,
        /// The events; those behind `count` are zero.
        events: [Event; EVENTS],
    }

    /// Answer to [`super::Message::Subscribe`].
    Subscribed: 16 {
        /// The kinds that will be told.
        kinds: U64,
        /// Number of the first event that can be told.
        next: U64,
    }

    /// Answer to start, stop, kill, restart, pause, resume, inject and the watchdog's messages.
    Changed: 8 {
        /// Number of the [`super::state::State`] that the partition is in now.
        state: U16,
        /// Zero.
        reserved: U16,
        /// Times it was started afresh so far.
        restarts: U32,
    }
}

numbers! {
    /// Why a vCPU stopped running, as far as statistics tell it apart: the same on every architecture.
    Reason: u16 {
        /// A physical interrupt.
        Interrupt = 0, "interrupt";
        /// A load or store of an emulated device.
        Memory = 1, "memory";
        /// A port.
        Port = 2, "port";
        /// A system or model-specific register.
        Register = 3, "register";
        /// A call that does not concern power.
        Call = 4, "call";
        /// A call that does.
        Power = 5, "power";
        /// The guest idles.
        Idle = 6, "idle";
        /// Something that the architecture answered by itself.
        Other = 7, "other";
        /// A fault of the guest.
        Fault = 8, "fault";
    }
}
