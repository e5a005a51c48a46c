// SPDX-License-Identifier: MIT OR Apache-2.0
//! Off by ACPI's S5 and reset by port 0xCF9.
//! Manual: ACPI specification, "PM1 Control Registers".

use super::ports::{PM1A_CONTROL, PM1A_CONTROL_BOCHS, RESET};
use super::uart;
use abi::platform::pc;

/// SLP_EN.
const SLEEP: u16 = 1 << 13;
/// SLP_TYPa of S5 on the platform, in its place. QEMU's and Bochs's is 0.
const S5: u16 = (pc::SOFT_OFF as u16) << 10;

/// Why a CPU did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The runtime has no stack for it.
    NoStack,
    /// It did not answer in time.
    Silent,
}

/// Ends this CPU.
pub fn cpu_off() -> ! {
    stop()
}

/// Ends the partition, or the machine where there is no partition.
pub fn off() -> ! {
    uart::flush();
    PM1A_CONTROL.write16(S5 | SLEEP);
    PM1A_CONTROL.write16(SLEEP);
    PM1A_CONTROL_BOCHS.write16(SLEEP);
    stop()
}

/// Crashes: an exception finds a device where its handler's table should be.
pub fn crash() -> ! {
    uart::flush();
    super::descriptors::lose()
}

/// Restarts the partition or the machine.
pub fn reset() -> ! {
    uart::flush();
    RESET.write8(0x02);
    RESET.write8(pc::RESET_VALUE);
    stop()
}

fn stop() -> ! {
    loop {
        super::mask_interrupts();
        x86_64::instructions::hlt();
    }
}
