//! A root folder as a shard records it.

/// A folder whose files the shard holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    pub label: String,
    /// Absolute, as it shall be spelled in `source_id`.
    pub path: String,
}
