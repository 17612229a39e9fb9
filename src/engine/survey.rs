//! Walks the roots of a profile and plans the build.

use crate::credential::{self, Style};
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::unavailable_roots::{RetainedShards, find_retained};
use crate::engine::request::BuildRequest;
use crate::engine::unchanged::changed_roots;
use crate::file::SkipReason;
use crate::plan::{self, Mode, Plan, RootFiles};
use crate::profile::Profile;
use crate::report::SkippedFile;
use crate::scan;
use std::collections::BTreeMap;

/// A profile's files and their plan.
pub struct Survey {
    pub plan: Plan,
    /// How many files the walk skipped, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Files and folders that the walk could not read.
    pub unreadable: Vec<SkippedFile>,
    pub missing_roots: Vec<String>,
    /// Labels of roots whose changes are not indexed, since the blob cannot be rebuilt without an unavailable root.
    pub not_indexed: Vec<String>,
    /// Shards of unavailable roots that stay in the index.
    pub retained: RetainedShards,
    /// For people.
    pub warnings: Vec<String>,
}

impl Survey {
    /// Return whether a root, folder or file cannot be read, so that the build ends as incomplete. With `--prune` missing
    /// roots do not count.
    pub fn is_incomplete(&self, request: &BuildRequest) -> bool {
        let is_missing = !request.prune && !self.missing_roots.is_empty();
        is_missing || !self.retained.roots.is_empty() || !self.unreadable.is_empty()
    }
}

/// Walk the roots and plan the build.
///
/// # Errors
/// `NothingToIndex` if no root has an eligible file.
pub fn survey(request: &BuildRequest) -> Result<Survey> {
    let profile = &request.profile;
    let mut skipped = BTreeMap::new();
    let mut unreadable = Vec::new();
    let mut warnings = Vec::new();
    let mut roots = Vec::new();
    let mut unlisted = BTreeMap::new();
    for root in &profile.roots {
        let found = match scan::scan(root, &profile.rules) {
            Ok(found) => found,
            // A root that cannot be listed is unavailable.
            Err(error) => {
                unlisted.insert(root.label.clone(), error.source.to_string());
                scan::RootScan::default()
            }
        };
        for (reason, count) in found.skipped {
            *skipped.entry(reason).or_default() += count;
        }
        unreadable.extend(found.failures.into_iter().map(|failure| SkippedFile {
            root: root.label.clone(),
            path: failure.path.to_string(),
            reason: failure.reason,
            detail: failure.detail,
        }));
        roots.push(RootFiles {
            label: root.label.clone(),
            path: root.path.clone(),
            files: found.files,
        });
    }
    let is_empty = roots.iter().all(|root| root.files.is_empty());
    let mut plan = plan::plan(roots, &request.plan);
    plan.check_coverage().context("planning")?;
    let retained = find_retained(request, &plan, &unlisted)?;
    let not_indexable = not_indexable(profile, &unlisted);
    let missing_roots = not_indexable.iter().map(|root| {
        let (name, _) = credential::redact(&root.shown, Style::Any);
        name.into_owned()
    });
    let missing_roots: Vec<_> = missing_roots.collect();
    let is_retained = |name: &str| retained.roots.iter().any(|root| root.root == name);
    for root in not_indexable.iter().filter(|root| !is_retained(&root.name)) {
        let advice = match request.prune {
            true => "",
            false => {
                ": correct its path in the profile, restore it, or pass --prune to build without it"
            }
        };
        let NotIndexable { shown, detail, .. } = root;
        warnings.push(format!("root {shown} is not indexed: {detail}{advice}"));
    }
    warnings.extend(retained.warnings());
    if let (false, Some(hint)) = (profile.missing.is_empty(), &profile.typed.missing_hint) {
        warnings.push(format!("for the missing roots: {hint}"));
    }
    let mut not_indexed = Vec::new();
    if request.mode() == Mode::Blob && !retained.shards.is_empty() {
        not_indexed = changed_roots(&plan, &retained, &profile.rules.limits);
        if !not_indexed.is_empty() {
            warnings.push(format!(
                "the blob cannot be updated without that root: changes in {} are not indexed",
                not_indexed.join(", ")
            ));
        }
        plan.shards.clear();
    }
    if is_empty && retained.shards.is_empty() {
        let counts: Vec<_> = skipped.iter().map(|(r, n)| format!("{n} {r}")).collect();
        let counts = match counts.as_slice() {
            [] if !unlisted.is_empty() => {
                let each = unlisted.iter().map(|(root, why)| format!("{root}: {why}"));
                each.collect::<Vec<_>>().join(", ")
            }
            [] => "the folders are empty".to_owned(),
            counts => format!("skipped: {}", counts.join(", ")),
        };
        return Err(BuildError::new(
            ErrorKind::NothingToIndex,
            format!(
                "profile {} has no file to index ({counts}); `helix-build plan --profile {} --why PATH` shows why a file is skipped",
                profile.name,
                profile.file.display()
            ),
        ));
    }
    Ok(Survey {
        retained,
        plan,
        skipped,
        unreadable,
        missing_roots,
        not_indexed,
        warnings,
    })
}

/// A root that is missing or cannot be listed.
struct NotIndexable {
    /// The same as [`UnavailableRoot::root`](crate::report::UnavailableRoot::root).
    name: String,
    /// How messages name it.
    shown: String,
    /// Why it cannot be indexed.
    detail: String,
}

fn not_indexable(profile: &Profile, unlisted: &BTreeMap<String, String>) -> Vec<NotIndexable> {
    let missing = profile.missing.iter();
    let missing = missing.map(|root| NotIndexable {
        name: root.name(),
        shown: root.name(),
        detail: root.detail.clone(),
    });
    let unlisted = profile.roots.iter().filter_map(|root| {
        Some(NotIndexable {
            name: root.label.clone(),
            shown: root.path.display().to_string(),
            detail: unlisted.get(&root.label)?.clone(),
        })
    });
    missing.chain(unlisted).collect()
}
