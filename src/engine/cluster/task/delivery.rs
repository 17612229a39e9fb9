//! What travels between the scratch folder of a task and the output.

use super::Task;
use crate::engine::cluster::notes::{Note, TaskState};
use crate::engine::cluster::plan_file::PlanPart;
use crate::engine::cluster::state;
use crate::engine::error::{Context as _, Result};
use crate::engine::output::layout::Layout;
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::ids::{SegmentId, ShardId};
use crate::plan::Segment;
use crate::report::{FinishedSegment, PublishOutcome};
use crate::store::segment::SegmentReader;
use crate::store::{StoreError, transfer};
use crossbeam_channel::{Receiver, Sender};
use std::fs;
use std::path::Path;

impl Task<'_> {
    /// Copy what another task or an earlier build has done of a segment, if there is anything. A torn copy is as good as a
    /// part.
    pub(super) fn fetch(&self, segment: &Segment, scratch: &Layout) -> Result<()> {
        let to = scratch.segment(segment);
        if to.exists() {
            return Ok(());
        }
        let from = [
            self.layout.checkpoint(&segment.key),
            self.layout.segment(segment),
        ];
        for path in from {
            match fs::copy(&path, &to) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.with_context(|| format!("copying {}", path.display()))?),
            }
        }
        Ok(())
    }

    /// Copy what is done of the open segments to the output, for the task that goes on.
    pub(super) fn keep(&self, part: &PlanPart, scratch: &Layout) -> Result<()> {
        for segment in part.plan.queue() {
            let from = scratch.segment(segment);
            if self.open.contains(&part.numbers[&segment.id]) && from.exists() {
                let to = self.layout.checkpoint(&segment.key);
                failpoint!("cluster::keep", to.display());
                transfer::put(&from, &to, |n| to.with_added_extension(n.to_string()))?;
            }
        }
        Ok(())
    }

    pub(super) fn deliver_all(
        &self,
        part: &PlanPart,
        finished: &Receiver<FinishedSegment>,
        outcomes: &Sender<PublishOutcome>,
    ) -> Result<(), Failure> {
        for FinishedSegment { id, path } in finished {
            if let Err(error) = self.deliver(part, id, &path) {
                let kind = match error {
                    StoreError::Full { .. } => FailureKind::DiskFull,
                    _ => FailureKind::Output,
                };
                let failure = Failure::new(kind, &error);
                // Ends the supervisor, unless it has ended.
                let _ = outcomes.send(PublishOutcome::Failed {
                    shard: ShardId(0),
                    failure: failure.clone(),
                });
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Copy a complete segment to its place, and note that it is done.
    fn deliver(&self, part: &PlanPart, id: SegmentId, from: &Path) -> Result<(), StoreError> {
        let number = part.numbers[&id];
        let Some((key, _, root)) = self.node.plan.segment_names(number) else {
            return Ok(());
        };
        let to = self.layout.segment_of(key);
        failpoint!("cluster::deliver", to.display());
        let put = transfer::put(from, &to, |n| to.with_added_extension(n.to_string()))?;
        failpoint!("cluster::delivered", to.display());
        let records = SegmentReader::open(from)?.ledger();
        let note = Note {
            bytes: Some(put.bytes),
            failures: state::failures(&records, root),
            ..Note::new(self.node.plan, TaskState::Done)
        };
        self.write_note(number, &note);
        Ok(())
    }
}
