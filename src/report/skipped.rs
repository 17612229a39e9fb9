//! What was skipped, by reason and kind of file, so that nobody has to guess what is missing from an index.
//!
//! Pure. Examples are the first that are seen: those of the walk in the order of names, then those that were skipped when they
//! were read, in the order of the shards.

use crate::file::{RelPath, SkipReason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Examples of a group.
const MOST_EXAMPLES: usize = 3;

/// Kinds that are told apart. Names with a number at their end can make a kind of every file.
const MOST_KINDS: usize = 5_000;

/// Groups in a summary.
const MOST_GROUPS: usize = 200;

/// The kind of all files beyond [`MOST_KINDS`].
const OTHERS: &str = "others";

/// Skipped files of one reason and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedGroup {
    pub reason: SkipReason,
    /// `.ext`, the whole name of a file without extension, or `name/` of a folder.
    pub kind: String,
    pub count: u64,
    /// A few of them, as `root/path`.
    pub examples: Vec<String>,
}

/// Counts skipped files by reason and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkippedTally(BTreeMap<(SkipReason, String), (u64, Vec<String>)>);

impl SkippedTally {
    /// Add a path below the root of this label. A folder counts once, whatever it holds.
    pub fn add(&mut self, reason: SkipReason, root: &str, path: &RelPath, is_folder: bool) {
        let mut key = (reason, kind(path, is_folder));
        if self.0.len() >= MOST_KINDS && !self.0.contains_key(&key) {
            key.1 = OTHERS.to_owned();
        }
        let (count, examples) = self.0.entry(key).or_default();
        *count += 1;
        if examples.len() < MOST_EXAMPLES {
            examples.push(format!("{root}/{path}"));
        }
    }

    /// Add what `other` has counted.
    pub fn merge(&mut self, other: Self) {
        for (key, (more, more_examples)) in other.0 {
            let (count, examples) = self.0.entry(key).or_default();
            *count += more;
            examples.extend(more_examples);
            examples.truncate(MOST_EXAMPLES);
        }
    }

    /// Return all groups, to be read back with [`Self::of_entries`].
    pub fn entries(&self) -> Vec<SkippedGroup> {
        let entries = self.0.iter();
        let entries = entries.map(|((reason, kind), (count, examples))| SkippedGroup {
            reason: *reason,
            kind: kind.clone(),
            count: *count,
            examples: examples.clone(),
        });
        entries.collect()
    }

    /// Return the tally that has these groups.
    pub fn of_entries(entries: &[SkippedGroup]) -> Self {
        let entries = entries.iter();
        let entries = entries.map(|group| {
            let counted = (group.count, group.examples.clone());
            ((group.reason, group.kind.clone()), counted)
        });
        Self(entries.collect())
    }

    /// Return the groups, by reason and then by falling count. Leaves out the smallest beyond 200.
    pub fn groups(&self) -> Vec<SkippedGroup> {
        let group =
            |((reason, kind), (count, examples)): (&(SkipReason, String), &(u64, Vec<String>))| {
                SkippedGroup {
                    reason: *reason,
                    kind: kind.clone(),
                    count: *count,
                    examples: examples.clone(),
                }
            };
        let mut groups: Vec<_> = self.0.iter().map(group).collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
        groups.truncate(MOST_GROUPS);
        groups.sort_by_key(|group| group.reason);
        groups
    }
}

/// Return a file's extension with its dot, or its name if it has none; a folder's name with a slash.
pub(crate) fn kind(path: &RelPath, is_folder: bool) -> String {
    let extension = path.extension();
    let name = String::from_utf8_lossy(path.file_name());
    match extension.as_str() {
        _ if is_folder => format!("{name}/"),
        "" => name.into_owned(),
        extension => format!(".{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(spelling: &str) -> RelPath {
        RelPath::from_spelling(spelling).expect("a relative path")
    }

    #[test]
    fn files_are_grouped_by_reason_and_kind() {
        let mut tally = SkippedTally::default();
        for file in ["a.kt", "b/c.KT", "d.kt", "e.kt", "f.png", "Makefile"] {
            tally.add(SkipReason::Extension, "r", &path(file), false);
        }
        tally.add(SkipReason::SkippedDir, "r", &path("web/node_modules"), true);
        let mut more = SkippedTally::default();
        more.add(SkipReason::Extension, "s", &path("x.png"), false);
        tally.merge(more);
        let groups = tally.groups();
        let found: Vec<_> = groups
            .iter()
            .map(|it| (it.reason.as_str(), it.kind.as_str(), it.count))
            .collect();
        assert_eq!(
            found,
            [
                ("extension", ".kt", 4),
                ("extension", ".png", 2),
                ("extension", "Makefile", 1),
                ("skipped_dir", "node_modules/", 1)
            ]
        );
        assert_eq!(groups[0].examples, ["r/a.kt", "r/b/c.KT", "r/d.kt"]);
        assert_eq!(groups[1].examples, ["r/f.png", "s/x.png"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_memory_is_bounded(names in prop::collection::vec(0..20_000u32, 0..6_000)) {
            let mut tally = SkippedTally::default();
            for name in &names {
                tally.add(SkipReason::Extension, "r", &path(&format!("x.{name}")), false);
            }
            prop_assert!(tally.0.len() <= MOST_KINDS + 1);
            prop_assert_eq!(tally.0.values().map(|(count, _)| count).sum::<u64>(), names.len() as u64);
            prop_assert!(tally.groups().len() <= MOST_GROUPS);
        }
    }
}
