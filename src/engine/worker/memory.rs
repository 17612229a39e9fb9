//! Ends the worker before it takes the memory of everybody else.
//!
//! Watches the process's resident memory, which no allocator counts for us: most of it belongs to the
//! inference runtime and to parsers in C. Never frees anything.

use super::Reporter;
use crate::platform;
use crate::protocol::{FromWorker, InputCrash};
use std::thread;
use std::time::Duration;

/// How often it looks. At the pace at which a parser fills memory, about 1 GB/s, it is found within
/// 50 MB; a look costs some microseconds.
const LOOK: Duration = Duration::from_millis(50);

/// How long the supervisor has to end this process, once it has heard.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Starts watching; `limit` is in bytes, 0 is none.
pub(super) fn watch(limit: u64, reporter: Reporter) {
    if limit == 0 {
        return;
    }
    let watcher = move || {
        while platform::resident_memory_bytes().is_none_or(|bytes| bytes <= limit) {
            thread::sleep(LOOK);
        }
        reporter.tell(FromWorker::InputCrashed(InputCrash {
            file: None,
            reason: format!("its worker took more than {} MiB of memory", limit >> 20),
        }));
        thread::sleep(LAST_WORDS);
        std::process::abort();
    };
    let started = thread::Builder::new()
        .name("memory-watch".to_owned())
        .spawn(watcher);
    if let Err(error) = started {
        tracing::warn!("memory is not watched: {error}");
    }
}
