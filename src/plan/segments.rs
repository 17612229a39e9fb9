//! Where a shard's files are cut into segments.
//!
//! A cut is made after a file whose path hash is the smallest within [`SEGMENT_FLOOR_BYTES`] before
//! and behind it. So cuts lie at least the floor apart, about twice that on average, and each
//! depends on its neighbourhood alone: a new, grown or deleted file moves the cuts beside it and no
//! others. A run without such a file is cut when it would pass [`SEGMENT_CEILING_BYTES`].

use crate::file::RelPath;
use std::ops::Range;

/// Bytes between two cuts at least, and so half of an average segment: 1 MiB of text, some 300
/// chunks' worth of seconds of encoding. Doubled, the last segments of a build leave workers idle;
/// halved, opening and publishing segments starts to show.
pub const SEGMENT_FLOOR_BYTES: u64 = 512 * 1024;

/// Bytes of a segment at most, unless it is a single file.
pub const SEGMENT_CEILING_BYTES: u64 = 4 * SEGMENT_FLOOR_BYTES;

/// Where a file stands in the order that decides about cuts. Depends on names only, so that an
/// edited file moves nothing.
pub fn path_hash(root_label: &str, path: &RelPath) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(root_label.as_bytes());
    hasher.update(&[0]);
    hasher.update(path.as_bytes());
    let hash = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(first)
}

/// Cuts files of `sizes` bytes with path hashes `hashes` (same length) into runs that cover them in
/// order. No files, no runs.
pub fn cut(sizes: &[u64], hashes: &[u64]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in natural_cuts(sizes, hashes) {
        cut_at_ceiling(sizes, start..end, &mut runs);
        start = end;
    }
    cut_at_ceiling(sizes, start..sizes.len(), &mut runs);
    runs
}

/// Ends of the runs that the hashes make, without the last one.
fn natural_cuts(sizes: &[u64], hashes: &[u64]) -> Vec<usize> {
    let ends: Vec<u64> = sizes
        .iter()
        .scan(0u64, |end, size| {
            *end = end.saturating_add(*size);
            Some(*end)
        })
        .collect();
    let total = ends.last().copied().unwrap_or(0);
    // The nearest file on either side with a smaller hash, in one pass: `open` holds the files whose
    // hashes grow from bottom to top and that no smaller one has followed yet. Equal hashes: the
    // earlier file counts as smaller.
    let mut far_enough = vec![true; sizes.len()];
    let mut open: Vec<usize> = Vec::new();
    for at in 0..sizes.len() {
        while let Some(top) = open.pop_if(|top| hashes[*top] > hashes[at]) {
            far_enough[top] &= ends[at] - ends[top] >= SEGMENT_FLOOR_BYTES;
        }
        if let Some(smaller) = open.last() {
            far_enough[at] &= ends[at] - ends[*smaller] >= SEGMENT_FLOOR_BYTES;
        }
        open.push(at);
    }
    (0..sizes.len())
        .filter(|at| far_enough[*at])
        .filter(|at| ends[*at] >= SEGMENT_FLOOR_BYTES && total - ends[*at] >= SEGMENT_FLOOR_BYTES)
        .map(|at| at + 1)
        .collect()
}

/// Adds `run` to `runs`, cut wherever the next file would take it past the ceiling.
fn cut_at_ceiling(sizes: &[u64], run: Range<usize>, runs: &mut Vec<Range<usize>>) {
    let mut start = run.start;
    let mut bytes = 0u64;
    for at in run.clone() {
        if at > start && bytes.saturating_add(sizes[at]) > SEGMENT_CEILING_BYTES {
            runs.push(start..at);
            start = at;
            bytes = 0;
        }
        bytes = bytes.saturating_add(sizes[at]);
    }
    if start < run.end {
        runs.push(start..run.end);
    }
}
