//! The watchdog's reports: one log line and one JSON object per event, and counts.
//!
//! Values only. The prefix and the field names are a contract with people and programs that search logs.

use crate::batch::EncoderKind;
use crate::device::{DeviceId, DeviceMemory};
use crate::ids::WorkerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The prefix of every log line of the watchdog.
pub const LOG_PREFIX: &str = "[crawl-watchdog]";

/// What the watchdog detected, and what it did about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchdogEvent {
    /// Seconds since the build began, without pauses of the machine or the process group.
    pub at_s: f64,
    #[serde(rename = "noticed")]
    pub kind: WatchdogEventKind,
    pub action: WatchdogResponse,
    /// The label of the worker's shard.
    pub shard: Option<String>,
    /// `None` if the event is about the device only.
    pub worker: Option<WorkerId>,
    pub device: DeviceId,
    /// `None` if the event is not about one encoder.
    pub encoder: Option<EncoderKind>,
    #[serde(flatten)]
    pub figures: StreamFigures,
    /// The device's memory; `None` if it is not known.
    pub memory: Option<DeviceMemory>,
    /// Of a stall, in seconds: how long the batch has taken, and how long it may take.
    pub waited_s: Option<f64>,
    pub deadline_s: Option<f64>,
    /// Of a probe without answers: why memory could not be read.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Rates of a worker's encoder after its last batch, in real tokens per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamFigures {
    pub rate: Option<f64>,
    pub ema: Option<f64>,
    pub baseline: Option<f64>,
    /// The baseline divided by the factor.
    pub threshold: Option<f64>,
    /// Of the last batch, for people.
    pub chunks_per_s: Option<f64>,
    /// Slow batches in a row that count.
    pub slow_batches: u32,
}

/// What the watchdog detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogEventKind {
    Crawl,
    Stall,
    OutOfMemory,
    DeviceLost,
    Crash,
    /// After a rung: a window of healthy batches in a row.
    Recovered,
    /// Several memory readings in a row failed: crawls go undetected.
    ProbeSilent,
    /// Memory can be read again.
    ProbeBack,
}

impl WatchdogEventKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Crawl => "crawl",
            Self::Stall => "stall",
            Self::OutOfMemory => "out_of_memory",
            Self::DeviceLost => "device_lost",
            Self::Crash => "crash",
            Self::Recovered => "recovered",
            Self::ProbeSilent => "probe_silent",
            Self::ProbeBack => "probe_back",
        }
    }
}

/// What the watchdog did about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogResponse {
    /// Nothing: no action is needed, or actions are switched off.
    None,
    ReleaseMemory,
    Respawn,
    Cpu,
    /// The device is not used again in this build.
    GiveUpDevice,
}

impl WatchdogResponse {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReleaseMemory => "release_memory",
            Self::Respawn => "respawn",
            Self::Cpu => "cpu",
            Self::GiveUpDevice => "give_up_device",
        }
    }
}

/// Events by kind and by response, since the build began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogCounts {
    pub crawls: u64,
    pub stalls: u64,
    pub out_of_memory: u64,
    pub device_lost: u64,
    pub crashes: u64,
    pub recovered: u64,
    #[serde(default)]
    pub probe_silent: u64,
    #[serde(default)]
    pub probe_back: u64,
    pub release_memory: u64,
    pub respawn: u64,
    pub cpu: u64,
    pub give_up_device: u64,
}

impl WatchdogCounts {
    pub fn add(&mut self, event: &WatchdogEvent) {
        *match event.kind {
            WatchdogEventKind::Crawl => &mut self.crawls,
            WatchdogEventKind::Stall => &mut self.stalls,
            WatchdogEventKind::OutOfMemory => &mut self.out_of_memory,
            WatchdogEventKind::DeviceLost => &mut self.device_lost,
            WatchdogEventKind::Crash => &mut self.crashes,
            WatchdogEventKind::Recovered => &mut self.recovered,
            WatchdogEventKind::ProbeSilent => &mut self.probe_silent,
            WatchdogEventKind::ProbeBack => &mut self.probe_back,
        } += 1;
        *match event.action {
            WatchdogResponse::None => return,
            WatchdogResponse::ReleaseMemory => &mut self.release_memory,
            WatchdogResponse::Respawn => &mut self.respawn,
            WatchdogResponse::Cpu => &mut self.cpu,
            WatchdogResponse::GiveUpDevice => &mut self.give_up_device,
        } += 1;
    }
}

/// The log line, prefix included.
impl fmt::Display for WatchdogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        write!(f, "{LOG_PREFIX} {}:", self.kind.name())?;
        write!(f, " action={}", self.action.name())?;
        if let Some(shard) = &self.shard {
            write!(f, " shard={shard}")?;
        }
        if let Some(worker) = self.worker {
            write!(f, " worker={worker}")?;
        }
        write!(f, " device={}", self.device)?;
        match self.kind {
            WatchdogEventKind::ProbeSilent => {
                let reason = self.reason.as_deref().unwrap_or("unknown");
                return write!(
                    f,
                    " memory=unknown reason={reason:?}: crawls go undetected until it can be read; stalls are still detected"
                );
            }
            WatchdogEventKind::ProbeBack => return self.write_memory(f),
            _ => {}
        }
        if let Some(encoder) = self.encoder {
            write!(f, " encoder={}", encoder.name())?;
        }
        for (name, figure, unit) in [
            ("rate", figures.rate, "tokens/s"),
            ("ema", figures.ema, "tokens/s"),
            ("baseline", figures.baseline, "tokens/s"),
            ("threshold", figures.threshold, "tokens/s"),
            ("chunks", figures.chunks_per_s, "chunks/s"),
        ] {
            match figure {
                Some(figure) => write!(f, " {name}={figure:.2} {unit}")?,
                None => write!(f, " {name}=unknown")?,
            }
        }
        write!(f, " slow_batches={}", figures.slow_batches)?;
        if let (Some(waited), Some(deadline)) = (self.waited_s, self.deadline_s) {
            write!(f, " waited={waited:.0} s deadline={deadline:.0} s")?;
        }
        self.write_memory(f)
    }
}

impl WatchdogEvent {
    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory {
            Some(memory) => write!(
                f,
                " memory={:.2} of {:.2} GiB ({:.1} %)",
                gib(memory.used_bytes),
                gib(memory.total_bytes),
                memory.share() * 100.0
            ),
            None => write!(f, " memory=unknown"),
        }
    }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crawl() -> WatchdogEvent {
        let gib = |gib: f64| (gib * f64::from(1 << 30)) as u64;
        WatchdogEvent {
            at_s: 95.5,
            kind: WatchdogEventKind::Crawl,
            action: WatchdogResponse::ReleaseMemory,
            shard: Some("docs".to_owned()),
            worker: Some(WorkerId(1)),
            device: DeviceId("cuda:0".to_owned()),
            encoder: Some(EncoderKind::Sparse),
            figures: StreamFigures {
                rate: Some(460.0),
                ema: Some(500.25),
                baseline: Some(3060.0),
                threshold: Some(612.0),
                chunks_per_s: Some(2.3),
                slow_batches: 8,
            },
            memory: DeviceMemory::new(gib(11.85), gib(12.0)),
            waited_s: None,
            deadline_s: None,
            reason: None,
        }
    }

    #[test]
    fn an_event_of_the_probe_names_the_device_only() {
        let silent = WatchdogEvent {
            kind: WatchdogEventKind::ProbeSilent,
            action: WatchdogResponse::None,
            shard: None,
            worker: None,
            encoder: None,
            memory: None,
            reason: Some("exit status: 1".to_owned()),
            ..crawl()
        };
        assert_eq!(
            silent.to_string(),
            "[crawl-watchdog] probe_silent: action=none device=cuda:0 memory=unknown \
             reason=\"exit status: 1\": crawls go undetected until it can be read; stalls are still detected"
        );
        let back = WatchdogEvent {
            kind: WatchdogEventKind::ProbeBack,
            memory: crawl().memory,
            ..silent
        };
        assert_eq!(
            back.to_string(),
            "[crawl-watchdog] probe_back: action=none device=cuda:0 memory=11.85 of 12.00 GiB (98.7 %)"
        );
    }

    #[test]
    fn the_log_line_has_the_prefix_and_every_figure() {
        assert_eq!(
            crawl().to_string(),
            "[crawl-watchdog] crawl: action=release_memory shard=docs worker=1 device=cuda:0 \
             encoder=sparse rate=460.00 tokens/s ema=500.25 tokens/s baseline=3060.00 tokens/s \
             threshold=612.00 tokens/s chunks=2.30 chunks/s slow_batches=8 \
             memory=11.85 of 12.00 GiB (98.7 %)"
        );
        let stall = WatchdogEvent {
            kind: WatchdogEventKind::Stall,
            action: WatchdogResponse::Respawn,
            shard: None,
            encoder: None,
            figures: StreamFigures::default(),
            memory: None,
            waited_s: Some(84.2),
            deadline_s: Some(83.7),
            ..crawl()
        };
        assert_eq!(
            stall.to_string(),
            "[crawl-watchdog] stall: action=respawn worker=1 device=cuda:0 rate=unknown ema=unknown \
             baseline=unknown threshold=unknown chunks=unknown slow_batches=0 waited=84 s \
             deadline=84 s memory=unknown"
        );
    }

    #[test]
    fn an_event_is_one_flat_json_object_and_reads_back() {
        let text = serde_json::to_string(&crawl()).expect("plain values");
        let value: serde_json::Value = serde_json::from_str(&text).expect("json");
        for (field, expected) in [
            ("noticed", serde_json::json!("crawl")),
            ("action", serde_json::json!("release_memory")),
            ("shard", serde_json::json!("docs")),
            ("worker", serde_json::json!(1)),
            ("device", serde_json::json!("cuda:0")),
            ("ema", serde_json::json!(500.25)),
            ("threshold", serde_json::json!(612.0)),
        ] {
            assert_eq!(value[field], expected, "{field}");
        }
        assert_eq!(value["memory"]["total_bytes"], 12u64 << 30);
        let read: WatchdogEvent = serde_json::from_str(&text).expect("reads back");
        assert_eq!(read, crawl());
    }

    #[test]
    fn events_and_rungs_are_counted() {
        let mut counts = WatchdogCounts::default();
        counts.add(&crawl());
        counts.add(&WatchdogEvent {
            kind: WatchdogEventKind::Recovered,
            action: WatchdogResponse::None,
            ..crawl()
        });
        let expected = WatchdogCounts {
            crawls: 1,
            release_memory: 1,
            recovered: 1,
            ..WatchdogCounts::default()
        };
        assert_eq!(counts, expected);
    }
}
