//! Metrics of builds in the Prometheus text exposition format, version 0.0.4.
//!
//! Only renders: the caller writes the text to a temporary file and renames it, so that a collector that reads files
//! (node_exporter's textfile collector) never sees half of it. One file holds the metrics of several profiles: every sample
//! has the label `profile`, and samples of other profiles stay as they are. Names are a contract: names may be added, none
//! changes its meaning. Counters start with each run.

mod exposition;

use super::WatchdogCounts;
use super::marks;
use crate::device::DeviceMemory;
use crate::protocol::Work;
use exposition::{Family, Kind, Sample, labelled, plain};

/// The metrics of one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub version: String,
    pub profile: String,
    /// How the runs of this profile went.
    pub runs: Runs,
    pub watchdog: WatchdogCounts,
    /// Committed by this run. Work that was undone and repeated counts twice, since counters never fall.
    pub work: Work,
    pub quarantined_files: u64,
    pub segments_done: u64,
    /// Segments of the plan.
    pub segments: u64,
    pub shards_published: u64,
    /// Shards of the plan, unchanged ones included.
    pub shards: u64,
    /// Running worker processes.
    pub workers: u64,
    pub workers_lost: u64,
    pub devices: Vec<DeviceMetrics>,
    /// Share of the workers' time spent in sessions, 0 to 1.
    pub encoder_busy: f64,
    /// Seconds since the run began.
    pub elapsed_s: f64,
    /// When the metrics were written, in Unix seconds.
    pub updated_at: f64,
}

/// The runs of one profile. Times are Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runs {
    /// A run is in progress, or was killed.
    pub is_running: bool,
    /// When the last run began.
    pub began_at: f64,
    /// The exit code of the last run that ended, if any.
    pub exit_code: Option<u8>,
    /// When that run ended.
    pub ended_at: Option<f64>,
    /// When a run last left a complete index: exit code 0 or 3.
    pub succeeded_at: Option<f64>,
}

/// A watched device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceMetrics {
    pub name: String,
    /// The last reading, if it succeeded.
    pub memory: Option<DeviceMemory>,
    /// `false` after several failed readings in a row.
    pub can_be_read: bool,
}

const EXIT_CODE: &str = "helix_build_exit_code";
const LAST_RUN: &str = "helix_build_last_run_timestamp_seconds";
const LAST_SUCCESS: &str = "helix_build_last_success_timestamp_seconds";

/// How the name of every family begins.
const FAMILIES: &str = "helix_";

/// The label of every sample.
const PROFILE: &str = "profile";

impl Runs {
    /// Read the runs of a profile from the text of an earlier run.
    pub fn read(text: &str, profile: &str) -> Self {
        let families = exposition::read(text);
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name == name)?;
            let mut samples = family.samples.iter();
            let sample = samples.find(|sample| sample.label(PROFILE) == Some(profile))?;
            sample.value.is_finite().then_some(sample.value)
        };
        Self {
            exit_code: value(EXIT_CODE).map(|code| code as u8),
            ended_at: value(LAST_RUN),
            succeeded_at: value(LAST_SUCCESS),
            ..Self::default()
        }
    }
}

impl Metrics {
    /// Whether a file's text is figures that a build wrote, and nothing else, so that it may be replaced. One with
    /// the mark may have lost its end; one without it must be as an earlier version wrote it, to the byte.
    pub fn is_ours(text: &str) -> bool {
        if !marks::is_metrics(text.as_bytes()) {
            return false;
        }
        match text.strip_prefix(marks::METRICS_MARK) {
            Some(figures) => {
                let mut lines = figures.split_inclusive('\n');
                lines.all(|line| exposition::is_of(line, FAMILIES) || !line.ends_with('\n'))
            }
            None => {
                let families = exposition::read(text);
                let is_known = |family: &Family| family.name.starts_with(FAMILIES);
                families.iter().all(is_known) && exposition::write(&families) == text
            }
        }
    }

    /// Render the whole text, with a line feed at the end. `before` is the file's text so far; its samples of other
    /// profiles stay.
    pub fn render(&self, before: &str) -> String {
        let mut families = self.families();
        for family in &mut families {
            for sample in &mut family.samples {
                let label = (PROFILE.to_owned(), self.profile.clone());
                sample.labels.insert(0, label);
            }
        }
        for mut other in exposition::read(before) {
            other.samples.retain(|sample| {
                // Samples without the label come from an earlier version.
                let profile = sample.label(PROFILE);
                profile.is_some_and(|profile| profile != self.profile && !profile.is_empty())
            });
            match families.iter_mut().find(|known| known.name == other.name) {
                Some(known) => known.samples.append(&mut other.samples),
                None if other.name.starts_with(FAMILIES) => families.push(other),
                None => {}
            }
        }
        marks::METRICS_MARK.to_owned() + &exposition::write(&families)
    }

    fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        let mut family = |name: &str, kind, help: &str, samples: Vec<Sample>| {
            families.push(Family {
                name: name.to_owned(),
                help: help.to_owned(),
                kind,
                samples,
            });
        };
        family(
            "helix_build_info",
            Kind::Gauge,
            "The program that built the profile; always 1.",
            vec![labelled([("version", self.version.clone())], 1.0)],
        );
        self.run_families(&mut family);
        self.watchdog_families(&mut family);
        let work = &self.work;
        for (name, help, value) in [
            ("helix_chunks_total", "Chunks committed.", work.chunks),
            (
                "helix_tokens_total",
                "Real tokens encoded, without padding.",
                work.tokens,
            ),
            ("helix_files_total", "Files committed.", work.files),
            (
                "helix_skipped_files_total",
                "Files skipped when they were read.",
                work.skipped,
            ),
            (
                "helix_quarantined_files_total",
                "Files skipped because they crashed or hung their worker.",
                self.quarantined_files,
            ),
            (
                "helix_reused_chunks_total",
                "Chunks whose vectors were reused from an earlier index.",
                work.reused_chunks,
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
                "Worker processes that died or were killed.",
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
                "Seconds since the run began.",
                self.elapsed_s,
            ),
            (
                "helix_updated_timestamp_seconds",
                "When these metrics were written, in Unix seconds.",
                self.updated_at,
            ),
        ] {
            family(name, Kind::Gauge, help, vec![plain(value)]);
        }
        self.device_families(&mut family);
        families
    }

    fn run_families(&self, family: &mut impl FnMut(&str, Kind, &str, Vec<Sample>)) {
        let runs = self.runs;
        let known = |value: Option<f64>| value.map(plain).into_iter().collect::<Vec<_>>();
        for (name, help, samples) in [
            (
                "helix_build_running",
                "1 while a run is in progress, else 0. 1 with an old update time: the run was killed.",
                vec![plain(f64::from(u8::from(runs.is_running)))],
            ),
            (
                "helix_build_last_start_timestamp_seconds",
                "When the last run began, in Unix seconds.",
                vec![plain(runs.began_at)],
            ),
            (
                EXIT_CODE,
                "Exit code of the last run that ended.",
                known(runs.exit_code.map(f64::from)),
            ),
            (
                LAST_RUN,
                "When that run ended, in Unix seconds.",
                known(runs.ended_at),
            ),
            (
                LAST_SUCCESS,
                "When a run last left a complete index (exit code 0 or 3), in Unix seconds.",
                known(runs.succeeded_at),
            ),
        ] {
            family(name, Kind::Gauge, help, samples);
        }
    }

    fn watchdog_families(&self, family: &mut impl FnMut(&str, Kind, &str, Vec<Sample>)) {
        let counts = self.watchdog;
        family(
            "helix_dense_crawl_detected",
            Kind::Counter,
            "Crawls of an encoder on a device whose memory was full.",
            vec![plain(counts.crawls as f64)],
        );
        let by = |label: &str, values: &[(&str, u64)]| {
            let sample = |(name, value): &(&str, u64)| {
                labelled([(label, (*name).to_owned())], *value as f64)
            };
            values.iter().map(sample).collect()
        };
        family(
            "helix_watchdog_events_total",
            Kind::Counter,
            "Events of the watchdog, by kind.",
            by(
                "noticed",
                &[
                    ("crawl", counts.crawls),
                    ("stall", counts.stalls),
                    ("out_of_memory", counts.out_of_memory),
                    ("device_lost", counts.device_lost),
                    ("crash", counts.crashes),
                    ("recovered", counts.recovered),
                    ("probe_silent", counts.probe_silent),
                    ("probe_back", counts.probe_back),
                ],
            ),
        );
        family(
            "helix_watchdog_rungs_total",
            Kind::Counter,
            "Actions of the watchdog.",
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

    /// Unknown memory has no sample; a zero would be wrong.
    fn device_families(&self, family: &mut impl FnMut(&str, Kind, &str, Vec<Sample>)) {
        let by_device = |value: &dyn Fn(&DeviceMetrics) -> Option<f64>| {
            let devices = self.devices.iter();
            let known = devices.filter_map(|device| Some((device.name.clone(), value(device)?)));
            known
                .map(|(name, value)| labelled([("device", name)], value))
                .collect::<Vec<_>>()
        };
        family(
            "helix_vram_used_bytes",
            Kind::Gauge,
            "Device memory in use by all programs.",
            by_device(&|device| Some(device.memory?.used_bytes as f64)),
        );
        family(
            "helix_vram_total_bytes",
            Kind::Gauge,
            "Device memory.",
            by_device(&|device| Some(device.memory?.total_bytes as f64)),
        );
        family(
            "helix_vram_probe_up",
            Kind::Gauge,
            "1 while device memory can be read; 0: crawls on this device go undetected.",
            by_device(&|device| Some(f64::from(u8::from(device.can_be_read)))),
        );
    }
}

#[cfg(test)]
mod tests;
