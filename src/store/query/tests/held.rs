//! What a process holds of an index changes no answer.

use super::*;

const MODES: [Mode; 4] = [Mode::Lexical, Mode::Sparse, Mode::Dense, Mode::Hybrid];

/// The corpus with vectors in which no two chunks are alike.
fn encoded_corpus() -> Vec<Chunk> {
    let mut chunks = corpus();
    for (n, chunk) in chunks.iter_mut().enumerate() {
        let angle = n as f32 / 7.0;
        chunk.dense = vec![angle.sin(), angle.cos()];
        chunk.sparse = vec![("alpha", 0.1 + n as f64), ("beta", 40.0 - n as f64)];
        chunk.chromatin = i64::from(n % 9 == 4) * 2;
    }
    chunks
}

/// What a chunk is found by.
fn answers(searcher: &Searcher, text: &str, mode: Mode) -> Vec<(String, u64)> {
    let term = |term: &str, weight_e4| SparseTerm {
        term: term.into(),
        weight_e4,
    };
    let sparse = SparseVector(vec![term("alpha", 3_000), term("beta", 5_000)]);
    let dense = DenseVector(vec![0.6, 0.8]);
    let query = Query {
        sparse: Some(&sparse),
        dense: Some(&dense),
        mode,
        ..lexical(text, 12)
    };
    let hits = searcher.search(&query).expect("answers").into_iter();
    hits.map(|hit| (hit.chunk_id, hit.score.to_bits()))
        .collect()
}

#[test]
fn later_queries_answer_as_the_first_whatever_is_held() {
    let dir = crate::test_folder::create();
    let index = sharded(dir.path(), encoded_corpus(), &[4, 16, 20]);
    // Nothing fits; ids and lengths fit and the vectors do not; everything fits.
    for most_bytes in [0, 2_500, MOST_BYTES] {
        let searcher = Searcher::open_as(&index, Reading::default(), most_bytes).expect("opens");
        for mode in MODES {
            let first = Searcher::open(&index).expect("opens");
            let first = answers(&first, "queue vector", mode);
            assert_eq!(first.len(), 12, "{mode:?}");
            for _ in 0..3 {
                assert_eq!(answers(&searcher, "queue vector", mode), first, "{mode:?}");
            }
            // Another question between two equal ones.
            assert_ne!(answers(&searcher, "rarity", Mode::Lexical), first);
            assert_eq!(answers(&searcher, "queue vector", mode), first, "{mode:?}");
        }
    }
}

#[test]
fn the_first_query_answers_as_later_ones_whoever_reads_the_vectors() {
    let dir = crate::test_folder::create();
    let index = sharded(dir.path(), encoded_corpus(), &[40]);
    for mode in [Mode::Dense, Mode::Hybrid] {
        for ranking in [Ranking::Off, Ranking::On] {
            let searcher = Searcher::open(&index).expect("opens");
            let ask = || {
                let dense = DenseVector(vec![0.6, 0.8]);
                let query = Query {
                    dense: Some(&dense),
                    mode,
                    ranking,
                    ..lexical("queue vector", 40)
                };
                let hits = searcher.search(&query).expect("answers").into_iter();
                let seen = hits.map(|hit| (hit.chunk_id, hit.score.to_bits()));
                seen.collect::<Vec<_>>()
            };
            let first = ask();
            assert!(first.len() > 30, "{first:?}");
            assert_eq!(ask(), first, "{mode:?} {ranking:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_build_that_replaces_a_shard_changes_no_answer_of_an_open_index() {
    let dir = crate::test_folder::create();
    let index = sharded(dir.path(), encoded_corpus(), &[40]);
    let undisturbed = Searcher::open(&index).expect("opens");
    let expected = answers(&undisturbed, "queue vector", Mode::Hybrid);
    let (here, this, next) = (
        dir.path().join("a.genome.db"),
        dir.path().join("this"),
        dir.path().join("next"),
    );
    std::fs::copy(&here, &this).expect("copied");
    let mut others = encoded_corpus();
    for chunk in &mut others {
        chunk.text.push_str(" of the next build");
    }
    write_shard(&next, &others);
    // Who of the readers comes first is chance.
    for _ in 0..30 {
        let searcher = Searcher::open(&index).expect("opens");
        let put = |from: &Path| {
            let copy = dir.path().join("copy");
            std::fs::copy(from, &copy).expect("copied");
            std::fs::rename(&copy, &here).expect("is replaced");
        };
        put(&next);
        assert_eq!(answers(&searcher, "queue vector", Mode::Hybrid), expected);
        put(&this);
    }
}

#[test]
fn what_another_process_changes_is_seen() {
    let dir = crate::test_folder::create();
    let path = dir.path().join("x.db");
    write_shard(&path, &encoded_corpus());
    // A server has the database open.
    let server = Connection::open(&path).expect("opens");
    server
        .execute_batch("PRAGMA journal_mode=WAL; UPDATE genes SET chromatin = chromatin")
        .expect("plain SQL");
    let searcher = Searcher::open(&locate(&path).expect("blob")).expect("opens");
    for mode in MODES {
        for _ in 0..2 {
            answers(&searcher, "queue vector", mode);
        }
        let (best, _) = answers(&searcher, "queue vector", mode).swap_remove(0);
        server
            .execute("UPDATE genes SET chromatin = 2 WHERE gene_id = ?1", [&best])
            .expect("plain SQL");
        let now = answers(&searcher, "queue vector", mode);
        assert!(now.iter().all(|(id, _)| *id != best), "{mode:?}");
    }
}
