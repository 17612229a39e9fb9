//! The threads that prepare files.

use crate::failpoint::failpoint;

/// Stack of a pool thread. Parsing a section of a file may need 5 MiB. With a smaller stack the parser
/// allocates a new one for each section, which costs more than parsing a small section. Only touched
/// pages count.
const STACK: usize = 16 << 20;

/// The file workers of a process.
pub(super) struct FilePool(Option<rayon::ThreadPool>);

impl FilePool {
    /// Start `threads` threads. Where they cannot be started (a limit on processes or memory), the caller
    /// prepares files on its own thread, one after the other.
    pub fn start(threads: usize) -> Self {
        let started = match failpoint!("worker::pool", threads) {
            true => Err("asked to fail".to_owned()),
            false => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .stack_size(STACK)
                .thread_name(|n| format!("file-worker-{n}"))
                .build()
                .map_err(|error| error.to_string()),
        };
        Self(match started {
            Ok(pool) => Some(pool),
            Err(error) => {
                tracing::warn!(
                    "{threads} file workers cannot be started ({error}): files are prepared one after the other; \
                     choose fewer with --shard-file-workers"
                );
                None
            }
        })
    }

    /// Run `job` on a thread of the pool, or here when there is none.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Some(pool) => pool.spawn(job),
            None => job(),
        }
    }
}
