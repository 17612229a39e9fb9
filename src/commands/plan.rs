//! `plan`: shows what a build would do, and why; with `--why`, the rule that decides about one file.
//!
//! Reads the roots and the output, changes nothing. Fails with the errors that a build would fail with.

use super::profile_lookup::{self, Profiles};
use super::settings::{Origin, Setting, Settings};
use super::{build, cluster, output, skipped};
use crate::cli::{BuildFlags, GlobalFlags};
use crate::engine::worker::Reading;
use crate::engine::{self, Preview, worker};
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::file::{FileEntry, SkipReason};
use crate::plan::Plan;
use crate::platform;
use crate::profile::{Profile, Root};
use crate::progress;
use crate::report::{FileHead, Heads, SkippedFile, SkippedGroup, UnavailableRoot, kind};
use crate::scan::{self, Why};
use crate::terminal;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

pub fn run(
    flags: &BuildFlags,
    why: Option<&Path>,
    out: Option<&Path>,
    global: &GlobalFlags,
) -> Result<ExitCode, Failed> {
    let mut todo = Vec::new();
    let Profiles { found, absent } = profile_lookup::select(flags)?;
    for profile in found {
        let name = profile.name.clone();
        let mut settings = Settings::resolve(flags, profile).map_err(Failed::of_profile(&name))?;
        if let Some(file) = &global.log_file {
            settings.request.profile.exclude_output(file);
        }
        if let Some(file) = out {
            settings.request.profile.exclude_output(file);
        }
        // Check all profiles before showing any, as a build does.
        if why.is_none() {
            let checked = engine::check(&settings.request).map_err(anyhow::Error::from);
            checked.map_err(Failed::of_profile(&name))?;
            let checked = build::check_metrics(flags, &settings.request);
            checked.map_err(Failed::of_profile(&name))?;
        }
        todo.push(settings);
    }
    if let Some(file) = out {
        return cluster::begin(flags, file, todo, global);
    }
    let mut worst = match why {
        Some(_) => ExitCode::Success,
        None => build::warn_of_absent(&absent, &todo),
    };
    for settings in &todo {
        let shown = match why {
            Some(path) => explain(settings, path, global).map(|()| ExitCode::Success),
            None => show(settings, global),
        };
        let code = shown.map_err(Failed::of_profile(&settings.request.profile.name))?;
        worst = worst.or_worse(code);
    }
    Ok(worst)
}

#[derive(Serialize)]
struct PlanLine<'a> {
    profile: &'a str,
    output: String,
    files: u64,
    bytes: u64,
    /// Files by extension, or by name if they have none.
    kinds: Vec<KindLine>,
    segments: usize,
    disk: DiskLine,
    workers: usize,
    file_workers: usize,
    skipped: &'a BTreeMap<SkipReason, u64>,
    skipped_kinds: Vec<SkippedGroup>,
    /// Large files of which a build indexes only the beginning.
    #[serde(skip_serializing_if = "Heads::is_empty")]
    heads: Heads,
    missing_roots: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept: &'a [UnavailableRoot],
    /// Labels of roots whose changes the blob would lack, since another root is unavailable.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    not_indexed: &'a [String],
    /// Failures known without building: those of the walk and of complete shards.
    quarantined: &'a [SkippedFile],
    unreadable: &'a [SkippedFile],
    /// Labels of the shards that a build would delete.
    deleted: &'a [String],
    shards: Vec<ShardLine<'a>>,
    reasons: Vec<&'a str>,
    settings: &'a [Setting],
    /// The expected exit code of the build.
    exit: u8,
}

/// Bytes.
#[derive(Serialize)]
struct DiskLine {
    /// The finished index, an estimate.
    index: u64,
    /// What the build takes at most beside what lies there now, an estimate.
    needed: u64,
    /// `None` if unknown.
    free: Option<u64>,
}

#[derive(Serialize)]
struct KindLine {
    kind: String,
    files: u64,
}

#[derive(Serialize)]
struct ShardLine<'a> {
    label: &'a str,
    files: usize,
    bytes: u64,
    segments: usize,
    /// Complete already: a build does not change it.
    unchanged: bool,
}

fn show(settings: &Settings, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let preview = engine::preview(&settings.request)?;
    let code = match preview.is_complete {
        true => ExitCode::Success,
        false => ExitCode::Incomplete,
    };
    let line = line(settings, &preview, code);
    let mut files = preview.survey.skipped_files.clone();
    if settings.request.list_skipped {
        files.extend(skipped_when_read(settings, &preview));
    }
    let mut warnings = preview.survey.warnings.clone();
    warnings.extend(preview.disk.warning());
    output::text(|out| {
        if global.json {
            skipped::print_json(out, line.profile, &files)?;
            output::json_line(out, "plan", &line)
        } else {
            print(out, &line, &warnings)?;
            skipped::print_files(out, &files)
        }
    })?;
    Ok(code)
}

/// Read every file that the walk found eligible, and return those that a build would skip for their content.
fn skipped_when_read(settings: &Settings, preview: &Preview) -> Vec<SkippedFile> {
    let profile = &settings.request.profile;
    let survey = &preview.survey;
    let mut found = Vec::new();
    for file in survey.plan.shards.iter().flat_map(|shard| &shard.files) {
        let root = &survey.plan.roots[file.root as usize];
        let authored = survey.authored.get(&root.label);
        let reading = Reading {
            limits: &profile.rules.limits,
            recipe: &profile.recipe,
            is_authored: authored.is_some_and(|files| files.contains(&file.entry.path)),
        };
        let skipped = worker::content_skip_reason(&root.path, &file.entry, reading);
        found.extend(skipped.map(|(reason, detail)| SkippedFile {
            root: root.label.clone(),
            path: file.entry.path.to_string(),
            reason,
            detail,
        }));
    }
    found
}

fn line<'a>(settings: &'a Settings, preview: &'a Preview, code: ExitCode) -> PlanLine<'a> {
    let Preview {
        survey,
        sizing,
        built,
        disk,
        deleted,
        failures,
        ..
    } = preview;
    let request = &settings.request;
    let plan = &survey.plan;
    PlanLine {
        profile: &request.profile.name,
        output: request.layout().database.display().to_string(),
        files: plan.n_files(),
        bytes: plan.bytes(),
        kinds: kinds(plan),
        segments: plan.queue().count(),
        disk: DiskLine {
            index: disk.index_bytes,
            needed: disk.needed_bytes,
            free: disk.free_bytes,
        },
        workers: sizing.workers,
        file_workers: sizing.file_workers,
        skipped: &survey.skipped,
        skipped_kinds: survey.skipped_kinds.groups(),
        heads: heads(settings, plan),
        missing_roots: &survey.missing_roots,
        kept: &survey.retained.roots,
        not_indexed: &survey.not_indexed,
        quarantined: &failures.quarantined,
        unreadable: &failures.unreadable,
        deleted,
        shards: plan
            .shards
            .iter()
            .map(|shard| ShardLine {
                label: &shard.label,
                files: shard.files.len(),
                bytes: shard.bytes,
                segments: shard.segments.len(),
                unchanged: built.contains_key(&shard.id),
            })
            .collect(),
        reasons: plan
            .reasons
            .iter()
            .chain(&settings.devices.reasons)
            .chain(&sizing.reasons)
            .map(String::as_str)
            .collect(),
        settings: &settings.listed,
        exit: code as u8,
    }
}

/// Return the files of which a build indexes only the beginning.
fn heads(settings: &Settings, plan: &Plan) -> Heads {
    let limits = &settings.request.profile.rules.limits;
    let mut heads = Heads::default();
    for file in plan.shards.iter().flat_map(|shard| &shard.files) {
        let bytes = file.entry.size;
        if let Some(indexed_bytes) = limits.head_bytes(&file.entry.path, bytes) {
            heads.add(FileHead {
                root: plan.roots[file.root as usize].label.clone(),
                path: file.entry.path.to_string(),
                indexed_bytes,
                bytes,
            });
        }
    }
    heads
}

/// Count the files of each kind, the most frequent first.
fn kinds(plan: &Plan) -> Vec<KindLine> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for file in plan.shards.iter().flat_map(|shard| &shard.files) {
        *counts.entry(kind(&file.entry.path, false)).or_default() += 1;
    }
    let counts = counts.into_iter();
    let mut kinds: Vec<_> = counts
        .map(|(kind, files)| KindLine { kind, files })
        .collect();
    kinds.sort_by_key(|line| std::cmp::Reverse(line.files));
    kinds
}

/// Kinds of file that fit on a line.
const MOST_KINDS: usize = 16;

/// Return the most frequent kinds with their counts.
fn kinds_text(kinds: &[KindLine]) -> String {
    let text = |line: &KindLine| format!("{} {}", terminal::message(&line.kind), line.files);
    let shown: Vec<String> = kinds.iter().take(MOST_KINDS).map(text).collect();
    match kinds.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{}, and {more} more kinds", shown.join(", ")),
    }
}

fn print(out: &mut impl Write, line: &PlanLine<'_>, warnings: &[String]) -> io::Result<()> {
    writeln!(
        out,
        // A build also skips files by their content, which `plan` does not read.
        "{}: up to {}, {} in {}, {}",
        line.profile,
        progress::count(line.files, "file"),
        progress::bytes(line.bytes),
        progress::count(line.shards.len() as u64, "shard"),
        progress::count(line.segments as u64, "segment"),
    )?;
    writeln!(out, "output: {}", line.output)?;
    if !line.kinds.is_empty() {
        writeln!(out, "  {:20} {}", "kinds of file", kinds_text(&line.kinds))?;
    }
    for setting in line.settings {
        let origin = match setting.origin {
            Origin::Given => "flag or environment",
            Origin::Profile => "profile",
            Origin::Default => "default",
        };
        writeln!(out, "  {:20} {} ({origin})", setting.name, setting.value)?;
    }
    let free = line.disk.free.map_or_else(String::new, |free| {
        format!("; {} free", progress::bytes(free))
    });
    writeln!(
        out,
        "  {:20} index about {}, up to {} more while building{free}",
        "disk",
        progress::bytes(line.disk.index),
        progress::bytes(line.disk.needed),
    )?;
    for reason in &line.reasons {
        writeln!(out, "  {reason}")?;
    }
    for warning in warnings {
        writeln!(out, "  warning: {}", terminal::message(warning))?;
    }
    writeln!(out, "shards, in build order:")?;
    for shard in &line.shards {
        writeln!(
            out,
            "  {:32} {:>13}  {:>9}  {:>13}{}",
            shard.label,
            progress::count(shard.files as u64, "file"),
            progress::bytes(shard.bytes),
            progress::count(shard.segments as u64, "segment"),
            if shard.unchanged { "  unchanged" } else { "" }
        )?;
    }
    for file in line.quarantined.iter().chain(line.unreadable) {
        let (reason, root) = (file.reason, &file.root);
        writeln!(out, "  {reason}: {root}/{} {}", file.path, file.detail)?;
    }
    if let Some(head) = line.heads.examples.first() {
        let files = progress::count(line.heads.files, "large file");
        let (root, path) = (&head.root, terminal::line(&head.path));
        let bytes = progress::bytes(head.indexed_bytes);
        writeln!(
            out,
            "only the beginning of {files}: up to {bytes} of {root}/{path}, ..."
        )?;
    }
    for label in line.deleted {
        writeln!(
            out,
            "  {label:32} would be deleted: the profile no longer names it"
        )?;
    }
    if !line.skipped.is_empty() {
        writeln!(out, "skipped (plan --why PATH shows the rule for a file):")?;
        for (reason, count) in line.skipped {
            writeln!(out, "  {:16} {count:7}", reason.as_str())?;
        }
        writeln!(out, "by kind of file, with examples:")?;
        skipped::print_groups(out, &line.skipped_kinds)?;
    }
    Ok(())
}

fn explain(settings: &Settings, path: &Path, global: &GlobalFlags) -> anyhow::Result<()> {
    let absolute =
        std::path::absolute(path).with_context(|| format!("resolving {}", path.display()))?;
    if let Err(error) = absolute.symlink_metadata()
        && error.kind() == io::ErrorKind::NotFound
    {
        let text = format!("--why {}: there is no such file", path.display());
        return Err(Exit::error(ExitCode::Usage, text));
    }
    // Resolve links as roots do, except in the last part: the walk judges a link by itself.
    let real = match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => platform::real_path(folder)
            .with_context(|| format!("resolving {}", folder.display()))?
            .join(name),
        _ => absolute,
    };
    let profile = &settings.request.profile;
    let roots = &profile.roots;
    let inside = roots
        .iter()
        .filter_map(|root| Some((root, root.relative(&real)?)))
        .max_by_key(|(root, _)| root.path.as_os_str().len());
    let Some((root, relative)) = inside else {
        let known: Vec<_> = roots.iter().map(|r| r.path.display().to_string()).collect();
        return Err(Exit::error(
            ExitCode::Usage,
            format!(
                "{} is outside the roots of profile {} ({})",
                path.display(),
                profile.name,
                known.join(", ")
            ),
        ));
    };
    let (verdict, rule) = match scan::why(root, &profile.rules, &relative) {
        Why::Eligible(entry) => read_verdict(profile, root, &entry),
        Why::Entered => (
            "entered",
            "a folder; its files are judged one by one".to_owned(),
        ),
        Why::Skipped { reason, rule, .. } => (reason.as_str(), rule),
    };
    output::text(|out| {
        if global.json {
            let line = serde_json::json!({
                "profile": profile.name, "path": real.display().to_string(),
                "root": root.label, "verdict": verdict, "rule": rule,
            });
            output::json_line(out, "why", &line)
        } else {
            writeln!(out, "{}: {verdict} ({rule})", path.display())
        }
    })?;
    Ok(())
}

/// Return the verdict on a file that the walk found eligible, after reading its text.
fn read_verdict(profile: &Profile, root: &Root, entry: &FileEntry) -> (&'static str, String) {
    let reading = Reading {
        limits: &profile.rules.limits,
        recipe: &profile.recipe,
        is_authored: scan::is_authored(root, &profile.rules, &entry.path),
    };
    match worker::content_skip_reason(&root.path, entry, reading) {
        None => {
            let (bytes, root) = (entry.size, &root.label);
            let rule = match profile.rules.limits.head_bytes(&entry.path, bytes) {
                Some(most) => {
                    format!("only the beginning, up to {most} of {bytes} bytes, root {root}")
                }
                None => format!("{bytes} bytes, root {root}"),
            };
            ("indexed", rule)
        }
        Some((reason, detail)) if detail.is_empty() => {
            (reason.as_str(), "because of its content".to_owned())
        }
        Some((reason @ SkipReason::SecretInText, detail)) => (
            reason.as_str(),
            format!("secrets_in_text = \"skip\", {detail}"),
        ),
        Some((reason, detail)) => (reason.as_str(), detail),
    }
}
