//! What the supervisor and the publisher of a build are given.
//!
//! Pure translation: request and plan in, their input out; the routing database is opened.

use super::cores;
use super::error::{BuildError, ErrorKind};
use crate::engine::error::Result;
use crate::engine::output::obstacles;
use crate::engine::preflight::Prepared;
use crate::engine::publish::queue::Publishing;
use crate::engine::request::BuildRequest;
use crate::engine::supervisor::Job;
use crate::engine::supervisor::Limits;
use crate::engine::watch;
use crate::ids::{SegmentId, WorkerId};
use crate::plan::sizing::{Sizing, arena_bytes};
use crate::plan::{Mode, Plan, ShardPlan};
use crate::platform;
use crate::profile::encoders::EncoderChoice;
use crate::profile::recipe::encoder_fingerprint;
use crate::protocol::{SegmentTask, WorkerSetup};
use crate::store::routing::RoutingDb;
use crate::store::shard::ShardHeader;
use crate::store::{self, locate};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// Longest that a worker may take to start (a model of a gigabyte on a cold disk) and to end.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest that a pause waits for a worker that shows no progress: several chunks of a slow model. What is
/// lost is the file in hand.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Segments that a worker has: one in work, and one so that the hand-over costs no time.
const SEGMENTS_PER_WORKER: usize = 2;

/// The same on a device, which takes a thousand chunks at a time while the next thousand are prepared: 4 MiB of text, if
/// segments have their usual 512 KiB. Two were too few to fill a batch of each length: on an H200 the fill was 0.58 in
/// 16 bits. Doubled, the last worker to end would work twice as long alone.
const SEGMENTS_PER_DEVICE_WORKER: usize = 8;

/// No worker is refused less than this: a large model with its arenas.
const LEAST_MEMORY_LIMIT: u64 = 4 << 30;

pub fn publishing(request: &BuildRequest, prepared: &Prepared) -> Result<Publishing> {
    let layout = &prepared.layout;
    store::spill_into(&layout.work)?;
    let routing = match request.mode() {
        Mode::Blob => None,
        Mode::Sharded => {
            let routing = RoutingDb::open_or_create(&layout.database, prepared.epoch)?;
            Some(Mutex::new(routing.with_category(request.category)))
        }
    };
    Ok(Publishing {
        plan: Arc::new(prepared.survey.plan.clone()),
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
        routing,
        records: prepared.records.clone(),
        other_formats: obstacles::other_formats(request),
        rebuild: prepared.rebuild.clone(),
        published: Mutex::default(),
        stopping: Arc::default(),
    })
}

/// While other shards are still being encoded, every core has work. The last and only one has them to
/// itself.
fn sorter_threads(prepared: &Prepared) -> u32 {
    match prepared.survey.plan.shards.len() - prepared.unchanged.len() {
        1 => cores().min(4) as u32,
        _ => 0,
    }
}

pub fn job(
    request: &BuildRequest,
    prepared: &Prepared,
    sizing: &Sizing,
    todo: &[&ShardPlan],
) -> Result<Job> {
    let plan = &prepared.survey.plan;
    let tasks = todo
        .iter()
        .flat_map(|shard| {
            shard
                .segments
                .iter()
                .map(|segment| task(prepared, plan, shard, segment.id))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            BuildError::new(
                ErrorKind::Failed,
                "the plan names a segment that it does not have",
            )
        })?;
    Ok(Job {
        worker: request.worker.clone(),
        setup: WorkerSetup {
            worker: WorkerId(0),
            file_workers: sizing.file_workers as u32,
            encoders: encoders(request, sizing),
            recipe: request.profile.recipe.clone(),
            fingerprint: prepared.fingerprint,
            encoder_fingerprint: encoder_fingerprint(prepared.encoders.hashes()),
            limits: request.profile.rules.limits,
            // So that the worker, which knows the file, speaks first.
            file_timeout: request.stall_timeout / 2,
            plays_device: request.plays_device,
            memory_limit: memory_limit(request, sizing),
            reuse: reuse(request, prepared, todo),
        },
        workers: sizing.workers as u32,
        tasks,
        shards: todo.iter().map(|shard| shard.id).collect(),
        limits: Limits {
            stall_timeout: request.stall_timeout,
            start_stop_timeout: START_STOP_TIMEOUT,
            pause_timeout: PAUSE_TIMEOUT,
            segments_per_worker: match request.encoders.device() {
                None => SEGMENTS_PER_WORKER,
                Some(_) => SEGMENTS_PER_DEVICE_WORKER,
            },
        },
        watch: watch::watch(request, plan),
    })
}

/// The choice, with what each worker may take of a device and of the cores.
fn encoders(request: &BuildRequest, sizing: &Sizing) -> EncoderChoice {
    let choice = request.encoders.clone();
    let device_memory = match request.vram_limit {
        0 => device_memory(request, sizing),
        asked => asked,
    };
    EncoderChoice {
        device_memory,
        cpu_threads: match choice.device() {
            // As many workers as cores.
            None => 0,
            // For the kind that stays on the CPU, and for shards that leave the device.
            Some(_) => (cores() / sizing.workers.max(1)).max(1) as u32,
        },
        ..choice
    }
}

/// In bytes, for all arenas of a worker; 0 where no device says what it has. Arenas have equal parts of it, so two
/// devices give twice what the smaller one has room for.
fn device_memory(request: &BuildRequest, sizing: &Sizing) -> u64 {
    let models = super::model_sizes(request);
    let known = &request.device_memory;
    let arenas = known.iter().map(|(device, vram)| {
        let on_device = models.on(*device, &request.encoders);
        arena_bytes(*vram, sizing.workers, on_device)
    });
    arenas.min().unwrap_or(0) * known.len() as u64
}

/// In bytes, for each worker; 0 where the machine does not say what it has.
fn memory_limit(request: &BuildRequest, sizing: &Sizing) -> u64 {
    match (request.worker_memory, platform::available_memory_bytes()) {
        (0, None) => 0,
        (0, Some(available)) => (available / sizing.workers.max(1) as u64).max(LEAST_MEMORY_LIMIT),
        (asked, _) => asked,
    }
}

fn task(prepared: &Prepared, plan: &Plan, shard: &ShardPlan, id: SegmentId) -> Option<SegmentTask> {
    let segment = plan.segment(id)?;
    let files = shard.segment_files(segment);
    let root = plan.roots.get(files.first()?.root as usize)?;
    Some(SegmentTask {
        id,
        path: prepared.layout.segment(segment),
        shard_label: shard.label.clone(),
        root_label: root.label.clone(),
        root_path: root.path.clone(),
        files: files.iter().map(|file| file.entry.clone()).collect(),
        quarantined: Vec::new(),
        careful: false,
    })
}

/// Unchanged shards that are looked through for vectors: only copies of their files find any there, and each look
/// takes time for every text that nobody knows.
const MOST_UNCHANGED: usize = 64;

/// Databases whose vectors may be taken over: the shards that this build replaces, those that leave it or
/// stay of a root that is away, some of the unchanged ones, and those of the indexes named by `--reuse-from`. After
/// `--rebuild` only the last.
fn reuse(request: &BuildRequest, prepared: &Prepared, todo: &[&ShardPlan]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if !request.rebuild {
        let shard = |shard: &ShardPlan| prepared.layout.shard(&shard.label);
        let own: BTreeSet<PathBuf> = todo.iter().map(|it| shard(it)).collect();
        let plan = &prepared.survey.plan.shards;
        let planned: BTreeSet<PathBuf> = plan.iter().map(shard).collect();
        let earlier = || prepared.earlier.iter();
        paths.extend(earlier().filter(|path| own.contains(*path)).cloned());
        paths.extend(earlier().filter(|path| !planned.contains(*path)).cloned());
        let unchanged = planned.difference(&own).take(MOST_UNCHANGED);
        paths.extend(unchanged.cloned());
    }
    for folder in &request.reuse_from {
        if let Ok(index) = locate::locate(folder) {
            paths.extend(index.databases().into_iter().map(|(_, path)| path));
        } else {
            tracing::warn!("--reuse-from {}: no index there", folder.display());
        }
    }
    paths
}
