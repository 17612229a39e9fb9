//! Finding the files of a root, and reading them.
//!
//! [`scan`] is one walk over a root; [`why()`] puts a single path to the same judge, so the two always
//! agree; [`read_file`] opens what the walk found. All three stay inside the root, never open
//! anything but regular files and folders, and turn what goes wrong into a [`SkipReason`](crate::file::SkipReason). What a
//! file's text means is not their business.

mod folder_marks;
mod git;
mod judge;
mod outputs;
mod read;
mod result;
mod secrets;
mod walk;
mod why;

pub use git::RuleList;
pub use read::{ReadFailure, ReadFile, read_file};
pub use result::{RootScan, ScanError, ScanFailure};
pub use secrets::secret_pattern;
pub use walk::{OnSkip, scan, scan_with};
pub use why::{Why, is_authored, why};

#[cfg(test)]
mod tests;
