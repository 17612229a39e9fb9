//! Measures the cost of builds, reproducibly.
//!
//! ```console
//! cargo bench --bench build                      # all sections, on sources that cargo has fetched
//! cargo bench --bench build -- --quick           # a sixth of the text, one round
//! cargo bench --bench build -- --only no-models --corpus ~/src --json figures.json
//! ```
//! Compared variants alternate (A B A B ...). Each figure is the median of the rounds, with minimum and maximum. Ratios are
//! computed within a round, so that a slowdown of the machine affects both sides. Costs are CPU time (user and system)
//! of all threads and processes, since wall time also depends on other programs. The output is Markdown for
//! docs/benchmarks.md.

/// The allocator of the program, so that stages and whole builds are comparable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
mod breakdown;
mod corpus;
mod encoders;
mod floor;
mod machine;
mod memory;
mod models;
mod no_models;
mod options;
mod parse;
mod program;
mod queries;
mod stages;
mod table;
mod workers;

use corpus::Corpus;
use options::{Options, Section};
use serde::Serialize;
use table::Table;

/// All measurements, for `--json`.
#[derive(Serialize)]
struct Report {
    machine: String,
    load_before: String,
    load_after: String,
    corpus: String,
    rounds: usize,
    tables: Vec<Table>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|flag| flag == bare::FLAG).is_some() {
        return bare::run(arguments);
    }
    let options = Options::parse(arguments)?;
    let corpus = match &options.corpus {
        Some(folder) => Corpus::of_folder(folder)?,
        None => Corpus::of_fetched_crates(options.corpus_bytes())?,
    };
    let mut report = Report {
        machine: machine::describe(),
        load_before: machine::load(),
        load_after: String::new(),
        corpus: corpus.to_string(),
        rounds: options.rounds(),
        tables: Vec::new(),
    };
    println!("{}\n", report.machine);
    println!("Text: {}. Rounds: {}.\n", report.corpus, report.rounds);
    for section in options.sections() {
        let tables = match section {
            Section::NoModels => no_models::measure(&corpus, &options)?,
            Section::Models => models::measure(&corpus, &options)?,
            Section::Encoders => encoders::measure(&corpus, &options)?,
            Section::Workers => workers::measure(&corpus, &options)?,
            Section::Memory => memory::measure(&corpus, &options)?,
            Section::Queries => queries::measure(&corpus, &options)?,
        };
        tables.iter().for_each(|table| println!("{table}"));
        report.tables.extend(tables);
    }
    report.load_after = machine::load();
    println!(
        "Load average (1, 5, 15 minutes) before: {}; after: {}.",
        report.load_before, report.load_after
    );
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}
