//! A worker process: takes segments, writes segment files.
//!
//! ```text
//! dispatch -> rayon pool: read, chunk, tag, tokenize -> look up, run, finish -> sink (one thread)
//! ```
//! The encode stage in the middle is one thread on the CPU and three for a device ([`encode_stage`]).
//!
//! Files travel in canonical order: each has its place in a bounded queue, any pool thread prepares it,
//! and the encoder waits for them in turn. So the committed files are always the first ones. A worker
//! never decides what to work on, only reads vectors from published databases, and prints nothing: its
//! stdout belongs to the protocol.

mod batch_reporter;
mod collect_stage;
mod collection;
mod dispatch;
mod encode_stage;
mod file_pipeline;
mod finish_stage;
mod items;
mod look_up;
mod memory;
mod pool;
mod reporter;
mod resume;
mod run_stage;
mod sink;
mod stage_error;
mod stage_threads;

use crate::device::DeviceFailure;
use crate::encode::{self, EncodeError, Encoders};
use crate::engine::driver::Driver;
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::gpu::{self, Gpu};
use crate::platform;
use crate::profile::encoders::{Device, EncoderChoice};
use crate::protocol::{FromWorker, ToWorker, WorkerSetup, build_id, read_frame};
use crossbeam_channel::{Receiver, unbounded};
pub use file_pipeline::{Reading, content_skip_reason};
use reporter::Reporter;
pub(crate) use resume::{header as segment_header, identity as segment_identity, work_if_complete};
use stage_error::StageError;
use std::io::{self, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How long a worker outlives its supervisor at most: time to finish and commit the files in hand. A stuck worker
/// keeps its segments locked, and no other process would end it.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// Run as a worker on this process's stdin and stdout until the supervisor stops it.
///
/// # Errors
/// If stdout or a thread cannot be set up. All later errors are reported to the supervisor.
pub fn run() -> io::Result<()> {
    let stdout = platform::claim_stdout()?;
    platform::raise_oom_score();
    let (reporter, writer) = Reporter::start(stdout)?;
    reporter.send(FromWorker::Hello {
        build_id: build_id(),
        pid: std::process::id(),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let releases = Arc::default();
    let inbox = listen(Arc::clone(&stop), Arc::clone(&releases))?;
    let ending = match serve(&inbox, &reporter, &stop, &releases) {
        Ok(()) => FromWorker::Stopped {
            cpu_us: platform::process_cpu_time().as_micros() as u64,
        },
        Err(error) => error.into(),
    };
    reporter.send(ending);
    // The last report must be out before the process ends.
    let _ = writer.join();
    Ok(())
}

/// Read stdin on its own thread, so that a stop is noticed while a file is encoded.
fn listen(stop: Arc<AtomicBool>, releases: Arc<AtomicU32>) -> io::Result<Receiver<ToWorker>> {
    // Unbounded: the supervisor sends at most eight segments ahead.
    let (sender, inbox) = unbounded();
    thread::Builder::new()
        .name("inbox".to_owned())
        .spawn(move || {
            let mut stdin = BufReader::new(io::stdin().lock());
            while let Ok(Some(message)) = read_frame::<ToWorker>(&mut stdin) {
                match message {
                    ToWorker::Stop => break,
                    // Overtakes the queued segments.
                    ToWorker::ReleaseMemory => {
                        releases.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    _ => {}
                }
                if sender.send(message).is_err() {
                    break;
                }
            }
            // The end of stdin and an unreadable frame mean the same as `Stop`.
            stop.store(true, Ordering::Relaxed);
            drop(sender);
            // Read on until the end of stdin, which means that the supervisor is gone.
            while let Ok(Some(_)) = read_frame::<ToWorker>(&mut stdin) {}
            thread::sleep(ORPHAN_GRACE);
            platform::exit_now(1);
        })?;
    Ok(inbox)
}

fn serve(
    inbox: &Receiver<ToWorker>,
    reporter: &Reporter,
    stop: &Arc<AtomicBool>,
    releases: &Arc<AtomicU32>,
) -> Result<(), StageError> {
    match inbox.recv() {
        Ok(ToWorker::Hello { build_id: theirs }) if theirs == build_id() => {}
        // Told to stop before it began.
        Err(_) => return Ok(()),
        Ok(_) => {
            return Err(Failure {
                kind: FailureKind::Unavailable,
                text: "this worker was started by another version of helix-build".to_owned(),
            }
            .into());
        }
    }
    let Ok(ToWorker::Setup(setup)) = inbox.recv() else {
        return Ok(());
    };
    memory::watch(setup.memory_limit, reporter.clone());
    failpoint!("worker::start", setup.worker);
    let mut encoders = open_encoders(&setup)?;
    encoders.on_release_request(releases);
    reporter.send(FromWorker::Ready {
        device: encoders.device_name(),
        warnings: encoders
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect(),
    });
    dispatch::serve(*setup, encoders, inbox, reporter, stop)
}

fn open_encoders(setup: &WorkerSetup) -> Result<Encoders, Failure> {
    let info = encode::describe(&setup.encoders).map_err(|error| unavailable(&error))?;
    let found = setup.recipe.fingerprint(info.hashes());
    if found != setup.fingerprint {
        return Err(Failure {
            kind: FailureKind::FingerprintMismatch,
            text: "a model file changed while the build was starting; run it again".to_owned(),
        });
    }
    let before = devices_in_use(&setup.encoders);
    let encoders = Encoders::open(&setup.encoders).map_err(|error| unavailable(&error))?;
    let after = devices_in_use(&setup.encoders);
    let is_left_out = |(device, after): &&(Device, Gpu)| {
        let before = before.iter().find(|(known, _)| known == device);
        before.is_some_and(|(_, before)| !gpu::is_in_use(before, after, std::process::id()))
    };
    if let Some((device, gpu)) = after.iter().find(is_left_out) {
        return Err(Failure {
            kind: FailureKind::Unavailable,
            text: format!(
                "device {device} cannot be used: the provider fell back to the CPU, since the encoders are open and \
                 no memory of {} was taken; use --device cpu",
                gpu.name
            ),
        });
    }
    Ok(encoders)
}

/// Return the devices that this process will run on, as NVML reports them now. Devices unknown to NVML are left
/// out; for those the runtime's word on where the graph runs has to suffice.
fn devices_in_use(choice: &EncoderChoice) -> Vec<(Device, Gpu)> {
    let Some(driver) = Driver::of(choice) else {
        return Vec::new();
    };
    let devices = choice.devices().into_iter();
    devices
        .filter_map(|device| Some((device, driver.state(device)?)))
        .collect()
}

fn unavailable(error: &EncodeError) -> Failure {
    Failure {
        kind: match error {
            EncodeError::OutOfMemory { .. } => FailureKind::Device(DeviceFailure::OutOfMemory),
            EncodeError::DeviceLost { .. } => FailureKind::Device(DeviceFailure::Lost),
            _ => FailureKind::Unavailable,
        },
        text: format!("{error:#}"),
    }
}
