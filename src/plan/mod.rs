//! Plans the shards of an index, their files, and the segments of work.
//!
//! Pure: the files that `scan` found go in, a [`Plan`] comes out. It depends only on the files, not on their order, on workers
//! or on the machine, so that a resumed build plans the same work. [`sizing`] chooses the number of workers, [`placement`] the
//! devices.

mod coverage;
mod draft;
pub mod placement;
mod segments;
pub mod sizing;
mod split;

pub use coverage::CoverageError;
pub use segments::{Pace, SegmentSize};

use crate::file::{FileEntry, RelPath};
use crate::ids::{SegmentId, ShardId};
use std::ops::Range;
use std::path::PathBuf;

/// Size from which a root becomes several shards: the Python builder's defaults, chosen so that a shard fits the reader's page
/// cache.
pub const SUBSHARD_BYTES: u64 = 5_000_000_000;
pub const SUBSHARD_FILES: u64 = 100_000;

/// The eligible files of one root.
#[derive(Clone, Debug)]
pub struct RootFiles {
    pub label: String,
    /// Absolute.
    pub path: PathBuf,
    /// In any order, without duplicates.
    pub files: Vec<FileEntry>,
}

/// How files are distributed over databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One database for everything.
    Blob,
    /// One per root, and several for a root beyond the thresholds.
    Sharded,
}

/// The order in which shards are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardOrder {
    /// Most bytes first, so that no large shard is last; ties by label.
    LargestFirst,
    /// As the profile names the roots.
    Declared,
}

#[derive(Clone, Debug)]
pub struct PlanOptions {
    pub mode: Mode,
    /// Label of the one shard in [`Mode::Blob`].
    pub blob_label: String,
    pub order: ShardOrder,
    /// Split folders with at least this many bytes; 0: never.
    pub subshard_bytes: u64,
    /// Split folders with at least this many files; 0: never.
    pub subshard_files: u64,
    pub pace: Pace,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Sharded,
            blob_label: "index".into(),
            order: ShardOrder::LargestFirst,
            subshard_bytes: SUBSHARD_BYTES,
            subshard_files: SUBSHARD_FILES,
            pace: Pace::default(),
        }
    }
}

/// Everything to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// As given.
    pub roots: Vec<PlanRoot>,
    /// In the order in which they are built; `shards[i].id` is `i`.
    pub shards: Vec<ShardPlan>,
    /// For people: the reasons for the plan.
    pub reasons: Vec<String>,
}

/// A root and the size of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRoot {
    pub label: String,
    pub path: PathBuf,
    pub n_files: u64,
    pub bytes: u64,
}

/// One database to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    pub id: ShardId,
    /// Unique; `[a-z0-9-]` with `__` between the levels of a split root.
    pub label: String,
    pub scope: Scope,
    /// In canonical order: by path, in a blob by root label and path.
    pub files: Vec<PlannedFile>,
    pub bytes: u64,
    /// Contiguous parts of `files`, in order, that cover all of them.
    pub segments: Vec<Segment>,
}

/// What a shard contains. Roots are positions in [`Plan::roots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Everything,
    Root(u32),
    /// A folder of a split root, with all below it.
    Folder(u32, RelPath),
    /// The files directly in a split root (`None`) or folder.
    Loose(u32, Option<RelPath>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// Position in [`Plan::roots`].
    pub root: u32,
    pub entry: FileEntry,
}

/// The unit of scheduling, resume, retry and distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub id: SegmentId,
    /// Positions in the shard's files, all of one root.
    pub files: Range<usize>,
    pub bytes: u64,
    /// A name that depends on the first file, so that later plans use it again; unique in the plan and safe as a file name. The
    /// ledger of the segment file tells which files it contains.
    pub key: String,
}

impl Plan {
    pub fn shard(&self, id: ShardId) -> Option<&ShardPlan> {
        self.shards.get(id.0 as usize)
    }

    /// Return all segments in the order in which workers get them.
    pub fn queue(&self) -> impl Iterator<Item = &Segment> {
        self.shards.iter().flat_map(|shard| &shard.segments)
    }

    pub fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.shard(id.shard)?.segments.get(id.index as usize)
    }

    /// Return the folder of a shard; `None` for a blob.
    pub fn folder(&self, shard: &ShardPlan) -> Option<PathBuf> {
        let root = |index: u32| self.roots.get(index as usize).map(|root| &root.path);
        match &shard.scope {
            Scope::Everything => None,
            Scope::Root(index) | Scope::Loose(index, None) => root(*index).cloned(),
            Scope::Folder(index, below) | Scope::Loose(index, Some(below)) => {
                Some(below.on_disk(root(*index)?))
            }
        }
    }

    pub fn n_files(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.files.len() as u64)
            .sum()
    }

    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }
}

impl ShardPlan {
    /// Return the files of one of this shard's segments, in canonical order.
    pub fn segment_files(&self, segment: &Segment) -> &[PlannedFile] {
        &self.files[segment.files.clone()]
    }
}

/// Plan the build of `roots`. Roots without files get no shard, which the reasons mention.
///
/// Root labels must be unique. Call [`Plan::check_coverage`] before you use the plan.
pub fn plan(roots: Vec<RootFiles>, options: &PlanOptions) -> Plan {
    let mut reasons = Vec::new();
    let (roots, files) = split::take_files(roots, &mut reasons);
    let mut shards = match options.mode {
        Mode::Blob => split::one_shard(&roots, files, options),
        Mode::Sharded => split::shard_per_root(&roots, files, options, &mut reasons),
    };
    if options.order == ShardOrder::LargestFirst {
        shards.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.label.cmp(&b.label)));
    }
    let size = SegmentSize::of_plan(roots.iter().map(|root| root.bytes).sum(), options.pace);
    let shards = (0..)
        .map(ShardId)
        .zip(shards)
        .map(|(id, draft)| draft.into_shard(id, &roots, size))
        .collect();
    Plan {
        roots,
        shards,
        reasons,
    }
}

#[cfg(test)]
mod tests;
