//! Finds encoders that crawl or hang on a device, and decides what to do about it.
//!
//! When device memory is full, the driver moves part of a context to main memory, and the encoder goes on at a fraction
//! of its speed, for days. Two incidents were published: from 15.3 down to 2.3 chunks a second with 11.85 of 12 GB in
//! use; 64 chunks in 47 minutes although the cache was emptied repeatedly. A fresh context helped, then the CPU.
//!
//! Pure: [`Watchdog::step`] takes what the supervisor saw, with the supervisor's clock, which stands still while the
//! machine is suspended, and returns what to do. It starts and kills nothing, and reads neither a clock nor memory.
//! Elapsed time alone never triggers it, except for a single batch that does not end.
//!
//! ```text
//! batches -> detector: slow? ----+
//! memory  -> full? --------------+-> ladder: release memory -> respawn -> CPU -> actions
//! ticks   -> stall: hung? -------+
//! ```
//!
//! Imports inside this module point one way: values (`config`, `input`, `ladder`, `detector`, `probe`, `restart`,
//! `pauses`), then the state of one `device` or `worker`, then the `fleet` of all of them, then the rules
//! (`batches`, `failures`, `memory`, `stall`, `response`), then this file.

pub mod config;
mod detector;
mod input;
mod ladder;
mod pauses;
mod probe;
mod restart;

mod device;
mod worker;

mod fleet;

mod batches;
mod failures;
mod memory;
mod response;
mod stall;

pub(crate) use input::{Action, EncoderDevices, Input};

use crate::ids::{ShardId, WorkerId};
use config::CrawlConfig;
use fleet::Fleet;
use input::Step;
use std::time::Duration;

/// The watchdog of one build.
#[derive(Debug)]
pub(crate) struct Watchdog(Fleet);

impl Watchdog {
    /// `stall_ceiling`: longest time for any batch. `labels`: names of the shards.
    pub fn new(
        config: CrawlConfig,
        stall_ceiling: Duration,
        labels: impl IntoIterator<Item = (ShardId, String)>,
    ) -> Self {
        Self(Fleet::new(config, stall_ceiling, labels))
    }

    /// Take what the supervisor saw and return what to do, in order. `now`: the supervisor's clock.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let fleet = &mut self.0;
        let mut step = Step::new(now);
        match input {
            Input::WorkerStarted { worker, devices } => {
                fleet.worker_started(&mut step, worker, devices);
            }
            Input::WorkerEnded { worker } => fleet.worker_ended(worker),
            Input::BatchStarted {
                worker,
                shard,
                encoder,
                n_slots,
            } => {
                if let Some(worker) = fleet.workers.get_mut(&worker) {
                    worker.start_batch(now, shard, encoder, n_slots);
                }
            }
            Input::BatchFinished {
                worker,
                shard,
                batch,
            } => fleet.batch_finished(&mut step, worker, shard, &batch),
            Input::DeviceFailed { worker, failure } => {
                fleet.device_failed(&mut step, worker, failure);
            }
            Input::MemoryRead { device, answer } => fleet.memory_read(&mut step, device, answer),
            Input::ShardFinished { shard } => fleet.shard_finished(shard),
            Input::Paused { lasted } => fleet.pauses.add(now, lasted),
            Input::Tick => {
                fleet.continue_late_restarts(&mut step);
                fleet.find_stalls(&mut step);
            }
            Input::Ending => fleet.report_unread_memory(&mut step),
        }
        step.actions
    }

    /// Whether the worker is known to be in the middle of a batch.
    pub fn is_in_batch(&self, worker: WorkerId) -> bool {
        let worker = self.0.workers.get(&worker);
        worker.is_some_and(|worker| worker.running.is_some())
    }
}

#[cfg(test)]
mod incident;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
