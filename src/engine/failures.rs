//! Collects the files that should have been indexed but failed, for the summary and for `plan`.

use crate::file::{FileOutcome, SkipReason};
use crate::report::SkippedFile;
use crate::store::ledger::ShardLedger;

/// Files that should have been indexed but failed.
#[derive(Default)]
pub struct Failures {
    pub quarantined: Vec<SkippedFile>,
    pub unreadable: Vec<SkippedFile>,
}

impl Failures {
    /// Collect the failures that a shard's ledger lists.
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
