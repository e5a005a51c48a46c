// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vector registers. This guest is built without floating point, so no
//! code of it but this uses them.

use core::arch::asm;

/// Words of v0 to v31.
pub(crate) const VECTORS: usize = 64;

/// v0 to v31.
pub(crate) type Vectors = [u64; VECTORS];

/// Loads v0 to v31.
pub(crate) fn fill(values: &Vectors) {
    // SAFETY: reads the 512 bytes of `values`; no code of Rust uses the vector registers.
    unsafe {
        asm!(
            ".arch_extension fp", ".arch_extension simd",
            "ld1 {{v0.16b-v3.16b}}, [{0}], #64", "ld1 {{v4.16b-v7.16b}}, [{0}], #64",
            "ld1 {{v8.16b-v11.16b}}, [{0}], #64", "ld1 {{v12.16b-v15.16b}}, [{0}], #64",
            "ld1 {{v16.16b-v19.16b}}, [{0}], #64", "ld1 {{v20.16b-v23.16b}}, [{0}], #64",
            "ld1 {{v24.16b-v27.16b}}, [{0}], #64", "ld1 {{v28.16b-v31.16b}}, [{0}], #64",
            ".arch_extension nosimd", ".arch_extension nofp",
            inout(reg) values.as_ptr() => _, options(nostack),
        );
    }
}

/// Stores v0 to v31.
pub(crate) fn vectors() -> Vectors {
    let mut values = [0; VECTORS];
    // SAFETY: writes the 512 bytes of `values`.
    unsafe {
        asm!(
            ".arch_extension fp", ".arch_extension simd",
            "st1 {{v0.16b-v3.16b}}, [{0}], #64", "st1 {{v4.16b-v7.16b}}, [{0}], #64",
            "st1 {{v8.16b-v11.16b}}, [{0}], #64", "st1 {{v12.16b-v15.16b}}, [{0}], #64",
            "st1 {{v16.16b-v19.16b}}, [{0}], #64", "st1 {{v20.16b-v23.16b}}, [{0}], #64",
            "st1 {{v24.16b-v27.16b}}, [{0}], #64", "st1 {{v28.16b-v31.16b}}, [{0}], #64",
            ".arch_extension nosimd", ".arch_extension nofp",
            inout(reg) values.as_mut_ptr() => _, options(nostack),
        );
    }
    values
}
