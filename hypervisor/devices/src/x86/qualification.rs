// SPDX-License-Identifier: MIT OR Apache-2.0
//! What VT-x's exit qualifications and AMD-V's EXITINFO say, in the same words.
//! Total: reserved encodings come out as something harmless or as `None`.
//! Intel SDM volume 3, "Basic VM-Exit Information"; AMD manual volume 2,
//! "IOIO Intercept", "Nested Table Walk", "MOV CR/DR and INVLPG intercepts".

use crate::Size;

/// An IN or OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortIo {
    /// Which port.
    pub port: u16,
    /// Bytes of one element: never eight.
    pub size: Size,
    /// IN or INS.
    pub input: bool,
    /// INS or OUTS.
    pub string: bool,
    /// With a repeat prefix.
    pub repeat: bool,
}

/// The I/O exit qualification of VT-x.
#[inline]
#[must_use]
pub const fn vmx_port(qualification: u64) -> PortIo {
    PortIo {
        port: (qualification >> 16 & 0xffff) as u16,
        size: match qualification & 7 {
            0 => Size::Byte,
            1 => Size::Half,
            _ => Size::Word,
        },
        input: qualification & 1 << 3 != 0,
        string: qualification & 1 << 4 != 0,
        repeat: qualification & 1 << 5 != 0,
    }
}

/// EXITINFO1 of AMD-V's IOIO intercept.
#[inline]
#[must_use]
pub const fn svm_port(info: u64) -> PortIo {
    PortIo {
        port: (info >> 16 & 0xffff) as u16,
        size: match info >> 4 & 7 {
            1 => Size::Byte,
            2 => Size::Half,
            _ => Size::Word,
        },
        input: info & 1 != 0,
        string: info & 1 << 2 != 0,
        repeat: info & 1 << 3 != 0,
    }
}

/// What an access to guest-physical memory that failed wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A store (or a read-modify-write).
    pub write: bool,
    /// An instruction fetch.
    pub fetch: bool,
    /// It was the access itself, not a walk of the guest's page tables.
    pub own: bool,
    /// The page is mapped, but does not allow this.
    pub present: bool,
}

/// The qualification of an EPT violation.
#[inline]
#[must_use]
pub const fn ept_violation(qualification: u64) -> Violation {
    Violation {
        write: qualification & 1 << 1 != 0,
        fetch: qualification & 1 << 2 != 0,
        // Bit 8 means something only if bit 7 says that a linear address was valid.
        own: qualification & (1 << 7 | 1 << 8) == 1 << 7 | 1 << 8,
        present: qualification & 0b111 << 3 != 0,
    }
}

/// EXITINFO1 of a nested page fault.
#[inline]
#[must_use]
pub const fn nested_fault(info: u64) -> Violation {
    Violation {
        write: info & 1 << 1 != 0,
        fetch: info & 1 << 4 != 0,
        own: info & 1 << 32 != 0,
        present: info & 1 != 0,
    }
}

/// What was done to a control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// MOV to the control register from a general register.
    Write {
        /// Control register.
        control: u8,
        /// General register.
        register: u8,
    },
    /// MOV from it.
    Read {
        /// Control register.
        control: u8,
        /// General register.
        register: u8,
    },
    /// CLTS.
    Clts,
    /// LMSW with its operand.
    Lmsw(u16),
}

/// The qualification of a control-register access.
#[inline]
#[must_use]
pub const fn vmx_control(qualification: u64) -> Control {
    let control = (qualification & 15) as u8;
    let register = (qualification >> 8 & 15) as u8;
    match qualification >> 4 & 3 {
        0 => Control::Write { control, register },
        1 => Control::Read { control, register },
        2 => Control::Clts,
        _ => Control::Lmsw((qualification >> 16 & 0xffff) as u16),
    }
}

/// The general register of a MOV to or from a control register by EXITINFO1, if the CPU has
/// decode assists and it was a MOV: not CLTS, LMSW or SMSW.
#[inline]
#[must_use]
pub const fn svm_control(info: u64) -> Option<u8> {
    if info >> 63 != 0 { Some((info & 15) as u8) } else { None }
}

/// Why a task switch was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSwitch {
    /// CALL.
    Call,
    /// IRET.
    Iret,
    /// JMP.
    Jump,
    /// A task gate in the IDT.
    Gate,
}

/// The qualification of a task switch: the new task's selector and the reason.
#[must_use]
pub const fn vmx_task_switch(qualification: u64) -> (u16, TaskSwitch) {
    let reason = match qualification >> 30 & 3 {
        0 => TaskSwitch::Call,
        1 => TaskSwitch::Iret,
        2 => TaskSwitch::Jump,
        _ => TaskSwitch::Gate,
    };
    ((qualification & 0xffff) as u16, reason)
}

/// The qualification of an APIC-access exit, as that of the EPT violation which there would be
/// without the page. Other accesses than an instruction's own come out as a page walk's. The low
/// twelve bits are the offset in the page.
#[inline]
#[must_use]
pub const fn vmx_apic_access(qualification: u64) -> u64 {
    const OWN: u64 = 1 << 7 | 1 << 8;
    // An instruction's load, its store, and its fetch are numbered as the bits of a violation are.
    let kind = qualification >> 12 & 15;
    if kind <= 2 { OWN | kind << 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_makers_tell_the_same_port_access() {
        let out =
            PortIo { port: 0x3f8, size: Size::Byte, input: false, string: false, repeat: false };
        assert_eq!(vmx_port(0x03f8_0000), out);
        assert_eq!(svm_port(0x03f8_0210), out);
        let ins = PortIo { port: 0x1f0, size: Size::Half, input: true, string: true, repeat: true };
        assert_eq!(vmx_port(0x01f0_0039), ins);
        assert_eq!(svm_port(0x01f0_022d), ins);
        let word =
            PortIo { port: 0xcf8, size: Size::Word, input: true, string: false, repeat: false };
        assert_eq!(vmx_port(0x0cf8_000b), word);
        assert_eq!(svm_port(0x0cf8_0241), word);
    }

    #[test]
    fn both_makers_tell_the_same_violation() {
        let store = Violation { write: true, fetch: false, own: true, present: false };
        assert_eq!(ept_violation(0x182), store);
        assert_eq!(nested_fault(1 << 32 | 0x6), store);
        let walk = Violation { write: false, fetch: false, own: false, present: false };
        assert_eq!(ept_violation(0x81), walk);
        assert_eq!(nested_fault(1 << 33 | 0x4), walk);
        let fetch = Violation { write: false, fetch: true, own: true, present: true };
        assert_eq!(ept_violation(0x18c), fetch);
        assert_eq!(nested_fault(1 << 32 | 0x15), fetch);
    }

    #[test]
    fn control_registers_and_task_switches_are_named() {
        assert_eq!(vmx_control(0x300), Control::Write { control: 0, register: 3 });
        assert_eq!(vmx_control(0xf18), Control::Read { control: 8, register: 15 });
        assert_eq!(vmx_control(0x20), Control::Clts);
        assert_eq!(vmx_control(0xfffe_0030), Control::Lmsw(0xfffe));
        assert_eq!((svm_control(1 << 63 | 5), svm_control(5)), (Some(5), None));
        assert_eq!(vmx_task_switch(0x8000_0028), (0x28, TaskSwitch::Jump));
        let access = |qualification| ept_violation(vmx_apic_access(qualification));
        let store = Violation { write: true, fetch: false, own: true, present: false };
        assert_eq!(access(0x10b0), store);
        assert_eq!(access(0x00b0), Violation { write: false, ..store });
        assert!(access(0x20b0).fetch);
        assert!(!access(0x3080).own, "an event is delivered");
        assert!(!access(0xf080).own, "a page walk");
    }
}
