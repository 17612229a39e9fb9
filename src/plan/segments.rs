//! Cuts a shard's files into segments.
//!
//! A segment ends after a file whose path hash is the smallest within a floor of bytes before and after it. So cuts are at
//! least the floor apart, about twice that on average, and each depends only on its neighbourhood: a new, grown or deleted
//! file moves only the cuts beside it. A run without such a file is cut before it would exceed the ceiling. With slow encoders
//! the floor of small plans is lower, in powers of two; if it doubles, the remaining cuts are some of the earlier ones.

use crate::file::RelPath;
use std::ops::Range;

/// The size of segments, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSize {
    /// Least distance of two cuts, which is half of an average segment.
    pub floor: u64,
}

/// Floor of a large plan: segments of 1 MiB of text on average, some 600 chunks. Twice as much loses more when a worker dies;
/// half as much makes the cost of opening and publishing segments noticeable.
const LARGEST_FLOOR: u64 = 512 * 1024;

/// Floor of a small plan: a segment still takes 20 seconds with an encoder that takes half a second for each chunk.
const SMALLEST_FLOOR: u64 = 32 * 1024;

/// A floor is at most this part of a plan, so that there are about 32 segments or more. Then the other workers wait for the
/// last segment only for a small part of the build, however slow the encoder is.
const FLOORS_IN_A_PLAN: u64 = 64;

/// The speed of the encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// No encoder, or the embedded ones: any segment takes a second or two, so smaller ones only cost 2 to 5 ms of CPU time
    /// each. Measured on 1 and 7 MB of sources: 32 segments instead of 1, and 56 instead of 8, made builds without models 17 %
    /// slower.
    #[default]
    Quick,
    /// A model of the user: up to half a second for each chunk.
    Slow,
}

impl SegmentSize {
    /// Choose the size for a plan of `total` bytes.
    pub fn of_plan(total: u64, pace: Pace) -> Self {
        let part = match pace {
            Pace::Quick => LARGEST_FLOOR,
            Pace::Slow => (total / FLOORS_IN_A_PLAN).clamp(SMALLEST_FLOOR, LARGEST_FLOOR),
        };
        Self {
            floor: 1 << part.ilog2(),
        }
    }

    /// Return the most bytes of a segment, unless it is a single file.
    pub fn ceiling(self) -> u64 {
        4 * self.floor
    }
}

/// Return the position of a file in the order that decides about cuts. It depends on names only, so that an edited file moves
/// no cut.
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

/// Cut files of `sizes` bytes with path hashes `hashes` (of equal length) into runs that cover them in order. Empty without
/// files.
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

/// Return the ends of the runs by the hashes, without the last one.
fn natural_cuts(sizes: &[u64], hashes: &[u64], floor: u64) -> Vec<usize> {
    let ends: Vec<u64> = sizes
        .iter()
        .scan(0u64, |end, size| {
            *end = end.saturating_add(*size);
            Some(*end)
        })
        .collect();
    let total = ends.last().copied().unwrap_or(0);
    // Finds the nearest file on each side with a smaller hash, in one pass. `open` is a stack of files with growing hashes that
    // no smaller one has followed yet. Of equal hashes, the earlier counts as smaller.
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

/// Add `run` to `runs`, cut before each file that would exceed the ceiling.
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
