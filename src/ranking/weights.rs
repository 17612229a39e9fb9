//! The weights of the ranking, one table for all languages and kinds of index.
//!
//! Chosen on half of a public benchmark (32 repositories, 641 questions) and on questions made of docstrings, headings and
//! man pages: round numbers from a wide plateau on which no set falls below plain fusion. docs/benchmarks.md has the table
//! without each rule. The best chunk of an arm counts 1 before its weight.

/// Parts of the lexical, sparse and dense arm in a chunk's own score, before [`SURENESS`].
pub const ARMS: [f64; 3] = [0.3, 0.1, 0.6];
/// The part of an arm is multiplied by this + 1 - its third best score: an arm whose first chunks stand out is surer than one
/// whose first hundred are alike.
pub const SURENESS: f64 = 0.5;

/// A chunk with all words of the question that have signs, such as `C++`. Encoders do not see signs. Not tuned: three of
/// the benchmark's questions have such words.
pub const SIGNED: f64 = 0.5;

/// A chunk that defines the only name in the question.
pub const DEFINITION: f64 = 2.0;
/// A chunk that defines a name within a longer question.
pub const DEFINITION_WITHIN: f64 = 0.5;
/// Share of a definition that the text shows and no parser confirmed.
pub const SEEN_DEFINITION: f64 = 0.9;
/// Share of a function's head without a body, such as a prototype of C.
pub const DECLARATION: f64 = 0.5;
/// Share of a definition that differs in case.
pub const OTHER_CASE: f64 = 0.5;

/// All words of the question are names in or around the chunk.
pub const SYMBOLS: f64 = 0.9;

/// The k-th further chunk of a file adds this power of its own score, times its own score by that of the first: chunks that
/// answer much less than the best one say nothing for it but that the file is long.
pub const FURTHER_CHUNKS: f64 = 0.5;
/// Further chunks that add to a file.
pub const MOST_FURTHER_CHUNKS: usize = 9;

/// All words of the question are in the file's name.
pub const FILE_NAME: f64 = 0.35;
/// All words of the file's name are in the question.
pub const NAME_ASKED_FOR: f64 = 0.7;
/// All words of the question are in the names of folders.
pub const FOLDERS: f64 = 1.0;
/// The file has the only name in the question.
pub const NAMESAKE: f64 = 0.6;

/// Names of file and folders count by this power of (best score of the file's chunks in the arms / best of all): a name that
/// has a word of a long question by chance must not lift a file whose text does not answer it.
pub const TRUST_IN_NAMES: f64 = 0.2;

/// Factor of tests, unless the question is about tests.
pub const TESTS: f64 = 0.3;
/// Factor of code of examples and measurements, unless the question asks how to use something.
pub const EXAMPLES: f64 = 0.5;
/// Factor of prose, unless the question asks how to use something.
pub const PROSE: f64 = 0.8;
/// Factor of data and settings.
pub const DATA: f64 = 0.2;

/// The gains of names of file and folders get this factor once more for each further chunk of the file. Without it, one file
/// whose name is asked for takes all first places.
pub const REPEATED_FILE: f64 = 0.7;
