//! Writes the metrics of a build to a file for Prometheus.
//!
//! Collects events, and replaces the file once a second and at the end of the build. A collector never sees a partial
//! file, since a temporary file is renamed; FIFOs and devices are written directly. Metrics of other profiles in the
//! file are kept. If the file can no longer be written, a warning is logged once and the build continues.

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

/// Interval between writes. Collectors usually read every 15 seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Size limit when reading the metrics of other profiles, which take about 5 KiB each.
const MOST_BYTES: u64 = 16 << 20;

/// The metrics file of a run; does nothing without `--metrics-file`. If dropped without [`Self::ended`], the file shows a
/// run that was killed.
pub struct MetricsFile {
    state: Arc<Mutex<State>>,
    /// Dropping it stops the thread that writes.
    _alive: Sender<()>,
}

impl MetricsFile {
    /// Begin a run of `profile` and write the file for the first time.
    ///
    /// # Errors
    /// If a file cannot be written. If a stream cannot be written, because its reader is slow or gone, only a warning is
    /// logged and metrics are disabled.
    pub fn start(path: Option<&Path>, profile: &str) -> anyhow::Result<Self> {
        let mut metrics = State::new(path, profile)?;
        match metrics.target {
            Some(Target::Stream(_)) => metrics.save(),
            _ => metrics.write().with_context(|| metrics.flag())?,
        }
        let state = Arc::new(Mutex::new(metrics));
        let (alive, stop) = bounded(0);
        if path.is_some() {
            let writer = Arc::clone(&state);
            // Without the thread, metrics are written only when events arrive.
            if let Err(error) = thread::Builder::new()
                .name("metrics".to_owned())
                .spawn(move || keep_writing(&writer, &stop))
            {
                tracing::warn!("--metrics-file: cannot start its writer thread: {error}");
            }
        }
        Ok(Self {
            state,
            _alive: alive,
        })
    }

    pub fn event(&self, event: &BuildEvent) {
        let mut state = lock(&self.state);
        state.add(event);
        state.save_if_due();
    }

    /// Write the result of the run.
    pub fn ended(self, code: ExitCode) {
        lock(&self.state).end(code);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Write the file regularly. Walking, publishing and waiting emit no events, but the file should show that the build is
/// alive.
fn keep_writing(state: &Mutex<State>, stop: &Receiver<()>) {
    while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        lock(state).save_if_due();
    }
}

/// The metrics and where they are written.
struct State {
    /// `None` if nothing is written, or no longer.
    target: Option<Target>,
    /// As the user named it.
    name: PathBuf,
    metrics: Metrics,
    began: Instant,
    /// When workers could start to work.
    work_began: Instant,
    written: Instant,
    totals: Totals,
    /// Most workers that the build runs at a time.
    n_workers: u32,
    /// Workers that are ready. No event reports that a worker is replaced, only that its successor starts.
    ready: BTreeSet<WorkerId>,
}

impl State {
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
            BuildEvent::SegmentDone { .. } | BuildEvent::SegmentResumed { .. } => {
                metrics.segments_done += 1;
            }
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
            tracing::warn!("{}: {error:#}; metrics are disabled", self.flag());
            self.target = None;
        }
    }

    fn flag(&self) -> String {
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
            // Without the cause: "no space left" would suggest a full disk.
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

/// Resolve `path`, and refuse a file that does not contain metrics of this program (exit code 2).
fn open(path: &Path) -> anyhow::Result<Target> {
    check(path)?;
    named_file::target(path).map_err(|error| refused(path, &error.to_string()))
}

fn refused(path: &Path, why: &str) -> anyhow::Error {
    let text = format!("--metrics-file {}: {why}", path.display());
    Exit::error(ExitCode::Usage, text)
}

/// Refuse a path whose file is not a metrics file of this program. Opens no stream.
///
/// # Errors
/// Exit code 2.
pub fn check(path: &Path) -> anyhow::Result<()> {
    let refused = |why: &str| refused(path, why);
    let file = named_file::target_file(path).map_err(|error| refused(&error.to_string()))?;
    let Some(file) = &file else {
        return Ok(());
    };
    // Check the beginning first: most other files differ there, however long they are.
    let is_ours = |head: &[u8]| marks::is_metrics(head) && Metrics::is_ours(&read(file));
    match named_file::head(file, marks::HEAD_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(&error.to_string())),
        Ok(head) if head.is_empty() || is_ours(&head) => Ok(()),
        Ok(_) => Err(refused(
            "not a metrics file of this program, and the build would overwrite it: choose another file",
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
    // Closes the file, which is removed unless the rename succeeds.
    let temporary = file.into_temp_path();
    platform::replace_file(&temporary, path)?;
    Ok(())
}

/// Return the entry of a device, and add it if its memory has not been read yet.
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

/// Return the content of the file; empty if there is none or it cannot be read.
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
    // A clock before 1970 is wrong, but no reason to fail.
    now.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_workers_count_once_and_busy_time_counts_all() {
        let now = Instant::now();
        let mut state = State::new(None, "p").expect("nothing to open");
        state.work_began = now - Duration::from_secs(10);
        state.totals.spent.busy_us = 10_000_000;
        state.n_workers = 2;
        let starting = |n| BuildEvent::WorkerStarting {
            worker: WorkerId(n),
        };
        let ready = |n| BuildEvent::WorkerReady {
            worker: WorkerId(n),
            device: "cuda:0".to_owned(),
        };
        // The watchdog replaces the first worker without an event for its loss.
        for event in [
            starting(0),
            starting(1),
            ready(0),
            ready(1),
            starting(0),
            ready(0),
        ] {
            state.add(&event);
        }
        let folder = crate::test_folder::create();
        state.target = Some(Target::File(folder.path().join("m.prom")));
        state.write().expect("written");
        assert_eq!(state.metrics.workers, 2);
        assert!(
            (0.4..=0.5).contains(&state.metrics.encoder_busy),
            "{:?}",
            state.metrics
        );
    }

    #[test]
    fn runs_keep_the_previous_result_and_other_profiles() {
        let folder = crate::test_folder::create();
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
        // A running build shows the result of the previous one.
        let running = MetricsFile::start(Some(&path), "a").expect("written");
        assert_eq!(Runs::read(&read(&path), "a"), second);
        running.ended(ExitCode::Incomplete);
        assert!(Runs::read(&read(&path), "a").succeeded_at > first.succeeded_at);
    }
}
