//! The end of a build: clean up, write the manifest, say what was made.

use super::failures::Failures;
use super::layout::Layout;
use super::lock;
use super::obstacles;
use super::prepare::Prepared;
use super::rebuild;
use super::secrets;
use super::settings::Settings;
use super::{Ended, Published, output};
use crate::cli::GlobalFlags;
use crate::exit_code::ExitCode;
use crate::failpoint;
use crate::file::FileOutcome;
use crate::named_file;
use crate::plan::Mode;
use crate::platform;
use crate::progress;
use crate::report::{
    FileSecrets, IndexSummary, Manifest, RunSummary, ShardSummary, Summary, Target, TextSecrets,
};
use crate::store::digest::{ContentDigest, digest_index};
use crate::store::hash_file;
use crate::store::ledger::{self, ShardLedger};
use crate::store::ownership;
use crate::store::routing::registered_shards;
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// For another build that has the manifest in hand: it reads its shards' ledgers meanwhile, which takes
/// seconds for the largest.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(120);

/// Gathers the summary, writes the manifest, and removes what only the build needed.
pub fn conclude(
    settings: &Settings,
    prepared: &Prepared,
    published: &Published,
    run: RunSummary,
) -> anyhow::Result<Summary> {
    let manifest = &prepared.layout.manifest;
    let survey = &prepared.survey;
    // Other profiles of the same folder write to the manifest too.
    let _lock = lock::wait_for(&prepared.layout.manifest_lock(), MANIFEST_PATIENCE)?;
    failpoint::at("build::conclude", &settings.profile.name);
    // Looked at again: the build may have taken hours.
    obstacles::refuse_manifest(manifest)?;
    let previous = read_manifest(manifest)?;
    let index = describe(settings, prepared, published, previous.as_ref())?;
    secrets::warn(&index.secrets_in_text);
    let failed = !index.quarantined.is_empty() || !index.unreadable.is_empty();
    let exit = match failed || survey.is_incomplete(settings) {
        true => ExitCode::Incomplete,
        false => ExitCode::Success,
    };
    let target = Target {
        built_at: prepared.epoch,
        encoders: serde_json::to_value(&prepared.encoders)?,
        recipe: serde_json::to_value(&settings.profile.recipe)?,
        index: index.clone(),
        routing_blake3: routing_hash(settings, prepared, previous.as_ref())?,
        run: (!prepared.reproducible).then(|| run.clone()),
    };
    write_manifest(&prepared.layout, &Manifest::with(previous, target))?;
    prepared.provenance.write(&prepared.layout)?;
    rebuild::forget(&prepared.layout.rebuild())?;
    // Last: while this folder is there, the manifest may be of an earlier state, as `verify` knows.
    ownership::remove_segments(&prepared.layout.segments())?;
    failpoint::at("build::cleaned", &settings.profile.name);
    Ok(Summary {
        index,
        run,
        exit: exit as u8,
    })
}

fn describe(
    settings: &Settings,
    prepared: &Prepared,
    published: &Published,
    previous: Option<&Manifest>,
) -> anyhow::Result<IndexSummary> {
    let survey = &prepared.survey;
    let mut index = IndexSummary {
        profile: settings.profile.name.clone(),
        mode: settings.mode_name().to_owned(),
        output: prepared.layout.database.display().to_string(),
        digest: String::new(),
        content_digest: String::new(),
        fingerprint: prepared.fingerprint.to_string(),
        files: 0,
        chunks: 0,
        source_bytes: 0,
        skipped: survey.skipped.clone(),
        quarantined: Vec::new(),
        unreadable: survey.unreadable.clone(),
        secrets_in_text: TextSecrets {
            setting: settings.profile.recipe.secrets_in_text,
            ..TextSecrets::default()
        },
        missing_roots: survey.missing_roots.clone(),
        kept: survey.kept.roots.clone(),
        not_indexed: survey.not_indexed.clone(),
        shards: Vec::new(),
    };
    let registered = match settings.mode {
        Mode::Sharded => registered_shards(&prepared.layout.database)?,
        Mode::Blob => Vec::new(),
    };
    let mut digests = Vec::new();
    let mut whole = ContentDigest::default();
    let planned = survey.plan.shards.iter().map(|shard| {
        let path = prepared.layout.shard(&shard.label);
        (Some(shard.id), shard.label.as_str(), path)
    });
    let kept = survey.kept.shards.iter();
    let kept = kept.map(|(label, shard)| (None, label.as_str(), shard.path.clone()));
    for (id, label, path) in planned.chain(kept) {
        let ledger = ledger::read_ledger(&path)?;
        digests.push((label, ledger.digest));
        whole = whole.and(ledger.content);
        // Of an unchanged shard, what was noted when it was published.
        let noted = || {
            let build = registered.iter().find(|known| known.path == path)?.build?;
            build.file_hash.filter(|_| build.digest == ledger.digest)
        };
        // A run that was stopped may have put another file of the same digest there since.
        let of_this_state = previous.filter(|_| prepared.is_finished);
        let in_manifest = || of_this_state.and_then(|it| it.file_hash(&path, &ledger.digest));
        let file_hash = match id.and_then(|id| published.get(&id)) {
            Some(done) => done.file_hash.to_string(),
            None => match noted().map(|hash| hash.to_string()).or_else(in_manifest) {
                Some(noted) => noted,
                // A run that was stopped right after it had put the blob in place noted nothing.
                None => hash_file(&path)?.to_string(),
            },
        };
        let summary = describe_shard(&path, ledger, Some(file_hash), &mut index)?;
        index.files += summary.files;
        index.chunks += summary.chunks;
        index.shards.push(summary);
    }
    index.digest = digest_index(digests).to_string();
    index.content_digest = whole.to_digest().to_string();
    Ok(index)
}

/// The hash to note of the routing database. One that this run has not changed keeps the hash noted
/// before: a new one would vouch for what happened to the file since.
fn routing_hash(
    settings: &Settings,
    prepared: &Prepared,
    previous: Option<&Manifest>,
) -> anyhow::Result<Option<String>> {
    let path = &prepared.layout.database;
    if settings.mode == Mode::Blob || prepared.reproducible {
        return Ok(None);
    }
    let hash = hash_file(path)?;
    let noted = previous.and_then(|manifest| manifest.routing_hash(&settings.profile.name));
    Ok(Some(match noted {
        Some(noted) if prepared.routing_before == Some(hash) => noted.to_owned(),
        _ => hash.to_string(),
    }))
}

fn describe_shard(
    path: &Path,
    ledger: ShardLedger,
    file_blake3: Option<String>,
    index: &mut IndexSummary,
) -> anyhow::Result<ShardSummary> {
    let bytes = fs::metadata(path)
        .with_context(|| format!("looking at {}", path.display()))?
        .len();
    let failures = Failures::of(&ledger);
    index.quarantined.extend(failures.quarantined);
    index.unreadable.extend(failures.unreadable);
    let mut files = 0;
    for (root, record) in ledger.files {
        match record.outcome {
            FileOutcome::Indexed { credentials, .. } => {
                files += 1;
                index.source_bytes += record.entry.size;
                if credentials > 0 {
                    index.secrets_in_text.values += u64::from(credentials);
                    index.secrets_in_text.files.push(FileSecrets {
                        root: ledger.roots[root as usize].label.clone(),
                        path: record.entry.path.to_string(),
                        values: credentials,
                    });
                }
            }
            FileOutcome::Skipped { reason, .. } => {
                *index.skipped.entry(reason).or_default() += 1;
            }
        }
    }
    Ok(ShardSummary {
        label: ledger.label,
        path: path.display().to_string(),
        digest: ledger.digest.to_string(),
        files,
        chunks: ledger.chunks as u64,
        bytes,
        file_blake3,
    })
}

/// The manifest of earlier builds. One that is missing or damaged is replaced; one that only cannot be read
/// just now is an error, since the entries of other profiles would be lost.
fn read_manifest(path: &Path) -> anyhow::Result<Option<Manifest>> {
    let text = match named_file::read(path, named_file::MOST_MANIFEST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let text = String::from_utf8_lossy(&text);
    let parsed = Manifest::parse(&text);
    if parsed.is_none() && Manifest::is_of_this_tool(&text) {
        tracing::warn!(
            "{} was changed since it was written, and is written anew: build the other profiles of its folder again, so that they are in it",
            path.display()
        );
    }
    Ok(parsed)
}

/// Writes the manifest: temporary file, fsync, rename. The caller holds its lock, so the temporary name
/// can be the same every time: what a killed build left is written over.
fn write_manifest(layout: &Layout, manifest: &Manifest) -> anyhow::Result<()> {
    let path = &layout.manifest;
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = manifest.to_text();
    let temporary = layout.manifest_draft();
    let write = || -> std::io::Result<()> {
        // A link of that name would be written through; a new file is never one.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        failpoint::at("manifest::rename", &path.to_string_lossy());
        platform::replace_file(&temporary, path)?;
        failpoint::at("manifest::renamed", &path.to_string_lossy());
        platform::sync_directory(folder)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Tells the user how it ended: on standard output, as one line of JSON if asked for.
pub fn print(ended: &Ended, settings: &Settings, global: &GlobalFlags) -> anyhow::Result<()> {
    output::text(|out| match ended {
        Ended::Built(summary) if global.json => output::json_line(out, "summary", summary),
        Ended::Built(summary) => print_summary(out, summary, settings),
        Ended::Paused if global.json => {
            let exit = ExitCode::Paused as u8;
            let profile = &settings.profile.name;
            output::json_line(
                out,
                "paused",
                &serde_json::json!({"profile": profile, "exit": exit}),
            )
        }
        Ended::Paused => writeln!(
            out,
            "{}: paused, nothing is lost; the same command goes on",
            settings.profile.name
        ),
    })?;
    Ok(())
}

fn print_summary(
    out: &mut impl std::io::Write,
    summary: &Summary,
    settings: &Settings,
) -> std::io::Result<()> {
    let Summary { index, run, .. } = summary;
    let kept: usize = index.kept.iter().map(|root| root.shards.len()).sum();
    let kept = kept.min(index.shards.len());
    let nothing_new =
        run.deleted.is_empty() && run.unchanged_shards + kept as u64 >= index.shards.len() as u64;
    let how = if nothing_new && index.kept.is_empty() {
        "unchanged, nothing to do".to_owned()
    } else if nothing_new && index.mode == "blob" {
        "kept as it was, since a root is away".to_owned()
    } else if nothing_new {
        "nothing to do, but a root is away".to_owned()
    } else {
        format!(
            "built in {} ({:.0} s of CPU time, encoders busy {:.0} %)",
            progress::duration(Duration::from_secs_f64(run.elapsed_s)),
            run.cpu_s,
            run.encoder_busy * 100.0
        )
    };
    writeln!(out, "{}: {how}", index.profile)?;
    writeln!(
        out,
        "  {} files, {} chunks, {} of text in {} {}",
        index.files,
        index.chunks,
        progress::bytes(index.source_bytes),
        index.shards.len(),
        if index.shards.len() == 1 {
            "shard"
        } else {
            "shards"
        }
    )?;
    if run.reused_chunks + run.resumed_chunks > 0 {
        writeln!(
            out,
            "  {} chunks resumed, {} vectors taken over from the earlier index",
            run.resumed_chunks, run.reused_chunks
        )?;
    }
    let left_out: Vec<_> = index
        .skipped
        .iter()
        .map(|(r, n)| format!("{n} {r}"))
        .collect();
    if !left_out.is_empty() {
        writeln!(out, "  left out: {}", left_out.join(", "))?;
    }
    for file in index.quarantined.iter().chain(&index.unreadable) {
        writeln!(
            out,
            "  {}: {}/{} {}",
            file.reason, file.root, file.path, file.detail
        )?;
    }
    secrets::print(out, &index.secrets_in_text)?;
    for root in &index.missing_roots {
        writeln!(out, "  missing root: {root}")?;
    }
    for root in &index.kept {
        writeln!(
            out,
            "  away: {} ({}); its index stays ({}), --prune deletes it",
            root.path,
            root.detail,
            root.shards.join(", ")
        )?;
    }
    if !index.not_indexed.is_empty() {
        writeln!(
            out,
            "  not indexed: changes in {}, until that root is back",
            index.not_indexed.join(", ")
        )?;
    }
    for label in &run.deleted {
        writeln!(
            out,
            "  deleted: shard {label}, whose folder or files the profile has no more"
        )?;
    }
    writeln!(out, "  {}", index.output)?;
    writeln!(out, "  digest {}", index.digest)?;
    writeln!(out)?;
    writeln!(
        out,
        "next: helix-build query {} \"how do I ...\"",
        shown_path(&index.output, settings)
    )
}

/// The output as it can be typed here: relative to the working directory when it lies below it.
fn shown_path(output: &str, settings: &Settings) -> String {
    let path = Path::new(output);
    // Sharded: the folder is enough and reads better.
    let path = match settings.mode {
        Mode::Sharded => path.parent().unwrap_or(path),
        Mode::Blob => path,
    };
    let here = std::env::current_dir().ok();
    let relative = here
        .as_deref()
        .and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
