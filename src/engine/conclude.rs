//! The end of a build: summarize the index, write the manifest, clean up.

use super::failures::Failures;
use super::run::Published;
use crate::encode::{EncoderInfo, ModelInfo};
use crate::engine::error::{Context as _, Result};
use crate::engine::output::{draft, lock, obstacles};
use crate::engine::preflight::Prepared;
use crate::engine::publish::manifest;
use crate::engine::request::BuildRequest;
use crate::failpoint::failpoint;
use crate::file::FileOutcome;
use crate::plan::Mode;
use crate::report::{
    BuildEvent, BuilderKeys, FileHead, FileSecrets, Heads, IndexSummary, Manifest, RunSummary,
    ServerSummary, ShardSummary, SkippedFile, SkippedTally, Summary, Target, TextSecrets,
    TextSummary,
};
use crate::store::digest::{ContentDigest, digest_index};
use crate::store::hash_file;
use crate::store::ledger::{self, ShardLedger};
use crate::store::ownership;
use crate::store::registered::registered_shards;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Longest wait for another build to release the manifest. That build reads the ledgers of its shards meanwhile,
/// which takes seconds for the largest.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(120);

/// Write the manifest, remove the work files of the build and return its summary.
pub fn conclude(
    request: &BuildRequest,
    prepared: &Prepared,
    published: &Published,
    run: RunSummary,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<Summary> {
    let path = &prepared.layout.manifest;
    // Builds of other profiles in the same folder write the manifest too.
    let _lock = lock::wait_for(&prepared.layout.manifest_lock(), MANIFEST_PATIENCE)?;
    failpoint!("build::conclude", request.profile.name);
    // Check again: the build may have taken hours.
    obstacles::refuse_manifest(path)?;
    let previous = manifest::read(path, observe)?;
    let Gathered {
        index,
        skipped_files,
        ..
    } = summarize_index(request, prepared, published, previous.as_ref())?;
    let target = Target {
        built_at: prepared.epoch,
        encoders: serde_json::to_value(&prepared.encoders)?,
        recipe: serde_json::to_value(&request.profile.recipe)?,
        builder_keys: BuilderKeys::of(&request.profile.recipe, &request.profile.rules.limits),
        index: index.clone(),
        routing_blake3: manifest::routing_hash(request, prepared, previous.as_ref())?,
        run: (!prepared.reproducible).then(|| run.clone()),
    };
    manifest::write(path, &Manifest::with(previous, target))
        .with_context(|| format!("writing {}", path.display()))?;
    prepared.provenance.write(&prepared.layout)?;
    let has_retained = !prepared.survey.retained.shards.is_empty();
    if let Some(change_times) = &prepared.change_times {
        change_times.conclude(has_retained)?;
    }
    draft::remove(&prepared.layout.rebuild())?;
    ownership::remove_tasks(&prepared.layout.tasks())?;
    // Last: while this folder exists, `verify` knows that the manifest may describe an earlier state.
    ownership::remove_segments(&prepared.layout.segments())?;
    failpoint!("build::cleaned", request.profile.name);
    Ok(Summary {
        index,
        run,
        skipped_files,
    })
}

fn summarize_index(
    request: &BuildRequest,
    prepared: &Prepared,
    published: &Published,
    previous: Option<&Manifest>,
) -> Result<Gathered> {
    let survey = &prepared.survey;
    let index = IndexSummary {
        profile: request.profile.name.clone(),
        mode: request.mode_name().to_owned(),
        output: prepared.layout.database.display().to_string(),
        digest: String::new(),
        content_digest: String::new(),
        fingerprint: prepared.fingerprint.to_string(),
        files: 0,
        chunks: 0,
        source_bytes: 0,
        skipped: survey.skipped.clone(),
        skipped_kinds: Vec::new(),
        heads: Heads::default(),
        quarantined: Vec::new(),
        unreadable: survey.unreadable.clone(),
        secrets_in_text: TextSecrets {
            setting: request.profile.recipe.secrets_in_text,
            ..TextSecrets::default()
        },
        text: TextSummary::default(),
        missing_roots: survey.missing_roots.clone(),
        kept: survey.retained.roots.clone(),
        servers: servers(&prepared.encoders),
        not_indexed: survey.not_indexed.clone(),
        shards: Vec::new(),
    };
    let mut gathered = Gathered {
        index,
        skipped_kinds: survey.skipped_kinds.clone(),
        skipped_files: survey.skipped_files.clone(),
        lists_skipped: request.list_skipped,
    };
    let registered = match request.mode() {
        Mode::Sharded => registered_shards(&prepared.layout.database)?,
        Mode::Blob => Vec::new(),
    };
    let mut digests = Vec::new();
    let mut content = ContentDigest::default();
    let planned = survey.plan.shards.iter().map(|shard| {
        let path = prepared.layout.shard(&shard.label);
        (Some(shard.id), shard.label.as_str(), path)
    });
    let retained = survey.retained.shards.iter();
    let retained = retained.map(|(label, shard)| (None, label.as_str(), shard.path.clone()));
    for (id, label, path) in planned.chain(retained) {
        let ledger = ledger::read_ledger(&path)?;
        digests.push((label, ledger.digest));
        content = content.and(ledger.content);
        // For an unchanged shard, use the hash recorded when it was published.
        let registered_hash = || {
            let build = registered
                .iter()
                .find(|known| known.recorded_path == path)?
                .build?;
            build.file_hash.filter(|_| build.digest == ledger.digest)
        };
        // After an interrupted run the manifest is out of date: another file of the same digest may lie there.
        let up_to_date = previous.filter(|_| prepared.is_finished);
        let manifest_hash = || up_to_date.and_then(|it| it.file_hash(&path, &ledger.digest));
        let file_hash = match id.and_then(|id| published.get(&id)) {
            Some(done) => done.file_hash.to_string(),
            None => match registered_hash()
                .map(|hash| hash.to_string())
                .or_else(manifest_hash)
            {
                Some(recorded) => recorded,
                // A run that was stopped right after it moved the blob into place has recorded nothing.
                None => hash_file(&path)?.to_string(),
            },
        };
        let summary = summarize_shard(&path, ledger, Some(file_hash), &mut gathered)?;
        let index = &mut gathered.index;
        index.files += summary.files;
        index.chunks += summary.chunks;
        index.shards.push(summary);
    }
    let index = &mut gathered.index;
    index.skipped_kinds = gathered.skipped_kinds.groups();
    index.digest = digest_index(digests).to_string();
    index.content_digest = content.to_digest().to_string();
    Ok(gathered)
}

/// Return the servers that make the vectors.
fn servers(encoders: &EncoderInfo) -> Vec<ServerSummary> {
    let kinds = [("sparse", &encoders.sparse), ("dense", &encoders.dense)];
    let server = |(kind, model): (&str, &Option<ModelInfo>)| {
        let model = model.as_ref()?;
        let server = model.server.as_ref()?;
        Some(ServerSummary {
            kind: kind.to_owned(),
            url: server.url.clone(),
            model: model.name.clone(),
            revision: server.revision.clone(),
        })
    };
    kinds.into_iter().filter_map(server).collect()
}

/// What the ledgers of the shards add up to.
struct Gathered {
    index: IndexSummary,
    skipped_kinds: SkippedTally,
    skipped_files: Vec<SkippedFile>,
    lists_skipped: bool,
}

/// Summarize one shard, and add its failures, skipped files and credentials to `gathered`.
fn summarize_shard(
    path: &Path,
    ledger: ShardLedger,
    file_blake3: Option<String>,
    gathered: &mut Gathered,
) -> Result<ShardSummary> {
    let index = &mut gathered.index;
    let bytes = fs::metadata(path)
        .with_context(|| format!("reading {}", path.display()))?
        .len();
    let failures = Failures::of(&ledger);
    index.quarantined.extend(failures.quarantined);
    index.unreadable.extend(failures.unreadable);
    let mut files = 0;
    for (root, record) in ledger.files {
        let label = &ledger.roots[root as usize].label;
        match record.outcome {
            FileOutcome::Indexed {
                credentials, text, ..
            } => {
                files += 1;
                index.text.add(&text);
                index.source_bytes += text.head_bytes.unwrap_or(record.entry.size);
                if let Some(indexed_bytes) = text.head_bytes {
                    index.heads.add(FileHead {
                        root: label.clone(),
                        path: record.entry.path.to_string(),
                        indexed_bytes,
                        bytes: record.entry.size,
                    });
                }
                if credentials > 0 {
                    index.secrets_in_text.values += u64::from(credentials);
                    index.secrets_in_text.files.push(FileSecrets {
                        root: label.clone(),
                        path: record.entry.path.to_string(),
                        values: credentials,
                    });
                }
            }
            FileOutcome::Skipped { reason, detail } => {
                *index.skipped.entry(reason).or_default() += 1;
                let path = &record.entry.path;
                gathered.skipped_kinds.add(reason, label, path, false);
                if gathered.lists_skipped {
                    gathered.skipped_files.push(SkippedFile {
                        root: label.clone(),
                        path: path.to_string(),
                        reason,
                        detail,
                    });
                }
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
