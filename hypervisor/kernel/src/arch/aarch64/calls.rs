// SPDX-License-Identifier: MIT OR Apache-2.0
//! The firmware that a guest talks to by HVC or SMC: PSCI 1.1 (DEN 0022) and
//! the SMC Calling Convention 1.1 (DEN 0028).

use crate::exit::{Call, CpuState, Exit, Power, PowerAnswer};
use smccc::psci;

/// Version 1.1 of PSCI and, by chance, of SMCCC.
const VERSION_1_1: u64 = 0x1_0001;
const SMCCC_VERSION: u32 = 0x8000_0000;
const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
/// Migration is not needed: there is no uniprocessor trusted OS.
const NO_MIGRATION: u64 = 2;
/// The bit that marks the 64-bit convention.
const WIDE: u32 = 1 << 30;
/// PSCI's functions end here, counted from PSCI_VERSION.
const PSCI_LAST: u32 = 0x1f;
const NOT_SUPPORTED: i64 = -1;
const INVALID_PARAMETERS: i64 = -2;
const ALREADY_ON: i64 = -4;
const ON_PENDING: i64 = -5;
const INVALID_ADDRESS: i64 = -9;

/// What a call asks for. The function number is w0; arguments of the 32-bit
/// convention are cut to 32 bits.
#[inline(always)]
pub(super) fn decode(x: &[u64; 32]) -> Exit {
    let function = low(x[0]);
    // Most calls are no PSCI calls; both conventions have the same numbers but for one bit.
    if (function & !WIDE).wrapping_sub(psci::PSCI_VERSION) > PSCI_LAST {
        return Exit::Call(Call { function, argument: x[1] });
    }
    power(function, x)
}

/// The PSCI calls that do something; the others only answer.
#[inline(always)]
fn power(function: u32, x: &[u64; 32]) -> Exit {
    // The first call of every guest, and the one that others count the cost of.
    if function == psci::PSCI_VERSION {
        return Exit::Call(Call { function, argument: 0 });
    }
    let cut = |value: u64| if function & WIDE != 0 { value } else { u64::from(low(value)) };
    match function {
        psci::PSCI_CPU_ON_32 | psci::PSCI_CPU_ON_64 => {
            Exit::Power(Power::CpuOn { target: cut(x[1]), entry: cut(x[2]), argument: cut(x[3]) })
        }
        psci::PSCI_CPU_OFF => Exit::Power(Power::CpuOff),
        psci::PSCI_CPU_SUSPEND_32 | psci::PSCI_CPU_SUSPEND_64 => Exit::Power(Power::Suspend),
        psci::PSCI_AFFINITY_INFO_32 | psci::PSCI_AFFINITY_INFO_64 => {
            Exit::Power(Power::CpuState { target: cut(x[1]), level: cut(x[2]) })
        }
        psci::PSCI_SYSTEM_OFF => Exit::Power(Power::SystemOff),
        psci::PSCI_SYSTEM_RESET | psci::PSCI_SYSTEM_RESET2_32 | psci::PSCI_SYSTEM_RESET2_64 => {
            Exit::Power(Power::SystemReset)
        }
        _ => Exit::Call(Call { function, argument: x[1] }),
    }
}

/// The low half.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(value: u64) -> u32 {
    value as u32
}

/// The answer to a call that changes nothing.
#[inline(always)]
pub fn answer(call: Call) -> u64 {
    match call.function {
        psci::PSCI_VERSION | SMCCC_VERSION => VERSION_1_1,
        psci::PSCI_FEATURES => psci_features(low(call.argument)),
        psci::PSCI_MIGRATE_INFO_TYPE => NO_MIGRATION,
        SMCCC_ARCH_FEATURES => arch_features(low(call.argument)),
        _ => NOT_SUPPORTED.cast_unsigned(),
    }
}

/// PSCI_FEATURES: zero for a function that exists.
#[cold]
fn psci_features(function: u32) -> u64 {
    match function {
        psci::PSCI_VERSION
        | psci::PSCI_CPU_SUSPEND_32
        | psci::PSCI_CPU_SUSPEND_64
        | psci::PSCI_CPU_OFF
        | psci::PSCI_CPU_ON_32
        | psci::PSCI_CPU_ON_64
        | psci::PSCI_AFFINITY_INFO_32
        | psci::PSCI_AFFINITY_INFO_64
        | psci::PSCI_MIGRATE_INFO_TYPE
        | psci::PSCI_SYSTEM_OFF
        | psci::PSCI_SYSTEM_RESET
        | psci::PSCI_SYSTEM_RESET2_32
        | psci::PSCI_SYSTEM_RESET2_64
        | psci::PSCI_FEATURES
        | SMCCC_VERSION => 0,
        _ => NOT_SUPPORTED.cast_unsigned(),
    }
}

/// SMCCC_ARCH_FEATURES: no firmware workaround exists here.
#[cold]
fn arch_features(function: u32) -> u64 {
    match function {
        SMCCC_VERSION | SMCCC_ARCH_FEATURES => 0,
        _ => NOT_SUPPORTED.cast_unsigned(),
    }
}

/// What a power request came to, in PSCI's words.
#[must_use]
pub fn power_result(answer: PowerAnswer) -> u64 {
    match answer {
        PowerAnswer::Success => 0,
        PowerAnswer::InvalidParameters => INVALID_PARAMETERS.cast_unsigned(),
        PowerAnswer::InvalidAddress => INVALID_ADDRESS.cast_unsigned(),
        PowerAnswer::AlreadyOn => ALREADY_ON.cast_unsigned(),
        PowerAnswer::OnPending => ON_PENDING.cast_unsigned(),
        PowerAnswer::State(CpuState::On) => 0,
        PowerAnswer::State(CpuState::Off) => 1,
        PowerAnswer::State(CpuState::OnPending) => 2,
    }
}

/// The number of the vCPU that an MPIDR names, if the partition can have it:
/// Aff0 counts to 15, then Aff1 (as QEMU's `virt` names its CPUs).
#[must_use]
pub fn vcpu_named(mpidr: u64) -> Option<usize> {
    let affinity = mpidr & 0xff_00ff_ffff;
    let index = (affinity >> 8).checked_mul(16)?.checked_add(affinity & 0xff)?;
    (affinity & 0xff < 16 && affinity >> 16 == 0).then(|| usize::try_from(index).ok()).flatten()
}

/// The MPIDR of a vCPU.
#[must_use]
pub(super) fn name_of_vcpu(index: usize) -> u64 {
    let index = index as u64;
    1 << 31 | (index >> 4) << 8 | index & 0xf
}
