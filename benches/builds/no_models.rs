//! Measures builds without encoders: compared with SQLite's floor, and stage by stage.

use crate::breakdown::{EncoderSet, Measured, parts_table};
use crate::corpus::Corpus;
use crate::options::Options;
use crate::table::{Cell, Table};
use helix_build::profile::recipe::Chunker;

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let root = corpus.copy_into(&folder.path().join("corpus"))?;
    let mut measured = Vec::new();
    for chunker in [Chunker::Compat, Chunker::Ast] {
        measured.push(Measured::new(
            chunker,
            &EncoderSet::none(),
            folder.path(),
            &root,
        )?);
    }
    for _ in 0..options.rounds() {
        for one in &mut measured {
            one.round(&root, folder.path())?;
        }
    }
    let mut tables = vec![ratios(&measured)];
    tables.push(parts_table(&measured));
    tables.extend(measured.iter().map(Measured::table));
    Ok(tables)
}

fn ratios(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "No models, MB of text per CPU-second",
        &[
            "build of",
            "chunks",
            "build",
            "SQLite's floor",
            "tree-sitter",
            "both",
            "build / both",
            "wanted",
        ],
    );
    for one in measured {
        let bound = one.bound();
        let (parse, wanted) = match one.recipe.chunker {
            Chunker::Compat => (Cell::text("not used"), "0.5"),
            Chunker::Ast => (Cell::figure(&one.rate(&one.parse), 1), "0.6"),
        };
        table.row([
            Cell::text(&one.name),
            Cell::text(one.chunks),
            Cell::figure(&one.rate(&one.whole), 2),
            Cell::figure(&one.rate(&one.floor), 1),
            parse,
            Cell::figure(&one.rate(&bound), 1),
            Cell::figure(&bound.over(&one.whole), 3),
            Cell::text(wanted),
        ]);
    }
    table
}
