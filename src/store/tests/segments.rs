//! Segments survive whatever happens to their writer.

use super::sample::{Entry, chunk, corpus, indexed, segment_header, write_segment};
use crate::file::{FileOutcome, FileRecord, RelPath, TextKind};
use crate::ids::Digest;
use crate::store::StoreError;
use crate::store::segment::{
    EncodedChunk, SegmentHeader, SegmentReader, SegmentWriter, read_complete,
};
use crate::tag::TaggedChunk;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// Everything that a segment holds, in commit order.
fn read(path: &Path) -> Vec<Entry> {
    let reader = SegmentReader::open(path).expect("a segment");
    let with_chunks = |file: FileRecord| {
        let (file_no, again) = reader
            .file(&file.entry.path)
            .expect("readable")
            .expect("listed");
        assert_eq!(*again, file);
        let mut chunks = Vec::new();
        reader
            .for_each_chunk::<StoreError>(file_no, |encoded| {
                let tagged = encoded.tagged;
                chunks.push(EncodedChunk {
                    tagged: TaggedChunk {
                        chunk: tagged.chunk.into_owned(),
                        tags: tagged.tags,
                        visibility: tagged.visibility,
                    },
                    n_tokens: encoded.n_tokens,
                    vectors: encoded.vectors,
                });
                Ok(())
            })
            .expect("readable");
        (file, chunks)
    };
    let ledger = reader.ledger();
    ledger.into_iter().map(with_chunks).collect()
}

#[test]
fn a_segment_reads_back_as_written() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    write_segment(&path, &corpus());
    assert_eq!(read(&path), corpus());
    let reader = SegmentReader::open(&path).expect("a segment");
    assert_eq!(reader.device(), Some("cpu"));
    assert_eq!(reader.header(), &segment_header());
    let entries = fs::read_dir(&folder).expect("listed").flatten();
    let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["0.segment", "0.segment.lock"]);
}

#[test]
fn a_segment_of_another_build_is_started_afresh() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let others = [
        SegmentHeader {
            fingerprint: Digest([9; 32]),
            ..segment_header()
        },
        SegmentHeader {
            identity: "shard/1".into(),
            ..segment_header()
        },
    ];
    for other in others {
        write_segment(&path, &corpus());
        let writer = SegmentWriter::open(&path, &segment_header()).expect("opened");
        assert_eq!(writer.found().len(), corpus().len());
        drop(writer);
        let writer = SegmentWriter::open(&path, &other).expect("opened");
        assert_eq!(writer.found(), []);
        drop(writer);
        fs::remove_file(&path).expect("removed");
    }
}

#[test]
fn a_file_that_is_no_segment_is_replaced_by_an_empty_one() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let database = b"SQLite format 3\0".repeat(400);
    for bytes in [Vec::new(), b"not a segment".repeat(400), database] {
        fs::write(&path, bytes).expect("written");
        let writer = SegmentWriter::open(&path, &segment_header()).expect("started afresh");
        assert_eq!(writer.found(), []);
        writer.finish("cpu").expect("finished");
        assert_eq!(read(&path), []);
    }
}

/// The files before the damage are kept, the others are done again.
#[test]
fn a_flipped_bit_costs_what_lies_behind_it() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    write_segment(&path, &corpus());
    let sound = fs::read(&path).expect("read");
    let mut kept = Vec::new();
    for at in (0..sound.len()).step_by(97) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).expect("written");
        let complete = read_complete(&path, &segment_header()).expect("looked at");
        assert_eq!(complete, None, "bit in byte {at}");
        let mut writer = SegmentWriter::open(&path, &segment_header()).expect("opened");
        let present = writer.found().len();
        kept.push(present);
        for (file, chunks) in &corpus()[present..] {
            writer.commit(&[(file, chunks)]).expect("committed");
        }
        writer.finish("cpu").expect("finished");
        assert_eq!(read(&path), corpus(), "bit in byte {at}");
    }
    assert!(kept.is_sorted(), "{kept:?}");
    let complete = read_complete(&path, &segment_header()).expect("looked at");
    assert_eq!(complete.map(|files| files.len()), Some(corpus().len()));
}

#[test]
fn a_segment_knows_where_its_rows_were_encoded() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let open = || SegmentWriter::open(&path, &segment_header()).expect("opened");
    let (first, second) = (&corpus()[0], &corpus()[1]);
    let mut writer = open();
    assert_eq!(writer.device(), None);
    writer.encode_on("cuda:0").expect("noted");
    writer.commit(&[(&first.0, &first.1)]).expect("committed");
    drop(writer);
    assert_eq!(
        SegmentReader::open(&path).expect("opened").device(),
        None,
        "not complete"
    );
    let mut writer = open();
    assert_eq!(writer.device(), Some("cuda:0"));
    writer.start_over().expect("cleared");
    assert_eq!((writer.device(), writer.found()), (None, [].as_slice()));
    writer.encode_on("cpu").expect("noted");
    writer.commit(&[(&second.0, &second.1)]).expect("committed");
    writer.finish("cuda:0").expect("finished");
    assert_eq!(
        SegmentReader::open(&path).expect("opened").device(),
        Some("cpu")
    );
    assert_eq!(read(&path), corpus()[1..2]);
}

#[test]
fn a_segment_has_one_owner() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let first = SegmentWriter::open(&path, &segment_header()).expect("opened");
    let second = SegmentWriter::open(&path, &segment_header());
    assert!(matches!(second, Err(StoreError::Busy { .. })), "{second:?}");
    drop(first);
    SegmentWriter::open(&path, &segment_header()).expect("free again");
}

#[test]
fn a_kill_at_any_point_leaves_whole_files_oldest_first() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let mut writer = SegmentWriter::open(&path, &segment_header()).expect("opened");
    for (file, chunks) in &corpus() {
        writer.commit(&[(file, chunks)]).expect("committed");
    }
    drop(writer);
    // What a killed process leaves: the file cut anywhere.
    let whole = fs::read(&path).expect("read");
    let killed = folder.path().join("killed.segment");
    let mut lengths = Vec::new();
    for cut in (0..=whole.len()).step_by(37).chain([whole.len()]) {
        fs::write(&killed, &whole[..cut]).expect("written");
        let mut resumed = SegmentWriter::open(&killed, &segment_header()).expect("opened");
        let present = resumed.found().len();
        lengths.push(present);
        for (file, chunks) in &corpus()[present..] {
            resumed.commit(&[(file, chunks)]).expect("committed");
        }
        resumed.finish("cpu").expect("finished");
        assert_eq!(read(&killed), corpus(), "cut at {cut}");
    }
    assert!(lengths.is_sorted(), "{lengths:?}");
    assert_eq!(lengths.first(), Some(&0));
    assert_eq!(lengths.last(), Some(&corpus().len()));
}

/// A write that fails half-way, as on a full disk, leaves no trace once there is space again.
#[test]
fn a_write_goes_behind_the_last_whole_record() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("0.segment");
    let mut writer = SegmentWriter::open(&path, &segment_header()).expect("opened");
    let (file, chunks) = &corpus()[0];
    writer.commit(&[(file, chunks)]).expect("committed");
    let mut torn = fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opened");
    std::io::Write::write_all(&mut torn, b"half a record").expect("written");
    for (file, chunks) in &corpus()[1..] {
        writer.commit(&[(file, chunks)]).expect("committed");
    }
    writer.finish("cpu").expect("finished");
    assert_eq!(read(&path), corpus());
}

#[derive(Clone, Debug)]
enum Step {
    Commit { file: u8, version: u8, chunks: u8 },
    Forget { file: u8 },
    Drop,
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5u8, any::<u8>(), 0..4u8)
            .prop_map(|(file, version, chunks)| Step::Commit { file, version, chunks }),
        1 => (0..5u8).prop_map(|file| Step::Forget { file }),
        1 => Just(Step::Drop),
        1 => Just(Step::Finish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(2)))]
    #[test]
    fn a_segment_holds_the_latest_of_each_file(steps in proptest::collection::vec(step(), 1..24)) {
        let folder = crate::test_folder::create();
        let path = folder.path().join("0.segment");
        let open = || SegmentWriter::open(&path, &segment_header()).expect("opened");
        let mut writer = open();
        let mut model: Vec<Entry> = Vec::new();
        for step in steps {
            match step {
                Step::Commit { file, version, chunks } => {
                    let name = format!("f{file}.txt");
                    let (mut record, _) = indexed(&name, &[]);
                    record.entry.mtime_ns = i64::from(version);
                    record.outcome = FileOutcome::Indexed { chunks: chunks.into(), credentials: 0, text: TextKind::default() };
                    let chunks: Vec<_> = (0..chunks)
                        .map(|n| chunk(&name, n.into(), &format!("Text {version} {n}")))
                        .collect();
                    writer.commit(&[(&record, &chunks)]).expect("committed");
                    model.retain(|(known, _)| known.entry.path != record.entry.path);
                    model.push((record, chunks));
                }
                Step::Forget { file } => {
                    let gone = RelPath::from_spelling(&format!("f{file}.txt")).expect("a path");
                    writer.forget(&gone).expect("forgotten");
                    model.retain(|(known, _)| known.entry.path != gone);
                }
                Step::Drop => {
                    drop(writer);
                    writer = open();
                }
                Step::Finish => {
                    writer.finish("cpu").expect("finished");
                    writer = open();
                }
            }
        }
        writer.finish("cuda:0").expect("finished");
        prop_assert_eq!(read(&path), model);
    }
}
