//! The watched devices of a build: which segments still run on them, and what the watchdog says about them.
//!
//! Pure. The watchdog finds trouble; `State::apply` turns its actions into effects. A build on the CPU has no
//! watch, and every segment stays where the settings say.

use super::EncoderTarget;
use crate::engine::watchdog::{Action, EncoderDevices, Input, Watchdog};
use crate::ids::{SegmentId, ShardId, WorkerId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The watchdog, and the devices that it watches.
#[derive(Debug)]
pub(crate) struct Watch {
    watchdog: Watchdog,
    devices: EncoderDevices,
}

impl Watch {
    /// `devices`: where workers run their encoders, by the settings.
    pub fn new(watchdog: Watchdog, devices: EncoderDevices) -> Self {
        Self { watchdog, devices }
    }
}

#[derive(Debug, Default)]
pub(super) struct Devices {
    /// `None`: everything runs on the CPU.
    watch: Option<Watch>,
    /// What runs on the CPU although the settings name a device.
    demoted: Demoted,
}

#[derive(Debug)]
enum Demoted {
    Shards(BTreeSet<ShardId>),
    Everything,
}

impl Default for Demoted {
    fn default() -> Self {
        Self::Shards(BTreeSet::new())
    }
}

impl Devices {
    pub fn new(watch: Option<Watch>) -> Self {
        Self {
            watch,
            demoted: Demoted::default(),
        }
    }

    /// Whether devices are watched and still in use.
    pub fn are_in_use(&self) -> bool {
        self.watch.is_some() && !matches!(self.demoted, Demoted::Everything)
    }

    pub fn are_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// Names of the watched devices, for people.
    pub fn names(&self) -> String {
        let devices = self.watch.iter().flat_map(|watch| watch.devices.distinct());
        let names: Vec<_> = devices.map(|id| id.0.as_str()).collect();
        names.join(" and ")
    }

    /// Where a segment is to be encoded.
    pub fn target_of(&self, segment: SegmentId) -> EncoderTarget {
        let is_demoted = match &self.demoted {
            Demoted::Shards(shards) => shards.contains(&segment.shard),
            Demoted::Everything => true,
        };
        match is_demoted {
            true => EncoderTarget::Cpu,
            false => EncoderTarget::Configured,
        }
    }

    /// Encode the rest of the shard on the CPU.
    pub fn demote(&mut self, shard: ShardId) {
        if let Demoted::Shards(shards) = &mut self.demoted {
            shards.insert(shard);
        }
    }

    /// Encode everything that is left on the CPU.
    pub fn give_up(&mut self) {
        self.demoted = Demoted::Everything;
    }

    /// Feed the watchdog, if there is one.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        match &mut self.watch {
            Some(watch) => watch.watchdog.step(now, input),
            None => Vec::new(),
        }
    }

    /// The watchdog's input for a worker that is ready.
    pub fn worker_started(&self, worker: WorkerId, target: EncoderTarget) -> Input {
        let devices = match (&self.watch, target) {
            (Some(watch), EncoderTarget::Configured) => watch.devices.clone(),
            _ => EncoderDevices::default(),
        };
        Input::WorkerStarted { worker, devices }
    }

    /// Whether the worker is in the middle of a batch on a device.
    pub fn is_in_batch(&self, worker: WorkerId) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|watch| watch.watchdog.is_in_batch(worker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceId;
    use crate::engine::watchdog::config::CrawlConfig;

    fn segment(shard: u32) -> SegmentId {
        SegmentId {
            shard: ShardId(shard),
            index: 0,
        }
    }

    fn watched() -> Devices {
        let config = CrawlConfig::default();
        let watchdog = Watchdog::new(config, Duration::from_secs(300), []);
        let devices = EncoderDevices::both(&DeviceId("cuda:0".to_owned()));
        Devices::new(Some(Watch::new(watchdog, devices)))
    }

    #[test]
    fn a_demotion_moves_one_shard_and_giving_up_moves_all() {
        let mut devices = watched();
        assert_eq!(devices.target_of(segment(0)), EncoderTarget::Configured);
        devices.demote(ShardId(0));
        assert_eq!(devices.target_of(segment(0)), EncoderTarget::Cpu);
        assert_eq!(devices.target_of(segment(1)), EncoderTarget::Configured);
        assert!(devices.are_in_use());
        devices.give_up();
        devices.demote(ShardId(0));
        assert_eq!(devices.target_of(segment(1)), EncoderTarget::Cpu);
        assert!(devices.are_watched() && !devices.are_in_use());
    }

    #[test]
    fn a_worker_on_the_cpu_has_no_devices() {
        let devices = watched();
        let worker = WorkerId(0);
        for (target, expected) in [(EncoderTarget::Configured, 1), (EncoderTarget::Cpu, 0)] {
            let input = devices.worker_started(worker, target);
            let Input::WorkerStarted { devices, .. } = input else {
                panic!("{input:?}");
            };
            assert_eq!(devices.distinct().len(), expected);
        }
        assert_eq!(devices.names(), "cuda:0");
    }

    #[test]
    fn without_a_watch_nothing_happens() {
        let mut devices = Devices::new(None);
        assert_eq!(devices.step(Duration::ZERO, Input::Tick), []);
        assert!(!devices.are_in_use() && !devices.is_in_batch(WorkerId(0)));
        assert_eq!(devices.target_of(segment(0)), EncoderTarget::Configured);
    }
}
