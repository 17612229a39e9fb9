//! The root folders of a profile.
//!
//! Imports, from the bottom: `root` (values), `label`, `find`.

mod find;
mod label;
mod root;

pub(super) use find::{find_roots, relate};
pub(super) use label::keep as keep_labels;
pub use root::{ExpectedRoot, KnownRoot, MissingRoot, Root};
