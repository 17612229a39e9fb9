//! Incidents as files: what a card did, and what the watchdog must do about it.
//!
//! For tests only. `cargo test` replays `tests/incidents/*.toml` and the file that `HELIX_TEST_INCIDENT` names;
//! tests/incidents/README.md describes the format.

use super::config::{CrawlAction, CrawlConfig};
use super::simulator::{Outcome, Target};
use crate::ids::ShardId;
use crate::report::{WatchdogEventKind, WatchdogResponse};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// For people.
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    #[serde(rename = "knobs")]
    config: ScriptedConfig,
    #[serde(default = "one")]
    pub workers: u32,
    /// Chunks of each shard, in the order in which they are built.
    pub shards: Vec<u64>,
    #[serde(default = "segment_chunks")]
    pub segment_chunks: u64,
    /// How long a process takes to start.
    #[serde(default = "start_s")]
    pub start_s: f64,
    #[serde(default)]
    pub card: Card,
    #[serde(default)]
    pub encoder: Pace,
    /// By batches, ascending.
    #[serde(default)]
    pub script: Vec<ScriptStep>,
    #[serde(default)]
    pub expect: Expect,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedConfig {
    factor: Option<f64>,
    window: Option<u32>,
    action: Option<CrawlAction>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Card {
    pub total_gib: f64,
    /// Memory of each context.
    pub context_gib: f64,
    /// How much a context grows with every batch.
    pub growth_mib: f64,
    /// In use by other programs from the start.
    pub others_gib: f64,
    /// Share of the memory at which a context that begins a batch spills.
    pub spills_at: f64,
    /// Largest share that a reading shows.
    pub most: f64,
    /// Whether releasing memory heals a context that has spilled.
    pub release_heals: bool,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            total_gib: 12.0,
            context_gib: 3.0,
            growth_mib: 0.0,
            others_gib: 0.0,
            spills_at: 0.98,
            most: 11.85 / 12.0,
            release_heals: false,
        }
    }
}

/// Chunks per second: of the whole card, and of one CPU worker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    pub chunks_per_s: f64,
    /// With spilled contexts.
    pub crawl_chunks_per_s: f64,
    pub cpu_chunks_per_s: f64,
    pub tokens_per_chunk: f64,
    pub batch_chunks: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            chunks_per_s: 15.3,
            crawl_chunks_per_s: 2.3,
            cpu_chunks_per_s: 4.6,
            tokens_per_chunk: 200.0,
            batch_chunks: 32,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptStep {
    /// After this many batches.
    pub at_batch: u64,
    pub what: ScriptEvent,
    #[serde(default)]
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptEvent {
    /// The next batch never ends.
    Hang,
    /// The worker of the next batch dies.
    Crash,
    /// The worker of the next batch dies, and the device is to blame.
    DriverCrash,
    /// The device fails the next batch.
    OutOfMemory,
    DeviceLost,
    /// 1: memory cannot be read from now on; 0: it can be read again.
    ProbeSilent,
    /// Other programs use this many GiB from now on.
    OthersTake,
    /// The card takes this many times longer from now on, whatever its memory.
    SlowBy,
    /// Seconds of waiting for files before each batch.
    Disk,
    /// Chunks are this many times longer from now on.
    LongChunks,
    /// Share of each batch that is not padding.
    Fill,
    /// All processes are stopped for this many seconds.
    Pause,
}

/// What the watchdog must do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Every event, in order.
    pub events: Vec<ExpectedEvent>,
    /// Shards of which a part is encoded on the CPU.
    pub cpu_shards: Vec<u32>,
    pub hours_at_most: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEvent {
    #[serde(rename = "noticed")]
    pub kind: WatchdogEventKind,
    pub action: WatchdogResponse,
    /// Most batches that may have finished by then.
    pub by_batch: u64,
}

fn one() -> u32 {
    1
}

fn segment_chunks() -> u64 {
    500
}

fn start_s() -> f64 {
    5.0
}

impl Scenario {
    pub fn config(&self) -> CrawlConfig {
        let default = CrawlConfig::default();
        CrawlConfig {
            factor: self.config.factor.unwrap_or(default.factor),
            window: self.config.window.unwrap_or(default.window),
            action: self.config.action.unwrap_or(default.action),
        }
    }

    #[must_use]
    pub fn with_config(mut self, config: CrawlConfig) -> Self {
        self.config = ScriptedConfig {
            factor: Some(config.factor),
            window: Some(config.window),
            action: Some(config.action),
        };
        self
    }
}

impl Expect {
    /// Compare; the error says what differs.
    pub fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let found = |n: usize| outcome.events.get(n);
        for (n, expected) in self.events.iter().enumerate() {
            let Some((batch, event)) = found(n) else {
                return Err(format!("event {n} is missing: {expected:?}"));
            };
            let is_expected = (event.kind, event.action) == (expected.kind, expected.action);
            if !is_expected || *batch > expected.by_batch {
                return Err(format!(
                    "event {n}, batch {batch}: {event}; expected {expected:?}"
                ));
            }
        }
        if let Some((batch, event)) = found(self.events.len()) {
            return Err(format!("batch {batch}: unexpected {event}"));
        }
        let on_cpu = outcome
            .targets
            .iter()
            .filter(|(_, p)| p.contains(&Target::Cpu));
        let on_cpu: Vec<_> = on_cpu.map(|(ShardId(shard), _)| *shard).collect();
        if on_cpu != self.cpu_shards {
            return Err(format!("shards {on_cpu:?} were on the CPU"));
        }
        let hours = outcome.took.as_secs_f64() / 3600.0;
        match self.hours_at_most {
            Some(most) if hours > most => Err(format!("it took {hours:.2} hours")),
            _ => Ok(()),
        }
    }
}
