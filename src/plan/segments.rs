//! Where a shard's files are cut into segments.
//!
//! A cut is made after a file whose path hash is the smallest within a floor of bytes before and behind it. So
//! cuts lie at least the floor apart, about twice that on average, and each depends on its neighbourhood
//! alone: a new, grown or deleted file moves the cuts beside it and no others. A run without such a file is
//! cut when it would pass the ceiling. With slow encoders the floor of small plans is lower, in powers of
//! two; where it doubles, the cuts that remain are some of those that were.

use crate::file::RelPath;
use std::ops::Range;

/// How long segments are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSize {
    /// Between two cuts at least, and so half of an average segment.
    pub floor: u64,
}

/// Floor of a large plan: segments of 1 MiB of text on average, some 600 chunks. Doubled, workers that die
/// lose more; halved, opening and publishing segments starts to show.
const LARGEST_FLOOR: u64 = 512 * 1024;

/// Floor of a small plan: with an encoder that takes half a second a chunk, a segment is still 20 seconds.
const SMALLEST_FLOOR: u64 = 32 * 1024;

/// Parts of a plan that a floor is at most, so that there are some 32 segments or more: what the last one
/// keeps the other workers waiting is a small part of the build, however slow the encoder.
const FLOORS_IN_A_PLAN: u64 = 64;

/// How long the encoders take for a text, as far as the cutting of segments is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// None, or the embedded ones: a segment of any size is done in a second or two, so small ones would only
    /// cost: 2 to 5 ms of CPU time each, measured on 1 and 7 MB of sources, where 32 segments in place of 1,
    /// and 56 of 8, made builds without models 17 % slower.
    #[default]
    Quick,
    /// A model of the user's: up to half a second a chunk.
    Slow,
}

impl SegmentSize {
    /// For a plan of `total` bytes.
    pub fn of_plan(total: u64, pace: Pace) -> Self {
        let part = match pace {
            Pace::Quick => LARGEST_FLOOR,
            Pace::Slow => (total / FLOORS_IN_A_PLAN).clamp(SMALLEST_FLOOR, LARGEST_FLOOR),
        };
        Self {
            floor: 1 << part.ilog2(),
        }
    }

    /// Bytes of a segment at most, unless it is a single file.
    pub fn ceiling(self) -> u64 {
        4 * self.floor
    }
}

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
pub fn cut(sizes: &[u64], hashes: &[u64], size: SegmentSize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in natural_cuts(sizes, hashes, size.floor) {
        cut_at_ceiling(sizes, size.ceiling(), start..end, &mut runs);
        start = end;
    }
    cut_at_ceiling(sizes, size.ceiling(), start..sizes.len(), &mut runs);
    runs
}

/// Ends of the runs that the hashes make, without the last one.
fn natural_cuts(sizes: &[u64], hashes: &[u64], floor: u64) -> Vec<usize> {
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
            far_enough[top] &= ends[at] - ends[top] >= floor;
        }
        if let Some(smaller) = open.last() {
            far_enough[at] &= ends[at] - ends[*smaller] >= floor;
        }
        open.push(at);
    }
    (0..sizes.len())
        .filter(|at| far_enough[*at])
        .filter(|at| ends[*at] >= floor && total - ends[*at] >= floor)
        .map(|at| at + 1)
        .collect()
}

/// Adds `run` to `runs`, cut wherever the next file would take it past the ceiling.
fn cut_at_ceiling(sizes: &[u64], ceiling: u64, run: Range<usize>, runs: &mut Vec<Range<usize>>) {
    let mut start = run.start;
    let mut bytes = 0u64;
    for at in run.clone() {
        if at > start && bytes.saturating_add(sizes[at]) > ceiling {
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
