// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plugin for QEMU that counts what a hypervisor at EL2, or on a PC with AMD-V
//! (`pc.rs`), does: exits by reason, instructions from each exit to the return
//! into the guest, and instructions of each of its functions.
//!
//! ```text
//! qemu-system-aarch64 -icount … -plugin libcounter.so,out=FILE,functions=FILE
//! ```
//! The functions' file has a line `START END NAME` for each, in hexadecimal and ascending.
//! With `until=user` it reports when a guest's first program is about to run.
//! A **path** is what one CPU executes at EL2 from an exception vector for a
//! lower level to ERET. The hypervisor runs with interrupts masked, so a path is
//! also the time that interrupts wait; therefore it ends too where the
//! hypervisor waits (WFI) or looks whether an interrupt is pending (a read of
//! ISR_EL1), and what follows a look is a path of its own. What happens before
//! the first ERET is boot and no path.
//!
//! With `-icount` QEMU runs its CPUs in turn on one thread, so the counters
//! need no locks. And so a CPU that waits for another's lock would wait for all of
//! its own turn, while the other stands still: the turns of a waiting loop, which
//! are told by their ISB (Rust's spin hint), are no part of a path. CPUs are told
//! apart by TPIDR_EL2, which a hypervisor keeps different on each; they are
//! numbered in the order in which they set it.
//! A guest marks a stretch by two calls that nobody answers; of each is told what the
//! hypervisor executed in paths of that CPU between them.
//! The file is lines of words, read by `xtask/src/bench/counts.rs`. Guest code
//! is not instrumented and runs at full speed.

mod counts;
mod pc;
mod qemu;

use counts::{Counts, FUNCTIONS, Reason};
use qemu::{Block, Id, Register};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Encodings of instructions that end a path: ERET, WFI, and MRS of ISR_EL1 into any register.
const ERET: u32 = 0xd69f_03e0;
const WFI: u32 = 0xd503_207f;
const MRS_ISR: u32 = 0xd538_c100;
/// What a loop that waits for another CPU has in it.
const ISB: u32 = 0xd503_3fdf;
const REGISTER: u32 = 0x1f;
/// ESR_EL2.EC of HVC.
const HVC: u64 = 0x16;
/// First vector for exceptions from a lower level in AArch64, and their spacing.
const LOWER: u64 = 0x400;
const VECTOR: u64 = 0x80;
/// Bits of an address inside the vector table.
const TABLE: u64 = 0x7ff;

/// What the command line asked for.
struct Settings {
    out: String,
    functions: Vec<Function>,
    /// Their names, and a last one for everything else.
    names: Vec<String>,
    /// Report when the first block of a program is translated, and count no further.
    until_user: bool,
}

/// Where a function lies.
struct Function {
    start: u64,
    end: u64,
}

struct Registers {
    state: Register,
    syndrome: Register,
    fault_page: Register,
    vectors: Register,
    cpu: Register,
    function: Register,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();
static REGISTERS: OnceLock<Option<Registers>> = OnceLock::new();
static PC: OnceLock<Option<pc::Registers>> = OnceLock::new();
static COUNTS: Mutex<Counts> = Mutex::new(Counts::new());

fn counts() -> MutexGuard<'static, Counts> {
    COUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Called by QEMU when it loads the plugin.
///
/// # Safety
/// `argv` holds `argc` strings, as QEMU's plugin interface promises.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    let mut settings = Settings {
        out: String::new(),
        functions: Vec::new(),
        names: Vec::new(),
        until_user: false,
    };
    for index in 0..count {
        // SAFETY: QEMU passes this many strings.
        let word = unsafe { CStr::from_ptr(*argv.add(index)) }.to_string_lossy();
        if settings.read(&word).is_none() {
            eprintln!("counter: {word}: give out=FILE, functions=FILE, until=user");
            return 1;
        }
    }
    if SETTINGS.set(settings).is_err() {
        return 1;
    }
    qemu::register(id, translated, ended);
    0
}

impl Settings {
    /// Reads one word of the command line.
    fn read(&mut self, word: &str) -> Option<()> {
        match word.split_once('=')? {
            ("until", "user") => self.until_user = true,
            ("out", file) => file.clone_into(&mut self.out),
            ("functions", file) => self.read_functions(&std::fs::read_to_string(file).ok()?)?,
            _ => return None,
        }
        Some(())
    }

    /// Reads the functions' file.
    fn read_functions(&mut self, text: &str) -> Option<()> {
        for line in text.lines().take(FUNCTIONS - 1) {
            let mut words = line.split(' ');
            let mut address = || u64::from_str_radix(words.next()?, 16).ok();
            self.functions.push(Function { start: address()?, end: address()? });
            self.names.push(words.next()?.to_owned());
        }
        self.names.push("elsewhere".to_owned());
        Some(())
    }

    /// Number of the function that an address is in.
    fn function(&self, address: u64) -> usize {
        let after = self.functions.partition_point(|function| function.start <= address);
        let inside =
            |index: &usize| self.functions.get(*index).is_some_and(|one| address < one.end);
        after.checked_sub(1).filter(inside).unwrap_or(self.functions.len())
    }
}

/// Which registers are needed, looked up on the first CPU that runs.
fn registers() -> Option<&'static Registers> {
    let find = || {
        Some(Registers {
            state: Register::find("cpsr")?,
            syndrome: Register::find("ESR_EL2")?,
            fault_page: Register::find("HPFAR_EL2")?,
            vectors: Register::find("VBAR_EL2")?,
            cpu: Register::find("TPIDR_EL2")?,
            function: Register::find("x0")?,
        })
    };
    REGISTERS.get_or_init(find).as_ref()
}

/// Marks the instructions of a block that runs at EL2. A block is translated
/// for one exception level, which is the CPU's at this moment.
extern "C" fn translated(_: Id, block: *mut Block) {
    let Some(settings) = SETTINGS.get() else { return };
    if let Some(registers) = PC.get_or_init(pc::Registers::find) {
        return pc::translated(block, settings, registers);
    }
    let Some(registers) = registers() else { return };
    match registers.state.read() >> 2 & 3 {
        0 if settings.until_user => return report(settings),
        2 => (),
        _ => return,
    }
    let vectors = registers.vectors.read();
    // SAFETY: QEMU passed this block to this callback.
    for (index, instruction) in unsafe { qemu::instructions(block) }.enumerate() {
        if index == 0 {
            instruction.call(begin, 0);
        }
        let address = instruction.address();
        if address & !TABLE == vectors && address & TABLE >= LOWER && address.is_multiple_of(VECTOR)
        {
            instruction.call(enter, ((address & TABLE) - LOWER) as usize / VECTOR as usize);
        }
        instruction.call(count, settings.function(address));
        match instruction.encoding() {
            ERET => instruction.call(leave, 1),
            WFI => instruction.call(leave, 0),
            ISB => instruction.call(waits, address as usize),
            other if other & !REGISTER == MRS_ISR => instruction.call(look, 0),
            _ => (),
        }
    }
}

/// Runs at the start of each block: which CPU runs it?
extern "C" fn begin(_: c_uint, _: *mut c_void) {
    if let Some(Some(registers)) = REGISTERS.get() {
        counts().run_on(registers.cpu.read());
    }
}

/// Runs once for each instruction; the data is its function's number.
extern "C" fn count(_: c_uint, function: *mut c_void) {
    counts::count(function.addr());
}

/// Runs on the first instruction of a vector, before it is counted.
extern "C" fn enter(_: c_uint, vector: *mut c_void) {
    let Some(Some(registers)) = REGISTERS.get() else { return };
    let vector = vector.addr() as u64 & 3;
    let (class, detail) = if vector == 0 { synchronous(registers) } else { (0, 0) };
    let mut counts = counts();
    counts.enter(Reason { vector, class, detail });
    if (vector, class) == (0, HVC) {
        counts.call(registers.function.read());
    }
}

/// Class and detail of a synchronous exception (Arm ARM, "ESR_EL2").
fn synchronous(registers: &Registers) -> (u64, u64) {
    let syndrome = registers.syndrome.read();
    let class = syndrome >> 26 & 0x3f;
    let detail = match class {
        // Aborts of a lower level: the page, from HPFAR_EL2.FIPA.
        0x20 | 0x24 => registers.fault_page.read() >> 4 << 12,
        // MSR, MRS and system instructions: op0, op2, op1, CRn, CRm and the direction.
        0x18 => syndrome & 0x3f_fc1f,
        _ => 0,
    };
    (class, detail)
}

/// Runs on ERET (the data is one) and WFI at EL2, after they are counted.
extern "C" fn leave(_: c_uint, returns: *mut c_void) {
    counts().leave(returns.addr() == 1);
}

/// Runs on ISB at EL2, after it is counted; the data is its address.
extern "C" fn waits(_: c_uint, address: *mut c_void) {
    counts().waits(address.addr());
}

/// Runs on a read of ISR_EL1 at EL2.
extern "C" fn look(_: c_uint, _: *mut c_void) {
    counts().look();
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    SETTINGS.get().into_iter().for_each(report);
}

/// Writes the file, once.
fn report(settings: &Settings) {
    static WRITTEN: OnceLock<()> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        if let Err(error) = std::fs::write(&settings.out, counts().report(&settings.names)) {
            eprintln!("counter: {}: {error}", settings.out);
        }
    });
}
