// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that do not mix: each space has its own type, and there is no
//! operator between two of them. Every operation that could wrap is checked.

use core::fmt;

/// An address in the space that a format translates from.
pub trait Address: Copy + Eq + Ord + fmt::Debug {
    /// The address with this number.
    fn new(raw: u64) -> Self;
    /// The number of this address.
    fn get(self) -> u64;
}

/// Declares one kind of address.
macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this number.
            #[must_use]
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The number of this address.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The address `bytes` further on; none if it would wrap.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// The address `bytes` before; none if it would wrap.
            #[must_use]
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// How many bytes this address lies after `base`; none if it lies before.
            #[must_use]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// Whether the address is a multiple of `align`; never for an `align` of 0.
            #[must_use]
            pub const fn is_aligned(self, align: u64) -> bool {
                self.0.is_multiple_of(align) && align != 0
            }

            /// The next multiple of `align` at or after this address; none if it would
            /// wrap or `align` is 0.
            #[must_use]
            pub const fn align_up(self, align: u64) -> Option<Self> {
                match self.0.checked_next_multiple_of(align) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }
        }

        impl Address for $name {
            fn new(raw: u64) -> Self {
                Self(raw)
            }

            fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    };
}

address! {
    /// A physical address of the machine: what every format translates to.
    HostPhys
}
address! {
    /// An address that a guest believes to be physical (Arm's IPA).
    GuestPhys
}
address! {
    /// An address in the hypervisor's own map.
    HostVirt
}

const _: () = assert!(HostPhys::new(0x1234).align_up(0x1000).unwrap().get() == 0x2000);
const _: () = assert!(GuestPhys::new(u64::MAX).checked_add(1).is_none());
const _: () = assert!(!HostVirt::new(0).is_aligned(0));
