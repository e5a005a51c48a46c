// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to do about a broken rule.

use abi::refusal::Rule;

/// One sentence for the person who wrote the manifest.
#[expect(clippy::too_many_lines, reason = "a line for each rule")]
pub(crate) fn cure(rule: Rule) -> &'static str {
    match rule {
        Rule::Align
        | Rule::Short
        | Rule::Magic
        | Rule::Format
        | Rule::Layout
        | Rule::Arch
        | Rule::Length
        | Rule::Checksum => "write the flash image again",
        Rule::Table | Rule::Rows | Rule::Payload | Rule::Intids => {
            "this is a fault of xtask: please report it"
        }
        Rule::NoPartition => "add a [partition.NAME] table",
        Rule::ManyPartitions => "leave partitions out",
        Rule::BadName | Rule::ReservedName | Rule::NameTwice | Rule::ChannelTwice => {
            "choose another name"
        }
        Rule::NoCpu => "give it a CPU: `cpus = [0]`",
        Rule::ManyCpus => "give it fewer CPUs, or make it two partitions",
        Rule::CpuTwice => "give the CPU to one of them",
        Rule::CpuRepeated => "list each CPU once",
        Rule::CpuAbsent => "take a CPU that the machine has",
        Rule::MemoryUnaligned => {
            "choose size and addresses that are multiples of 4 KiB, better of 2 MiB"
        }
        Rule::NoMemory => "give it memory: `memory = \"8 MiB\"`",
        Rule::MemoryStart => "leave `guest` and `identity` out: a PC's memory starts at 0",
        Rule::CoreShared => {
            "give all threads of a core to one partition, or concede it in both: `smt = \"shared\"`"
        }
        Rule::MemoryHigh => "choose a lower guest address or less memory",
        Rule::MemoryOnPlatform => {
            "leave `guest` out: guest memory then starts where the platform has it"
        }
        Rule::MemoryOverlap => {
            "move one of them, or leave `host` out: memory is then placed at boot"
        }
        Rule::Identity => "leave `guest` out: with identity it is the host address",
        Rule::PinnedOutside => "choose a host address in the board's RAM, or leave `host` out",
        Rule::PinnedReserved => "choose another host address, or leave `host` out",
        Rule::NoRoom => "give something less memory, or take a machine with more",
        Rule::Rom => "firmware lies in the first flash bank: build a smaller image",
        Rule::SegmentOutside => {
            "give the partition more memory, or link the image for the memory it has"
        }
        Rule::SegmentOverlap => "link the image so that its segments are disjoint",
        Rule::EntryOutside => {
            "the entry must be an instruction of the image: check the linker script"
        }
        Rule::DeviceUnaligned => "correct board.toml: a partition is given whole pages",
        Rule::DeviceOnMemory => "move the partition's guest memory",
        Rule::DeviceOnPlatform => {
            "leave the device out: the platform shows something else at its address"
        }
        Rule::DeviceTwice => "give the device to one of them",
        Rule::DeviceRepeated => "list each device once",
        Rule::DeviceOnRam => "correct board.toml: these addresses are memory",
        Rule::PortRange => "correct the ports in board.toml",
        Rule::PortOnPlatform => {
            "leave the device out: the platform shows something else at its ports"
        }
        Rule::PortTwice => "give one of the devices to nobody",
        Rule::DeviceReserved | Rule::InterruptReserved | Rule::PortReserved => {
            "leave the device out: Bulkhead needs it"
        }
        Rule::InterruptRange => {
            "correct the interrupts in board.toml: on Arm a partition gets SPIs, INTID 32 and up"
        }
        Rule::InterruptTwice | Rule::InterruptTaken => {
            "leave one of them out: an interrupt has one owner"
        }
        Rule::ManyChannels => "leave channels out, or put two streams into one channel",
        Rule::ChannelNobody => "name a partition of this manifest",
        Rule::ChannelSelf => "name two different partitions",
        Rule::ChannelSize => "choose a size of at least 4 KiB that is a multiple of it",
        Rule::ChannelWindow => "a partition's channels have 31 MiB together: choose smaller ones",
        Rule::ChannelOverlap => "this is a fault of xtask: please report it",
    }
}
