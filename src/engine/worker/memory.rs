//! Ends the worker when it exceeds its memory limit, before the system runs out of memory.
//!
//! Watches the resident memory of the process. No allocator counts it for us: most of it belongs to
//! the inference runtime and to parsers in C. Never frees anything.

use super::reporter::Reporter;
use crate::platform;
use crate::protocol::{FromWorker, InputCrash};
use std::thread;
use std::time::Duration;

/// A parser fills memory at about 1 GB/s, so the limit is exceeded by 50 MB at most. One poll takes
/// some microseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Time for the supervisor to read the report and kill this process.
const KILL_GRACE: Duration = Duration::from_millis(500);

/// Start watching. `limit` is in bytes; 0 means no limit.
pub(super) fn watch(limit: u64, reporter: Reporter) {
    if limit == 0 {
        return;
    }
    let watcher = move || {
        while platform::resident_memory_bytes().is_none_or(|bytes| bytes <= limit) {
            thread::sleep(POLL_INTERVAL);
        }
        reporter.send(FromWorker::InputCrashed(InputCrash {
            file: None,
            reason: format!("its worker took more than {} MiB of memory", limit >> 20),
        }));
        thread::sleep(KILL_GRACE);
        std::process::abort();
    };
    let started = thread::Builder::new()
        .name("memory-watch".to_owned())
        .spawn(watcher);
    if let Err(error) = started {
        tracing::warn!("the worker's memory limit is not enforced: {error}");
    }
}
