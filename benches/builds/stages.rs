//! Measures the stages of a build, one after the other in this process.
//!
//! From the decoder on, each stage gets its complete input in memory, so that only the stage itself is measured. It uses
//! the functions that workers and the publisher call.

use crate::parse::Text;
use helix_build::artifact;
use helix_build::chunk::{self, Chunk, Decoded};
use helix_build::encode::{Encoders, TokenizedText};
use helix_build::file::{FileEntry, FileOutcome, FileRecord, RelPath};
use helix_build::ids::{Digest, FileHash};
use helix_build::language::Language;
use helix_build::plan::{Plan, PlanOptions, RootFiles, plan};
use helix_build::platform::process_cpu_time;
use helix_build::profile::recipe::{Recipe, RuleSet};
use helix_build::profile::{Root, Rules};
use helix_build::scan::{self, ReadFile};
use helix_build::store::routing::RoutingDb;
use helix_build::store::segment::{EncodedChunk, SegmentHeader, SegmentReader, SegmentWriter};
use helix_build::store::shard::{self, ShardHeader, ShardLoader};
use helix_build::tag::{self, TagInput, TaggedChunk};
use helix_build::text;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The date that is written everywhere.
const EPOCH: f64 = 1.8e9;

/// One pass through all stages.
pub struct Pass {
    /// The stages in their order, with the CPU time of each.
    pub spent: Vec<(&'static str, Duration)>,
    /// The finished shard.
    pub shard: PathBuf,
    pub chunks: u64,
    /// Bytes of the indexed files.
    pub bytes: u64,
}

/// The parts of a build: read and decode; chunk, tag and tokenize; run the encoders; write.
pub const PARTS: [&str; 4] = ["source", "chunk", "encode", "sink"];

/// The part that a stage belongs to.
pub fn part_of(stage: &str) -> &'static str {
    match stage {
        "walk, plan" | "read, hash" | "decode" => PARTS[0],
        "chunk, hash chunks" | "tag" | "tokenize" => PARTS[1],
        "encode" => PARTS[2],
        _ => PARTS[3],
    }
}

/// A text as the chunker receives it.
struct DecodedFile {
    record: FileRecord,
    /// Bytes that were read: of a large file, those of its head.
    bytes: u64,
    text: String,
    language: Option<&'static Language>,
}

/// Measures functions.
#[derive(Default)]
struct Clock(Vec<(&'static str, Duration)>);

impl Clock {
    fn time<T>(
        &mut self,
        stage: &'static str,
        run: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let before = process_cpu_time();
        let result = run();
        self.0.push((stage, process_cpu_time() - before));
        result
    }
}

/// Run all stages on the folder `root`. Writes into the empty folder `work`.
pub fn pass(
    root: &Path,
    recipe: &Recipe,
    encoders: &mut Encoders,
    work: &Path,
) -> anyhow::Result<Pass> {
    let mut clock = Clock::default();
    let plan = clock.time("walk, plan", || plan_of(root))?;
    let read = clock.time("read, hash", || read_all(&plan))?;
    let files = clock.time("decode", || Ok(decode_all(read, recipe)))?;
    let chunked = clock.time("chunk, hash chunks", || Ok(chunk_all(&files, recipe)))?;
    let indexed = files
        .iter()
        .zip(&chunked)
        .filter(|(_, chunks)| !chunks.is_empty());
    let bytes = indexed.map(|(file, _)| file.bytes).sum();
    let tagged = clock.time("tag", || Ok(tag_all(&files, chunked, recipe)))?;
    let tokens = clock.time("tokenize", || Ok(tokenize_all(encoders, &tagged)))?;
    let encoded = clock.time("encode", || encode_all(encoders, tagged, &tokens))?;
    drop(tokens);
    let records: Vec<FileRecord> = files.into_iter().map(|file| file.record).collect();
    let segments = clock.time("write segments", || {
        write_segments(&plan, &records, &encoded, work)
    })?;
    drop(encoded);
    let (shard, chunks) = publish(&mut clock, root, &segments, work)?;
    Ok(Pass {
        spent: clock.0,
        shard,
        chunks,
        bytes,
    })
}

/// Publish the segments. Return the shard and the number of its chunks.
fn publish(
    clock: &mut Clock,
    root: &Path,
    segments: &[(PathBuf, Vec<RelPath>)],
    work: &Path,
) -> anyhow::Result<(PathBuf, u64)> {
    let temporary = work.join("shard.tmp");
    let shard = work.join("shard.genome.db");
    let loader = clock.time("load segments", || {
        let mut loader = ShardLoader::create(&temporary, header(root), std::sync::Arc::default())?;
        for (path, files) in segments {
            loader.load_segment(&SegmentReader::open(path)?, 0, files)?;
        }
        Ok(loader)
    })?;
    let loaded = clock.time("links, indexes, full text", || Ok(loader.finish()?))?;
    clock.time("check, digest", || {
        Ok(shard::seal(&temporary, loaded, &std::sync::Arc::default())?)
    })?;
    let hash = clock.time("hash file, fsync, rename", || {
        put_in_place(&temporary, &shard)
    })?;
    clock.time("register", || {
        let mut routing = RoutingDb::open_or_create(&work.join("main.genome.db"), EPOCH)?;
        routing.register(&shard, Some(hash))?;
        Ok(routing.finish()?)
    })?;
    Ok((shard, loaded.chunks))
}

/// Return the texts of all chunks of the folder `root`, in order.
pub fn chunk_texts(root: &Path, recipe: &Recipe) -> anyhow::Result<Vec<String>> {
    let files = decode_all(read_all(&plan_of(root)?)?, recipe);
    let chunks = chunk_all(&files, recipe);
    Ok(chunks
        .into_iter()
        .flatten()
        .map(|chunk| chunk.text.into_owned())
        .collect())
}

/// Return the texts that the `ast` chunker parses: those with more than one chunk.
pub fn texts_to_parse(root: &Path, recipe: &Recipe) -> anyhow::Result<Vec<(String, String)>> {
    let files = decode_all(read_all(&plan_of(root)?)?, recipe);
    let long = files
        .into_iter()
        .filter(|file| file.text.chars().count() > recipe.chunk_chars as usize);
    Ok(long
        .map(|file| (file.record.entry.path.extension(), file.text))
        .collect())
}

/// Borrow the result of [`texts_to_parse`].
pub fn borrowed(texts: &[(String, String)]) -> impl Iterator<Item = Text<'_>> {
    texts
        .iter()
        .map(|(extension, text)| (extension.as_str(), text.as_str()))
}

fn plan_of(root: &Path) -> anyhow::Result<Plan> {
    let root = Root::new("corpus", root);
    let files = scan::scan(&root, &Rules::default())?.files;
    let plan = plan(
        vec![RootFiles {
            label: root.label,
            path: root.path,
            files,
        }],
        &PlanOptions::default(),
    );
    plan.check_coverage()?;
    Ok(plan)
}

/// List the planned files, in order.
fn entries(plan: &Plan) -> impl Iterator<Item = &FileEntry> {
    let files = plan.shards.iter().flat_map(|shard| &shard.files);
    files.map(|file| &file.entry)
}

fn read_all(plan: &Plan) -> anyhow::Result<Vec<ReadFile>> {
    let limits = Rules::default().limits;
    entries(plan)
        .map(|entry| {
            let read = scan::read_file(&plan.roots[0].path, entry, &limits);
            read.map_err(|failure| anyhow::anyhow!("{}: {}", entry.path, failure.detail))
        })
        .collect()
}

/// Return `None` if the file is not text, or was made by a program.
fn decode(read: ReadFile, recipe: &Recipe) -> Option<DecodedFile> {
    let decoded = match recipe.rules {
        RuleSet::Compat => chunk::decode(&read.bytes, recipe.chunker),
        RuleSet::Standard => text::decode(&read.bytes, &read.entry.path),
    };
    let Decoded::Text(decoded) = decoded else {
        return None;
    };
    let decoded = match recipe.rules {
        RuleSet::Compat => decoded,
        RuleSet::Standard if artifact::recognise(&read.entry.path, &decoded.text).is_some() => {
            return None;
        }
        RuleSet::Standard => text::prepare(decoded),
    };
    let outcome = FileOutcome::Indexed {
        chunks: 0,
        credentials: 0,
        text: Default::default(),
    };
    let record = FileRecord {
        entry: read.entry,
        hash: Some(read.hash),
        sha256: read.sha256,
        outcome,
    };
    Some(DecodedFile {
        record,
        bytes: read.bytes.len() as u64,
        text: decoded.text,
        language: decoded.language,
    })
}

fn decode_all(files: Vec<ReadFile>, recipe: &Recipe) -> Vec<DecodedFile> {
    files
        .into_iter()
        .filter_map(|file| decode(file, recipe))
        .collect()
}

fn chunk_all<'a>(files: &'a [DecodedFile], recipe: &Recipe) -> Vec<Vec<Chunk<'a>>> {
    let chunks = |file: &'a DecodedFile| {
        chunk::chunk_in(file.language, &file.text, &file.record.entry.path, recipe)
    };
    files.iter().map(chunks).collect()
}

fn tag_all(
    files: &[DecodedFile],
    chunks: Vec<Vec<Chunk<'_>>>,
    recipe: &Recipe,
) -> Vec<Vec<EncodedChunk<'static>>> {
    let pairs = files.iter().zip(chunks);
    pairs
        .map(|(file, chunks)| tag_one(file, chunks, recipe))
        .collect()
}

/// The chunks with their tags, and without vectors.
fn tag_one(
    file: &DecodedFile,
    chunks: Vec<Chunk<'_>>,
    recipe: &Recipe,
) -> Vec<EncodedChunk<'static>> {
    let path = &file.record.entry.path;
    let tagged = |chunk: Chunk<'_>| {
        let tags = tag::tag(&TagInput {
            text: &chunk.text,
            path,
            root_label: "corpus",
            sequence: chunk.sequence,
            around: &[],
            kind: tag::Kind::of(recipe.rules, path, file.language),
        });
        EncodedChunk {
            tagged: TaggedChunk {
                visibility: tag::visibility::visibility(path, recipe, &tags, &chunk.text),
                tags,
                chunk: chunk.into_owned(),
            },
            n_tokens: 0,
            vectors: Default::default(),
        }
    };
    chunks.into_iter().map(tagged).collect()
}

fn tokenize_all(encoders: &Encoders, files: &[Vec<EncodedChunk<'_>>]) -> Vec<Vec<TokenizedText>> {
    let tokenizer = encoders.tokenizer();
    let tokens = |chunks: &Vec<EncodedChunk<'_>>| {
        chunks
            .iter()
            .map(|encoded| tokenizer.tokenize(&encoded.tagged.chunk.text))
            .collect()
    };
    files.iter().map(tokens).collect()
}

fn encode_all(
    encoders: &mut Encoders,
    mut files: Vec<Vec<EncodedChunk<'static>>>,
    tokens: &[Vec<TokenizedText>],
) -> anyhow::Result<Vec<Vec<EncodedChunk<'static>>>> {
    for (chunk, tokens) in files.iter_mut().flatten().zip(tokens.iter().flatten()) {
        let encoded = encoders.encode(tokens)?;
        chunk.n_tokens = tokens.n_tokens() as u32;
        chunk.vectors.sparse = encoded.sparse;
        chunk.vectors.dense = encoded.dense;
        chunk.vectors.route_words = encoded.route_words;
    }
    Ok(files)
}

/// How much text a worker's sink commits at once.
const GROUP_BYTES: usize = 256 * 1024;

fn commit(
    writer: &mut SegmentWriter,
    group: &mut Vec<(FileRecord, &[EncodedChunk<'_>])>,
) -> anyhow::Result<()> {
    let rows: Vec<_> = group.iter().map(|(file, chunks)| (file, *chunks)).collect();
    writer.commit(&rows)?;
    group.clear();
    Ok(())
}

/// Return the segments with their files, in order.
fn write_segments(
    plan: &Plan,
    records: &[FileRecord],
    tagged: &[Vec<EncodedChunk<'_>>],
    work: &Path,
) -> anyhow::Result<Vec<(PathBuf, Vec<RelPath>)>> {
    let mut texts = records.iter().zip(tagged).peekable();
    let mut segments = Vec::new();
    for shard in &plan.shards {
        for segment in &shard.segments {
            let path = work.join(format!("{}.seg", segment.key));
            let header = SegmentHeader {
                fingerprint: Digest([0; 32]),
                identity: segment.key.clone(),
            };
            let mut writer = SegmentWriter::open(&path, &header)?;
            let mut written = Vec::new();
            let mut group: Vec<(FileRecord, &[EncodedChunk<'_>])> = Vec::new();
            for file in shard.segment_files(segment) {
                let is_this = |(record, _): &(&FileRecord, _)| record.entry.path == file.entry.path;
                let Some((record, chunks)) = texts.next_if(is_this) else {
                    continue;
                };
                let outcome = FileOutcome::Indexed {
                    chunks: chunks.len() as u32,
                    credentials: 0,
                    text: Default::default(),
                };
                let record = FileRecord {
                    outcome,
                    ..record.clone()
                };
                written.push(record.entry.path.clone());
                group.push((record, chunks));
                let texts = group.iter().flat_map(|(_, chunks)| *chunks);
                if texts
                    .map(|encoded| encoded.tagged.chunk.text.len())
                    .sum::<usize>()
                    >= GROUP_BYTES
                {
                    commit(&mut writer, &mut group)?;
                }
            }
            commit(&mut writer, &mut group)?;
            writer.finish("cpu")?;
            segments.push((path, written));
        }
    }
    anyhow::ensure!(texts.next().is_none(), "a file is in no segment");
    Ok(segments)
}

fn header(root: &Path) -> ShardHeader {
    ShardHeader {
        label: "corpus".to_owned(),
        roots: vec![shard::Root {
            label: "corpus".to_owned(),
            path: root.to_string_lossy().into_owned(),
        }],
        fingerprint: Digest([0; 32]),
        encoder_fingerprint: Digest([0; 32]),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        encoder: "{}".to_owned(),
        recipe: "{}".to_owned(),
        epoch: EPOCH,
        sorter_threads: 0,
    }
}

/// Move a sealed file into place, as publishing does.
fn put_in_place(temporary: &Path, shard: &Path) -> anyhow::Result<FileHash> {
    let file = File::options().read(true).write(true).open(temporary)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file)?;
    file.sync_all()?;
    fs::rename(temporary, shard)?;
    Ok(FileHash(hasher.finalize().into()))
}
