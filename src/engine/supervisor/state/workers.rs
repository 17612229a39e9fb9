//! All workers of a build, by their numbers.
//!
//! Pure. What a process goes through is in [`slot`](super::slot).

use super::EncoderTarget;
use super::slot::{Process, Slot};
use crate::ids::WorkerId;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Workers(BTreeMap<WorkerId, Slot>);

impl Workers {
    pub fn new(count: u32) -> Self {
        let ids = (0..count).map(WorkerId);
        Self(ids.map(|id| (id, Slot::default())).collect())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn ids(&self) -> Vec<WorkerId> {
        self.0.keys().copied().collect()
    }

    pub fn slot(&self, worker: WorkerId) -> Option<&Slot> {
        self.0.get(&worker)
    }

    pub fn slot_mut(&mut self, worker: WorkerId) -> Option<&mut Slot> {
        self.0.get_mut(&worker)
    }

    /// Whether this is the process that the worker's slot has now, or had last.
    pub fn is_current(&self, worker: WorkerId, generation: u32) -> bool {
        let slot = self.0.get(&worker);
        slot.is_some_and(|slot| slot.generation == generation)
    }

    pub fn process(&self, worker: WorkerId) -> Option<&Process> {
        self.0.get(&worker)?.process()
    }

    pub fn process_mut(&mut self, worker: WorkerId) -> Option<&mut Process> {
        self.0.get_mut(&worker)?.process_mut()
    }

    pub fn processes(&self) -> impl Iterator<Item = (WorkerId, &Process)> {
        let slots = self.0.iter();
        slots.filter_map(|(id, slot)| Some((*id, slot.process()?)))
    }

    pub fn processes_mut(&mut self) -> impl Iterator<Item = (WorkerId, &mut Process)> {
        let slots = self.0.iter_mut();
        slots.filter_map(|(id, slot)| Some((*id, slot.process_mut()?)))
    }

    /// Whether no process is left.
    pub fn are_gone(&self) -> bool {
        self.processes().next().is_none()
    }

    /// Whether every worker but this one is given up.
    pub fn is_last(&self, worker: WorkerId) -> bool {
        let mut others = self.0.iter().filter(|(id, _)| **id != worker);
        others.all(|(_, slot)| slot.is_given_up())
    }

    /// Whether another worker's first process may still become ready: on a busy machine some start much sooner than
    /// others.
    pub fn others_are_at_first_start(&self, worker: WorkerId) -> bool {
        let mut others = self.0.iter().filter(|(id, _)| **id != worker);
        others.any(|(_, slot)| slot.failed_starts == 0 && slot.process().is_some())
    }

    /// Processes of this target that have no segment yet.
    pub fn waiting(&self, target: EncoderTarget) -> usize {
        let processes = self.processes().map(|(_, process)| process);
        processes
            .filter(|process| process.is_waiting() && process.target == target)
            .count()
    }

    /// Let every process stop. Returns those that need a request.
    pub fn stop(&mut self, now: Duration) -> Vec<WorkerId> {
        let stopped = self.processes_mut().filter_map(|(id, process)| {
            process.stop().then(|| {
                process.active_at = now;
                id
            })
        });
        stopped.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::supervisor::state::slot::Occupant;

    const NOW: Duration = Duration::from_secs(7);

    #[test]
    fn processes_are_asked_to_stop_once() {
        let mut workers = Workers::new(3);
        assert!(workers.are_gone());
        for worker in [0, 2].map(WorkerId) {
            let slot = workers.slot_mut(worker).expect("one of three");
            assert_eq!(slot.start(Duration::ZERO, EncoderTarget::Configured), 1);
            assert!(workers.is_current(worker, 1));
        }
        assert_eq!(workers.waiting(EncoderTarget::Configured), 2);
        assert_eq!(workers.waiting(EncoderTarget::Cpu), 0);
        assert_eq!(workers.stop(NOW), [0, 2].map(WorkerId));
        assert_eq!(workers.stop(NOW), []);
        assert_eq!(workers.waiting(EncoderTarget::Configured), 0);
        assert!(
            workers
                .processes()
                .all(|(_, process)| process.active_at == NOW)
        );
        assert!(!workers.are_gone());
    }

    #[test]
    fn a_second_start_is_no_first_one() {
        let mut workers = Workers::new(2);
        let [first, second] = [0, 1].map(WorkerId);
        assert!(!workers.others_are_at_first_start(first), "no process");
        let slot = workers.slot_mut(second).expect("one of two");
        slot.start(NOW, EncoderTarget::Configured);
        assert!(workers.others_are_at_first_start(first));
        assert!(!workers.others_are_at_first_start(second), "only itself");
        workers.slot_mut(second).expect("one of two").failed_starts = 1;
        assert!(!workers.others_are_at_first_start(first));
    }

    #[test]
    fn the_last_worker_is_the_one_that_is_not_given_up() {
        let mut workers = Workers::new(2);
        assert!(!workers.is_last(WorkerId(0)));
        let other = workers.slot_mut(WorkerId(1)).expect("one of two");
        other.occupant = Occupant::GivenUp;
        assert!(workers.is_last(WorkerId(0)));
    }
}
