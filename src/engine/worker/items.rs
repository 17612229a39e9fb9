//! What travels between the stages of a worker, in canonical order.

use super::file_pipeline::PreparedFile;
use crate::ids::SegmentId;
use crate::protocol::{InputCrash, SegmentTask};
use crate::store::segment::SegmentWriter;
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender};
use std::sync::Arc;
use std::time::Duration;

/// How often a waiting thread checks whether the worker was told to stop.
pub(super) const STOP_CHECK: Duration = Duration::from_millis(50);

/// One item of a stage's queue; `F` is the state of a file there.
pub(super) enum Item<F> {
    /// Boxed: it is rare, and much larger than the others.
    Begin(Box<OpenSegment>),
    File(F),
    /// All files of the segment were sent.
    End,
}

/// A segment whose file is open for writing.
pub(super) struct OpenSegment {
    pub task: Arc<SegmentTask>,
    pub writer: SegmentWriter,
    /// Receives a message after each commit, in careful mode.
    pub committed: Option<Sender<()>>,
}

/// A file that a pool thread is preparing.
pub(super) struct PendingFile {
    pub file: (SegmentId, u32),
    /// Gets one value, once the file is prepared. An error is the text of a panic.
    pub prepared: Receiver<Result<PreparedFile, String>>,
}

impl PendingFile {
    /// Wait for the file, at most for `timeout`. Return whether it is prepared.
    pub fn is_prepared_within(&self, timeout: Duration) -> bool {
        let mut select = Select::new();
        select.recv(&self.prepared);
        select.ready_timeout(timeout).is_ok()
    }

    /// Wait for the file. It is the oldest one in the pool, so a thread is working on it.
    ///
    /// Counts the time in short waits: a wait during which the whole process was suspended counts once.
    ///
    /// # Errors
    /// The file panicked or took longer than `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<PreparedFile, InputCrash> {
        let mut waited = Duration::ZERO;
        let reason = loop {
            match self.prepared.recv_timeout(STOP_CHECK) {
                Ok(Ok(file)) => return Ok(file),
                Ok(Err(panic)) => break panic,
                Err(RecvTimeoutError::Disconnected) => break "its file worker is gone".to_owned(),
                Err(RecvTimeoutError::Timeout) => waited += STOP_CHECK,
            }
            if waited >= timeout {
                break format!("not prepared in {} s", timeout.as_secs());
            }
        };
        Err(InputCrash {
            file: Some(self.file),
            reason,
        })
    }
}
