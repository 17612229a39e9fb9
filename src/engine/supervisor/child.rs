//! A worker process as a guard: dropping it kills and reaps the process. Its exit status is reported.
//!
//! Decides nothing. One thread reads the child's frames, another writes to it, so that a child that stops reading cannot
//! block the supervisor.

use super::state::Event;
use crate::failure::{Failure, FailureKind};
use crate::ids::WorkerId;
use crate::platform;
use crate::protocol::{FromWorker, ToWorker, build_id, read_frame, write_frame};
use crossbeam_channel::Sender;
use std::io::{self, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a child may take to exit after its pipe closed, before it is killed.
const EXIT_GRACE: Duration = Duration::from_secs(10);

/// A running worker process.
pub(super) struct Worker {
    child: Arc<Mutex<Child>>,
    /// Unbounded, since the supervisor must never block; it sends a few segments ahead at most.
    outbox: Sender<ToWorker>,
}

impl Worker {
    /// Start `command`. Its messages arrive on `events`, its exit last.
    pub fn spawn(
        mut command: Command,
        worker: WorkerId,
        generation: u32,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        platform::own_process_group(&mut command);
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("worker has no pipes"));
        };
        let child = Arc::new(Mutex::new(child));
        let (outbox, messages) = crossbeam_channel::unbounded();
        thread::Builder::new()
            .name(format!("to-worker-{worker}"))
            .spawn(move || write_all(stdin, &messages))?;
        let reaped = Arc::clone(&child);
        thread::Builder::new()
            .name(format!("from-worker-{worker}"))
            .spawn(move || {
                read_all(stdout, worker, generation, &events);
                let status = reap(&reaped);
                // The supervisor may have ended.
                let _ = events.send(Event::Exited {
                    worker,
                    generation,
                    status,
                });
            })?;
        let this = Self { child, outbox };
        this.send(ToWorker::Hello {
            build_id: build_id(),
        });
        Ok(this)
    }

    /// Queue a message. Its exit tells when a worker has ended, not this.
    pub fn send(&self, message: ToWorker) {
        let _ = self.outbox.send(message);
    }

    pub fn kill(&self) {
        let mut child = lock(&self.child);
        // This fails only if the process has exited.
        let _ = child.kill();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        // The reading thread sees the end of the pipe and reaps the process.
    }
}

/// Write messages until the worker's handle is dropped or the pipe breaks. Then the worker's stdin ends.
fn write_all(stdin: ChildStdin, messages: &crossbeam_channel::Receiver<ToWorker>) {
    let mut stdin = io::BufWriter::new(stdin);
    for message in messages {
        if write_frame(&mut stdin, &message).is_err() {
            return;
        }
    }
}

fn read_all(stdout: ChildStdout, worker: WorkerId, generation: u32, events: &Sender<Event>) {
    let mut stdout = BufReader::new(stdout);
    let mut greeted = false;
    loop {
        let message = match read_frame::<FromWorker>(&mut stdout) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => failed(FailureKind::Internal, format!("worker's pipe: {error}")),
        };
        let message = match message {
            FromWorker::Hello {
                build_id: theirs, ..
            } if theirs != build_id() => failed(
                FailureKind::Unavailable,
                format!(
                    "the program was replaced while it ran: supervisor is {}, worker is {theirs}; run the build again",
                    build_id()
                ),
            ),
            FromWorker::Hello { .. } => {
                greeted = true;
                message
            }
            FromWorker::Failed(_) => message,
            _ if !greeted => failed(FailureKind::Internal, "the worker sent no hello".to_owned()),
            _ => message,
        };
        let last = message.is_last();
        let event = Event::Message {
            worker,
            generation,
            message,
        };
        if events.send(event).is_err() || last {
            return;
        }
    }
}

fn failed(kind: FailureKind, text: String) -> FromWorker {
    FromWorker::Failed(Failure { kind, text })
}

/// Wait for the exit, and return its status as text. Kills a child that does not exit.
fn reap(child: &Mutex<Child>) -> String {
    let deadline = Instant::now() + EXIT_GRACE;
    loop {
        match lock(child).try_wait() {
            // The text goes into the ledger, and whether a core is dumped depends on the machine.
            Ok(Some(status)) => return status.to_string().replace(" (core dumped)", ""),
            Ok(None) => {}
            Err(error) => return format!("cannot be waited for: {error}"),
        }
        if Instant::now() > deadline {
            let _ = lock(child).kill();
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
