//! Compares the worker count that the program chooses with other counts, by wall time.
//!
//! Other programs can only increase wall time, so the shortest round counts.

use crate::breakdown::EncoderSet;
use crate::corpus::Corpus;
use crate::options::Options;
use crate::program::Build;
use crate::table::{Cell, Samples, Table};
use helix_build::profile::encoders::ModelSource;

/// Values of `--shard-workers`; 0 lets the program choose.
const COUNTS: [&str; 5] = ["0", "1", "2", "3", "4"];

/// Text for a build with MiniLM of about 20 CPU-seconds.
const SLOW_BYTES: u64 = 500_000;

/// One worker count and its builds.
struct Variant {
    count: &'static str,
    /// The count that the program chose.
    workers: u32,
    file_workers: u32,
    elapsed: Samples,
    cpu: Samples,
}

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let bytes = options.encoded_bytes();
    let mut tables = vec![one(corpus, options, &EncoderSet::built_in(), bytes)?];
    if let Some(minilm) = options.model("minilm") {
        let encoders = EncoderSet::new("MiniLM, fp32", ModelSource::None, minilm);
        let bytes = options.share(SLOW_BYTES);
        tables.push(one(corpus, options, &encoders, bytes)?);
    }
    Ok(tables)
}

fn one(
    corpus: &Corpus,
    options: &Options,
    encoders: &EncoderSet,
    bytes: u64,
) -> anyhow::Result<Table> {
    let folder = tempfile::tempdir()?;
    let corpus = corpus.thinned(bytes);
    let root = corpus.copy_into(&folder.path().join("corpus"))?;
    let build = Build::new(folder.path().join("build"), &[root], "")?;
    let mut variants = COUNTS.map(Variant::new);
    for _ in 0..options.slow_rounds() {
        for variant in &mut variants {
            let models = encoders.flags();
            let mut flags = vec!["--shard-workers", variant.count];
            flags.extend(models.iter().map(String::as_str));
            let run = build.run(&flags)?.run;
            (variant.workers, variant.file_workers) = (run.workers, run.file_workers);
            variant.elapsed.push(run.elapsed_s);
            variant.cpu.push(run.cpu_s);
        }
    }
    let best = variants[1..].iter().map(|variant| variant.elapsed.least());
    let best = best.fold(f64::INFINITY, f64::min);
    let mut table = Table::new(
        format!("Workers: {} ({corpus})", encoders.name),
        &[
            "--shard-workers",
            "workers x file workers",
            "wall s",
            "CPU s",
            "least / least of those set by hand",
        ],
    );
    for variant in &variants {
        table.row([
            Cell::text(variant.count),
            Cell::text(format!("{} x {}", variant.workers, variant.file_workers)),
            Cell::figure(&variant.elapsed, 2),
            Cell::figure(&variant.cpu, 1),
            Cell::text(format!("{:.3}", variant.elapsed.least() / best)),
        ]);
    }
    Ok(table)
}

impl Variant {
    fn new(count: &'static str) -> Self {
        Self {
            count,
            workers: 0,
            file_workers: 0,
            elapsed: Samples::default(),
            cpu: Samples::default(),
        }
    }
}
