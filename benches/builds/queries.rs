//! Measures queries: the first of a process, which opens the index and reads it, and later ones.

use crate::corpus::Corpus;
use crate::options::Options;
use crate::program::Build;
use crate::table::{Cell, Samples, Table};
use helix_build::platform::process_cpu_time;
use helix_build::search::{Mode, Scope, Search, SearchOptions};
use std::path::Path;

/// Bytes of each file, for one or two chunks.
const FILE_BYTES: usize = 2_400;

const HITS: usize = 10;

/// Later queries of a round. Their words are those of code, some rare, some in every tenth chunk.
const LATER: [&str; 12] = [
    "where is the buffer flushed",
    "parse a header line",
    "thread pool size",
    "read_exact",
    "convert a duration to milliseconds",
    "how are errors wrapped",
    "hash map with a custom hasher",
    "escape a string for JSON",
    "wait until the socket is readable",
    "compare two versions",
    "iterator over chunks of a slice",
    "decode utf-8 with replacement",
];

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let mut table = Table::new(
        "Queries, CPU ms",
        &[
            "chunks",
            "mode",
            "first",
            "second",
            "each later one",
            "later / first",
        ],
    );
    let sizes: &[usize] = match options.quick {
        true => &[500],
        false => &[1_000, 10_000, 40_000],
    };
    for n_files in sizes {
        let root = folder.path().join(n_files.to_string());
        corpus.write_pieces(&root, *n_files, FILE_BYTES)?;
        let build = Build::new(folder.path().join(format!("build{n_files}")), &[root], "")?;
        let (built, index) = build.keep(&[])?;
        let modes = [
            ("lexical", Mode::Lexical),
            ("sparse", Mode::Sparse),
            ("dense", Mode::Dense),
            ("hybrid", Mode::Hybrid),
        ];
        for (name, mode) in modes {
            let mut costs = [(); 3].map(|()| Samples::default());
            for _ in 0..options.rounds() {
                for (samples, cost) in costs.iter_mut().zip(round(&index, mode)?) {
                    samples.push(cost);
                }
            }
            let [first, second, later] = costs;
            table.row([
                Cell::text(built.chunks),
                Cell::text(name),
                Cell::figure(&first, 1),
                Cell::figure(&second, 1),
                Cell::figure(&later, 2),
                Cell::figure(&later.over(&first), 3),
            ]);
        }
    }
    Ok(vec![table])
}

/// Return the cost of the first query with opening, of the second, and the mean of the later ones.
fn round(index: &Path, mode: Mode) -> anyhow::Result<[f64; 3]> {
    let before = process_cpu_time();
    let mut search = Search::open(index, SearchOptions::of(mode))?;
    let mut ask = |text: &str| {
        let before = process_cpu_time();
        let hits = search.query(text, HITS, Scope::Everywhere)?;
        anyhow::ensure!(!hits.is_empty(), "no hits for {text}");
        Ok((process_cpu_time() - before).as_secs_f64() * 1e3)
    };
    ask("how is a killed process restarted")?;
    let first = (process_cpu_time() - before).as_secs_f64() * 1e3;
    let second = ask("copy a file to another folder")?;
    let mut later = 0.0;
    for text in LATER {
        later += ask(text)?;
    }
    Ok([first, second, later / LATER.len() as f64])
}
