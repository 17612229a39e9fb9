//! Batches on the card: the memory they take, how long they last, and how the script ends them.

use super::Simulator;
use super::process::{Activity, BatchEnd, Target};
use crate::batch::{Batch, EncoderKind};
use crate::device::DeviceFailure;
use crate::engine::watchdog::Input;
use crate::engine::watchdog::incident::ScriptEvent;
use crate::ids::{ShardId, WorkerId};
use std::time::Duration;

impl Simulator<'_> {
    /// Memory of the card in use.
    pub fn used_gib(&self) -> f64 {
        let card = &self.scenario.card;
        let contexts = self.processes.values().filter(|p| p.is_on_card());
        let used = contexts.map(|p| card.context_gib + p.grown).sum::<f64>() + self.others_gib;
        // The rest is in main memory.
        used.min(card.total_gib * card.most)
    }

    /// Start a batch at the card's current speed.
    pub fn begin_batch(&mut self, worker: WorkerId) {
        self.play_script();
        let scenario = self.scenario;
        let encoder = &scenario.encoder;
        let card_is_full = self.used_gib() >= scenario.card.total_gib * scenario.card.spills_at;
        let sharers = self.processes.values().filter(|p| p.is_on_card()).count();
        let (slowdown, length, fill) = (self.slowdown, self.length, self.fill);
        let end = self.next_end.take();
        let now = self.now;
        let process = self.process(worker);
        let Some(segment) = &process.segment else {
            process.activity = Activity::Nothing;
            return;
        };
        if process.must_release {
            process.must_release = false;
            process.grown = 0.0;
            if scenario.card.release_heals {
                process.is_spilled = false;
            }
        } else {
            process.is_spilled |= card_is_full;
        }
        let chunks = (segment.chunks - segment.done).min(encoder.batch_chunks);
        let pace = match (process.target, process.is_spilled) {
            (Target::Cpu, _) => encoder.cpu_chunks_per_s,
            (Target::Card, true) => encoder.crawl_chunks_per_s / sharers as f64 / slowdown,
            (Target::Card, false) => encoder.chunks_per_s / sharers as f64 / slowdown,
        };
        // A batch always runs in its whole shape; chunks are as long as the script says.
        let shape = encoder.tokens_per_chunk * length;
        let seconds = encoder.batch_chunks as f64 * length / pace;
        let filled = (chunks as f64 * fill).ceil();
        let batch = Batch {
            encoder: EncoderKind::Sparse,
            n_tokens: (filled * shape) as u64,
            n_slots: (encoder.batch_chunks as f64 * shape) as u64,
            n_windows: chunks,
            duration: Duration::from_secs_f64(seconds),
        };
        let until = now + batch.duration;
        let (until, end) = match end {
            Some(ScriptEvent::Hang) => (None, BatchEnd::Finishes),
            Some(ScriptEvent::Crash) => (Some(now), BatchEnd::Crash),
            Some(ScriptEvent::DriverCrash) => (Some(now), BatchEnd::Fails(DeviceFailure::Crash)),
            Some(ScriptEvent::OutOfMemory) => {
                (Some(now), BatchEnd::Fails(DeviceFailure::OutOfMemory))
            }
            Some(ScriptEvent::DeviceLost) => (Some(now), BatchEnd::Fails(DeviceFailure::Lost)),
            _ => (Some(until), BatchEnd::Finishes),
        };
        let shard = segment.shard;
        process.activity = Activity::Encoding {
            since: now,
            until,
            batch,
            end,
        };
        if process.target == Target::Card {
            process.grown += scenario.card.growth_mib / 1024.0;
            self.feed(Input::BatchStarted {
                worker,
                shard,
                encoder: batch.encoder,
                n_slots: batch.n_slots,
            });
        }
        self.pause_all();
    }

    /// End a batch as planned.
    pub fn end_batch(&mut self, worker: WorkerId, batch: Batch, end: BatchEnd) {
        let is_on_card = self.process(worker).target == Target::Card;
        match end {
            BatchEnd::Finishes => {
                self.batches += 1;
                let process = self.process(worker);
                process.activity = Activity::Nothing;
                let target = process.target;
                let segment = process.segment.as_mut().expect("it was encoding one");
                assert_eq!(segment.target, target, "a segment mixes devices");
                let shard = segment.shard;
                segment.done += batch.n_windows;
                let is_done = segment.done == segment.chunks;
                if is_done {
                    process.segment = None;
                    self.outcome.targets.entry(shard).or_default().push(target);
                }
                if is_on_card {
                    self.feed(Input::BatchFinished {
                        worker,
                        shard,
                        batch,
                    });
                }
                if is_done && self.is_finished(shard) {
                    self.feed(Input::ShardFinished { shard });
                }
            }
            BatchEnd::Fails(failure) if is_on_card => {
                self.feed(Input::DeviceFailed { worker, failure });
                // The watchdog's action may have replaced it.
                if matches!(self.process(worker).activity, Activity::Encoding { .. }) {
                    self.end(worker);
                }
            }
            BatchEnd::Crash | BatchEnd::Fails(_) => self.end(worker),
        }
    }

    fn is_finished(&self, shard: ShardId) -> bool {
        let assigned = self.processes.values().filter_map(|p| p.segment.as_ref());
        self.queue.iter().chain(assigned).all(|s| s.shard != shard)
    }

    fn play_script(&mut self) {
        while let Some(step) = self.scenario.script.get(self.scripted)
            && step.at_batch <= self.batches
        {
            self.scripted += 1;
            let value = step.value;
            match step.what {
                ScriptEvent::Hang
                | ScriptEvent::Crash
                | ScriptEvent::DriverCrash
                | ScriptEvent::OutOfMemory
                | ScriptEvent::DeviceLost => {
                    self.next_end = Some(step.what);
                    // Each batch has one end.
                    break;
                }
                ScriptEvent::ProbeSilent => self.is_probe_silent = value != 0.0,
                ScriptEvent::OthersTake => self.others_gib = value,
                ScriptEvent::SlowBy => self.slowdown = value,
                ScriptEvent::Disk => self.disk = Duration::from_secs_f64(value),
                ScriptEvent::LongChunks => self.length = value,
                ScriptEvent::Fill => self.fill = value,
                ScriptEvent::Pause => self.pause = Some(Duration::from_secs_f64(value)),
            }
        }
    }

    /// All processes are stopped. Their clocks go on, the supervisor's does not.
    fn pause_all(&mut self) {
        let Some(lasted) = self.pause.take() else {
            return;
        };
        for process in self.processes.values_mut() {
            if let Activity::Encoding { batch, .. } = &mut process.activity {
                batch.duration += lasted;
            }
        }
        self.feed(Input::Paused { lasted });
    }
}
