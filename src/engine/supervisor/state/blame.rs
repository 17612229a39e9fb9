//! Which file is to blame for the deaths of workers, and when to give up.
//!
//! A segment whose workers die is taken one file at a time (careful mode), so that the next death names the file; a
//! file that kills twice is quarantined. Pure. It neither hands out work nor decides whether a death was a device's
//! fault.

use super::Handling;
use crate::ids::SegmentId;
use crate::protocol::Work;
use std::collections::BTreeMap;

/// Deaths of workers on one segment, with nothing committed in between, before careful mode. Someone may have killed
/// the first worker; two deaths at the same place are a pattern.
const DEATHS_BEFORE_CARE: u32 = 2;

/// Deaths with the same file in hand before it is quarantined, for the same reason.
const DEATHS_BEFORE_QUARANTINE: u32 = 2;

/// Deaths per worker before the build fails, with no file committed by any worker and nothing learned about the file.
/// Finding a poisoned file takes one such death at most.
const DEATHS_WITHOUT_PROGRESS_PER_WORKER: u32 = 6;

/// Files quarantined before the build fails, with none indexed in between: the files are not the cause then.
pub(super) const MOST_QUARANTINED_IN_A_ROW: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Blame {
    segments: BTreeMap<SegmentId, History>,
    /// Deaths since anything was committed or learned.
    deaths_without_progress: u32,
    /// Files quarantined since one was indexed.
    quarantined_in_a_row: u32,
}

/// What happened to a segment so far.
#[derive(Debug, Default)]
struct History {
    /// Deaths on this segment since something of it was committed.
    deaths: u32,
    careful: bool,
    /// By position of the file.
    deaths_by_file: BTreeMap<u32, u32>,
    /// Positions and reasons.
    quarantined: BTreeMap<u32, String>,
    /// See [`Handling::attempt`].
    attempt: u32,
}

/// A process that ended with work in hand, through no fault of a device.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub segment: SegmentId,
    /// The file in hand, if that is known.
    pub file: Option<u32>,
    /// The worker or the supervisor saw the input crash or hang it: no stranger has killed it.
    pub is_input_crash: bool,
    /// For people.
    pub reason: String,
}

/// What a death leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Try the segment again.
    Retry,
    /// Skip the file from now on.
    Quarantine { file: u32 },
}

impl Blame {
    /// Files of the segment were committed.
    pub fn committed(&mut self, segment: SegmentId, work: &Work) {
        self.deaths_without_progress = 0;
        if work.files > work.skipped {
            self.quarantined_in_a_row = 0;
        }
        if let Some(history) = self.segments.get_mut(&segment) {
            history.deaths = 0;
        }
    }

    pub fn segment_done(&mut self) {
        self.deaths_without_progress = 0;
    }

    /// Count the death of a worker that was ready. Returns the number of deaths in a row if that is too many for a build
    /// of `workers` workers.
    pub fn count_death(&mut self, workers: u32) -> Option<u32> {
        self.deaths_without_progress += 1;
        let deaths = self.deaths_without_progress;
        (deaths > DEATHS_WITHOUT_PROGRESS_PER_WORKER * workers).then_some(deaths)
    }

    /// Decide what a death says about the segment and its file.
    pub fn assign(&mut self, death: &Death) -> Consequence {
        let history = self.segments.entry(death.segment).or_default();
        history.deaths += 1;
        let Some(file) = death.file else {
            let is_pattern = death.is_input_crash || history.deaths >= DEATHS_BEFORE_CARE;
            if is_pattern && !history.careful {
                history.careful = true;
                self.deaths_without_progress = 0;
            }
            return Consequence::Retry;
        };
        if history.quarantined.contains_key(&file) {
            return Consequence::Retry;
        }
        self.deaths_without_progress = 0;
        let deaths = history.deaths_by_file.entry(file).or_default();
        *deaths += 1;
        if *deaths < DEATHS_BEFORE_QUARANTINE {
            return Consequence::Retry;
        }
        history.quarantined.insert(file, death.reason.clone());
        self.quarantined_in_a_row += 1;
        Consequence::Quarantine { file }
    }

    /// Whether so many files were quarantined in a row that the files are not the cause.
    pub fn has_too_many_quarantined(&self) -> bool {
        self.quarantined_in_a_row >= MOST_QUARANTINED_IN_A_ROW
    }

    /// A worker that cannot be killed may still hold the segment file: the next worker writes another one.
    pub fn abandon_file_of(&mut self, segment: SegmentId) {
        self.segments.entry(segment).or_default().attempt += 1;
    }

    /// How the next worker is to work on the segment.
    pub fn handling(&self, segment: SegmentId) -> Handling {
        let Some(history) = self.segments.get(&segment) else {
            return Handling::default();
        };
        let quarantined = history.quarantined.iter();
        Handling {
            careful: history.careful,
            quarantined: quarantined
                .map(|(file, reason)| (*file, reason.clone()))
                .collect(),
            attempt: history.attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    const SEGMENT: SegmentId = SegmentId {
        shard: ShardId(0),
        index: 0,
    };

    fn death(file: Option<u32>, is_input_crash: bool) -> Death {
        Death {
            segment: SEGMENT,
            file,
            is_input_crash,
            reason: "signal: 9".to_owned(),
        }
    }

    fn indexed() -> Work {
        Work {
            files: 1,
            ..Work::default()
        }
    }

    #[test]
    fn two_deaths_without_a_commit_between_make_a_segment_careful() {
        let mut blame = Blame::default();
        for _ in 0..3 {
            blame.assign(&death(None, false));
            assert!(!blame.handling(SEGMENT).careful);
            blame.committed(SEGMENT, &indexed());
        }
        blame.assign(&death(None, false));
        blame.assign(&death(None, false));
        assert!(blame.handling(SEGMENT).careful);
    }

    #[test]
    fn one_crash_of_the_input_is_enough_for_careful_mode() {
        let mut blame = Blame::default();
        blame.assign(&death(None, true));
        assert!(blame.handling(SEGMENT).careful);
    }

    #[test]
    fn a_file_is_quarantined_with_its_second_death_and_once() {
        let mut blame = Blame::default();
        let kill = |blame: &mut Blame| blame.assign(&death(Some(7), false));
        assert_eq!(kill(&mut blame), Consequence::Retry);
        assert_eq!(kill(&mut blame), Consequence::Quarantine { file: 7 });
        assert_eq!(kill(&mut blame), Consequence::Retry);
        let quarantined = blame.handling(SEGMENT).quarantined;
        assert_eq!(quarantined, [(7, "signal: 9".to_owned())]);
    }

    #[test]
    fn deaths_are_too_many_only_while_nothing_is_committed_or_learned() {
        let mut blame = Blame::default();
        let most = DEATHS_WITHOUT_PROGRESS_PER_WORKER * 2;
        for _ in 0..most {
            assert_eq!(blame.count_death(2), None);
        }
        assert_eq!(blame.count_death(2), Some(most + 1));
        // A first death with a file in hand tells something.
        blame.assign(&death(Some(1), false));
        assert_eq!(blame.count_death(2), None);
        for _ in 0..most {
            blame.count_death(2);
        }
        blame.committed(SEGMENT, &indexed());
        assert_eq!(blame.count_death(2), None);
    }

    #[test]
    fn a_file_that_is_indexed_ends_the_row_of_quarantined_ones() {
        let mut blame = Blame::default();
        let quarantine = |blame: &mut Blame, file| {
            blame.assign(&death(Some(file), true));
            blame.assign(&death(Some(file), true));
        };
        for file in 0..MOST_QUARANTINED_IN_A_ROW - 1 {
            quarantine(&mut blame, file);
        }
        // The commit of a file that was skipped says nothing.
        let skipped = Work {
            skipped: 1,
            ..indexed()
        };
        blame.committed(SEGMENT, &skipped);
        assert!(!blame.has_too_many_quarantined());
        quarantine(&mut blame, 100);
        assert!(blame.has_too_many_quarantined());
        blame.committed(SEGMENT, &indexed());
        assert!(!blame.has_too_many_quarantined());
    }

    #[test]
    fn each_worker_that_cannot_be_killed_costs_a_segment_file() {
        let mut blame = Blame::default();
        assert_eq!(blame.handling(SEGMENT), Handling::default());
        blame.abandon_file_of(SEGMENT);
        blame.abandon_file_of(SEGMENT);
        assert_eq!(blame.handling(SEGMENT).attempt, 2);
    }
}
