//! A simulated worker: what it holds, what it does, and until when.

use crate::batch::Batch;
use crate::device::DeviceFailure;
use crate::ids::ShardId;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Card,
    Cpu,
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub shard: ShardId,
    pub chunks: u64,
    pub done: u64,
    pub target: Target,
}

#[derive(Clone, Copy, Debug)]
pub enum Activity {
    Starting {
        until: Duration,
    },
    /// Waiting for files.
    Waiting {
        until: Duration,
    },
    /// `None`: it never ends.
    Encoding {
        since: Duration,
        until: Option<Duration>,
        batch: Batch,
        end: BatchEnd,
    },
    Nothing,
}

/// How a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEnd {
    Finishes,
    Crash,
    Fails(DeviceFailure),
}

#[derive(Debug)]
pub struct Process {
    pub target: Target,
    pub activity: Activity,
    pub segment: Option<Segment>,
    /// Device memory beyond what every context takes, in GiB.
    pub grown: f64,
    pub is_spilled: bool,
    pub must_release: bool,
}

impl Process {
    pub fn starting(until: Duration, target: Target) -> Self {
        Self {
            target,
            activity: Activity::Starting { until },
            segment: None,
            grown: 0.0,
            is_spilled: false,
            must_release: false,
        }
    }

    pub fn is_on_card(&self) -> bool {
        self.target == Target::Card && !matches!(self.activity, Activity::Starting { .. })
    }

    pub fn next(&self) -> Option<Duration> {
        match self.activity {
            Activity::Starting { until } | Activity::Waiting { until } => Some(until),
            Activity::Encoding { until, .. } => until,
            Activity::Nothing => None,
        }
    }
}
