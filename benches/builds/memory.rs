//! Measures the peak memory of supervisor and workers for growing numbers of files.
//!
//! Linux only: reads `VmHWM` in /proc every few milliseconds, so a peak just before a process ends may be missed.

use crate::breakdown::EncoderSet;
use crate::corpus::Corpus;
use crate::options::Options;
use crate::program::{Build, Built};
use crate::table::{Cell, Samples, Table};
use helix_build::profile::encoders::ModelSource;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Bytes of each file, for one or two chunks.
const FILE_BYTES: usize = 2_400;

const PAUSE: Duration = Duration::from_millis(10);

/// KiB.
#[derive(Clone, Copy, Debug, Default)]
struct Peaks {
    supervisor: u64,
    /// The largest of the workers.
    worker: u64,
}

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    if peak_of(std::process::id()).is_none() {
        println!("Peak memory is measured on Linux only.\n");
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    let mut table = Table::new(
        "Peak memory, MB, 2 workers",
        &[
            "files",
            "MB of text",
            "chunks",
            "encoders",
            "supervisor",
            "a worker",
        ],
    );
    for Scale { encoders, n_files } in scales(options) {
        for n_files in n_files {
            let root = folder.path().join(n_files.to_string());
            corpus.write_pieces(&root, n_files, FILE_BYTES)?;
            let build = Build::new(folder.path().join("build"), &[root], "")?;
            let models = encoders.flags();
            let mut flags = vec!["--shard-workers", "2"];
            flags.extend(models.iter().map(String::as_str));
            let (built, peaks) = watched(&build, &flags)?;
            table.row(row(&built, encoders.name, peaks));
        }
    }
    Ok(vec![table])
}

/// Encoders, and the numbers of files to index.
struct Scale {
    encoders: EncoderSet,
    n_files: Vec<usize>,
}

/// Slow encoders get fewer files, for at most a minute of work.
fn scales(options: &Options) -> Vec<Scale> {
    let counts = |counts: [usize; 3]| {
        let n = if options.quick { 1 } else { counts.len() };
        counts[..n].to_vec()
    };
    let mut scales: Vec<_> = [EncoderSet::none(), EncoderSet::built_in()]
        .map(|encoders| Scale {
            encoders,
            n_files: counts([1_000, 10_000, 20_000]),
        })
        .into();
    let minilm = options.model("minilm").map(|minilm| Scale {
        encoders: EncoderSet::new("MiniLM, fp32", ModelSource::None, minilm),
        n_files: counts([100, 400, 1_600]),
    });
    let splade = [
        ("SPLADE, fp32", "splade", [25, 50, 100]),
        ("SPLADE, fp32, prepared", "splade-prepared", [25, 50, 100]),
        ("SPLADE, int8", "splade-int8", [25, 50, 200]),
    ];
    let splade = splade.into_iter().filter_map(|(name, folder, n_files)| {
        Some(Scale {
            encoders: EncoderSet::new(name, options.model(folder)?, ModelSource::None),
            n_files: counts(n_files),
        })
    });
    scales.extend(minilm.into_iter().chain(splade));
    scales
}

fn row(built: &Built, encoders: &str, peaks: Peaks) -> [Cell; 6] {
    let figure = |value: f64, digits| Cell::figure(&Samples::from_iter([value]), digits);
    let megabytes = |kib: u64| figure(kib as f64 * 1_024.0 / 1e6, 0);
    [
        Cell::text(built.files),
        figure(built.source_bytes as f64 / 1e6, 1),
        Cell::text(built.chunks),
        Cell::text(encoders),
        megabytes(peaks.supervisor),
        megabytes(peaks.worker),
    ]
}

fn watched(build: &Build, flags: &[&str]) -> anyhow::Result<(Built, Peaks)> {
    let mut child = build.start(flags)?;
    let mut workers: BTreeMap<u32, u64> = BTreeMap::new();
    let mut supervisor = 0;
    while child.try_wait()?.is_none() {
        supervisor = supervisor.max(peak_of(child.id()).unwrap_or(0));
        for worker in children_of(child.id()) {
            let peak = workers.entry(worker).or_default();
            *peak = (*peak).max(peak_of(worker).unwrap_or(0));
        }
        thread::sleep(PAUSE);
    }
    let worker = workers.into_values().max().unwrap_or(0);
    let peaks = Peaks { supervisor, worker };
    anyhow::ensure!(
        supervisor > 0 && worker > 0,
        "the processes were not seen: {peaks:?}"
    );
    Ok((build.wait(child)?, peaks))
}

/// Return the peak resident size in KiB; `None` if the process has ended.
fn peak_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// List the child processes of `process`.
fn children_of(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(Path::new("/proc").join(process.to_string()).join("task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|id| id.parse().ok())
        .collect()
}
