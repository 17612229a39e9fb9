//! Brings finished segments to the publisher, one thread per shard being loaded.
//!
//! A shard's thread takes its segments in canonical order while later ones are still being encoded,
//! finishes the database, registers it, and only then deletes the segments. Decides nothing about
//! the build: failures are reported and end it.

use crate::engine::output::layout::Layout;
use crate::engine::output::rebuild::Rebuild;
use crate::engine::publish::{self, PublishedShard, ShardPublisher};
use crate::failure::{Failure, FailureKind};
use crate::file::{self, RelPath};
use crate::ids::ShardId;
use crate::plan::{Plan, ShardPlan};
use crate::platform;
use crate::report::{Ending, FinishedSegment, PublishOutcome};
use crate::store::StoreError;
use crate::store::ownership::{self, OtherFormats, Records};
use crate::store::routing::RoutingDb;
use crate::store::shard::{Root, ShardHeader};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What all shards of a build share.
pub struct Publishing {
    pub plan: Arc<Plan>,
    pub layout: Layout,
    /// The header of every shard, without label and roots.
    pub header: ShardHeader,
    /// `None` for a blob.
    pub routing: Option<Mutex<RoutingDb>>,
    /// What the output said of its files when the run began.
    pub records: Records,
    pub other_formats: OtherFormats,
    /// With `--rebuild`: hears of each shard.
    pub rebuild: Option<Rebuild>,
    /// What was published, for the summary.
    pub published: Mutex<BTreeMap<ShardId, PublishedShard>>,
    /// Set when the build ends early: no shard is begun any more, and what SQLite is doing for one that
    /// is not yet on its way into place ends.
    pub stopping: Arc<AtomicBool>,
}

/// Shards that are loaded at the same time at most. Each takes up to a dozen descriptors (its database, what its
/// sorters spill, a segment); more than these few finish no sooner, since a disk and a few cores serve them all.
fn most_loading() -> usize {
    const DESCRIPTORS: u64 = 12;
    const MOST: u64 = 32;
    (platform::most_open_files() / DESCRIPTORS).clamp(2, MOST) as usize
}

/// Segments of shards that are not loaded yet.
#[derive(Default)]
struct Waiting {
    /// In the order in which their first segments came.
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

    /// All of the shard that has waited longest.
    fn next(&mut self) -> Vec<FinishedSegment> {
        let shard = self.shards.pop_front();
        let segments = shard.and_then(|shard| self.segments.remove(&shard));
        segments.unwrap_or_default()
    }
}

impl Publishing {
    /// Starts a thread that serves `ready` until it closes. Shards whose segments do not all arrive
    /// are abandoned; their segments stay. Join the handle to know that nothing is being written.
    pub fn start(
        self: Arc<Self>,
        ready: Receiver<FinishedSegment>,
        outcomes: Sender<PublishOutcome>,
    ) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || self.route(&ready, &outcomes))
    }

    /// Hears how the build ended. Unless it is complete, shards that are still loading are given up.
    pub fn ending(&self, ending: &Ending) {
        if *ending != Ending::Complete {
            self.stopping.store(true, Ordering::Relaxed);
        }
    }

    /// Serves as many shards at a time as may be loaded together; the segments of others wait, as files.
    fn route(
        self: &Arc<Self>,
        ready: &Receiver<FinishedSegment>,
        outcomes: &Sender<PublishOutcome>,
    ) {
        let most = most_loading();
        let mut loading: BTreeMap<ShardId, Sender<FinishedSegment>> = BTreeMap::new();
        let mut over = BTreeSet::new();
        let mut waiting = Waiting::default();
        // One message a shard.
        let (end, ended) = unbounded();
        thread::scope(|scope| {
            loop {
                let arrived = crossbeam_channel::select! {
                    recv(ready) -> segment => match segment {
                        Ok(segment) => vec![segment],
                        Err(_) => break,
                    },
                    recv(ended) -> shard => {
                        if let Ok(shard) = shard {
                            loading.remove(&shard);
                            over.insert(shard);
                        }
                        waiting.next()
                    }
                };
                for segment in arrived {
                    let shard = segment.id.shard;
                    if over.contains(&shard) {
                        continue; // It has failed, and has said so.
                    }
                    if loading.len() >= most && !loading.contains_key(&shard) {
                        waiting.add(segment);
                        continue;
                    }
                    let sender = loading.entry(shard).or_insert_with(|| {
                        // Names only: unbounded costs nothing.
                        let (sender, segments) = unbounded();
                        let (outcomes, end) = (outcomes.clone(), end.clone());
                        scope.spawn(move || {
                            self.serve(shard, &segments, &outcomes);
                            let _ = end.send(shard);
                        });
                        sender
                    });
                    let _ = sender.send(segment);
                }
            }
            loading.clear();
        });
    }

    fn serve(
        &self,
        shard: ShardId,
        segments: &Receiver<FinishedSegment>,
        outcomes: &Sender<PublishOutcome>,
    ) {
        let outcome = match self.publish(shard, segments) {
            // The build is ending before the shard was complete.
            Ok(None) => return,
            Err(StoreError::Interrupted { .. }) => return,
            Ok(Some(published)) => PublishOutcome::Published {
                shard,
                chunks: published.chunks,
                bytes: published.bytes,
            },
            Err(error) => PublishOutcome::Failed {
                shard,
                failure: Failure {
                    kind: match error {
                        StoreError::Full { .. } => FailureKind::DiskFull,
                        _ => FailureKind::Output,
                    },
                    text: format!("{:#}", anyhow::Error::new(error)),
                },
            },
        };
        let _ = outcomes.send(outcome);
    }

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
        let target = self.layout.shard(&shard.label);
        let mut publisher = ShardPublisher::begin(&target, header, Arc::clone(&self.stopping))?;
        let mut arrived = BTreeMap::new();
        for segment in &shard.segments {
            while !arrived.contains_key(&segment.id) {
                match segments.recv() {
                    Ok(FinishedSegment { id, path }) => arrived.insert(id, path),
                    Err(_) => return Ok(None),
                };
            }
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let files = shard.segment_files(segment);
            let root = files.first().map_or(0, |file| file.root);
            let root_id = roots.iter().position(|n| *n == root).unwrap_or(0);
            let paths: Vec<RelPath> = files.iter().map(|f| f.entry.path.clone()).collect();
            publisher.load(&arrived[&segment.id], root_id as u32, &paths)?;
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.roots_are_there(&roots)?;
        self.nobody_came_first(&target, &shard.label)?;
        let published = publisher.finish()?;
        if let Some(routing) = &self.routing {
            let mut routing = routing.lock().unwrap_or_else(PoisonError::into_inner);
            publish::register(&mut routing, &published)?;
        }
        if let Some(rebuild) = &self.rebuild {
            let noted = rebuild.note(&shard.label);
            noted.map_err(StoreError::io(&self.layout.rebuild()))?;
        }
        publish::delete_segments(arrived.values().map(PathBuf::as_path))?;
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, published.clone());
        Ok(Some(published))
    }

    /// Refuses to replace a shard when a folder has gone away meanwhile: every file of it would be listed as
    /// unreadable, and the earlier index lost.
    fn roots_are_there(&self, roots: &[u32]) -> Result<(), StoreError> {
        for root in roots {
            let path = &self.plan.roots[*root as usize].path;
            let found = fs::symlink_metadata(path).map_err(StoreError::io(path))?;
            if !found.is_dir() {
                return Err(StoreError::io(path)(ErrorKind::NotADirectory.into()));
            }
        }
        Ok(())
    }

    /// Looks again, since the build may have taken hours: what somebody has put there meanwhile is not ours.
    fn nobody_came_first(&self, target: &Path, label: &str) -> Result<(), StoreError> {
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

/// The roots that a shard has files of, in the order of its files.
fn roots_of(shard: &ShardPlan) -> Vec<u32> {
    let mut roots: Vec<u32> = shard.files.iter().map(|file| file.root).collect();
    roots.dedup();
    roots
}
