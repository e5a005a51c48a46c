// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the kernel's one start state, 32 bits without paging, to what an image
//! wants: a few instructions with their descriptors behind them (Intel SDM,
//! volume 3, "Initializing IA-32e Mode" and "Switching Back to Real-Address Mode").
//!
//! The code is written here byte by byte, each instruction beside its bytes,
//! since it must be there before any guest is built and needs no assembler then.

/// Where the page tables lie: one PML4, one PDPT, four page directories.
pub(super) const TABLES: u64 = 0xf_9000;

/// Where the descriptors lie in the trampoline.
const GDT: u32 = 0x80;
/// Where the descriptor table's register image lies.
const GDTR: u32 = 0xa0;
/// Where the real mode's interrupt table's register image lies.
const IDTR: u32 = 0xa8;
/// Bytes of the trampoline.
const LEN: usize = 0xb0;

/// Code, 64 bits.
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
/// Data, flat.
const DATA_FLAT: u64 = 0x00cf_9300_0000_ffff;
/// Code, 16 bits, 64 KiB; the base is added.
const CODE_16: u64 = 0x0000_9b00_0000_ffff;
/// Data, 64 KiB from 0.
const DATA_16: u64 = 0x0000_9300_0000_ffff;
/// Page table entry: present, writable.
const TABLE: u64 = 3;
/// Page table entry: present, writable, 2 MiB.
const BLOCK: u64 = 0x83;

/// Where a trampoline leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Real mode; segments are 0, the stack ends at 0x7c00.
    Real {
        /// The first instruction, below 1 MiB.
        entry: u64,
    },
    /// 64 bits, the first 4 GiB mapped one to one.
    Long {
        /// The first instruction.
        entry: u64,
        /// RSI there.
        rsi: u64,
    },
}

impl Target {
    /// The trampoline at a guest address below 1 MiB; its entry is its first byte.
    pub(super) fn code(self, at: u64) -> Vec<u8> {
        let base = u32::try_from(at).unwrap_or(0);
        let (mut code, descriptors) = match self {
            Self::Real { entry } => (real(base, entry), [CODE_16 | at << 16, DATA_16]),
            Self::Long { entry, rsi } => (long(base, entry, rsi), [CODE_64, DATA_FLAT]),
        };
        code.resize(LEN, 0);
        let gdt = [0, 0, descriptors[0], descriptors[1]].map(u64::to_le_bytes).concat();
        put(&mut code, GDT, &gdt);
        put(&mut code, GDTR, &[&31_u16.to_le_bytes()[..], &(base + GDT).to_le_bytes()].concat());
        put(&mut code, IDTR, &0x3ff_u16.to_le_bytes());
        code
    }
}

fn put(code: &mut [u8], at: u32, bytes: &[u8]) {
    code[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
}

/// Paging on, then a jump into a 64-bit segment.
fn long(base: u32, entry: u64, rsi: u64) -> Vec<u8> {
    let mut code = Vec::new();
    code.extend(lgdt(base));
    code.extend([0x0f, 0x20, 0xe0]); // mov eax, cr4
    code.extend([0x83, 0xc8, 0x20]); // or eax, PAE
    code.extend([0x0f, 0x22, 0xe0]); // mov cr4, eax
    code.push(0xb8); // mov eax, TABLES
    code.extend(&TABLES.to_le_bytes()[..4]);
    code.extend([0x0f, 0x22, 0xd8]); // mov cr3, eax
    code.extend([0xb9, 0x80, 0x00, 0x00, 0xc0]); // mov ecx, EFER
    code.extend([0x0f, 0x32]); // rdmsr
    code.extend([0x0d, 0x00, 0x01, 0x00, 0x00]); // or eax, LME
    code.extend([0x0f, 0x30]); // wrmsr
    code.extend([0x0f, 0x20, 0xc0]); // mov eax, cr0
    code.extend([0x0d, 0x00, 0x00, 0x00, 0x80]); // or eax, PG
    code.extend([0x0f, 0x22, 0xc0]); // mov cr0, eax
    let next = base + code.len() as u32 + 7;
    code.push(0xea); // jmp 0x10:next
    code.extend(next.to_le_bytes());
    code.extend([0x10, 0x00]);
    code.extend([0xb8, 0x18, 0x00, 0x00, 0x00]); // mov eax, 0x18
    code.extend([0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0]); // mov ds, es, ss, eax
    code.extend([0x48, 0xbe]); // mov rsi, …
    code.extend(rsi.to_le_bytes());
    code.extend([0x48, 0xb8]); // mov rax, …
    code.extend(entry.to_le_bytes());
    code.extend([0xff, 0xe0]); // jmp rax
    code
}

/// Into a 16-bit segment, protection off, then a far jump.
fn real(base: u32, entry: u64) -> Vec<u8> {
    let segment = ((base >> 4) as u16).to_le_bytes();
    let entry_segment = ((entry >> 4 & 0xf000) as u16).to_le_bytes();
    let entry_offset = (entry as u16).to_le_bytes();
    let mut code = Vec::new();
    code.extend(lgdt(base));
    code.extend([0xb8, 0x18, 0x00, 0x00, 0x00]); // mov eax, 0x18
    code.extend([0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0]); // mov ds, es, ss, eax
    code.extend([0x8e, 0xe0, 0x8e, 0xe8]); // mov fs, gs, eax
    code.push(0xea); // jmp 0x10:next, counted from the segment's base
    code.extend((code.len() as u32 + 6).to_le_bytes());
    code.extend([0x10, 0x00]);
    code.extend([0x2e, 0x0f, 0x01, 0x1e]); // lidt cs:[IDTR]
    code.extend(&IDTR.to_le_bytes()[..2]);
    code.extend([0x0f, 0x20, 0xc0]); // mov eax, cr0
    code.extend([0x24, 0xfe]); // and al, not PE
    code.extend([0x0f, 0x22, 0xc0]); // mov cr0, eax
    code.push(0xea); // jmp segment:next
    code.extend((code.len() as u16 + 4).to_le_bytes());
    code.extend(segment);
    code.extend([0x31, 0xc0]); // xor ax, ax
    code.extend([0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0]); // mov ds, es, ss, ax
    code.extend([0x8e, 0xe0, 0x8e, 0xe8]); // mov fs, gs, ax
    code.extend([0xbc, 0x00, 0x7c]); // mov sp, 0x7c00
    code.push(0xea); // jmp entry
    code.extend(entry_offset);
    code.extend(entry_segment);
    code
}

/// lgdt [GDTR]
fn lgdt(base: u32) -> Vec<u8> {
    [&[0x0f, 0x01, 0x15][..], &(base + GDTR).to_le_bytes()].concat()
}

/// The page tables at [`TABLES`].
pub(super) fn tables() -> Vec<u8> {
    let page = |row: u64| TABLES + row * 0x1000;
    let mut tables = vec![0; 0x2000];
    put(&mut tables, 0, &(page(1) | TABLE).to_le_bytes());
    for gib in 0..4_u32 {
        put(&mut tables, 0x1000 + 8 * gib, &(page(2 + u64::from(gib)) | TABLE).to_le_bytes());
    }
    tables.extend((0..4 * 512_u64).flat_map(|row| (row << 21 | BLOCK).to_le_bytes()));
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_jumps_lead_to_the_next_instruction() {
        let base = 0xf_8000;
        let long = Target::Long { entry: 0x100_0200, rsi: 0xf_0000 }.code(base);
        let jump = long.windows(7).position(|seven| seven[0] == 0xea && seven[5] == 0x10).unwrap();
        let target = u32::from_le_bytes(long[jump + 1..jump + 5].try_into().unwrap());
        assert_eq!(target as usize, base as usize + jump + 7);
        assert_eq!(long[jump + 7], 0xb8);
        let real = Target::Real { entry: 0x2_7c00 }.code(base);
        let jump = real.windows(7).position(|seven| seven[0] == 0xea && seven[5] == 0x10).unwrap();
        assert_eq!(usize::from(real[jump + 1]), jump + 7);
        let jump = jump + 7 + 14;
        assert_eq!([real[jump], real[jump + 3], real[jump + 4]], [0xea, 0x00, 0xf8]);
        assert_eq!(usize::from(real[jump + 1]), jump + 5);
        let last = [0xea, 0x00, 0x7c, 0x00, 0x20];
        assert!(real.windows(5).any(|five| five == last));
    }

    #[test]
    fn code_and_descriptors_do_not_overlap() {
        assert!(long(0, 0, 0).len() <= GDT as usize);
        assert!(real(0, 0).len() <= GDT as usize);
        assert_eq!(tables().len(), 6 * 0x1000);
    }
}
