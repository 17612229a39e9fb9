//! Sends a worker's messages to the supervisor, from any of its threads.

use crate::failpoint::failpoint;
use crate::protocol::{FromWorker, write_frame};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, Write};
use std::thread::{self, JoinHandle};

/// Messages that wait for the pipe. A full queue slows the stages down to the supervisor's pace.
const QUEUE: usize = 64;

/// A message on its way to the pipe.
pub(super) struct Report {
    pub message: FromWorker,
    /// Receives a message once the report is in the pipe, which outlives the process.
    written: Option<Sender<()>>,
}

/// The sending end of the queue of reports. Each stage has a clone.
#[derive(Clone)]
pub(super) struct Reporter(Sender<Report>);

impl Reporter {
    /// Start the thread that writes reports to `pipe`. It ends after the last report, or with the pipe.
    pub fn start(pipe: impl Write + Send + 'static) -> io::Result<(Self, JoinHandle<()>)> {
        let (reporter, reports) = Self::channel(QUEUE);
        let writer = thread::Builder::new()
            .name("reports".to_owned())
            .spawn(move || write_reports(pipe, &reports))?;
        Ok((reporter, writer))
    }

    /// A reporter without a pipe.
    pub fn channel(capacity: usize) -> (Self, Receiver<Report>) {
        let (reports, to_write) = bounded(capacity);
        (Self(reports), to_write)
    }

    /// Queue a message.
    pub fn send(&self, message: FromWorker) {
        self.queue(message, None);
    }

    /// Send a message and wait until it is in the pipe, where it survives the end of this process.
    pub fn send_and_flush(&self, message: FromWorker) {
        let (written, waits) = bounded(1);
        self.queue(message, Some(written));
        let _ = waits.recv();
    }

    fn queue(&self, message: FromWorker, written: Option<Sender<()>>) {
        // The queue ends with the writer, which ends with the pipe: the supervisor is gone.
        let _ = self.0.send(Report { message, written });
    }
}

fn write_reports(mut pipe: impl Write, reports: &Receiver<Report>) {
    for Report { message, written } in reports {
        if let FromWorker::FileStarted { file, .. } = &message {
            failpoint!("worker::in_hand", file);
        }
        // The end of stdin shows that the supervisor is gone.
        if write_frame(&mut pipe, &message).is_err() || message.is_last() {
            return;
        }
        if let Some(written) = written {
            let _ = written.send(());
        }
    }
}
