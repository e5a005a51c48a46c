// SPDX-License-Identifier: MIT OR Apache-2.0
//! PSCI over HVC, which the platform has with and without Bulkhead.
//! Manual: Power State Coordination Interface (DEN 0022), "CPU_ON".

pub use smccc::psci::{AffinityState, Error, LowestAffinityLevel};
use smccc::{Hvc, psci};

/// Why a CPU did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The runtime has no stack for it.
    NoStack,
    /// CPU_ON refused.
    Psci(Error),
}

/// CPU_ON as it is. [`crate::machine::start_cpu`] is the one that prepares a stack.
///
/// # Errors
/// What PSCI answered.
pub fn cpu_on(target: u64, entry: u64, context: u64) -> Result<(), Error> {
    psci::cpu_on::<Hvc>(target, entry, context)
}

/// Whether a CPU is on.
///
/// # Errors
/// What PSCI answered.
pub fn affinity_info(target: u64) -> Result<AffinityState, Error> {
    psci::affinity_info::<Hvc>(target, LowestAffinityLevel::All)
}

/// Ends this CPU (CPU_OFF).
pub fn cpu_off() -> ! {
    let _ = psci::cpu_off::<Hvc>();
    stop()
}

/// Crashes: the last CPU is gone and nobody said that the partition has ended.
pub fn crash() -> ! {
    cpu_off()
}

/// Ends the partition (SYSTEM_OFF).
pub fn off() -> ! {
    let _ = psci::system_off::<Hvc>();
    stop()
}

/// Restarts the partition (SYSTEM_RESET).
pub fn reset() -> ! {
    let _ = psci::system_reset::<Hvc>();
    stop()
}

fn stop() -> ! {
    loop {
        aarch64_cpu::asm::wfi();
    }
}
