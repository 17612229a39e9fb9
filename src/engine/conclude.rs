//! The end of a build: clean up, write the manifest, say what was made.

use super::failures::Failures;
use super::work::Published;
use crate::engine::error::Context as _;
use crate::engine::error::Result;
use crate::engine::output::draft;
use crate::engine::output::lock;
use crate::engine::output::obstacles;
use crate::engine::output::rebuild;
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::failpoint::failpoint;
use crate::file::FileOutcome;
use crate::named_file;
use crate::plan::Mode;
use crate::report::{
    BuildEvent, FileSecrets, IndexSummary, Manifest, RunSummary, ShardSummary, Summary, Target,
    TextSecrets,
};
use crate::store::digest::{ContentDigest, digest_index};
use crate::store::hash_file;
use crate::store::ledger::{self, ShardLedger};
use crate::store::ownership;
use crate::store::registered::registered_shards;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// For another build that has the manifest in hand: it reads its shards' ledgers meanwhile, which takes
/// seconds for the largest.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(120);

/// Gathers the summary, writes the manifest, and removes what only the build needed.
pub fn conclude(
    request: &BuildRequest,
    prepared: &Prepared,
    published: &Published,
    run: RunSummary,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<Summary> {
    let manifest = &prepared.layout.manifest;
    // Other profiles of the same folder write to the manifest too.
    let _lock = lock::wait_for(&prepared.layout.manifest_lock(), MANIFEST_PATIENCE)?;
    failpoint!("build::conclude", request.profile.name);
    // Looked at again: the build may have taken hours.
    obstacles::refuse_manifest(manifest)?;
    let previous = read_manifest(manifest, observe)?;
    let index = describe(request, prepared, published, previous.as_ref())?;
    let target = Target {
        built_at: prepared.epoch,
        encoders: serde_json::to_value(&prepared.encoders)?,
        recipe: serde_json::to_value(&request.profile.recipe)?,
        index: index.clone(),
        routing_blake3: routing_hash(request, prepared, previous.as_ref())?,
        run: (!prepared.reproducible).then(|| run.clone()),
    };
    write_manifest(manifest, &Manifest::with(previous, target))
        .with_context(|| format!("writing {}", manifest.display()))?;
    prepared.provenance.write(&prepared.layout)?;
    rebuild::forget(&prepared.layout.rebuild())?;
    // Last: while this folder is there, the manifest may be of an earlier state, as `verify` knows.
    ownership::remove_segments(&prepared.layout.segments())?;
    failpoint!("build::cleaned", request.profile.name);
    Ok(Summary { index, run })
}

fn describe(
    request: &BuildRequest,
    prepared: &Prepared,
    published: &Published,
    previous: Option<&Manifest>,
) -> Result<IndexSummary> {
    let survey = &prepared.survey;
    let mut index = IndexSummary {
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
        quarantined: Vec::new(),
        unreadable: survey.unreadable.clone(),
        secrets_in_text: TextSecrets {
            setting: request.profile.recipe.secrets_in_text,
            ..TextSecrets::default()
        },
        missing_roots: survey.missing_roots.clone(),
        kept: survey.kept.roots.clone(),
        not_indexed: survey.not_indexed.clone(),
        shards: Vec::new(),
    };
    let registered = match request.mode() {
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
            let build = registered
                .iter()
                .find(|known| known.recorded_path == path)?
                .build?;
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
    request: &BuildRequest,
    prepared: &Prepared,
    previous: Option<&Manifest>,
) -> Result<Option<String>> {
    let path = &prepared.layout.database;
    if request.mode() == Mode::Blob || prepared.reproducible {
        return Ok(None);
    }
    let hash = hash_file(path)?;
    let noted = previous.and_then(|manifest| manifest.routing_hash(&request.profile.name));
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
) -> Result<ShardSummary> {
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
fn read_manifest(path: &Path, observe: &mut dyn FnMut(&BuildEvent)) -> Result<Option<Manifest>> {
    let text = match named_file::read(path, named_file::MOST_MANIFEST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let text = String::from_utf8_lossy(&text);
    let parsed = Manifest::parse(&text);
    if parsed.is_none() && Manifest::is_of_this_tool(&text) {
        let text = format!(
            "{} was changed since it was written, and is written anew: build the other profiles of its folder again, so that they are in it",
            path.display()
        );
        observe(&BuildEvent::Warning { text });
    }
    Ok(parsed)
}

/// The caller holds the manifest's lock.
fn write_manifest(path: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let draft = draft::write(path, manifest.to_text().as_bytes())?;
    failpoint!("manifest::rename", path.display());
    draft.commit()?;
    failpoint!("manifest::renamed", path.display());
    Ok(())
}
