//! The measured time and its parts: blocks of equal length, of which intervals are made, and the
//! plan's stages.

use crate::{Load, Plan};
use std::time::{Duration, Instant};

/// From the end of the warm-up to the end of the load.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    block: Duration,
    blocks: usize,
    /// When each stage ends.
    stages: Vec<Instant>,
}

/// Blocks should be longer than what makes neighbouring requests alike (a queue, a pause of a
/// garbage collector), and yet many: that decides about how well an interval is known.
const BLOCK_MIN: Duration = Duration::from_millis(500);
const BLOCKS_MIN: u32 = 10;
const BLOCKS_MAX: u32 = 40;

impl Timeline {
    pub(crate) fn new(plan: &Plan, begin: Instant) -> Self {
        let start = begin + plan.warmup;
        let measured = plan.measured();
        let blocks = (measured.as_millis() / BLOCK_MIN.as_millis())
            .clamp(BLOCKS_MIN.into(), BLOCKS_MAX.into()) as u32;
        let mut stages = Vec::new();
        if let Load::Stages { stages: plan, .. } = &plan.load {
            let mut at = start;
            for stage in plan {
                at += stage.duration;
                stages.push(at);
            }
        }
        Self {
            start,
            end: start + measured,
            block: measured / blocks,
            blocks: blocks as usize,
            stages,
        }
    }

    pub(crate) fn contains(&self, at: Instant) -> bool {
        self.start <= at && at < self.end
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    pub(super) fn block_length(&self) -> Duration {
        self.block
    }

    /// The block in which a moment of the measured time lies.
    pub(super) fn block_of(&self, at: Instant) -> usize {
        let nanos = (at - self.start).as_nanos() / self.block.as_nanos().max(1);
        (nanos as usize).min(self.blocks - 1)
    }

    /// The stage in which a moment of the measured time lies; none when the plan has no stages.
    pub(super) fn stage_of(&self, at: Instant) -> Option<usize> {
        let stage = self.stages.partition_point(|end| *end <= at);
        (stage < self.stages.len()).then_some(stage)
    }

    /// How much of each stage was over by then.
    pub(super) fn stages_until(&self, until: Instant) -> Vec<Duration> {
        let mut from = self.start;
        let lengths = self.stages.iter().map(|end| {
            let length = (*end).min(until).saturating_duration_since(from);
            from = *end;
            length
        });
        lengths.collect()
    }
}
