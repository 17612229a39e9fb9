//! Keeps a build's figures in a file for Prometheus, from the build's events.
//!
//! Written whole, once a second for as long as the build lives and at its end: a temporary file beside it, then a
//! rename, so that a collector never sees half of it. Into a FIFO or a device it is written as it is. What the file says of other profiles stays. A file that cannot
//! be written any more is said once, and the build goes on.

use crate::exit_code::{Exit, ExitCode};
use crate::ids::WorkerId;
use crate::named_file::{self, Target};
use crate::platform;
use crate::report::WatchdogEventKind;
use crate::report::marks;
use crate::report::{BuildEvent, DeviceMetrics, Metrics, Runs, Totals};
use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Collectors look every 15 seconds or so.
const INTERVAL: Duration = Duration::from_secs(1);

/// Longest file that is read for what it says of other profiles: a profile takes some 5 KiB.
const MOST_BYTES: u64 = 16 << 20;

/// The file; nothing without `--metrics-file`. One that is dropped without [`Self::ended`] leaves a run behind that
/// looks as if it was killed.
pub struct MetricsFile {
    kept: Arc<Mutex<Kept>>,
    /// Its end stops the thread that writes.
    _beat: Sender<()>,
}

impl MetricsFile {
    /// Writes it for the first time: a run of `profile` has begun.
    ///
    /// # Errors
    /// When a file cannot be written: somebody waits for it. A stream whose reader is slow or gone is said, and the
    /// build goes on without figures.
    pub fn start(path: Option<&Path>, profile: &str) -> anyhow::Result<Self> {
        let mut kept = Kept::new(path, profile)?;
        match kept.target {
            Some(Target::Stream(_)) => kept.save(),
            _ => kept.write().with_context(|| kept.what())?,
        }
        let kept = Arc::new(Mutex::new(kept));
        let (beat, stop) = bounded(0);
        if path.is_some() {
            let writer = Arc::clone(&kept);
            // Without it the figures are as old as the last event.
            if let Err(error) = thread::Builder::new()
                .name("metrics".to_owned())
                .spawn(move || keep_writing(&writer, &stop))
            {
                tracing::warn!("--metrics-file: cannot start its thread: {error}");
            }
        }
        Ok(Self { kept, _beat: beat })
    }

    pub fn event(&self, event: &BuildEvent) {
        let mut kept = lock(&self.kept);
        kept.add(event);
        kept.save_if_due();
    }

    /// The last word on this run.
    pub fn ended(self, code: ExitCode) {
        lock(&self.kept).end(code);
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Walking, publishing and waiting have no events of their own, and whoever looks shall see that the build lives.
fn keep_writing(kept: &Mutex<Kept>, stop: &Receiver<()>) {
    while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        lock(kept).save_if_due();
    }
}

/// What will stand in the file.
struct Kept {
    /// `None`: nothing is written, or not any more.
    target: Option<Target>,
    /// As the user named it.
    name: PathBuf,
    metrics: Metrics,
    began: Instant,
    /// When workers could be at work.
    work_began: Instant,
    written: Instant,
    totals: Totals,
    /// Workers that the build has at most.
    n_workers: u32,
    /// Those that are there: a process that is replaced is heard of by the start of the next.
    ready: BTreeSet<WorkerId>,
}

impl Kept {
    fn new(path: Option<&Path>, profile: &str) -> anyhow::Result<Self> {
        let now = Instant::now();
        let target = path.map(open).transpose()?;
        let before = match &target {
            Some(Target::File(path)) => read(path),
            _ => String::new(),
        };
        Ok(Self {
            target,
            name: path.unwrap_or(Path::new("")).to_path_buf(),
            metrics: Metrics {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                profile: profile.to_owned(),
                runs: Runs {
                    is_running: true,
                    began_at: unix_seconds(),
                    ..Runs::read(&before, profile)
                },
                ..Metrics::default()
            },
            began: now,
            work_began: now,
            written: now,
            totals: Totals::default(),
            n_workers: 0,
            ready: BTreeSet::new(),
        })
    }

    fn add(&mut self, event: &BuildEvent) {
        self.totals.add(event);
        let metrics = &mut self.metrics;
        match event {
            BuildEvent::Planned {
                shards,
                unchanged,
                workers,
                segments,
                ..
            } => {
                metrics.shards = (shards.len() + unchanged) as u64;
                metrics.shards_published = *unchanged as u64;
                metrics.segments = *segments as u64;
                self.n_workers = *workers;
                self.work_began = Instant::now();
            }
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
            BuildEvent::SegmentDone { .. } => metrics.segments_done += 1,
            BuildEvent::ShardPublished { .. } => metrics.shards_published += 1,
            BuildEvent::Quarantined { .. } => metrics.quarantined_files += 1,
            BuildEvent::DeviceMemory { device, memory } => {
                device_of(metrics, device).memory = *memory;
            }
            BuildEvent::Watchdog(event) => {
                metrics.watchdog.add(event);
                let can_be_read = match event.kind {
                    WatchdogEventKind::ProbeSilent => false,
                    WatchdogEventKind::ProbeBack => true,
                    _ => return,
                };
                device_of(metrics, &event.device.0).can_be_read = can_be_read;
            }
            BuildEvent::SegmentOpened { .. }
            | BuildEvent::FilesCommitted { .. }
            | BuildEvent::SegmentUndone { .. }
            | BuildEvent::Warning { .. }
            | BuildEvent::Pausing => {}
        }
    }

    fn end(&mut self, code: ExitCode) {
        self.ready.clear();
        let runs = &mut self.metrics.runs;
        let now = unix_seconds();
        runs.is_running = false;
        runs.exit_code = Some(code as u8);
        runs.ended_at = Some(now);
        if code.is_complete() {
            runs.succeeded_at = Some(now);
        }
        self.save();
        self.target = None;
    }

    fn save_if_due(&mut self) {
        if self.written.elapsed() >= INTERVAL {
            self.save();
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.write() {
            tracing::warn!("{}: {error:#}; metrics are disabled", self.what());
            self.target = None;
        }
    }

    fn what(&self) -> String {
        format!("--metrics-file {}", self.name.display())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        if self.target.is_none() {
            return Ok(());
        }
        let worked = self.work_began.elapsed().as_secs_f64();
        let available = worked * f64::from(self.n_workers);
        let spent = self.totals.spent;
        let busy = Duration::from_micros(spent.busy_us).as_secs_f64();
        self.metrics.work = spent;
        self.metrics.workers = self.ready.len() as u64;
        self.metrics.elapsed_s = self.began.elapsed().as_secs_f64();
        self.metrics.encoder_busy = (busy / available.max(1e-9)).min(1.0);
        self.metrics.updated_at = unix_seconds();
        match &mut self.target {
            None => {}
            // Not with its cause: no disk of ours is full.
            Some(Target::Stream(file)) => {
                let written = file.write_all(self.metrics.render("").as_bytes());
                written.map_err(|error| anyhow::anyhow!(named_file::unwritten(&error)))?;
            }
            Some(Target::File(path)) => replace(path, &self.metrics.render(&read(path)))?,
        }
        self.written = Instant::now();
        Ok(())
    }
}

/// Looks where `path` leads. What holds something other than figures is not replaced: exit code 2.
fn open(path: &Path) -> anyhow::Result<Target> {
    let refused = |why: &str| {
        let text = format!("--metrics-file {}: {why}", path.display());
        Exit::error(ExitCode::Usage, text)
    };
    let target = named_file::target(path).map_err(|error| refused(&error.to_string()))?;
    let Target::File(file) = &target else {
        return Ok(target);
    };
    // Most of what is not ours is told by its beginning, however long it is.
    let is_ours = |head: &[u8]| marks::is_metrics(head) && Metrics::is_ours(&read(file));
    match named_file::head(file, marks::HEAD_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(target),
        Err(error) => Err(refused(&error.to_string())),
        Ok(head) if head.is_empty() || is_ours(&head) => Ok(target),
        Ok(_) => Err(refused(
            "not a metrics file of this program, and it would be replaced: name another file",
        )),
    }
}

fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = platform::new_file(folder)?;
    file.write_all(text.as_bytes())?;
    // Closed; removed unless it gets its name.
    let temporary = file.into_temp_path();
    platform::replace_file(&temporary, path)?;
    Ok(())
}

/// The device's entry: one whose memory was never asked for has none.
fn device_of<'a>(metrics: &'a mut Metrics, name: &str) -> &'a mut DeviceMetrics {
    let devices = &mut metrics.devices;
    let at = devices.iter().position(|device| device.name == name);
    let at = at.unwrap_or_else(|| {
        devices.push(DeviceMetrics {
            name: name.to_owned(),
            memory: None,
            can_be_read: true,
        });
        devices.len() - 1
    });
    &mut devices[at]
}

/// What the file says so far; nothing when there is none, or none that can be read.
fn read(path: &Path) -> String {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return String::new();
    }
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

fn unix_seconds() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is a broken clock, not a reason to stop.
    now.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_worker_is_one_and_busy_counts_all() {
        let now = Instant::now();
        let mut kept = Kept::new(None, "p").expect("nothing to open");
        kept.work_began = now - Duration::from_secs(10);
        kept.totals.spent.busy_us = 10_000_000;
        kept.n_workers = 2;
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
            kept.add(&event);
        }
        let folder = tempfile::tempdir().expect("a folder");
        kept.target = Some(Target::File(folder.path().join("m.prom")));
        kept.write().expect("written");
        assert_eq!(kept.metrics.workers, 2);
        assert!(
            (0.4..=0.5).contains(&kept.metrics.encoder_busy),
            "{:?}",
            kept.metrics
        );
    }

    #[test]
    fn each_run_keeps_what_the_last_one_noted_and_what_others_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("m.prom");
        let run = |profile: &str, code| {
            MetricsFile::start(Some(&path), profile)
                .expect("written")
                .ended(code);
            Runs::read(&read(&path), profile)
        };
        let first = run("a", ExitCode::Success);
        assert_eq!(first.succeeded_at, first.ended_at);
        let other = run("b", ExitCode::Locked);
        assert_eq!((other.exit_code, other.succeeded_at), (Some(11), None));
        let second = run("a", ExitCode::Failure);
        assert_eq!(second.exit_code, Some(1));
        assert_eq!(second.succeeded_at, first.succeeded_at);
        assert!(second.ended_at > first.ended_at);
        assert_eq!(Runs::read(&read(&path), "b"), other);
        // While it runs, the last word on the run before stands.
        let running = MetricsFile::start(Some(&path), "a").expect("written");
        assert_eq!(Runs::read(&read(&path), "a"), second);
        running.ended(ExitCode::Incomplete);
        assert!(Runs::read(&read(&path), "a").succeeded_at > first.succeeded_at);
    }
}
