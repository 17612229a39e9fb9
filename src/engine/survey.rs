//! Walks the roots of a profile and plans the build.

use crate::credential::{self, Style};
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::change_times::ChangeTimes;
use crate::engine::output::unavailable_roots::{RetainedShards, find_retained};
use crate::engine::request::BuildRequest;
use crate::engine::unchanged::{Comparison, changed_roots};
use crate::file::{RelPath, SkipReason};
use crate::plan::{self, Mode, Plan, PlannedFile, RootFiles};
use crate::profile::Profile;
use crate::report::{SkippedFile, SkippedGroup, SkippedTally};
use crate::scan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A profile's files and their plan.
pub struct Survey {
    pub plan: Arc<Plan>,
    /// How many files the walk skipped, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// The same by reason and kind of file.
    pub skipped_kinds: SkippedTally,
    /// The files themselves, if the request asks for them.
    pub skipped_files: Vec<SkippedFile>,
    /// By the label of the root, files that people wrote, as their repository says.
    pub authored: BTreeMap<String, BTreeSet<RelPath>>,
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
    /// Return those of `files`, all of one root, that people wrote.
    pub fn authored_of(&self, root: &str, files: &[PlannedFile]) -> Vec<RelPath> {
        let Some(authored) = self.authored.get(root) else {
            return Vec::new();
        };
        let paths = files.iter().map(|file| &file.entry.path);
        paths
            .filter(|path| authored.contains(*path))
            .cloned()
            .collect()
    }

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
    let Walk {
        roots,
        skipped,
        skipped_kinds,
        skipped_files,
        authored,
        unreadable,
        unlisted,
    } = walk(request);
    let is_empty = roots.iter().all(|root| root.files.is_empty());
    let mut plan = plan::plan(roots, &request.plan);
    plan.check_coverage().context("planning")?;
    let retained = find_retained(request, &plan, &unlisted)?;
    if is_empty && retained.shards.is_empty() {
        return Err(nothing_to_index(profile, &skipped_kinds, &unlisted));
    }
    let not_indexable = not_indexable(profile, &unlisted);
    let missing_roots = not_indexable.iter().map(|root| {
        let (name, _) = credential::redact(&root.shown, Style::Any);
        name.into_owned()
    });
    let missing_roots = missing_roots.collect();
    let mut warnings = warnings(request, &not_indexable, &retained);
    let mut not_indexed = Vec::new();
    if request.mode() == Mode::Blob && !retained.shards.is_empty() {
        let files = Comparison {
            limits: &profile.rules.limits,
            change_times: &ChangeTimes::look(&request.layout().change_times(), &plan),
        };
        not_indexed = changed_roots(&plan, &retained, &files);
        if !not_indexed.is_empty() {
            warnings.push(format!(
                "the blob cannot be updated without that root: changes in {} are not indexed",
                not_indexed.join(", ")
            ));
        }
        plan.shards.clear();
    }
    Ok(Survey {
        retained,
        plan: Arc::new(plan),
        skipped,
        skipped_kinds,
        skipped_files,
        authored,
        unreadable,
        missing_roots,
        not_indexed,
        warnings,
    })
}

/// What the walk over all roots has found.
#[derive(Default)]
struct Walk {
    roots: Vec<RootFiles>,
    skipped: BTreeMap<SkipReason, u64>,
    skipped_kinds: SkippedTally,
    skipped_files: Vec<SkippedFile>,
    authored: BTreeMap<String, BTreeSet<RelPath>>,
    unreadable: Vec<SkippedFile>,
    /// Why a root could not be listed, by its label. Such a root is unavailable and has no files in `roots`.
    unlisted: BTreeMap<String, String>,
}

fn walk(request: &BuildRequest) -> Walk {
    let profile = &request.profile;
    let mut walk = Walk::default();
    for root in &profile.roots {
        let mut listed = Vec::new();
        let found = scan::scan_with(root, &profile.rules, &mut |path, reason, rule| {
            if request.list_skipped {
                listed.push(SkippedFile {
                    root: root.label.clone(),
                    path: path.to_string(),
                    reason,
                    detail: rule.to_string(),
                });
            }
        });
        walk.skipped_files.append(&mut listed);
        let found = found.unwrap_or_else(|error| {
            let reason = error.source.to_string();
            walk.unlisted.insert(root.label.clone(), reason);
            scan::RootScan::default()
        });
        for (reason, count) in found.skipped {
            *walk.skipped.entry(reason).or_default() += count;
        }
        walk.skipped_kinds.merge(found.skipped_kinds);
        let failures = found.failures.into_iter().map(|failure| SkippedFile {
            root: root.label.clone(),
            path: failure.path.to_string(),
            reason: failure.reason,
            detail: failure.detail,
        });
        walk.unreadable.extend(failures);
        if !found.authored.is_empty() {
            walk.authored.insert(root.label.clone(), found.authored);
        }
        walk.roots.push(RootFiles {
            label: root.label.clone(),
            path: root.path.clone(),
            files: found.files,
        });
    }
    walk
}

/// Warn of each root that is not indexed or unavailable.
fn warnings(
    request: &BuildRequest,
    not_indexable: &[NotIndexable],
    retained: &RetainedShards,
) -> Vec<String> {
    let profile = &request.profile;
    let advice = match request.prune {
        true => "",
        false => {
            ": correct its path in the profile, restore it, or pass --prune to build without it"
        }
    };
    let is_retained = |name: &str| retained.roots.iter().any(|root| root.root == name);
    let lost = not_indexable.iter().filter(|root| !is_retained(&root.name));
    let lost = lost.map(|NotIndexable { shown, detail, .. }| {
        format!("root {shown} is not indexed: {detail}{advice}")
    });
    let mut warnings: Vec<String> = lost.chain(retained.warnings()).collect();
    if let (false, Some(hint)) = (profile.missing.is_empty(), &profile.typed.missing_hint) {
        warnings.push(format!("for the missing roots: {hint}"));
    }
    warnings
}

/// Kinds of skipped files in the message that there is nothing to index.
const MOST_KINDS: usize = 12;

fn nothing_to_index(
    profile: &Profile,
    skipped: &SkippedTally,
    unlisted: &BTreeMap<String, String>,
) -> BuildError {
    let groups = skipped.groups();
    let count = |group: &SkippedGroup| format!("{} {} {}", group.count, group.reason, group.kind);
    let mut counts: Vec<_> = groups.iter().take(MOST_KINDS).map(count).collect();
    if groups.len() > MOST_KINDS {
        counts.push(format!("and {} more kinds", groups.len() - MOST_KINDS));
    }
    let reason = match counts.as_slice() {
        [] if !unlisted.is_empty() => {
            let each = unlisted.iter().map(|(root, why)| format!("{root}: {why}"));
            each.collect::<Vec<_>>().join(", ")
        }
        [] => "the folders are empty".to_owned(),
        counts => format!("skipped: {}", counts.join(", ")),
    };
    let shown = |paths: &[PathBuf]| {
        let paths = paths.iter().map(|path| path.display().to_string());
        paths.collect::<Vec<_>>().join(" ")
    };
    let (what, arguments) = match profile.folders.as_slice() {
        [] => (
            format!("profile {} has", profile.name),
            format!("--profile {}", profile.file.display()),
        ),
        folders => {
            let mut arguments = shown(folders);
            // All folders have the same patterns.
            for root in profile.roots.iter().take(1) {
                for (flag, patterns) in [("include", &root.include), ("exclude", &root.exclude)] {
                    for pattern in patterns.typed() {
                        arguments.push_str(&format!(" --{flag} '{pattern}'"));
                    }
                }
            }
            (format!("{}:", shown(folders)), arguments)
        }
    };
    BuildError::new(
        ErrorKind::NothingToIndex,
        format!(
            "{what} no file to index ({reason}); `helix-build plan {arguments} --why PATH` shows why a file is skipped"
        ),
    )
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
