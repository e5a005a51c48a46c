// SPDX-License-Identifier: MIT OR Apache-2.0
//! The declarations of QEMU's plugin interface that the counter uses, version
//! 4 (QEMU 9.1 and later; 10.0 provides 2 to 4). Written from the interface's
//! documentation, since Debian ships no header.
//! Manual: QEMU, "docs/devel/tcg-plugins.rst".

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

/// Version of the interface that this file declares; QEMU refuses a plugin with another one.
#[unsafe(no_mangle)]
pub(crate) static qemu_plugin_version: c_int = 4;

/// Number of a loaded plugin.
pub(crate) type Id = u64;
/// A block being translated.
#[repr(C)]
pub(crate) struct Block {
    _opaque: [u8; 0],
}
/// An instruction of such a block.
#[repr(C)]
pub(crate) struct Instruction {
    _opaque: [u8; 0],
}
#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RegisterDescriptor {
    handle: *mut Handle,
    name: *const c_char,
    feature: *const c_char,
}

/// GLib's GArray and GByteArray, as far as their layout is public.
#[repr(C)]
struct Array {
    data: *mut u8,
    len: c_uint,
}

/// Callback flag: it reads registers.
const READS_REGISTERS: c_int = 1;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: extern "C" fn(Id, *mut Block));
    fn qemu_plugin_register_atexit_cb(
        id: Id,
        callback: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction, to: *mut c_void, len: usize)
    -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_get_registers() -> *mut Array;
    fn qemu_plugin_read_register(handle: *mut Handle, to: *mut Array) -> c_int;
    fn qemu_plugin_read_memory_vaddr(address: u64, to: *mut Array, len: usize) -> bool;
    fn g_byte_array_new() -> *mut Array;
    fn g_byte_array_free(array: *mut Array, with_data: c_int) -> *mut u8;
}

/// A register that can be read while a CPU runs.
#[derive(Clone, Copy)]
pub(crate) struct Register(*mut Handle);

// SAFETY: QEMU's handles are numbers in disguise and the same for every CPU of a machine.
unsafe impl Send for Register {}
// SAFETY: as above.
unsafe impl Sync for Register {}

impl Register {
    /// Finds a register by name; only in a callback that runs on a CPU.
    pub(crate) fn find(name: &str) -> Option<Self> {
        // SAFETY: QEMU returns an array of its descriptors, whose names live as long as the machine.
        let found = unsafe {
            let all = &*qemu_plugin_get_registers();
            let descriptors =
                std::slice::from_raw_parts(all.data.cast::<RegisterDescriptor>(), all.len as usize);
            descriptors.iter().find(|one| CStr::from_ptr(one.name).to_bytes() == name.as_bytes())
        };
        found.map(|descriptor| Self(descriptor.handle))
    }

    /// Its value on the CPU that runs this callback.
    pub(crate) fn read(self) -> u64 {
        // SAFETY: the array is used by this call alone; QEMU fills it and says how far.
        unsafe {
            let array = g_byte_array_new();
            qemu_plugin_read_register(self.0, array);
            let mut bytes = [0; 8];
            let len = ((*array).len as usize).min(8);
            ptr::copy_nonoverlapping((*array).data, bytes.as_mut_ptr(), len);
            g_byte_array_free(array, 1);
            u64::from_le_bytes(bytes)
        }
    }
}

/// Reads eight bytes where the CPU that runs this callback sees them.
pub(crate) fn read_memory(address: u64) -> Option<u64> {
    // SAFETY: the array is used by this call alone; QEMU fills it if it can, and says so.
    unsafe {
        let array = g_byte_array_new();
        let read = qemu_plugin_read_memory_vaddr(address, array, 8) && (*array).len == 8;
        let value = read.then(|| (*array).data.cast::<u64>().read_unaligned());
        g_byte_array_free(array, 1);
        value
    }
}

/// Calls `translated` for each block that is translated and `ended` when the machine ends.
pub(crate) fn register(
    id: Id,
    translated: extern "C" fn(Id, *mut Block),
    ended: extern "C" fn(Id, *mut c_void),
) {
    // SAFETY: both functions live as long as the plugin.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, ptr::null_mut());
    }
}

/// An instruction being translated.
pub(crate) struct Translated(*mut Instruction);

/// The instructions of a block.
///
/// # Safety
/// `block` is what QEMU passed to the callback that is running.
pub(crate) unsafe fn instructions(block: *mut Block) -> impl Iterator<Item = Translated> {
    // SAFETY: the caller vouches for the block.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    // SAFETY: as above, and the index is below the count.
    (0..count).map(move |index| Translated(unsafe { qemu_plugin_tb_get_insn(block, index) }))
}

impl Translated {
    /// Its address.
    pub(crate) fn address(&self) -> u64 {
        // SAFETY: the instruction is valid during the callback that made this.
        unsafe { qemu_plugin_insn_vaddr(self.0) }
    }

    /// Its encoding.
    pub(crate) fn encoding(&self) -> u32 {
        let mut bytes = [0; 4];
        // SAFETY: QEMU writes at most the length that is passed.
        unsafe { qemu_plugin_insn_data(self.0, bytes.as_mut_ptr().cast(), bytes.len()) };
        u32::from_le_bytes(bytes)
    }

    /// Calls `callback` with `data` each time before it runs.
    ///
    /// The CPU's number that QEMU passes too is that of the CPU which translated
    /// the block: useless where CPUs share blocks, which they do with `-icount`.
    pub(crate) fn call(&self, callback: extern "C" fn(c_uint, *mut c_void), data: usize) {
        // SAFETY: as above; the data is a number in disguise.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                self.0,
                callback,
                READS_REGISTERS,
                ptr::without_provenance_mut(data),
            );
        }
    }
}
