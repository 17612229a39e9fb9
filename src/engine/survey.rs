//! What there is to index: the walk over a profile's roots, and the plan made of it.

use crate::credential::{self, Style};
use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::kept::{self, Kept};
use crate::engine::request::BuildRequest;
use crate::file::SkipReason;
use crate::plan::{self, Mode, Plan, RootFiles};
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
    /// What stays of roots that are away.
    pub kept: Kept,
    /// For people.
    pub warnings: Vec<String>,
}

/// Walks the roots and plans. No eligible file at all is exit code 4.
pub fn survey(request: &BuildRequest) -> Result<Survey> {
    let profile = &request.profile;
    let mut skipped = BTreeMap::new();
    let mut unreadable = Vec::new();
    let mut warnings = Vec::new();
    let mut roots = Vec::new();
    for root in &profile.roots {
        let found = scan::scan(root, &profile.rules)?;
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
    let missing_roots: Vec<_> = profile
        .missing
        .iter()
        .map(|missing| {
            let name = missing.name();
            credential::redact(&name, Style::Any).0.into_owned()
        })
        .collect();
    let is_empty = roots.iter().all(|root| root.files.is_empty());
    let mut plan = plan::plan(roots, &request.plan);
    plan.check_coverage().context("planning")?;
    let kept = kept::find(request, &plan)?;
    let stays = |name: &str| kept.roots.iter().any(|root| root.root == name);
    for missing in profile.missing.iter().filter(|it| !stays(&it.name())) {
        warnings.push(format!(
            "root {} is left out: {}",
            missing.name(),
            missing.detail
        ));
    }
    warnings.extend(kept.warnings());
    if let (false, Some(hint)) = (profile.missing.is_empty(), &profile.typed.missing_hint) {
        warnings.push(format!("for the missing roots: {hint}"));
    }
    if request.mode() == Mode::Blob && !kept.shards.is_empty() {
        plan.shards.clear();
    }
    if is_empty && kept.shards.is_empty() {
        let counts: Vec<_> = skipped.iter().map(|(r, n)| format!("{n} {r}")).collect();
        let counts = match counts.as_slice() {
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
        warnings,
    })
}
