//! The weights of the ranking, one table for all languages and kinds of index.
//!
//! Chosen on half of a public benchmark (32 repositories, 641 questions) and three sets of known items, as round
//! numbers from a wide plateau: in a neighbouring set of weights, halving or doubling any one moved NDCG@10 by less than
//! .01. docs/benchmarks.md has the table without each rule. The best chunk of an arm counts 1 before its weight.

/// Parts of the arms in a chunk's own score; they add up to 1.
pub const LEXICAL: f64 = 0.25;
pub const SPARSE: f64 = 0.2;
pub const DENSE: f64 = 0.55;

/// A chunk with all words of the question that have signs, such as `C++`. Encoders do not see signs. Not tuned: three of
/// the benchmark's questions have such words.
pub const SIGNED: f64 = 0.5;

/// A chunk that defines the only name in the question.
pub const DEFINITION: f64 = 2.0;
/// A chunk that defines a name within a longer question.
pub const DEFINITION_WITHIN: f64 = 0.75;
/// Share of a definition that the text shows and no parser confirmed.
pub const SEEN_DEFINITION: f64 = 0.9;
/// Share of a function's head without a body, such as a prototype of C.
pub const DECLARATION: f64 = 0.5;
/// Share of a definition that differs in case.
pub const OTHER_CASE: f64 = 0.5;

/// All words of the question are names in or around the chunk.
pub const SYMBOLS: f64 = 0.4;

/// The k-th further chunk of a file adds this power of its own score.
pub const FURTHER_CHUNKS: f64 = 0.5;
/// Further chunks that add to a file.
pub const MOST_FURTHER_CHUNKS: usize = 9;

/// All words of the question are in the file's name.
pub const FILE_NAME: f64 = 0.7;
/// All words of the file's name are in the question.
pub const NAME_ASKED_FOR: f64 = 0.8;
/// All words of the question are in the names of folders.
pub const FOLDERS: f64 = 0.8;
/// The file has the only name in the question.
pub const NAMESAKE: f64 = 0.6;

/// Factor of files of tests, unless the question is about tests.
pub const TESTS: f64 = 0.3;
/// Factor of documentation and examples.
pub const DOCUMENTS: f64 = 0.5;
/// Factor of prose, unless the question asks how to use something.
pub const PROSE: f64 = 0.5;
/// Factor of data and settings.
pub const DATA: f64 = 0.2;

/// Each further chunk of a file that is shown gets this factor once more.
pub const REPEATED_FILE: f64 = 0.5;
