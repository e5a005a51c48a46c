// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decoders of x86 instructions against iced-x86: what they decode is what
//! it says, and what they should decode they do.
#![expect(clippy::wildcard_enum_match_arm, reason = "iced-x86 knows thousands of instructions")]

use devices::Size;
use devices::x86::Mode;
use devices::x86::decode::{
    Alu, Instruction, Operation, PlainMove, Register, Source, decode, plain_move,
};
use devices::x86::length::{Intercepted, length};
use iced_x86::{Code, CodeSize, Decoder, DecoderOptions, Mnemonic, OpKind};
use proptest::prelude::*;

const MODES: [(Mode, u32); 3] = [(Mode::Bits16, 16), (Mode::Bits32, 32), (Mode::Bits64, 64)];

fn oracle(bytes: &[u8], bitness: u32) -> iced_x86::Instruction {
    Decoder::with_ip(bitness, bytes, 0, DecoderOptions::NONE).decode()
}

/// Bytes in which instructions that we decode are not rare.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop_oneof![
        Just(0x66_u8),
        Just(0x67),
        Just(0xf2),
        Just(0xf3),
        Just(0xf0),
        Just(0x2e),
        Just(0x36),
        Just(0x64),
        Just(0x65),
        0x40..0x50_u8
    ];
    let opcode = prop_oneof![
        3 => any::<u8>().prop_map(|b| vec![b]),
        2 => (0x80..0x90_u8).prop_map(|b| vec![b]),
        2 => prop_oneof![Just(0x89_u8), Just(0x8b)].prop_map(|b| vec![b]),
        2 => (0xa0..0xb0_u8).prop_map(|b| vec![b]),
        1 => prop_oneof![Just(0x63_u8), Just(0xc6), Just(0xc7), Just(0xf6), Just(0xf7)]
            .prop_map(|b| vec![b]),
        2 => any::<u8>().prop_map(|b| vec![0x0f, b]),
        1 => prop_oneof![Just(0xb6_u8), Just(0xb7), Just(0xbe), Just(0xbf)]
            .prop_map(|b| vec![0x0f, b]),
        1 => any::<u8>().prop_map(|b| vec![0x0f, 0x01, b]),
    ];
    let prefixes = proptest::collection::vec(prefix, 0..5);
    (prefixes, opcode, proptest::collection::vec(any::<u8>(), 0..14)).prop_map(
        |(mut bytes, opcode, rest)| {
            bytes.extend(opcode);
            bytes.extend(rest);
            bytes.truncate(15);
            bytes
        },
    )
}

/// What iced calls an operation of ours.
fn mnemonic(instruction: &Instruction) -> Vec<Mnemonic> {
    let alu = |alu| match alu {
        Alu::Add => Mnemonic::Add,
        Alu::Or => Mnemonic::Or,
        Alu::AddCarry => Mnemonic::Adc,
        Alu::SubtractBorrow => Mnemonic::Sbb,
        Alu::And => Mnemonic::And,
        Alu::Subtract => Mnemonic::Sub,
        Alu::Xor => Mnemonic::Xor,
        Alu::Compare => Mnemonic::Cmp,
        Alu::Test => Mnemonic::Test,
    };
    match instruction.operation {
        Operation::Load { sign: true, .. } => vec![Mnemonic::Movsx, Mnemonic::Movsxd],
        Operation::Load { .. } => vec![Mnemonic::Mov, Mnemonic::Movzx],
        Operation::Store(_) => vec![Mnemonic::Mov],
        Operation::Modify(which, _) | Operation::Combine(which, _) => vec![alu(which)],
        Operation::Exchange(_) => vec![Mnemonic::Xchg],
        Operation::StoreString => {
            vec![Mnemonic::Stosb, Mnemonic::Stosw, Mnemonic::Stosd, Mnemonic::Stosq]
        }
        Operation::MoveString => {
            vec![Mnemonic::Movsb, Mnemonic::Movsw, Mnemonic::Movsd, Mnemonic::Movsq]
        }
    }
}

fn same_register(ours: Register, theirs: iced_x86::Register, size: Size) -> bool {
    use iced_x86::Register as R;
    let high = matches!(theirs, R::AH | R::CH | R::DH | R::BH);
    let number = theirs.full_register().number();
    usize::from(ours.number) == number && ours.high == high && theirs.size() as u64 == size.bytes()
}

fn same_source(ours: Source, theirs: &iced_x86::Instruction, size: Size) -> bool {
    match ours {
        Source::Register(register) => {
            let operand = (0..2).find(|n| theirs.op_kind(*n) == OpKind::Register);
            operand.is_some_and(|n| same_register(register, theirs.op_register(n), size))
        }
        Source::Immediate(value) => value & size.mask() == theirs.immediate(1) & size.mask(),
    }
}

fn same_operation(ours: &Instruction, theirs: &iced_x86::Instruction) -> bool {
    match ours.operation {
        Operation::Load { register, width, .. } => {
            theirs.op0_kind() == OpKind::Register
                && theirs.op1_kind() == OpKind::Memory
                && same_register(register, theirs.op0_register(), width)
        }
        Operation::Store(source) => {
            theirs.op0_kind() == OpKind::Memory && same_source(source, theirs, ours.size)
        }
        // TEST's operands have no order.
        Operation::Modify(Alu::Test, source) => same_source(source, theirs, ours.size),
        Operation::Modify(_, source) => {
            theirs.op0_kind() == OpKind::Memory && same_source(source, theirs, ours.size)
        }
        Operation::Combine(_, register) => {
            theirs.op1_kind() == OpKind::Memory
                && same_register(register, theirs.op0_register(), ours.size)
        }
        Operation::Exchange(register) => same_source(Source::Register(register), theirs, ours.size),
        Operation::StoreString | Operation::MoveString => {
            let repeats = theirs.has_rep_prefix() || theirs.has_repne_prefix();
            let index = match ours.address {
                Size::Half => [OpKind::MemoryESDI, OpKind::MemorySegSI],
                Size::Word => [OpKind::MemoryESEDI, OpKind::MemorySegESI],
                Size::Byte | Size::Double => [OpKind::MemoryESRDI, OpKind::MemorySegRSI],
            };
            let moves = ours.operation == Operation::MoveString;
            // iced tells of a segment that 64-bit mode reads over.
            let flat = theirs.code_size() == CodeSize::Code64;
            let segment = match theirs.memory_segment().number() {
                0..4 if flat => 3,
                number => number,
            };
            repeats == ours.repeat
                && theirs.op0_kind() == index[0]
                && (!moves || theirs.op1_kind() == index[1])
                && (!moves || segment == usize::from(ours.segment))
        }
    }
}

/// Whether we mean to decode it.
fn is_ours(theirs: &iced_x86::Instruction) -> bool {
    let memory = theirs.op0_kind() == OpKind::Memory || theirs.op1_kind() == OpKind::Memory;
    let segment = |n| {
        theirs.op_kind(n) == OpKind::Register && {
            let register = theirs.op_register(n);
            register.is_segment_register()
        }
    };
    match theirs.mnemonic() {
        Mnemonic::Mov => memory && !segment(0) && !segment(1),
        // An alias that no assembler writes.
        _ if theirs.code() as u32 >= Code::Add_rm8_imm8_82 as u32
            && theirs.code() as u32 <= Code::Cmp_rm8_imm8_82 as u32 =>
        {
            false
        }
        Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd | Mnemonic::Add | Mnemonic::Or => {
            memory
        }
        Mnemonic::Adc | Mnemonic::Sbb | Mnemonic::And | Mnemonic::Sub | Mnemonic::Xor => memory,
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Xchg => memory,
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => true,
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsq => true,
        // SSE2 has a MOVSD too.
        Mnemonic::Movsd => theirs.code() == Code::Movsd_m32_m32,
        _ => false,
    }
}

fn intercepted(theirs: &iced_x86::Instruction) -> Option<Intercepted> {
    Some(match theirs.mnemonic() {
        Mnemonic::Cpuid => Intercepted::Cpuid,
        Mnemonic::Vmcall | Mnemonic::Vmmcall => Intercepted::Call,
        Mnemonic::Hlt => Intercepted::Hlt,
        Mnemonic::Rdmsr | Mnemonic::Wrmsr => Intercepted::Msr,
        Mnemonic::In | Mnemonic::Out | Mnemonic::Insb | Mnemonic::Insw => Intercepted::Io,
        Mnemonic::Insd | Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => Intercepted::Io,
        Mnemonic::Mov if [0, 1].iter().any(|n| is_control(theirs, *n)) => Intercepted::MovControl,
        Mnemonic::Clts => Intercepted::Clts,
        Mnemonic::Lmsw | Mnemonic::Smsw => Intercepted::MachineStatus,
        Mnemonic::Xsetbv => Intercepted::Xsetbv,
        Mnemonic::Rdtsc => Intercepted::Rdtsc,
        Mnemonic::Rdtscp => Intercepted::Rdtscp,
        Mnemonic::Rdpmc => Intercepted::Rdpmc,
        Mnemonic::Invd => Intercepted::Invd,
        Mnemonic::Wbinvd | Mnemonic::Wbnoinvd => Intercepted::Wbinvd,
        Mnemonic::Pause => Intercepted::Pause,
        Mnemonic::Monitor => Intercepted::Monitor,
        Mnemonic::Mwait => Intercepted::Mwait,
        Mnemonic::Invlpg => Intercepted::Invlpg,
        _ => return None,
    })
}

fn is_control(theirs: &iced_x86::Instruction, n: u32) -> bool {
    let register = theirs.op_register(n);
    theirs.op_kind(n) == OpKind::Register && (register.is_cr() || register.is_dr())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_decoder_says_what_iced_says(bytes in bytes()) {
        for (mode, bitness) in MODES {
            let theirs = oracle(&bytes, bitness);
            let code = theirs.code();
            let Some(ours) = decode(&bytes, mode) else {
                prop_assert!(!is_ours(&theirs), "{mode:?} {bytes:x?}: not decoded: {code:?}");
                continue;
            };
            let agree = usize::from(ours.length) == theirs.len()
                && mnemonic(&ours).contains(&theirs.mnemonic())
                && ours.size.bytes() == theirs.memory_size().size() as u64
                && same_operation(&ours, &theirs);
            prop_assert!(agree, "{mode:?} {bytes:x?} {ours:x?}: {code:?}");
        }
    }

    #[test]
    fn lengths_are_what_iced_says(bytes in bytes()) {
        for (mode, bitness) in MODES {
            let theirs = oracle(&bytes, bitness);
            if let Some(expected) = intercepted(&theirs) {
                let ours = length(&bytes, mode, expected).map(usize::from);
                prop_assert_eq!(ours, Some(theirs.len()), "{:?} {:x?}: {:?}", mode, bytes, theirs.code());
            }
        }
    }

    #[test]
    fn a_plain_move_is_what_the_decoder_finds(mut bytes in bytes(), more: [u8; 8]) {
        bytes.extend(more);
        let word = u64::from_le_bytes(*bytes.first_chunk().unwrap());
        let Some(PlainMove { length, size, register, store }) = plain_move(word) else {
            return Ok(());
        };
        let register = Register { number: register, high: false };
        let operation = match store {
            true => Operation::Store(Source::Register(register)),
            false => Operation::Load { register, sign: false, width: size },
        };
        let address = Size::Double;
        let same = Instruction { length, size, operation, repeat: false, address, segment: 3 };
        prop_assert_eq!(decode(&bytes, Mode::Bits64), Some(same), "{:x?}", bytes);
    }

    #[test]
    fn what_is_cut_off_has_no_meaning(bytes in bytes(), mode in 0..3_usize) {
        let (mode, _) = MODES[mode];
        if let Some(found) = decode(&bytes, mode) {
            for end in 0..usize::from(found.length) {
                prop_assert_eq!(decode(&bytes[..end], mode), None);
            }
        }
    }

    #[test]
    fn bytes_behind_an_instruction_do_not_matter(bytes in bytes(), more: [u8; 15], mode in 0..3_usize) {
        let (mode, _) = MODES[mode];
        if let Some(found) = decode(&bytes, mode) {
            let mut longer = bytes[..usize::from(found.length)].to_vec();
            longer.extend(more);
            prop_assert_eq!(decode(&longer, mode), Some(found));
        }
    }
}

#[test]
fn linux_drives_its_local_apic_by_a_plain_move() {
    // mov %edi,0xffffffffff5fb0b0: APIC EOI.
    let found = decode(&[0x89, 0x3c, 0x25, 0xb0, 0xb0, 0x5f, 0xff], Mode::Bits64);
    let register = Register { number: 7, high: false };
    let expected = Instruction {
        length: 7,
        size: Size::Word,
        operation: Operation::Store(Source::Register(register)),
        repeat: false,
        address: Size::Double,
        segment: 3,
    };
    assert_eq!(found, Some(expected));
}

#[test]
fn another_instruction_has_no_length() {
    assert_eq!(length(&[0x0f, 0xa2], Mode::Bits64, Intercepted::Cpuid), Some(2));
    assert_eq!(length(&[0x66, 0x48, 0x0f, 0xa2], Mode::Bits64, Intercepted::Cpuid), Some(4));
    assert_eq!(length(&[0x0f, 0xa2], Mode::Bits64, Intercepted::Hlt), None);
    assert_eq!(length(&[0x0f], Mode::Bits64, Intercepted::Cpuid), None);
    assert_eq!(length(&[], Mode::Bits32, Intercepted::Hlt), None);
    assert_eq!(length(&[0x66; 20], Mode::Bits32, Intercepted::Hlt), None);
    // Fourteen prefixes and HLT are the longest there is.
    let mut longest = [0x2e; 15];
    longest[14] = 0xf4;
    assert_eq!(length(&longest, Mode::Bits64, Intercepted::Hlt), Some(15));
}
