//! Small corpora with every kind of row.

use crate::chunk::{Chunk, Place};
use crate::file::{FileEntry, FileOutcome, FileRecord, RelPath, SkipReason, TextKind};
use crate::ids::{Digest, FileHash, FileSha256};
use crate::store::connect;
use crate::store::segment::{EncodedChunk, SegmentHeader, SegmentReader, SegmentWriter};
use crate::store::shard::{Root, ShardHeader, ShardLoader, seal};
use crate::tag::{IntentClass, TaggedChunk, Tags, Visibility};
use crate::vector::{DenseVector, SparseTerm, SparseVector, Vectors};
use rusqlite::Connection;
use std::path::Path;

pub const EPOCH: f64 = 1_700_000_000.25;

/// A file and its chunks.
pub type Entry = (FileRecord, Vec<EncodedChunk<'static>>);

/// Three folders, duplicate texts within and across files, names and texts beyond ASCII, a file
/// without chunks, and one left out.
pub fn corpus() -> Vec<Entry> {
    let shared = "Config parser shared by all: port=80 Host=h";
    let mut files = vec![
        indexed(
            "README.md",
            &[
                "Überblick Parser Config \u{1F600} \"quoted\"\n\tTabbed",
                shared,
            ],
        ),
        indexed("empty.txt", &[]),
        indexed(
            "lib/crawl-watchdog.rs",
            &[shared, "fn Parser Config tick", "fn tail Config", shared],
        ),
        indexed(
            "lib/naïve name.py",
            &["Config Parser Device naïve", "Device Parser Straße ΣΑΣ"],
        ),
        left_out("lib/broken.rs", SkipReason::Unreadable, "permission denied"),
        indexed("z/last.toml", &["Host=q Device Config", "plain words only"]),
    ];
    files.sort_by(|(a, _), (b, _)| a.entry.path.cmp(&b.entry.path));
    files
}

pub fn indexed(path: &str, texts: &[&str]) -> Entry {
    let bytes = texts.concat();
    let mut at = 0;
    let mut line = 1;
    let mut chunks = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut chunk = chunk(path, n as u32, text);
        let end = line + text.matches('\n').count() as u32;
        chunk.tagged.chunk.place = Place {
            bytes: path.ends_with(".rs").then(|| at..at + text.len() as u64),
            lines: (line, end),
            symbols: ["Outer".to_owned(), "inner".to_owned()][..n.min(2)].to_vec(),
        };
        (at, line) = (at + text.len() as u64, end);
        chunks.push(chunk);
    }
    let outcome = FileOutcome::Indexed {
        chunks: chunks.len() as u32,
        credentials: 0,
        text: TextKind {
            language: Some("prose".into()),
            ..TextKind::default()
        },
    };
    (record(path, &bytes, outcome), chunks)
}

pub fn left_out(path: &str, reason: SkipReason, detail: &str) -> Entry {
    let outcome = FileOutcome::Skipped {
        reason,
        detail: detail.to_owned(),
    };
    let mut file = record(path, "", outcome);
    file.hash = None;
    file.sha256 = None;
    (file, Vec::new())
}

fn record(path: &str, bytes: &str, outcome: FileOutcome) -> FileRecord {
    FileRecord {
        entry: FileEntry {
            path: RelPath::from_spelling(path).expect("a relative path"),
            size: bytes.len() as u64,
            mtime_ns: -1_500_000_000,
        },
        hash: Some(FileHash::of(bytes.as_bytes())),
        sha256: Some(FileSha256::of(bytes.as_bytes())),
        outcome,
    }
}

pub fn chunk(path: &str, sequence: u32, text: &str) -> EncodedChunk<'static> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pick = |wanted: fn(&&&str) -> bool| -> Vec<String> {
        words
            .iter()
            .filter(wanted)
            .map(|w| String::from(*w))
            .collect()
    };
    let mut seen = Vec::new();
    for word in words.iter().map(|word| word.to_lowercase()) {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    let terms = seen.iter().enumerate().map(|(n, word)| SparseTerm {
        term: format!("##{word}"),
        weight_e4: 30_001 - n as u32,
    });
    let tags = Tags {
        domains: vec![
            path.split('.').next().unwrap_or_default().into(),
            "Topic".into(),
        ],
        entities: pick(|word| word.starts_with(char::is_uppercase)),
        key_values: pick(|word| word.contains('=')),
        intent: format!("to say \"{}\"", words.first().unwrap_or(&"")),
        intent_class: IntentClass::Fact,
        summary: words.concat(),
        extract: text.chars().take(20).collect(),
        labels: vec!["fn".into(), "naïve".into()],
        route_words: vec!["parser".into(), "tick".into()],
        unwritten: "unwritten words".into(),
    };
    EncodedChunk {
        n_tokens: words.len() as u32,
        vectors: Vectors {
            sparse: Some(SparseVector(terms.collect())),
            dense: DenseVector::normalized(vec![text.len() as f32, 1.0, -2.0, 0.5], 4),
            route_words: vec!["TICK".into(), "extra".into()],
        },
        tagged: TaggedChunk {
            visibility: Visibility::ALL[words.len() % 3],
            tags,
            chunk: Chunk::new(text.to_owned().into(), sequence, sequence == 1),
        },
    }
}

pub fn segment_header() -> SegmentHeader {
    SegmentHeader {
        fingerprint: Digest([7; 32]),
        identity: "shard/0".into(),
    }
}

/// Writes a complete segment.
pub fn write_segment(path: &Path, files: &[Entry]) {
    let mut writer = SegmentWriter::open(path, &segment_header()).expect("opened");
    for (file, chunks) in files {
        writer.commit(&[(file, chunks)]).expect("committed");
    }
    writer.finish("cpu").expect("finished");
}

pub fn shard_header(label: &str, roots: &[(&str, &str)]) -> ShardHeader {
    ShardHeader {
        label: label.into(),
        roots: roots
            .iter()
            .map(|(label, path)| Root {
                label: (*label).into(),
                path: (*path).into(),
            })
            .collect(),
        fingerprint: Digest([7; 32]),
        encoder_fingerprint: Digest([8; 32]),
        tool_version: "0.0.0".into(),
        encoder: "{}".into(),
        recipe: "{}".into(),
        epoch: EPOCH,
        sorter_threads: 0,
    }
}

/// Builds a shard of one root from segments with the given numbers of files each.
pub fn build_shard(folder: &Path, name: &str, root: &str, files: &[Entry], cuts: &[usize]) {
    let shard = folder.join(name);
    let mut loader = ShardLoader::create(
        &shard,
        shard_header("s", &[("r", root)]),
        std::sync::Arc::default(),
    )
    .expect("created");
    let mut rest = files;
    for (n, cut) in cuts.iter().chain([&usize::MAX]).enumerate() {
        let (part, later) = rest.split_at((*cut).min(rest.len()));
        rest = later;
        let segment = folder.join(format!("{name}.{n}.segment"));
        write_segment(&segment, part);
        load(&mut loader, &segment, 0, part);
    }
    let loaded = loader.finish().expect("finished");
    seal(&shard, loaded, &std::sync::Arc::default()).expect("sealed");
}

pub fn load(loader: &mut ShardLoader, segment: &Path, root_id: u32, files: &[Entry]) {
    let paths: Vec<RelPath> = files.iter().map(|(f, _)| f.entry.path.clone()).collect();
    let reader = SegmentReader::open(segment).expect("a segment");
    loader
        .load_segment(&reader, root_id, &paths)
        .expect("loaded");
}

/// A connection that may write, as a server's does.
pub fn open(path: &Path) -> Connection {
    connect::open_shared(path).expect("opened")
}

/// All rows of a query, columns joined by `|`.
pub fn rows(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).expect("sound SQL");
    let columns = statement.column_count();
    statement
        .query_map([], |row| {
            let mut fields = Vec::new();
            for n in 0..columns {
                fields.push(match row.get_ref(n)? {
                    rusqlite::types::ValueRef::Text(text) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                    other => format!("{other:?}"),
                });
            }
            Ok(fields.join("|"))
        })
        .expect("ran")
        .collect::<Result<_, _>>()
        .expect("rows")
}

pub fn count(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).expect("a number")
}
