//! The commands on model directories: list, check and prepare.
//!
//! Imports, from the bottom: `choice`, then `list`, `check` and `prepare`, none of which imports another.

mod check;
mod choice;
mod list;
mod prepare;

pub use check::{ModelReport, check_model};
pub use list::list_model;
pub use prepare::{PrepareOptions, PreparedModel, Quantization, TOP_K, prepare_model};

#[cfg(test)]
pub(super) use choice::single_encoder;
