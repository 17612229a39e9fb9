//! Passes finished segments to the publication of their shard, one thread per shard being loaded.
//!
//! A shard's thread loads its segments in canonical order while later ones are still being encoded, finishes the
//! database, registers it, and only then deletes the segments. A failure is reported and ends the build; this module
//! decides nothing about it.

use crate::engine::error;
use crate::engine::output::layout::Layout;
use crate::engine::output::obstacles;
use crate::engine::output::rebuild::Rebuild;
use crate::engine::preflight::Prepared;
use crate::engine::publish::turns::Turns;
use crate::engine::publish::{self, PublishedShard, ShardPublisher};
use crate::engine::request::BuildRequest;
use crate::engine::sizing::cores;
use crate::failure::{Failure, FailureKind};
use crate::file::{self, RelPath};
use crate::ids::ShardId;
use crate::plan::{Mode, Plan, ShardPlan};
use crate::platform;
use crate::profile::recipe::encoder_fingerprint;
use crate::report::{FinishedSegment, PublishOutcome};
use crate::store::ownership::{self, OtherFormats, Records};
use crate::store::routing::RoutingDb;
use crate::store::shard::{Root, ShardHeader};
use crate::store::{self, StoreError};
use crossbeam_channel::{Receiver, Sender, never, unbounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Publishes the shards of one build.
pub struct Publisher {
    plan: Arc<Plan>,
    layout: Layout,
    /// The header of every shard, without label and roots.
    header: ShardHeader,
    /// `None` for a blob.
    pub routing: Option<Mutex<RoutingDb>>,
    /// What the output recorded about its files when the run began.
    records: Records,
    other_formats: OtherFormats,
    /// Where databases are made, if not beside their place. Segments stay then: other machines may read them.
    scratch: Option<PathBuf>,
    /// Where the one shard goes, if not to its place: a commit moves it there.
    staged: Option<PathBuf>,
    /// With `--rebuild`: records each published shard.
    rebuild: Option<Rebuild>,
    /// What was published, for the summary.
    pub published: Mutex<BTreeMap<ShardId, PublishedShard>>,
    /// Which shards are loaded and finished now.
    turns: Turns,
    /// Set once no more segments arrive: shards that lack one are abandoned.
    input_ended: AtomicBool,
    /// Set to abandon all shards that are not yet being moved into place.
    stopping: Arc<AtomicBool>,
}

/// Return how many shards may be loaded at the same time: one for each core, and one that waits for its next segment.
/// More finish no sooner, and each takes up to 48 MiB (page cache, words of the full text, sparse terms) and a dozen file
/// descriptors (database, sorter files, segment).
fn max_loading() -> usize {
    const DESCRIPTORS: u64 = 12;
    let described = platform::most_open_files() / DESCRIPTORS;
    usize::try_from(described).map_or(cores() + 1, |most| most.clamp(2, cores() + 1))
}

/// Segments of shards whose loading has not begun.
#[derive(Default)]
struct Waiting {
    /// In order of arrival of their first segments.
    shards: VecDeque<ShardId>,
    segments: BTreeMap<ShardId, Vec<FinishedSegment>>,
}

impl Waiting {
    fn add(&mut self, segment: FinishedSegment) {
        let of_shard = self.segments.entry(segment.id.shard).or_default();
        if of_shard.is_empty() {
            self.shards.push_back(segment.id.shard);
        }
        of_shard.push(segment);
    }

    /// Remove and return the segments of the shard that has waited longest, of those that are complete if there are any.
    fn next(&mut self, is_complete: impl Fn(ShardId, usize) -> bool) -> Vec<FinishedSegment> {
        let has_all = |shard: &ShardId| is_complete(*shard, self.segments[shard].len());
        let at = self.shards.iter().position(has_all).unwrap_or(0);
        let shard = self.shards.remove(at);
        let segments = shard.and_then(|shard| self.segments.remove(&shard));
        segments.unwrap_or_default()
    }
}

impl Publisher {
    /// Open the routing database and describe the shards to publish.
    pub fn new(request: &BuildRequest, prepared: &Prepared) -> error::Result<Self> {
        let database = &prepared.layout.database;
        let mut publisher = Self::without_routing(request, prepared)?;
        if request.mode() == Mode::Sharded {
            let routing = match &prepared.scratch {
                None => RoutingDb::open_or_create(database, prepared.epoch)?,
                Some(scratch) => RoutingDb::open_or_create_in(scratch, database, prepared.epoch)?,
            };
            publisher.routing = Some(Mutex::new(routing.with_category(request.category)));
        }
        Ok(publisher)
    }

    /// Describe the shards to publish. They are put in place, but not registered.
    pub fn without_routing(request: &BuildRequest, prepared: &Prepared) -> error::Result<Self> {
        let layout = &prepared.layout;
        store::spill_into(prepared.scratch.as_ref().unwrap_or(&layout.work))?;
        Ok(Self {
            plan: Arc::clone(&prepared.survey.plan),
            layout: layout.clone(),
            header: ShardHeader {
                label: String::new(),
                roots: Vec::new(),
                fingerprint: prepared.fingerprint,
                encoder_fingerprint: encoder_fingerprint(prepared.encoders.hashes()),
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                encoder: serde_json::to_string(&prepared.encoders)?,
                recipe: serde_json::to_string(&request.profile.recipe)?,
                epoch: prepared.epoch,
                sorter_threads: sorter_threads(prepared),
            },
            routing: None,
            scratch: prepared.scratch.clone(),
            staged: None,
            records: prepared.records.clone(),
            other_formats: obstacles::other_formats(request),
            rebuild: prepared.rebuild.clone(),
            published: Mutex::default(),
            turns: Turns::new(cores()),
            input_ended: AtomicBool::new(false),
            stopping: Arc::default(),
        })
    }

    /// Put the shard, of which there is one, at `staged`.
    pub fn staging(self, staged: PathBuf) -> Self {
        let staged = Some(staged);
        Self { staged, ..self }
    }

    /// Start the thread that serves `ready` until it closes. A shard whose segments do not all arrive is abandoned and
    /// its segments stay. Once the thread is joined, nothing is being written.
    pub fn start(
        self: Arc<Self>,
        ready: Receiver<FinishedSegment>,
        outcomes: Sender<PublishOutcome>,
    ) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || self.dispatch(&ready, &outcomes))
    }

    /// Abandon the shards that are not yet being moved into place.
    pub fn abandon(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Pass each segment to the thread of its shard. While [`max_loading`] shards are loading, segments of others wait. Once
    /// no more segments arrive, goes on with the shards that have waited, unless all are to be abandoned.
    fn dispatch(
        self: &Arc<Self>,
        ready: &Receiver<FinishedSegment>,
        outcomes: &Sender<PublishOutcome>,
    ) {
        let max_loading = max_loading();
        let mut input = ready.clone();
        // Without a sender once no more segments arrive, which ends the threads of incomplete shards.
        let mut loading: BTreeMap<ShardId, Option<Sender<FinishedSegment>>> = BTreeMap::new();
        let mut finished = BTreeSet::new();
        let mut waiting = Waiting::default();
        // One message per shard.
        let (end, ended) = unbounded();
        thread::scope(|scope| {
            loop {
                let arrived = crossbeam_channel::select! {
                    recv(input) -> segment => match segment {
                        Ok(segment) => vec![segment],
                        Err(_) => {
                            input = never();
                            self.input_ended.store(true, Ordering::Release);
                            Vec::new()
                        }
                    },
                    recv(ended) -> shard => {
                        if let Ok(shard) = shard {
                            loading.remove(&shard);
                            finished.insert(shard);
                        }
                        match self.is_stopping() {
                            true => Vec::new(),
                            false => waiting.next(|shard, segments| self.has_all(shard, segments)),
                        }
                    }
                };
                for segment in arrived {
                    let shard = segment.id.shard;
                    if finished.contains(&shard) {
                        continue; // It has failed and reported that.
                    }
                    if loading.len() >= max_loading && !loading.contains_key(&shard) {
                        waiting.add(segment);
                        continue;
                    }
                    let sender = loading.entry(shard).or_insert_with(|| {
                        // Unbounded: only paths are queued.
                        let (sender, segments) = unbounded();
                        let (outcomes, end) = (outcomes.clone(), end.clone());
                        scope.spawn(move || {
                            self.publish_and_report(shard, &segments, &outcomes);
                            let _ = end.send(shard);
                        });
                        Some(sender)
                    });
                    if let Some(sender) = sender {
                        let _ = sender.send(segment);
                    }
                }
                if self.input_ended.load(Ordering::Acquire) {
                    loading.values_mut().for_each(|sender| *sender = None);
                    if loading.is_empty() {
                        return;
                    }
                }
            }
        });
    }

    /// Whether `n_segments` are all segments of the shard.
    fn has_all(&self, shard: ShardId, n_segments: usize) -> bool {
        let planned = self.plan.shard(shard);
        planned.is_some_and(|planned| planned.segments.len() == n_segments)
    }

    fn publish_and_report(
        &self,
        shard: ShardId,
        segments: &Receiver<FinishedSegment>,
        outcomes: &Sender<PublishOutcome>,
    ) {
        let outcome = match self.publish(shard, segments) {
            // The build ended before the shard was complete.
            Ok(None) => return,
            Err(StoreError::Interrupted { .. }) => return,
            Ok(Some(published)) => PublishOutcome::Published {
                shard,
                chunks: published.chunks,
                bytes: published.bytes,
            },
            Err(error) => {
                let kind = match error {
                    StoreError::Full { .. } => FailureKind::DiskFull,
                    _ => FailureKind::Output,
                };
                PublishOutcome::Failed {
                    shard,
                    failure: Failure::new(kind, &error),
                }
            }
        };
        let _ = outcomes.send(outcome);
    }

    /// Load, finish and register a shard, then delete its segments. Return `None` if the build ends first.
    fn publish(
        &self,
        id: ShardId,
        segments: &Receiver<FinishedSegment>,
    ) -> Result<Option<PublishedShard>, StoreError> {
        let Some(shard) = self.plan.shard(id) else {
            return Ok(None);
        };
        let roots = roots_of(shard);
        let header = ShardHeader {
            label: shard.label.clone(),
            roots: roots.iter().map(|n| self.root(*n)).collect(),
            ..self.header.clone()
        };
        let place = self.layout.shard(&shard.label);
        let target = self.staged.clone().unwrap_or(place);
        let stop = Arc::clone(&self.stopping);
        let mut publisher = match &self.scratch {
            None => ShardPublisher::begin(&target, header, stop)?,
            Some(scratch) => ShardPublisher::begin_in(scratch, &target, header, stop)?,
        };
        let mut arrived = BTreeMap::new();
        for segment in &shard.segments {
            while !arrived.contains_key(&segment.id) {
                match segments.recv() {
                    Ok(FinishedSegment { id, path }) => arrived.insert(id, path),
                    Err(_) => return Ok(None),
                };
            }
            let is_complete = |arrived: &mut BTreeMap<_, _>| {
                arrived.extend(segments.try_iter().map(|it| (it.id, it.path)));
                arrived.len() == shard.segments.len()
            };
            let _turn = self.turns.take(id, is_complete(&mut arrived));
            // Asked first: whatever was sent before is found below.
            let input_ended = self.input_ended.load(Ordering::Acquire);
            if self.is_stopping() || (input_ended && !is_complete(&mut arrived)) {
                return Ok(None);
            }
            let files = shard.segment_files(segment);
            let root = files.first().map_or(0, |file| file.root);
            let root_id = roots.iter().position(|n| *n == root).unwrap_or(0);
            let paths: Vec<RelPath> = files.iter().map(|f| f.entry.path.clone()).collect();
            publisher.load(&arrived[&segment.id], root_id as u32, &paths)?;
        }
        // Who publishes the segments of other machines may not have the roots.
        if self.scratch.is_none() {
            self.refuse_lost_roots(&roots)?;
        }
        if self.staged.is_none() {
            self.refuse_foreign_target(&target, &shard.label)?;
        }
        let turn = self.turns.take(id, true);
        if self.is_stopping() {
            return Ok(None);
        }
        let published = publisher.finish()?;
        drop(turn);
        if let Some(routing) = &self.routing {
            let mut routing = routing.lock().unwrap_or_else(PoisonError::into_inner);
            publish::register(&mut routing, &published)?;
        }
        if let Some(rebuild) = &self.rebuild {
            let recorded = rebuild.record_published(&shard.label);
            recorded.map_err(StoreError::io(&self.layout.rebuild()))?;
        }
        if self.scratch.is_none() {
            publish::delete_segments(arrived.values().map(PathBuf::as_path))?;
        }
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, published.clone());
        Ok(Some(published))
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Refuse to replace a shard if one of its roots has disappeared during the build: all its files would be listed as
    /// unreadable, and the earlier index would be lost.
    fn refuse_lost_roots(&self, roots: &[u32]) -> Result<(), StoreError> {
        for root in roots {
            let path = &self.plan.roots[*root as usize].path;
            let found = fs::symlink_metadata(path).map_err(StoreError::io(path))?;
            if !found.is_dir() {
                return Err(StoreError::io(path)(ErrorKind::NotADirectory.into()));
            }
        }
        Ok(())
    }

    /// Refuse to replace a foreign file. Checked again here because the build may have taken hours.
    pub fn refuse_foreign_target(&self, target: &Path, label: &str) -> Result<(), StoreError> {
        let holding = ownership::look(target)?;
        let refused = |error| StoreError::io(target)(io::Error::other(error));
        self.records
            .may_replace(target, &holding, label, self.other_formats)
            .map_err(refused)
    }

    fn root(&self, index: u32) -> Root {
        let root = &self.plan.roots[index as usize];
        Root {
            label: root.label.clone(),
            path: file::root_spelling(&root.path).into_owned(),
        }
    }
}

/// Return the numbers of the roots that a shard has files of, in the order of its files.
fn roots_of(shard: &ShardPlan) -> Vec<u32> {
    let mut roots: Vec<u32> = shard.files.iter().map(|file| file.root).collect();
    roots.dedup();
    roots
}

/// Return how many threads sort the indexes of a shard. While several shards remain, other work keeps the cores busy;
/// a single one has them to itself.
fn sorter_threads(prepared: &Prepared) -> u32 {
    match prepared.survey.plan.shards.len() - prepared.unchanged.len() {
        1 => cores().min(4) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SegmentId;

    #[test]
    fn complete_shards_stop_waiting_first() {
        let mut waiting = Waiting::default();
        for (shard, index) in [(4, 0), (2, 0), (3, 0), (2, 1)] {
            let shard = ShardId(shard);
            waiting.add(FinishedSegment {
                id: SegmentId { shard, index },
                path: PathBuf::new(),
            });
        }
        // Shard 2 has two segments, the others have three.
        let is_complete = |shard: ShardId, n: usize| n == if shard.0 == 2 { 2 } else { 3 };
        let mut next = || {
            let segments = waiting.next(is_complete);
            segments
                .first()
                .map(|segment| (segment.id.shard.0, segments.len()))
        };
        assert_eq!(
            [next(), next(), next(), next()],
            [Some((2, 2)), Some((4, 1)), Some((3, 1)), None]
        );
    }
}
