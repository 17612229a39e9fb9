//! A worker process: takes segments, writes segment files.
//!
//! ```text
//! dispatch -> rayon pool: read, chunk, tag, tokenize -> encode (one thread) -> sink (one thread)
//! ```
//! Files travel in canonical order by construction: each is a slot in a bounded queue, filled by
//! whichever pool thread gets it and waited for in turn, so what is committed is always a prefix.
//! A worker never decides what to work on, never touches a published database except to read vectors
//! from it, and prints nothing: its stdout is the protocol's.

mod dispatch;
mod encode_stage;
mod halt;
mod memory;
mod prepare;
mod sink;

use crate::device::DeviceFailure;
use crate::encode::{self, EncodeError, Encoders};
use crate::engine::driver::Driver;
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::gpu::{self, Gpu};
use crate::platform;
use crate::profile::encoders::{Device, EncoderChoice};
use crate::protocol::{FromWorker, ToWorker, WorkerSetup, build_id, read_frame, write_frame};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use halt::Halt;
pub use prepare::unread;
use std::io::{self, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How long a worker outlives its supervisor at most: time to finish and commit what is in hand. Nobody
/// else would end one that is stuck, and it keeps its segments locked.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// Run as a worker on this process's stdin and stdout until the supervisor stops it.
///
/// # Errors
/// If stdout or a thread cannot be set up. All later errors are reported to the supervisor.
pub fn run() -> io::Result<()> {
    let mut stdout = platform::claim_stdout()?;
    platform::volunteer_for_memory();
    let (reports, to_send) = bounded::<Report>(64);
    let writer = thread::Builder::new()
        .name("reports".to_owned())
        .spawn(move || {
            for Report { message, written } in to_send {
                if let FromWorker::FileStarted { file, .. } = &message {
                    failpoint!("worker::in_hand", file);
                }
                // A supervisor that is gone is noticed by the end of stdin.
                if write_frame(&mut stdout, &message).is_err() || message.is_last() {
                    return;
                }
                if let Some(written) = written {
                    let _ = written.send(());
                }
            }
        })?;
    let reporter = Reporter(reports);
    reporter.tell(FromWorker::Hello {
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
        Err(halt) => halt.into(),
    };
    reporter.tell(ending);
    // The last report must be out before the process ends.
    let _ = writer.join();
    Ok(())
}

/// Something to tell the supervisor.
pub(crate) struct Report {
    message: FromWorker,
    /// Who waits until it is in the pipe, which outlives the process.
    written: Option<Sender<()>>,
}

/// Where reports go; clones go to the stages.
#[derive(Clone)]
pub(crate) struct Reporter(Sender<Report>);

impl Reporter {
    fn tell(&self, message: FromWorker) {
        self.send(message, None);
    }

    /// Returns when the message is on its way, whatever becomes of this process afterwards.
    fn tell_first(&self, message: FromWorker) {
        let (written, waits) = bounded(1);
        self.send(message, Some(written));
        let _ = waits.recv();
    }

    fn send(&self, message: FromWorker, written: Option<Sender<()>>) {
        // The channel ends with the writer, which ends with the pipe: nobody is left to tell.
        let _ = self.0.send(Report { message, written });
    }
}

/// Reads stdin on its own thread, so that a stop is seen while a file is encoded.
fn listen(stop: Arc<AtomicBool>, releases: Arc<AtomicU32>) -> io::Result<Receiver<ToWorker>> {
    // Unbounded: the supervisor keeps at most two segments here.
    let (sender, inbox) = unbounded();
    thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            let mut stdin = BufReader::new(io::stdin().lock());
            while let Ok(Some(message)) = read_frame::<ToWorker>(&mut stdin) {
                match message {
                    ToWorker::Stop => break,
                    // Past the queue: the segments in it would keep it waiting.
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
            // End of stdin, an unreadable frame and `Stop` mean the same.
            stop.store(true, Ordering::Relaxed);
            drop(sender);
            // From here on for the end of stdin alone: the supervisor is gone.
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
) -> Result<(), Halt> {
    match inbox.recv() {
        Ok(ToWorker::Hello { build_id: theirs }) if theirs == build_id() => {}
        // Stopped before it began.
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
    reporter.tell(FromWorker::Ready {
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

/// The devices that this process will run on, as NVML reports them now. Those of which NVML says nothing are left
/// out: the runtime's own word on where the graph is has to do then.
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
