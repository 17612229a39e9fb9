//! How much of an index is checked.

use serde::Serialize;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Headers, pages, schema, counts, and that rows of all tables find each other.
    #[default]
    Quick,
    /// Also every row against what can be computed again, indexes against tables, the full-text
    /// index against the texts, and the digests.
    Full,
}
