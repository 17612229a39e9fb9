//! A root folder as a shard records it.

/// A folder whose files the shard holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    pub label: String,
    /// Absolute, as it shall be spelled in `source_id`.
    pub path: String,
}

/// Return the label of the innermost root that holds `source`, a file's path as `genes.source_id` spells it, and the path
/// below it.
pub fn below_root<'a>(roots: &'a [Root], source: &'a str) -> Option<(&'a str, &'a str)> {
    roots
        .iter()
        .filter_map(|root| {
            let path = source.strip_prefix(root.path.trim_end_matches('/'))?;
            Some((root.label.as_str(), path.strip_prefix('/')?))
        })
        // Of nested roots the innermost leaves the shortest path.
        .min_by_key(|(_, path)| path.len())
}
