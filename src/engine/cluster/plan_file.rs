//! The plan file: everything that tasks on other machines need to know of a build.
//!
//! Lines of JSON. The first says what is built, with which settings, and where in the file the files of each segment are;
//! every other line holds the files of one segment. A task reads the first line and its own, whatever the size of the plan.
//! The first line carries a hash of itself, and hashes of the others.

mod head;
mod part;
mod request;
mod write;

pub use head::Preference;
pub use part::PlanPart;

use crate::encode::EncoderInfo;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::provenance::Provenance;
use crate::file::{FileEntry, RelPath};
use crate::ids::{Digest, FileHash, ShardId};
use crate::named_file;
use crate::report::marks;
use head::{Head, HeadSegment, HeadShard};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The format of plan files. A version of the program reads its own only: tasks must run what planned them.
const FORMAT: u32 = 1;

/// Size limit of the first line: some 250 bytes a segment, so four million segments.
const MOST_HEAD_BYTES: u64 = 1 << 30;

/// A plan that was read from its file, without the files of its segments.
#[derive(Debug)]
pub struct FrozenPlan {
    file: PathBuf,
    /// Open, so that all lines are of one plan, also if another plan takes its name.
    opened: Mutex<File>,
    head: Head,
    /// Where the lines of the segments begin.
    body_at: u64,
    /// Positions in the head's shards and in the segments of that shard, by the segment's number.
    segments: Vec<(usize, usize)>,
    /// Position in the head's shards and numbers of the segments, by the shard's number: those that are not unchanged.
    shards: Vec<(usize, Range<u32>)>,
}

/// A file as it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenFile {
    pub entry: FileEntry,
    /// Change time in nanoseconds since 1970, where the system has one.
    pub changed_ns: Option<i64>,
    /// A person wrote it, as its repository says.
    pub is_authored: bool,
    /// Of its bytes, if an earlier index knows it.
    pub hash: Option<FileHash>,
}

/// The form of a [`FrozenFile`]: path, size, modification time, change time, whether a person wrote it, hash.
type Row = (String, u64, i64, Option<i64>, bool, Option<FileHash>);

impl FrozenPlan {
    /// Read the plan at `file`.
    ///
    /// # Errors
    /// `InvalidRequest` if it is no plan, is damaged, or is of another version of this program.
    pub fn read(file: &Path) -> Result<Self> {
        let refused = |why: &str| {
            let text = format!("{}: {why}", file.display());
            Err(BuildError::new(ErrorKind::InvalidRequest, text))
        };
        let opened = named_file::open(file).and_then(|opened| {
            let mut begin = Vec::new();
            (&opened).take(marks::HEAD_BYTES).read_to_end(&mut begin)?;
            Ok((opened, begin))
        });
        let mut opened = match opened {
            Ok((opened, begin)) if marks::is_plan(&begin) => opened,
            Ok(_) => return refused("not a plan; `plan --out FILE` writes one"),
            Err(error) => return refused(&format!("{error}; `plan --out FILE` writes a plan")),
        };
        let mut line = Vec::new();
        let read = opened.rewind().and_then(|()| {
            let mut reader = BufReader::new(&opened).take(MOST_HEAD_BYTES);
            reader.read_until(b'\n', &mut line)
        });
        read.with_context(|| format!("reading {}", file.display()))?;
        let body_at = line.len() as u64;
        let Some(head) = head::parse(&line) else {
            return refused("the plan is damaged, or another version wrote it: plan again");
        };
        if head.format != FORMAT || head.tool != head::TOOL {
            return refused(&format!(
                "the plan is by {}, and this is {}: run the tasks with the program that planned",
                head.tool,
                head::TOOL
            ));
        }
        Ok(Self::of(file.to_path_buf(), opened, head, body_at))
    }

    fn of(file: PathBuf, opened: File, head: Head, body_at: u64) -> Self {
        let (mut shards, mut segments) = (Vec::new(), Vec::new());
        for (n, shard) in head.shards.iter().enumerate() {
            if shard.unchanged.is_none() {
                let first = segments.len() as u32;
                segments.extend((0..shard.segments.len()).map(|segment| (n, segment)));
                shards.push((n, first..segments.len() as u32));
            }
        }
        Self {
            segments,
            shards,
            file,
            opened: Mutex::new(opened),
            head,
            body_at,
        }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The hash of the plan, which covers everything in its file.
    pub fn hash(&self) -> &str {
        &self.head.blake3
    }

    pub fn profile(&self) -> &str {
        &self.head.profile
    }

    pub fn n_segments(&self) -> u32 {
        self.segments.len() as u32
    }

    /// Return how many shards have to be published.
    pub fn n_shards(&self) -> u32 {
        self.shards.len() as u32
    }

    /// Return the label of a shard by its number.
    pub fn shard_label(&self, number: u32) -> Option<&str> {
        Some(&self.shard(number)?.label)
    }

    /// Return the numbers of a shard's segments.
    pub fn segments_of(&self, shard: u32) -> BTreeSet<u32> {
        let shard = self.shards.get(shard as usize);
        shard.map_or(BTreeSet::new(), |(_, segments)| segments.clone().collect())
    }

    /// Return the size in bytes of the files of a segment.
    pub fn segment_bytes(&self, number: u32) -> u64 {
        self.segment(number).map_or(0, |(_, segment)| segment.bytes)
    }

    fn shard(&self, number: u32) -> Option<&HeadShard> {
        self.head.shards.get(self.shards.get(number as usize)?.0)
    }

    fn segment(&self, number: u32) -> Option<(&HeadShard, &HeadSegment)> {
        let (shard, segment) = self.segments.get(number as usize)?;
        let shard = &self.head.shards[*shard];
        Some((shard, &shard.segments[*segment]))
    }

    /// Return the key, shard label and root label of a segment, which name it and make its identity.
    pub(super) fn segment_names(&self, number: u32) -> Option<(&str, &str, &str)> {
        let (shard, segment) = self.segment(number)?;
        let root = self.head.roots.get(segment.root as usize)?;
        Some((&segment.key, &shard.label, &root.label))
    }

    pub fn fingerprint(&self) -> Digest {
        self.head.fingerprint
    }

    pub(super) fn encoder_info(&self) -> &EncoderInfo {
        &self.head.encoder_info
    }

    pub(super) fn provenance(&self) -> &Provenance {
        &self.head.provenance
    }

    /// Whether equal builds are to give equal bytes.
    pub(super) fn is_reproducible(&self) -> bool {
        self.head.reproducible
    }

    /// Return the time of the plan, which is that of the index, in seconds since 1970.
    pub(super) fn epoch(&self) -> f64 {
        self.head.epoch as f64
    }

    /// Return the devices that tasks choose from, for the sparse and the dense encoder.
    pub fn preferences(&self) -> &[Preference; 2] {
        &self.head.devices
    }

    /// Return the labels of the shards that stay as they are, with their digests.
    pub(super) fn unchanged(&self) -> impl Iterator<Item = (ShardId, &str, Digest)> {
        let shards = (0..).map(ShardId).zip(&self.head.shards);
        shards.filter_map(|(id, shard)| Some((id, shard.label.as_str(), shard.unchanged?)))
    }

    /// Return all shards of the plan.
    pub(super) fn all_shards(&self) -> impl Iterator<Item = (ShardId, &str)> {
        let shards = (0..).map(ShardId).zip(&self.head.shards);
        shards.map(|(id, shard)| (id, shard.label.as_str()))
    }

    /// Return the position of a shard among all shards of the plan.
    pub(super) fn shard_id(&self, number: u32) -> ShardId {
        ShardId(self.shards[number as usize].0 as u32)
    }

    /// Read the files of a segment.
    ///
    /// # Errors
    /// `Poisoned` if they are damaged: no other try can do better.
    pub fn files(&self, number: u32) -> Result<Vec<FrozenFile>> {
        let damaged = || {
            BuildError::new(
                ErrorKind::Poisoned,
                format!(
                    "{}: the files of segment {number} are damaged: plan again",
                    self.file.display()
                ),
            )
        };
        let (_, segment) = self.segment(number).ok_or_else(damaged)?;
        let reading = || format!("reading {}", self.file.display());
        let mut line = Vec::new();
        let mut file = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.body_at + segment.at))
            .and_then(|_| (&mut *file).take(segment.length).read_to_end(&mut line))
            .with_context(reading)?;
        drop(file);
        if FileHash::of(&line) != segment.blake3 {
            return Err(damaged());
        }
        let rows: Vec<Row> = serde_json::from_slice(&line).map_err(|_| damaged())?;
        let files = rows.into_iter().map(|row| {
            let (path, size, mtime_ns, changed_ns, is_authored, hash) = row;
            Some(FrozenFile {
                entry: FileEntry {
                    path: RelPath::from_spelling(&path)?,
                    size,
                    mtime_ns,
                },
                changed_ns,
                is_authored,
                hash,
            })
        });
        files.collect::<Option<_>>().ok_or_else(damaged)
    }
}
