//! Keeps a build's figures in a file for Prometheus, from the build's events.
//!
//! Written whole at most once a second and at the end: a temporary file beside it, then a rename, so that a
//! collector never sees half of it. A file that cannot be written any more is said once, and the build goes on.

use super::settings::Settings;
use crate::ids::WorkerId;
use crate::plan::Plan;
use crate::plan::sizing::Sizing;
use crate::platform;
use crate::report::{BuildEvent, Metrics};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Collectors look every 15 seconds or so.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file and what will stand in it; nothing without `--metrics-file`.
pub struct MetricsFile {
    path: Option<PathBuf>,
    metrics: Metrics,
    began: Instant,
    written: Instant,
    busy: Duration,
    /// Workers that the build has at most.
    n_workers: u32,
    /// Those that are there: a process that is replaced is heard of by the start of the next.
    ready: BTreeSet<WorkerId>,
}

impl MetricsFile {
    /// Writes it for the first time.
    ///
    /// # Errors
    /// When it cannot be written: somebody waits for it.
    pub fn start(
        settings: &Settings,
        plan: &Plan,
        sizing: &Sizing,
        unchanged: usize,
    ) -> anyhow::Result<Self> {
        let now = Instant::now();
        let mut file = Self {
            path: settings.metrics_file.clone(),
            metrics: Metrics {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                profile: settings.profile.name.clone(),
                shards: plan.shards.len() as u64,
                shards_published: unchanged as u64,
                segments: plan.queue().count() as u64,
                ..Metrics::default()
            },
            began: now,
            written: now,
            busy: Duration::ZERO,
            n_workers: sizing.workers as u32,
            ready: BTreeSet::new(),
        };
        if let Some(path) = file.path.clone() {
            file.write(&path)
                .with_context(|| format!("--metrics-file {}", path.display()))?;
        }
        Ok(file)
    }

    pub fn event(&mut self, event: &BuildEvent) {
        if self.path.is_none() {
            return;
        }
        self.add(event);
        if self.written.elapsed() >= INTERVAL {
            self.save();
        }
    }

    /// The last word.
    pub fn finish(mut self) {
        self.ready.clear();
        self.save();
    }

    fn add(&mut self, event: &BuildEvent) {
        let metrics = &mut self.metrics;
        match event {
            BuildEvent::WorkerReady { worker, .. } => {
                self.ready.insert(*worker);
            }
            BuildEvent::WorkerStarting { worker } => {
                self.ready.remove(worker);
            }
            BuildEvent::WorkerLost { worker, .. } => {
                self.ready.remove(worker);
                metrics.workers_lost += 1;
            }
            BuildEvent::FilesCommitted { work, .. } => {
                metrics.chunks += work.chunks;
                metrics.tokens += work.tokens;
                metrics.files += work.files;
                metrics.skipped_files += work.skipped;
                metrics.reused_chunks += work.reused_chunks;
                self.busy += Duration::from_micros(work.busy_us);
            }
            BuildEvent::SegmentDone { .. } => metrics.segments_done += 1,
            BuildEvent::ShardPublished { .. } => metrics.shards_published += 1,
            BuildEvent::Quarantined { .. } => metrics.quarantined_files += 1,
            BuildEvent::DeviceMemory { device, memory } => {
                metrics.devices = vec![(device.clone(), *memory)];
            }
            BuildEvent::Watchdog(event) => metrics.watchdog.add(event),
            BuildEvent::Planned { .. }
            | BuildEvent::SegmentOpened { .. }
            | BuildEvent::SegmentUndone { .. }
            | BuildEvent::Warning { .. }
            | BuildEvent::Pausing => {}
        }
    }

    fn save(&mut self) {
        let Some(path) = self.path.clone() else {
            return;
        };
        if let Err(error) = self.write(&path) {
            tracing::warn!(
                "--metrics-file {}: {error:#}; it is not kept any more",
                path.display()
            );
            self.path = None;
        }
    }

    fn write(&mut self, path: &Path) -> anyhow::Result<()> {
        let elapsed = self.began.elapsed();
        let available = elapsed.as_secs_f64() * f64::from(self.n_workers);
        self.metrics.workers = self.ready.len() as u64;
        self.metrics.elapsed_s = elapsed.as_secs_f64();
        self.metrics.encoder_busy = (self.busy.as_secs_f64() / available.max(1e-9)).min(1.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.metrics.updated_at = now.unwrap_or_default().as_secs_f64();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = platform::new_file(folder)?;
        file.write_all(self.metrics.render().as_bytes())?;
        // Closed; removed unless it gets its name.
        let temporary = file.into_temp_path();
        platform::replace_file(&temporary, path)?;
        self.written = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_worker_is_one_and_busy_counts_all() {
        let now = Instant::now();
        let mut file = MetricsFile {
            path: None,
            metrics: Metrics::default(),
            began: now - Duration::from_secs(10),
            written: now,
            busy: Duration::from_secs(10),
            n_workers: 2,
            ready: BTreeSet::new(),
        };
        let starting = |n| BuildEvent::WorkerStarting {
            worker: WorkerId(n),
        };
        let ready = |n| BuildEvent::WorkerReady {
            worker: WorkerId(n),
            device: "cuda:0".to_owned(),
        };
        // The watchdog replaces the first: nobody says that it is lost.
        for event in [
            starting(0),
            starting(1),
            ready(0),
            ready(1),
            starting(0),
            ready(0),
        ] {
            file.add(&event);
        }
        let folder = tempfile::tempdir().expect("a folder");
        file.write(&folder.path().join("m.prom")).expect("written");
        assert_eq!(file.metrics.workers, 2);
        assert!(
            (0.4..=0.5).contains(&file.metrics.encoder_busy),
            "{:?}",
            file.metrics
        );
    }
}
