//! A build's figures in Prometheus' text exposition format, version 0.0.4.
//!
//! Rendering alone: the caller writes the text to a temporary file and renames it, so that a collector
//! that reads files (node_exporter's textfile collector) never sees half of it. Names are a contract:
//! some may be added, none changes its meaning. Counters count from the start of the process.

mod exposition;

use crate::watchdog::{Counts, Memory};
use exposition::{Kind, Sample, labelled, plain, write_family};

/// Everything there is to export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub version: String,
    pub profile: String,
    pub watchdog: Counts,
    pub chunks: u64,
    /// Real tokens encoded.
    pub tokens: u64,
    pub files: u64,
    /// Files left out while they were read: those of the plan are not among them.
    pub skipped_files: u64,
    pub quarantined_files: u64,
    /// Chunks whose vectors were taken over from an earlier index.
    pub reused_chunks: u64,
    pub segments_done: u64,
    /// Segments that the plan has.
    pub segments: u64,
    pub shards_published: u64,
    /// Shards that the plan has, unchanged ones included.
    pub shards: u64,
    /// Worker processes that are there.
    pub workers: u64,
    pub workers_lost: u64,
    /// Devices by name, with their memory as far as it is known.
    pub devices: Vec<(String, Option<Memory>)>,
    /// Share of the workers' time spent in sessions, 0 to 1.
    pub encoder_busy: f64,
    /// Seconds since the build began.
    pub elapsed_s: f64,
    /// Unix seconds of this text, for an alert on a build that is gone.
    pub updated_at: f64,
}

impl Metrics {
    /// The whole text; every line ends.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut family = |name, kind, help, samples: Vec<Sample>| {
            write_family(&mut text, name, kind, help, &samples);
        };
        let version = ("version", self.version.clone());
        let profile = ("profile", self.profile.clone());
        family(
            "helix_build_info",
            Kind::Gauge,
            "The program and the profile it builds; always 1.",
            vec![labelled([version, profile], 1.0)],
        );
        self.watchdog_families(&mut family);
        for (name, help, value) in [
            ("helix_chunks_total", "Chunks committed.", self.chunks),
            (
                "helix_tokens_total",
                "Real tokens encoded, without padding.",
                self.tokens,
            ),
            ("helix_files_total", "Files committed.", self.files),
            (
                "helix_skipped_files_total",
                "Files left out when they were read.",
                self.skipped_files,
            ),
            (
                "helix_quarantined_files_total",
                "Files left out because they brought their worker down.",
                self.quarantined_files,
            ),
            (
                "helix_reused_chunks_total",
                "Chunks whose vectors were taken over from an earlier index.",
                self.reused_chunks,
            ),
            (
                "helix_segments_done_total",
                "Segments finished.",
                self.segments_done,
            ),
            (
                "helix_shards_published_total",
                "Shards published.",
                self.shards_published,
            ),
            (
                "helix_workers_lost_total",
                "Worker processes that died or were ended.",
                self.workers_lost,
            ),
        ] {
            family(name, Kind::Counter, help, vec![plain(value as f64)]);
        }
        for (name, help, value) in [
            (
                "helix_segments",
                "Segments of the plan.",
                self.segments as f64,
            ),
            ("helix_shards", "Shards of the plan.", self.shards as f64),
            ("helix_workers", "Worker processes.", self.workers as f64),
            (
                "helix_encoder_busy_ratio",
                "Share of the workers' time spent in encoder sessions, 0 to 1.",
                self.encoder_busy,
            ),
            (
                "helix_elapsed_seconds",
                "Seconds since the build began.",
                self.elapsed_s,
            ),
            (
                "helix_updated_timestamp_seconds",
                "When these figures were written, in Unix seconds.",
                self.updated_at,
            ),
        ] {
            family(name, Kind::Gauge, help, vec![plain(value)]);
        }
        self.device_families(&mut family);
        text
    }

    fn watchdog_families(
        &self,
        family: &mut impl FnMut(&'static str, Kind, &'static str, Vec<Sample>),
    ) {
        let counts = self.watchdog;
        family(
            "helix_dense_crawl_detected",
            Kind::Counter,
            "Crawls of an encoder on a device whose memory was full.",
            vec![plain(counts.crawls as f64)],
        );
        let by = |label: &'static str, values: &[(&str, u64)]| {
            let sample = |(name, value): &(&str, u64)| {
                labelled([(label, (*name).to_owned())], *value as f64)
            };
            values.iter().map(sample).collect()
        };
        family(
            "helix_watchdog_events_total",
            Kind::Counter,
            "What the watchdog noticed.",
            by(
                "noticed",
                &[
                    ("crawl", counts.crawls),
                    ("stall", counts.stalls),
                    ("out_of_memory", counts.out_of_memory),
                    ("device_lost", counts.device_lost),
                    ("crash", counts.crashes),
                    ("recovered", counts.recovered),
                ],
            ),
        );
        family(
            "helix_watchdog_rungs_total",
            Kind::Counter,
            "What the watchdog did about it.",
            by(
                "rung",
                &[
                    ("release_memory", counts.release_memory),
                    ("respawn", counts.respawn),
                    ("cpu", counts.cpu),
                    ("give_up_device", counts.give_up_device),
                ],
            ),
        );
    }

    /// Nothing is said of memory that is not known: a zero would be a lie.
    fn device_families(
        &self,
        family: &mut impl FnMut(&'static str, Kind, &'static str, Vec<Sample>),
    ) {
        let memory = |of: fn(Memory) -> u64| {
            let known = self.devices.iter();
            let known = known.filter_map(|(name, memory)| Some((name.clone(), (*memory)?)));
            known
                .map(|(name, memory)| labelled([("device", name)], of(memory) as f64))
                .collect::<Vec<_>>()
        };
        family(
            "helix_vram_used_bytes",
            Kind::Gauge,
            "Device memory in use, by whatever program.",
            memory(|memory| memory.used_bytes),
        );
        family(
            "helix_vram_total_bytes",
            Kind::Gauge,
            "Device memory.",
            memory(|memory| memory.total_bytes),
        );
    }
}

#[cfg(test)]
mod tests;
