//! What must hold for any input: one `check` for each fuzzing target, which panics where it does not.
//!
//! Included by the targets beside this folder and by the tests of the program, which replay the
//! findings on any compiler.

pub mod chunker;
pub mod frames;
pub mod paths;
pub mod profile;
pub mod tagger;
