// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work on a partition's memory while none of its vCPUs runs: zeroing it and
//! copying its image, in steps of at most 64 KiB, so that the CPU never keeps
//! interrupts masked for long.

use crate::arch;
use crate::partition::Partition;
use paging::HostPhys;

/// Most bytes of a step.
const STEP: u64 = 64 * 1024;

/// Where the work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Zeroing region `.0` from byte `.1` on.
    Zero(usize, u64),
    /// Copying segment `.0` from byte `.1` on.
    Copy(usize, u64),
    /// Cleaning what caches hold of region `.0`, from byte `.1` on.
    Clean(usize, u64),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// Memory is zeroed and the image copied.
    Filled,
    /// Memory is zeroed.
    Wiped,
    /// Memory is cleaned.
    Cleaned,
}

/// Filling or wiping, as the partition's state says.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    stage: Stage,
    fill: bool,
}

impl Work {
    /// Filling a partition that starts, or wiping one that ended, from the beginning.
    #[must_use]
    pub fn new(fill: bool) -> Self {
        Self { stage: Stage::Zero(0, 0), fill }
    }

    /// Cleaning the caches of a running partition's memory.
    #[must_use]
    pub fn clean() -> Self {
        Self { stage: Stage::Clean(0, 0), fill: false }
    }

    /// Does one step.
    pub fn step(&mut self, partition: &Partition) -> Step {
        match self.stage {
            Stage::Zero(region, done) => self.zero(partition, region, done),
            Stage::Copy(segment, done) => self.copy(partition, segment, done),
            Stage::Clean(region, done) => self.clean_step(partition, region, done),
        }
    }

    fn zero(&mut self, partition: &Partition, region: usize, done: u64) -> Step {
        let Some(memory) = partition.memory.get(region) else {
            if !self.fill {
                return Step::Wiped;
            }
            self.stage = Stage::Copy(0, 0);
            return Step::More;
        };
        let len = (memory.size - done).min(STEP);
        if len > 0 {
            arch::zero(HostPhys::new(memory.host.get() + done), len as usize);
        }
        let end = done + len == memory.size;
        self.stage = if end { Stage::Zero(region + 1, 0) } else { Stage::Zero(region, done + len) };
        Step::More
    }

    fn copy(&mut self, partition: &Partition, segment: usize, done: u64) -> Step {
        let Some(from) = partition.segments.get(segment) else {
            arch::publish_code();
            return Step::Filled;
        };
        let rest = from.bytes.get(done as usize..).unwrap_or(&[]);
        let piece = rest.get(..STEP as usize).unwrap_or(rest);
        arch::copy(HostPhys::new(from.host.get() + done), piece);
        let end = piece.len() == rest.len();
        let next = done + piece.len() as u64;
        self.stage = if end { Stage::Copy(segment + 1, 0) } else { Stage::Copy(segment, next) };
        Step::More
    }

    fn clean_step(&mut self, partition: &Partition, region: usize, done: u64) -> Step {
        let Some(memory) = partition.memory.get(region) else { return Step::Cleaned };
        let len = (memory.size - done).min(STEP);
        if len > 0 {
            arch::clean(HostPhys::new(memory.host.get() + done), len as usize);
        }
        let end = done + len == memory.size;
        self.stage =
            if end { Stage::Clean(region + 1, 0) } else { Stage::Clean(region, done + len) };
        Step::More
    }
}
