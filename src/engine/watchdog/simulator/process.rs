//! A simulated worker: what it holds, what it does, and when that is over.

use crate::batch::Batch;
use crate::device::DeviceFailure;
use crate::ids::ShardId;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Card,
    Cpu,
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub shard: ShardId,
    pub chunks: u64,
    pub done: u64,
    pub place: Place,
}

#[derive(Clone, Copy, Debug)]
pub enum Doing {
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
        fate: Fate,
    },
    Nothing,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Well,
    Crash,
    Fails(DeviceFailure),
}

#[derive(Debug)]
pub struct Process {
    pub place: Place,
    pub doing: Doing,
    pub segment: Option<Segment>,
    /// Device memory beyond what every context takes, in GiB.
    pub grown: f64,
    pub is_spilled: bool,
    pub shall_release: bool,
}

impl Process {
    pub fn starting(until: Duration, place: Place) -> Self {
        Self {
            place,
            doing: Doing::Starting { until },
            segment: None,
            grown: 0.0,
            is_spilled: false,
            shall_release: false,
        }
    }

    pub fn has_context(&self) -> bool {
        self.place == Place::Card && !matches!(self.doing, Doing::Starting { .. })
    }

    pub fn next(&self) -> Option<Duration> {
        match self.doing {
            Doing::Starting { until } | Doing::Waiting { until } => Some(until),
            Doing::Encoding { until, .. } => until,
            Doing::Nothing => None,
        }
    }
}
