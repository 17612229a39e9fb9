//! Batches on the card: what memory they take, how long they last, and how the script has them end.

use super::Simulator;
use super::process::{Doing, Fate, Place};
use crate::batch::{Batch, EncoderKind};
use crate::device::DeviceFailure;
use crate::engine::watchdog::Input;
use crate::engine::watchdog::incident::What;
use crate::ids::{ShardId, WorkerId};
use std::time::Duration;

impl Simulator<'_> {
    /// Memory of the card that is taken.
    pub fn used_gib(&self) -> f64 {
        let card = &self.scenario.card;
        let contexts = self.processes.values().filter(|p| p.has_context());
        let used = contexts.map(|p| card.context_gib + p.grown).sum::<f64>() + self.others_gib;
        // What is beyond is in main memory.
        used.min(card.total_gib * card.most)
    }

    /// Begins a batch, at the pace that the card has for it.
    pub fn begin_batch(&mut self, worker: WorkerId) {
        self.play_script();
        let scenario = self.scenario;
        let encoder = &scenario.encoder;
        let card_is_full = self.used_gib() >= scenario.card.total_gib * scenario.card.spills_at;
        let sharers = self.processes.values().filter(|p| p.has_context()).count();
        let (slowness, length, fill) = (self.slowness, self.length, self.fill);
        let fate = self.fate.take();
        let now = self.now;
        let process = self.process(worker);
        let Some(segment) = &process.segment else {
            process.doing = Doing::Nothing;
            return;
        };
        if process.shall_release {
            process.shall_release = false;
            process.grown = 0.0;
            if scenario.card.release_heals {
                process.is_spilled = false;
            }
        } else {
            process.is_spilled |= card_is_full;
        }
        let chunks = (segment.chunks - segment.done).min(encoder.batch_chunks);
        let pace = match (process.place, process.is_spilled) {
            (Place::Cpu, _) => encoder.cpu_chunks_per_s,
            (Place::Card, true) => encoder.crawl_chunks_per_s / sharers as f64 / slowness,
            (Place::Card, false) => encoder.chunks_per_s / sharers as f64 / slowness,
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
        let (until, fate) = match fate {
            Some(What::Hang) => (None, Fate::Well),
            Some(What::Crash) => (Some(now), Fate::Crash),
            Some(What::OutOfMemory) => (Some(now), Fate::Fails(DeviceFailure::OutOfMemory)),
            Some(What::DeviceLost) => (Some(now), Fate::Fails(DeviceFailure::Lost)),
            _ => (Some(until), Fate::Well),
        };
        let shard = segment.shard;
        process.doing = Doing::Encoding {
            since: now,
            until,
            batch,
            fate,
        };
        if process.place == Place::Card {
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

    /// Ends a batch as it was meant to end.
    pub fn end_batch(&mut self, worker: WorkerId, batch: Batch, fate: Fate) {
        let is_on_card = self.process(worker).place == Place::Card;
        match fate {
            Fate::Well => {
                self.batches += 1;
                let process = self.process(worker);
                process.doing = Doing::Nothing;
                let place = process.place;
                let segment = process.segment.as_mut().expect("it was encoding one");
                assert_eq!(segment.place, place, "a segment mixes devices");
                let shard = segment.shard;
                segment.done += batch.n_windows;
                let is_done = segment.done == segment.chunks;
                if is_done {
                    process.segment = None;
                    self.course.places.entry(shard).or_default().push(place);
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
            Fate::Fails(failure) if is_on_card => {
                self.feed(Input::DeviceFailed { worker, failure });
                // The action may have replaced it already.
                if matches!(self.process(worker).doing, Doing::Encoding { .. }) {
                    self.end(worker);
                }
            }
            Fate::Crash | Fate::Fails(_) => self.end(worker),
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
                What::Hang | What::Crash | What::OutOfMemory | What::DeviceLost => {
                    self.fate = Some(step.what);
                    // One fate a batch.
                    break;
                }
                What::ProbeSilent => self.is_probe_silent = value != 0.0,
                What::OthersTake => self.others_gib = value,
                What::SlowBy => self.slowness = value,
                What::Disk => self.disk = Duration::from_secs_f64(value),
                What::LongChunks => self.length = value,
                What::Fill => self.fill = value,
                What::Pause => self.pause = Some(Duration::from_secs_f64(value)),
            }
        }
    }

    /// The whole group is stopped: clocks of processes go on, the supervisor's does not.
    fn pause_all(&mut self) {
        let Some(lasted) = self.pause.take() else {
            return;
        };
        for process in self.processes.values_mut() {
            if let Doing::Encoding { batch, .. } = &mut process.doing {
                batch.duration += lasted;
            }
        }
        self.feed(Input::Paused { lasted });
    }
}
