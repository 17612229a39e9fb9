//! What a shard lists of files that were meant to be indexed and are not, for the summary and for `plan`.

use crate::file::{FileOutcome, SkipReason};
use crate::report::SkippedFile;
use crate::store::ledger::ShardLedger;

/// Files that were meant to be indexed and are not.
#[derive(Default)]
pub struct Failures {
    pub quarantined: Vec<SkippedFile>,
    pub unreadable: Vec<SkippedFile>,
}

impl Failures {
    /// Those that a shard lists.
    pub fn of(ledger: &ShardLedger) -> Self {
        let mut found = Self::default();
        for (root, record) in &ledger.files {
            let FileOutcome::Skipped { reason, detail } = &record.outcome else {
                continue;
            };
            let list = match reason {
                SkipReason::Quarantined => &mut found.quarantined,
                _ if reason.is_failure() => &mut found.unreadable,
                _ => continue,
            };
            list.push(SkippedFile {
                root: ledger.roots[*root as usize].label.clone(),
                path: record.entry.path.to_string(),
                reason: *reason,
                detail: detail.clone(),
            });
        }
        found
    }
}
