//! What workers say, and what it changes. `exits` says what a death means, `watchdog` what a batch means.

use super::effect::Step;
use super::slot::LeaveReason;
use super::{Effect, State};
use crate::engine::watchdog::Input;
use crate::failure::{Failure, FailureKind};
use crate::ids::{SegmentId, WorkerId};
use crate::protocol::{FromWorker, Work};
use crate::report::BuildEvent;

/// How long batches count as progress in a build that is stopping, in [`super::Limits::pause_timeout`]. A card of 12 GB
/// encodes a full collection (1,024 chunks at 15 a second) in that time.
const PAUSE_TIMEOUTS_OF_BATCHES: u32 = 3;

impl State {
    /// Take a message of the process that the worker's slot has now.
    pub(super) fn message(&mut self, step: &mut Step, worker: WorkerId, message: FromWorker) {
        let is_progress = self.is_progress(step, &message);
        let Some(process) = self.workers.process_mut(worker) else {
            return;
        };
        if is_progress {
            process.active_at = step.now;
        }
        let target = process.target;
        let has_moved = |segment: SegmentId| self.devices.target_of(segment) != target;
        match message {
            // A replaced worker said this of a segment that runs on the CPU from now on. The next worker either finds
            // the segment complete or starts it from its beginning, and its messages count.
            FromWorker::SegmentOpened { segment, .. }
            | FromWorker::FilesCommitted { segment, .. }
            | FromWorker::SegmentDone { segment }
                if has_moved(segment) => {}
            // `run` has compared the build ids.
            FromWorker::Hello { pid, .. } => process.pid = Some(pid),
            FromWorker::Ready { device, warnings } => self.ready(step, worker, device, warnings),
            FromWorker::SegmentOpened { segment, done } => {
                let already = match self.schedule.opened(segment) {
                    true => done,
                    false => Work::default(),
                };
                step.emit(BuildEvent::SegmentOpened {
                    worker,
                    segment,
                    already,
                });
            }
            FromWorker::FileStarted { segment, file } => {
                if let Some(load) = process.load_mut() {
                    load.current_file = Some((segment, file));
                }
            }
            FromWorker::Progress => {}
            FromWorker::BatchStarted {
                shard,
                encoder,
                n_slots,
            } => {
                let input = Input::BatchStarted {
                    worker,
                    shard,
                    encoder,
                    n_slots,
                };
                self.feed_watchdog(step, input);
            }
            FromWorker::BatchFinished { shard, batch } => {
                let input = Input::BatchFinished {
                    worker,
                    shard,
                    batch,
                };
                self.feed_watchdog(step, input);
            }
            FromWorker::FilesCommitted {
                segment,
                work,
                file,
            } => {
                if let Some(load) = process.load_mut() {
                    load.current_file = None;
                }
                self.blame.committed(segment, &work);
                step.emit(BuildEvent::FilesCommitted {
                    worker,
                    segment,
                    work,
                    file,
                });
            }
            FromWorker::SegmentDone { segment } => self.segment_done(step, worker, segment),
            FromWorker::Stopped { .. } => process.leave(LeaveReason::Stop),
            FromWorker::Failed(failure) => self.worker_failed(step, worker, failure),
            FromWorker::InputCrashed(crash) => {
                process.crash(crash);
                step.push(Effect::Kill { worker });
            }
        }
    }

    /// Whether a message shows progress. Batches of a crawl may go on for long after the build was asked to stop,
    /// since they belong to a collection of many; a pause does not wait for all of it.
    fn is_progress(&self, step: &Step, message: &FromWorker) -> bool {
        let is_batch = matches!(
            message,
            FromWorker::BatchStarted { .. } | FromWorker::BatchFinished { .. }
        );
        let limit = PAUSE_TIMEOUTS_OF_BATCHES * self.limits.pause_timeout;
        let stopping_since = self.stopping_since();
        !is_batch || stopping_since.is_none_or(|since| step.now <= since + limit)
    }

    fn ready(&mut self, step: &mut Step, worker: WorkerId, device: String, warnings: Vec<String>) {
        let Some(slot) = self.workers.slot_mut(worker) else {
            return;
        };
        slot.failed_starts = 0;
        let Some(process) = slot.process_mut() else {
            return;
        };
        process.set_ready();
        let input = self.devices.worker_started(worker, process.target);
        // All workers load the same models: the warnings of the first are enough.
        if !self.ever_ready {
            warnings.into_iter().for_each(|text| step.warn(text));
        }
        self.ever_ready = true;
        step.emit(BuildEvent::WorkerReady { worker, device });
        self.feed_watchdog(step, input);
    }

    fn segment_done(&mut self, step: &mut Step, worker: WorkerId, segment: SegmentId) {
        let process = self.workers.process_mut(worker);
        if let Some(load) = process.and_then(|process| process.load_mut()) {
            load.assigned.retain(|assigned| *assigned != segment);
            load.current_file = None;
        }
        self.blame.segment_done();
        if self.schedule.finish(segment) {
            step.emit(BuildEvent::SegmentDone { worker, segment });
            step.push(Effect::Load(segment));
        }
    }

    fn worker_failed(&mut self, step: &mut Step, worker: WorkerId, failure: Failure) {
        let kind = failure.kind;
        if let Some(process) = self.workers.process_mut(worker) {
            process.leave(LeaveReason::Failed(failure));
        }
        if let FailureKind::Device(failure) = kind {
            self.feed_watchdog(step, Input::DeviceFailed { worker, failure });
        }
    }
}
