//! What there is to index: the walk over a profile's roots, and the plan made of it.

use crate::credential::{self, Style};
use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::kept::{self, Kept};
use crate::engine::request::BuildRequest;
use crate::engine::unchanged;
use crate::file::SkipReason;
use crate::plan::{self, Mode, Plan, RootFiles};
use crate::profile::Profile;
use crate::report::SkippedFile;
use crate::scan;
use std::collections::BTreeMap;

/// A profile's files and their plan.
pub struct Survey {
    pub plan: Plan,
    /// Files that the walk left out.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// What the walk could not look at.
    pub unreadable: Vec<SkippedFile>,
    pub missing_roots: Vec<String>,
    /// Labels of roots that have changed since a blob was built that waits for another root.
    pub not_indexed: Vec<String>,
    /// What stays of roots that are away.
    pub kept: Kept,
    /// For people.
    pub warnings: Vec<String>,
}

impl Survey {
    /// Whether a root, a file or a folder is not what it should be, so that the build ends with exit code 3. With
    /// `--prune` missing roots are given up.
    pub fn is_incomplete(&self, request: &BuildRequest) -> bool {
        let is_missing = !request.prune && !self.missing_roots.is_empty();
        is_missing || !self.kept.roots.is_empty() || !self.unreadable.is_empty()
    }
}

/// Walks the roots and plans. No eligible file at all is exit code 4.
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
            // A root that cannot be listed is away.
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
    let kept = kept::find(request, &plan, &unlisted)?;
    let left_out = left_out(profile, &unlisted);
    let missing_roots = left_out.iter().map(|(_, name, _)| {
        let (name, _) = credential::redact(name, Style::Any);
        name.into_owned()
    });
    let missing_roots: Vec<_> = missing_roots.collect();
    let stays = |name: &str| kept.roots.iter().any(|root| root.root == name);
    for (_, name, detail) in left_out.iter().filter(|it| !stays(&it.0)) {
        let advice = match request.prune {
            true => "",
            false => {
                "; nothing of it is indexed: mend its path in the profile or bring it back, or do without it with --prune"
            }
        };
        warnings.push(format!("root {name} is left out: {detail}{advice}"));
    }
    warnings.extend(kept.warnings());
    if let (false, Some(hint)) = (profile.missing.is_empty(), &profile.typed.missing_hint) {
        warnings.push(format!("for the missing roots: {hint}"));
    }
    let mut not_indexed = Vec::new();
    if request.mode() == Mode::Blob && !kept.shards.is_empty() {
        not_indexed = unchanged::changed_roots(&plan, &kept, &profile.rules.limits);
        if !not_indexed.is_empty() {
            warnings.push(format!(
                "the blob stays as it is until that root is back: changes in {} are not indexed",
                not_indexed.join(", ")
            ));
        }
        plan.shards.clear();
    }
    if is_empty && kept.shards.is_empty() {
        let counts: Vec<_> = skipped.iter().map(|(r, n)| format!("{n} {r}")).collect();
        let counts = match counts.as_slice() {
            [] if !unlisted.is_empty() => {
                let each = unlisted.iter().map(|(root, why)| format!("{root}: {why}"));
                each.collect::<Vec<_>>().join(", ")
            }
            [] => "the folders are empty".to_owned(),
            counts => format!("left out: {}", counts.join(", ")),
        };
        return Err(BuildError::new(
            ErrorKind::NothingToIndex,
            format!(
                "profile {} has no file to index ({counts}); `helix-build plan --profile {} --why PATH` names the rule for a file",
                profile.name,
                profile.file.display()
            ),
        ));
    }
    Ok(Survey {
        kept,
        plan,
        skipped,
        unreadable,
        missing_roots,
        not_indexed,
        warnings,
    })
}

/// The roots that cannot be indexed: by what [`KeptRoot::root`](crate::report::KeptRoot::root) knows them, as people
/// know them, and why.
fn left_out(
    profile: &Profile,
    unlisted: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    let missing = profile.missing.iter();
    let missing = missing.map(|root| (root.name(), root.name(), root.detail.clone()));
    let unlisted = profile.roots.iter().filter_map(|root| {
        let detail = unlisted.get(&root.label)?.clone();
        Some((root.label.clone(), root.path.display().to_string(), detail))
    });
    missing.chain(unlisted).collect()
}
