//! Writes a plan file.
//!
//! Holds the files of one segment in memory beside the plan itself. The file appears under its name when it is complete and
//! on the disk.

use super::head::{self, Head, HeadRoot, HeadSegment, HeadShard, Preference};
use super::{FORMAT, FrozenPlan, Row};
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::file::RelPath;
use crate::ids::FileHash;
use crate::plan::{Mode, Segment, ShardPlan};
use crate::platform;
use crate::store::ledger::read_ledger;
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;

impl FrozenPlan {
    /// Write the plan of a prepared build.
    ///
    /// # Errors
    /// `InvalidRequest` for paths that are not Unicode, which the file cannot name; errors of the disk.
    pub fn write(
        file: &Path,
        request: &BuildRequest,
        prepared: &Prepared,
        preferences: [Preference; 2],
    ) -> Result<Self> {
        let writing = || format!("writing {}", file.display());
        let absolute = std::path::absolute(file).with_context(writing)?;
        let folder = absolute.parent().unwrap_or(Path::new("."));
        let mut body = tempfile::tempfile_in(folder).with_context(writing)?;
        let shards = write_body(&mut BufWriter::new(&mut body), prepared).with_context(writing)?;
        let mut head = head(request, prepared, preferences, shards);
        let line = head::render(&mut head).map_err(|error| {
            BuildError::new(
                ErrorKind::InvalidRequest,
                format!("a plan cannot name every path of this build: {error}"),
            )
        })?;
        let mut whole = platform::new_file(folder).with_context(writing)?;
        let mut copy = || {
            whole.write_all(&line)?;
            body.seek(SeekFrom::Start(0))?;
            io::copy(&mut body, &mut whole)?;
            whole.as_file().sync_all()
        };
        copy().with_context(writing)?;
        let persisted = whole.persist(&absolute).map_err(|error| error.error);
        let opened = persisted.with_context(writing)?;
        platform::sync_directory(folder).with_context(writing)?;
        Ok(Self::of(absolute, opened, head, line.len() as u64))
    }
}

/// Write the lines of the segments that have to be done, and describe the shards.
fn write_body(body: &mut impl Write, prepared: &Prepared) -> io::Result<Vec<HeadShard>> {
    let plan = &prepared.survey.plan;
    let mut at = 0;
    let mut line = Vec::new();
    let mut shards = Vec::with_capacity(plan.shards.len());
    for shard in &plan.shards {
        let unchanged = prepared.unchanged.get(&shard.id);
        let mut head = HeadShard {
            label: shard.label.clone(),
            unchanged: unchanged.map(|ledger| ledger.digest),
            segments: Vec::new(),
        };
        if unchanged.is_none() {
            let known = known_hashes(prepared, shard);
            for segment in &shard.segments {
                render(&mut line, prepared, (shard, segment), &known)?;
                let root = shard.files[segment.files.start].root;
                head.segments.push(HeadSegment {
                    key: segment.key.clone(),
                    root,
                    files: segment.files.len() as u64,
                    bytes: segment.bytes,
                    at,
                    length: line.len() as u64,
                    blake3: FileHash::of(&line),
                });
                line.push(b'\n');
                body.write_all(&line)?;
                at += line.len() as u64;
            }
        }
        shards.push(head);
    }
    body.flush()?;
    Ok(shards)
}

/// Hashes of the files that an earlier index has of a shard, by root label and path.
type Known = HashMap<(String, RelPath), (u64, i64, FileHash)>;

/// Return the hashes that the earlier database of the shard knows.
fn known_hashes(prepared: &Prepared, shard: &ShardPlan) -> Known {
    let path = prepared.layout.shard(&shard.label);
    // Without a ledger nothing is known.
    let Some(ledger) = fs::exists(&path)
        .is_ok_and(|exists| exists)
        .then(|| read_ledger(&path).ok())
        .flatten()
    else {
        return Known::new();
    };
    let files = ledger.files.into_iter().filter_map(|(root, record)| {
        let label = ledger.roots.get(root as usize)?.label.clone();
        let entry = record.entry;
        Some((
            (label, entry.path),
            (entry.size, entry.mtime_ns, record.hash?),
        ))
    });
    files.collect()
}

fn render(
    line: &mut Vec<u8>,
    prepared: &Prepared,
    (shard, segment): (&ShardPlan, &Segment),
    known: &Known,
) -> io::Result<()> {
    let plan = &prepared.survey.plan;
    line.clear();
    line.push(b'[');
    for (n, file) in shard.segment_files(segment).iter().enumerate() {
        let root = &plan.roots[file.root as usize];
        let entry = &file.entry;
        let change_times = prepared.change_times.as_ref();
        let authored = prepared.survey.authored.get(&root.label);
        let hash = match known.is_empty() {
            true => None,
            false => known.get(&(root.label.clone(), entry.path.clone())),
        };
        let hash = hash.filter(|(size, mtime, _)| (*size, *mtime) == (entry.size, entry.mtime_ns));
        let row: Row = (
            entry.path.spelling().into_owned(),
            entry.size,
            entry.mtime_ns,
            change_times.and_then(|times| times.of(&root.path, entry)),
            authored.is_some_and(|files| files.contains(&entry.path)),
            hash.map(|(_, _, hash)| *hash),
        );
        if n > 0 {
            line.push(b',');
        }
        serde_json::to_writer(&mut *line, &row)?;
    }
    line.push(b']');
    Ok(())
}

fn head(
    request: &BuildRequest,
    prepared: &Prepared,
    devices: [Preference; 2],
    shards: Vec<HeadShard>,
) -> Head {
    let survey = &prepared.survey;
    let roots = survey.plan.roots.iter().map(|root| HeadRoot {
        label: root.label.clone(),
        path: root.path.clone(),
        files: root.n_files,
        bytes: root.bytes,
    });
    Head {
        tool: head::TOOL.to_owned(),
        kind: "plan".to_owned(),
        format: FORMAT,
        blake3: String::new(),
        profile: request.profile.name.clone(),
        out_dir: request.out_dir.clone(),
        blob: request.mode() == Mode::Blob,
        category: request.category.as_str().to_owned(),
        prune: request.prune,
        take_over: request.take_over,
        rebuild: request.rebuild,
        stall_timeout_s: request.stall_timeout.as_secs(),
        // Whole seconds: every machine reads the same number.
        epoch: prepared.epoch as u64,
        reproducible: prepared.reproducible,
        fingerprint: prepared.fingerprint,
        encoder_info: prepared.encoders.clone(),
        encoders: request.encoders.clone(),
        devices,
        reuse_from: request.reuse_from.clone(),
        recipe: request.profile.recipe.clone(),
        limits: request.profile.rules.limits,
        provenance: prepared.provenance.clone(),
        missing_roots: survey.missing_roots.clone(),
        not_indexed: survey.not_indexed.clone(),
        unreadable: survey.unreadable.clone(),
        skipped: survey.skipped.clone(),
        skipped_kinds: survey.skipped_kinds.entries(),
        retained: survey.retained.clone(),
        roots: roots.collect(),
        shards,
    }
}
