// SPDX-License-Identifier: MIT OR Apache-2.0
//! What AMD-V needs and may use of a CPU.
//! AMD manual volume 2, "Enabling SVM"; volume 3, "CPUID Fn8000_000A".

use super::cpuid::Leaf;

/// What a CPU's AMD-V can do beside nested paging, without which there is no `Svm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svm {
    /// Address space identifiers, the hypervisor's zero among them.
    pub asids: u32,
    /// The next instruction's address is saved on an exit.
    pub next_rip: bool,
    /// One address space can be flushed.
    pub flush_by_asid: bool,
    /// Instruction bytes and registers are told on an exit.
    pub decode_assists: bool,
    /// Control fields may be cached between entries.
    pub clean_bits: bool,
}

/// Reads CPUID leaf 0x8000_000a, on a CPU whose leaf 0x8000_0001 has bit 2 of ECX.
///
/// # Errors
/// The name of the first thing that Bulkhead needs and the CPU does not have.
pub const fn features(leaf: Leaf) -> Result<Svm, &'static str> {
    if leaf.edx & 1 == 0 {
        return Err("nested paging");
    }
    if leaf.ebx < 2 {
        return Err("address space identifiers");
    }
    Ok(Svm {
        asids: leaf.ebx,
        next_rip: leaf.edx & 1 << 3 != 0,
        clean_bits: leaf.edx & 1 << 5 != 0,
        flush_by_asid: leaf.edx & 1 << 6 != 0,
        decode_assists: leaf.edx & 1 << 7 != 0,
    })
}

/// Whether `VM_CR` lets EFER.SVME be set.
///
/// # Errors
/// Firmware has switched AMD-V off.
pub const fn allowed(vm_cr: u64) -> Result<(), &'static str> {
    const DISABLED: u64 = 1 << 4;
    if vm_cr & DISABLED == 0 {
        Ok(())
    } else {
        Err("AMD-V is switched off by the firmware; enable it (SVM) in its setup")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(ebx: u32, edx: u32) -> Leaf {
        Leaf { eax: 1, ebx, ecx: 0, edx }
    }

    /// Bochs's model of one (`tests/capabilities/dump`).
    fn ryzen() -> Leaf {
        let text = include_str!("dumps/ryzen.txt");
        let line = text.lines().find_map(|line| line.strip_prefix("SVM ")).unwrap();
        let words: Vec<u32> =
            line.split(' ').map(|word| u32::from_str_radix(word, 16).unwrap()).collect();
        Leaf { eax: words[0], ebx: words[1], ecx: words[2], edx: words[3] }
    }

    #[test]
    fn qemu_and_bochs_differ_in_what_may_be_used() {
        // QEMU's EPYC: nested paging and little else.
        let qemu = features(leaf(16, 0x1)).unwrap();
        assert_eq!((qemu.asids, qemu.next_rip, qemu.flush_by_asid), (16, false, false));
        let bochs = features(ryzen()).unwrap();
        assert_eq!(bochs.asids, 0x8000);
        assert!(bochs.next_rip && bochs.flush_by_asid && !bochs.decode_assists);
    }

    #[test]
    fn each_bit_is_needed_by_name_used_or_nothing() {
        for bit in 0..32 {
            let edx = ryzen().edx ^ 1 << bit;
            let now = features(Leaf { edx, ..ryzen() });
            let whole = features(ryzen()).unwrap();
            match bit {
                0 => assert_eq!(now, Err("nested paging")),
                3 => assert_eq!(now, Ok(Svm { next_rip: false, ..whole })),
                5 => assert_eq!(now, Ok(Svm { clean_bits: true, ..whole })),
                6 => assert_eq!(now, Ok(Svm { flush_by_asid: false, ..whole })),
                7 => assert_eq!(now, Ok(Svm { decode_assists: true, ..whole })),
                _ => assert_eq!(now, Ok(whole), "bit {bit}"),
            }
        }
    }

    #[test]
    fn what_a_cpu_lacks_is_named() {
        assert_eq!(features(leaf(16, 0xfffe)), Err("nested paging"));
        assert_eq!(features(leaf(1, 1)), Err("address space identifiers"));
    }

    #[test]
    fn firmware_decides_whether_there_is_amd_v() {
        assert_eq!(allowed(0), Ok(()));
        assert_eq!(allowed(8), Ok(()), "locked, but on");
        assert!(allowed(0x18).is_err_and(|why| why.contains("firmware")));
    }
}
