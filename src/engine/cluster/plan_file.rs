//! The plan file: everything that tasks on other machines need to know of a build.
//!
//! Lines of JSON. The first says what is built, with which settings, and where in the file the files of each segment are;
//! every other line holds the files of one segment. A task reads the first line and its own, whatever the size of the plan.
//! The first line carries a hash of itself, and hashes of the others.

mod head;
mod write;

pub use head::Preference;

use super::relocation::Relocation;
use crate::encode::EncoderInfo;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::engine::output::provenance::Provenance;
use crate::engine::output::unavailable_roots::RetainedShards;
use crate::engine::request::{BuildRequest, ProcessCommand};
use crate::engine::survey::Survey;
use crate::file::{FileEntry, RelPath};
use crate::ids::{Digest, FileHash, SegmentId, ShardId};
use crate::named_file;
use crate::plan::{Mode, Plan, PlanOptions, PlanRoot, PlannedFile, Scope, Segment, ShardPlan};
use crate::profile::encoders::ModelSource;
use crate::profile::{MissingRoot, Profile, Root, Rules};
use crate::report::{SkippedTally, marks};
use crate::store::routing::ShardCategory;
use head::{Head, HeadSegment, HeadShard};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The format of plan files. A version of the program reads its own only: tasks must run what planned them.
const FORMAT: u32 = 1;

/// Size limit of the first line: some 250 bytes a segment, so four million segments.
const MOST_HEAD_BYTES: u64 = 1 << 30;

/// A plan that was read from its file, without the files of its segments.
#[derive(Debug)]
pub struct FrozenPlan {
    file: PathBuf,
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

/// Some segments of a plan with their files, as a plan of its own.
#[derive(Debug)]
pub struct PlanPart {
    pub plan: Arc<Plan>,
    /// The number of each segment.
    pub numbers: BTreeMap<SegmentId, u32>,
    /// The files of each segment.
    pub files: BTreeMap<SegmentId, Vec<FrozenFile>>,
    pub authored: BTreeMap<String, BTreeSet<RelPath>>,
}

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
        let opened = match named_file::open(file) {
            Ok(opened) => opened,
            Err(error) => return refused(&format!("{error}; `plan --out FILE` writes a plan")),
        };
        let mut line = Vec::new();
        let mut reader = BufReader::new(opened).take(MOST_HEAD_BYTES);
        reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("reading {}", file.display()))?;
        let body_at = line.len() as u64;
        if !marks::is_plan(&line[..line.len().min(marks::HEAD_BYTES as usize)]) {
            return refused("not a plan; `plan --out FILE` writes one");
        }
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
        Ok(Self::of(file.to_path_buf(), head, body_at))
    }

    fn of(file: PathBuf, head: Head, body_at: u64) -> Self {
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
        let mut file = named_file::open(&self.file).with_context(reading)?;
        let mut line = Vec::new();
        file.seek(SeekFrom::Start(self.body_at + segment.at))
            .with_context(reading)?;
        file.take(segment.length)
            .read_to_end(&mut line)
            .with_context(reading)?;
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

    /// Return these segments as a plan of their own, with the roots as they are on this machine.
    ///
    /// # Errors
    /// Those of [`files`](Self::files).
    pub fn part(&self, numbers: &BTreeSet<u32>, relocation: &Relocation) -> Result<PlanPart> {
        let mut part = PlanPart {
            plan: Arc::default(),
            numbers: BTreeMap::new(),
            files: BTreeMap::new(),
            authored: BTreeMap::new(),
        };
        let mut shards: Vec<ShardPlan> = Vec::new();
        let mut last = None;
        for number in numbers {
            let files = self.files(*number)?;
            let Some((head, segment)) = self.segment(*number) else {
                continue;
            };
            let position = self.segments[*number as usize].0;
            if last != Some(position) {
                last = Some(position);
                shards.push(empty_shard(ShardId(shards.len() as u32), head));
            }
            let shard = shards.last_mut().expect("one was added");
            let id = SegmentId {
                shard: shard.id,
                index: shard.segments.len() as u32,
            };
            let first = shard.files.len();
            let label = &self.head.roots[segment.root as usize].label;
            let written = files.iter().filter(|file| file.is_authored);
            let written = written.map(|file| file.entry.path.clone());
            part.authored
                .entry(label.clone())
                .or_default()
                .extend(written);
            shard.files.extend(files.iter().map(|file| PlannedFile {
                root: segment.root,
                entry: file.entry.clone(),
            }));
            shard.bytes += segment.bytes;
            shard.segments.push(Segment {
                id,
                files: first..shard.files.len(),
                bytes: segment.bytes,
                key: segment.key.clone(),
            });
            part.numbers.insert(id, *number);
            part.files.insert(id, files);
        }
        part.plan = Arc::new(Plan {
            roots: self.roots(relocation),
            shards,
            reasons: Vec::new(),
        });
        Ok(part)
    }

    /// Return the plan of the whole index, but with the files of these shards only: nothing asks for the others'.
    pub(super) fn whole(&self, todo: &BTreeSet<u32>) -> Result<Plan> {
        let shards = (0..).map(ShardId).zip(&self.head.shards);
        let mut shards: Vec<_> = shards.map(|(id, head)| empty_shard(id, head)).collect();
        for number in todo {
            let segments = self.segments_of(*number);
            let part = self.part(&segments, &Relocation::default())?;
            let Some(of_part) = part.plan.shards.first() else {
                continue;
            };
            let shard = &mut shards[self.shards[*number as usize].0];
            let segments = of_part.segments.iter().map(|segment| Segment {
                id: SegmentId {
                    shard: shard.id,
                    ..segment.id
                },
                ..segment.clone()
            });
            shard.segments = segments.collect();
            shard.files.clone_from(&of_part.files);
            shard.bytes = of_part.bytes;
        }
        Ok(Plan {
            roots: self.roots(&Relocation::default()),
            shards,
            reasons: Vec::new(),
        })
    }

    fn roots(&self, relocation: &Relocation) -> Vec<PlanRoot> {
        let roots = self.head.roots.iter().map(|root| PlanRoot {
            label: root.label.clone(),
            path: relocation.here(&root.path),
            n_files: root.files,
            bytes: root.bytes,
        });
        roots.collect()
    }

    /// Return what the walk has found, with another plan.
    pub(super) fn survey(&self, plan: Arc<Plan>, relocation: &Relocation) -> Survey {
        let head = &self.head;
        let mut retained: RetainedShards = head.retained.clone();
        for shard in retained.shards.values_mut() {
            shard.path = relocation.here(&shard.path);
        }
        Survey {
            plan,
            skipped: head.skipped.clone(),
            skipped_kinds: SkippedTally::of_entries(&head.skipped_kinds),
            skipped_files: Vec::new(),
            authored: BTreeMap::new(),
            unreadable: head.unreadable.clone(),
            missing_roots: head.missing_roots.clone(),
            not_indexed: head.not_indexed.clone(),
            retained,
            warnings: Vec::new(),
        }
    }

    /// Return the request of the build, with the paths of this machine. The devices are those of the machine that planned.
    pub fn request(&self, worker: ProcessCommand, relocation: &Relocation) -> Result<BuildRequest> {
        let head = &self.head;
        let mut encoders = head.encoders.clone();
        for source in [&mut encoders.sparse, &mut encoders.dense] {
            if let ModelSource::Directory(path) = source {
                *path = relocation.here(path);
            }
        }
        encoders.ort_lib = encoders.ort_lib.map(|path| relocation.here(&path));
        let roots = head.roots.iter();
        let roots = roots.map(|root| Root::new(root.label.clone(), relocation.here(&root.path)));
        let missing = head
            .missing_roots
            .iter()
            .map(|name| MissingRoot::named(name));
        let profile = Profile {
            name: head.profile.clone(),
            description: String::new(),
            file: self.file.clone(),
            folders: Vec::new(),
            roots: roots.collect(),
            missing: missing.collect(),
            rules: Rules {
                limits: head.limits,
                ..Rules::of(head.recipe.rules)
            },
            recipe: head.recipe.clone(),
            sparse: encoders.sparse.clone(),
            dense: encoders.dense.clone(),
            device: None,
            sparse_device: None,
            dense_device: None,
            precision: None,
            typed: Default::default(),
        };
        let out_dir = relocation.here(&head.out_dir);
        let request = BuildRequest::new(profile, &out_dir, worker)?;
        Ok(BuildRequest {
            plan: PlanOptions {
                mode: match head.blob {
                    true => Mode::Blob,
                    false => Mode::Sharded,
                },
                pace: crate::engine::pace(&encoders),
                ..request.plan
            },
            encoders,
            rebuild: head.rebuild,
            prune: head.prune,
            take_over: head.take_over,
            stall_timeout: Duration::from_secs(head.stall_timeout_s),
            category: ShardCategory::parse(&head.category).unwrap_or_default(),
            reuse_from: head
                .reuse_from
                .iter()
                .map(|path| relocation.here(path))
                .collect(),
            source_date_epoch: head.reproducible.then_some(head.epoch as u32),
            ..request
        })
    }

    /// Return the layout of the output on this machine.
    pub fn layout(&self, relocation: &Relocation) -> Layout {
        let mode = match self.head.blob {
            true => Mode::Blob,
            false => Mode::Sharded,
        };
        Layout::new(
            &relocation.here(&self.head.out_dir),
            &self.head.profile,
            mode,
        )
    }
}

fn empty_shard(id: ShardId, head: &HeadShard) -> ShardPlan {
    ShardPlan {
        id,
        label: head.label.clone(),
        scope: Scope::Everything,
        files: Vec::new(),
        bytes: 0,
        segments: Vec::new(),
    }
}
