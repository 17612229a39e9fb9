//! The built-in encoders without ONNX Runtime: table look-ups over the token ids of a window.
//!
//! The two ONNX files in `assets/models` define the vectors; the tables are read from their initialisers. A test runs the
//! files too and compares. ONNX Runtime compares all pairs of positions in a window to count repeated tokens; counting them
//! takes a fiftieth of the time.
//!
//! Every sum has a fixed order, and the only function beyond arithmetic comes from the `libm` crate. So the bits are the
//! same on every machine.
//!
//! Imports, from the bottom: `vocabulary_file` and `vocabulary`, `tensors` and `counts`, then `sparse` and `dense`.

mod counts;
mod dense;
mod sparse;
mod tensors;
mod vocabulary;
mod vocabulary_file;

pub(super) use dense::DenseTables;
pub(super) use sparse::SparseTables;
pub(super) use vocabulary::{VOCABULARY, Vocabulary};
pub(super) use vocabulary_file::carries_meaning;

/// Raise it when a change of this module changes any vector.
pub(super) const VERSION: u64 = 1;
