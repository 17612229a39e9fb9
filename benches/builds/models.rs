//! Measures builds with the built-in encoders: do the encoders take most of the time, and does the shape of a profile
//! matter?

use crate::breakdown::{EncoderSet, Measured, parts_table};
use crate::corpus::Corpus;
use crate::options::Options;
use crate::program::{Build, Built, NO_MODELS};
use crate::table::{Cell, Samples, Table};
use helix_build::profile::recipe::Chunker;

/// Eight roots of equal size, and eight roots of which one has 60 % of the bytes.
const BALANCED: [f64; 8] = [0.125; 8];
const UNEVEN: [f64; 8] = [0.6, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05];

/// A variant of a build.
struct Variant {
    name: &'static str,
    build: Build,
    flags: Vec<&'static str>,
    chunks: u64,
    elapsed: Samples,
    cpu: Samples,
    busy: Samples,
}

impl Variant {
    fn new(name: &'static str, build: Build, flags: &[&'static str]) -> Self {
        Self {
            name,
            build,
            flags: flags.to_vec(),
            chunks: 0,
            elapsed: Samples::default(),
            cpu: Samples::default(),
            busy: Samples::default(),
        }
    }

    fn round(&mut self) -> anyhow::Result<Built> {
        let built = self.build.run(&self.flags)?;
        self.chunks = built.chunks;
        self.elapsed.push(built.run.elapsed_s);
        self.cpu.push(built.run.cpu_s);
        self.busy.push(built.run.encoder_busy * 100.0);
        Ok(built)
    }

    fn row(&self, first: &Self) -> [Cell; 9] {
        let rate = |seconds: &Samples| seconds.map(|seconds| self.chunks as f64 / seconds);
        [
            Cell::text(self.name),
            Cell::text(self.chunks),
            Cell::figure(&self.elapsed, 1),
            Cell::figure(&rate(&self.elapsed), 0),
            Cell::figure(&rate(&self.cpu), 0),
            Cell::figure(&self.busy, 1),
            Cell::figure(&self.elapsed.over(&first.elapsed), 3),
            Cell::text(format!(
                "{:.3}",
                self.elapsed.least() / first.elapsed.least()
            )),
            Cell::figure(&self.cpu.over(&first.cpu), 3),
        ]
    }
}

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let corpus = corpus.thinned(options.encoded_bytes());
    let folder = tempfile::tempdir()?;
    let top = folder.path();
    let balanced = corpus.deal_out(&top.join("balanced"), &BALANCED)?;
    let uneven = corpus.deal_out(&top.join("uneven"), &UNEVEN)?;
    let build = |name: &str, roots| Build::new(top.join("builds").join(name), roots, "");
    let two = ["--shard-workers", "2"];
    let bare = [&two[..], &NO_MODELS].concat();
    let mut variants = [
        Variant::new("sharded, 2 workers", build("two", &balanced)?, &two),
        Variant::new(
            "sharded, 1 worker",
            build("one", &balanced)?,
            &["--shard-workers", "1"],
        ),
        Variant::new(
            "blob, 2 workers",
            build("blob", &balanced)?,
            &["--shard-workers", "2", "--mode", "blob"],
        ),
        Variant::new(
            "sharded, 2 workers, one root with 60 %",
            build("uneven", &uneven)?,
            &two,
        ),
        Variant::new("no encoders, 2 workers", build("none", &balanced)?, &bare),
    ];
    for _ in 0..options.rounds() {
        let mut digests = Vec::new();
        for variant in &mut variants {
            digests.push(variant.round()?.content_digest);
        }
        // The others have other roots or no vectors.
        anyhow::ensure!(
            digests[..3].iter().all(|d| *d == digests[0]),
            "the builds differ: {digests:?}"
        );
    }
    let root = corpus.copy_into(&top.join("corpus"))?;
    let mut measured = Measured::new(Chunker::Ast, &EncoderSet::built_in(), top, &root)?;
    for _ in 0..options.rounds() {
        measured.round(&root, top)?;
    }
    Ok(vec![
        table(&corpus, &variants),
        measured.table(),
        parts_table(&[measured]),
    ])
}

fn table(corpus: &Corpus, variants: &[Variant]) -> Table {
    let title = format!("Built-in encoders ({corpus})");
    let mut table = Table::new(
        title,
        &[
            "build",
            "chunks",
            "wall s",
            "chunks / wall s",
            "chunks / CPU s",
            "encoders busy, %",
            "wall / first row",
            "least / least",
            "CPU / first row",
        ],
    );
    for variant in variants {
        table.row(variant.row(&variants[0]));
    }
    table
}
