//! The arguments of `eval`.

use super::{ModelFlags, QueryMode};
use clap::Args;
use std::path::PathBuf;

/// Most answers that are judged.
const MOST_ANSWERS: i64 = 1000;

/// Most questions made of an index.
const MOST_QUESTIONS: i64 = 1_000_000;

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// Index to measure: a database, or the folder that holds it
    pub index: PathBuf,
    /// Judged questions: lines `question TAB path or chunk id`, JSON lines, or
    /// TREC topics with --qrels (`-`: standard input)
    #[arg(required_unless_present = "generate", conflicts_with = "generate")]
    pub questions: Option<PathBuf>,
    /// Judgments in the format of TREC; QUESTIONS are then topics
    #[arg(long, value_name = "FILE", requires = "questions")]
    pub qrels: Option<PathBuf>,
    /// Take this many questions from docstrings and headings of the indexed
    /// files, and ask a copy of the index without these
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_QUESTIONS))]
    pub generate: Option<u32>,
    /// Seed that selects the questions
    #[arg(long, value_name = "S", default_value_t = 1, requires = "generate")]
    pub seed: u64,
    /// Keep the questions, the copy and its profile in this folder
    #[arg(long, value_name = "DIR", requires = "generate")]
    pub keep: Option<PathBuf>,
    /// Modes to measure [default: all that the index has]
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    pub mode: Vec<QueryMode>,
    /// Judge the first N answers
    #[arg(short, long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ANSWERS))]
    pub k: u32,
    /// Judge files, also where the questions name lines
    #[arg(long)]
    pub files: bool,
    /// Measure hybrid without the ranking
    #[arg(long)]
    pub no_ranking: bool,
    /// Also print the result of each question
    #[arg(long)]
    pub each: bool,
    #[command(flatten)]
    pub against: Against,
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Flags of the setting that the others are compared with.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Comparison")]
pub struct Against {
    /// Compare with this index
    #[arg(long, value_name = "INDEX", conflicts_with = "generate")]
    pub against: Option<PathBuf>,
    /// Compare with this mode
    #[arg(long, value_name = "MODE")]
    pub against_mode: Option<QueryMode>,
    /// Compare with hybrid without the ranking
    #[arg(long)]
    pub against_no_ranking: bool,
    /// Sparse encoder of the other index [default: --sparse-model]
    #[arg(long, value_name = "MODEL", requires = "against")]
    pub against_sparse_model: Option<String>,
    /// Dense encoder of the other index [default: --dense-model]
    #[arg(long, value_name = "MODEL", requires = "against")]
    pub against_dense_model: Option<String>,
}
