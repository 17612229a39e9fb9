//! Translates a request and its plan into the supervisor's input.

use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::engine::sizing::{cores, model_sizes};
use crate::engine::supervisor::Job;
use crate::engine::supervisor::Limits;
use crate::engine::watch;
use crate::ids::{SegmentId, WorkerId};
use crate::plan::sizing::{Sizing, arena_bytes};
use crate::plan::{Plan, ShardPlan};
use crate::platform;
use crate::profile::encoders::EncoderChoice;
use crate::profile::recipe::encoder_fingerprint;
use crate::protocol::{SegmentTask, WorkerSetup};
use crate::store::locate;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for a worker to start (reading a model of a gigabyte from a cold disk) and to stop.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest time that a pause waits for a worker without progress: a slow model encodes several chunks meanwhile. A
/// worker that is killed then loses its current file.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Segments assigned to a worker: the current one, and the next so that no time is lost between them.
const SEGMENTS_PER_WORKER: usize = 2;

/// Segments assigned to a worker on a device, which encodes a thousand chunks while the next thousand are prepared: 4 MiB
/// of text with the usual segments of 512 KiB. Two segments did not fill a batch of each length: on an H200 the fill was
/// 0.58 with fp16. Twice as many would double the time that the last worker works alone.
const SEGMENTS_PER_DEVICE_WORKER: usize = 8;

/// Longest time that a worker repeats a request to an encoder server, which may be restarted meanwhile. Half the stall
/// timeout if that is shorter.
const SERVER_PATIENCE: Duration = Duration::from_secs(300);

/// Smallest automatic memory limit of a worker: a large model with its arenas.
const MIN_MEMORY_LIMIT_BYTES: u64 = 4 << 30;

/// Describe the work of the supervisor: `todo` are the shards to encode.
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
            // Shorter than the stall timeout: the worker can name the file, the supervisor cannot.
            file_timeout: request.stall_timeout / 2,
            plays_device: request.plays_device,
            memory_limit: memory_limit(request, sizing),
            reuse: reuse(request, prepared, todo),
        },
        workers: sizing.workers as u32,
        unchecked: unchecked(&tasks),
        tasks,
        shards: todo.iter().map(|shard| shard.id).collect(),
        limits: Limits {
            stall_timeout: request.stall_timeout,
            start_stop_timeout: START_STOP_TIMEOUT,
            pause_timeout: PAUSE_TIMEOUT,
            segments_per_worker: match request.encoders.device() {
                None if !request.encoders.has_server() => SEGMENTS_PER_WORKER,
                None | Some(_) => SEGMENTS_PER_DEVICE_WORKER,
            },
        },
        watch: watch::watch(request, plan),
    })
}

/// Return the segments of which an earlier run left a file.
fn unchecked(tasks: &[SegmentTask]) -> BTreeSet<SegmentId> {
    let left = tasks.iter().filter(|task| task.path.exists());
    left.map(|task| task.id).collect()
}

/// Return the encoder choice with each worker's share of device memory and cores.
fn encoders(request: &BuildRequest, sizing: &Sizing) -> EncoderChoice {
    let choice = request.encoders.clone();
    let device_memory = match request.vram_limit {
        0 => device_memory(request, sizing),
        asked => asked,
    };
    let server_patience = SERVER_PATIENCE.min(request.stall_timeout / 2);
    EncoderChoice {
        device_memory,
        server_patience_s: server_patience.as_secs().max(1) as u32,
        cpu_threads: match choice.device() {
            // There are as many workers as cores.
            None => 0,
            // For an encoder that stays on the CPU, and for shards that fall back to it.
            Some(_) => (cores() / sizing.workers.max(1)).max(1) as u32,
        },
        ..choice
    }
}

/// Return the bytes for all arenas of a worker; 0 if no device reports its memory. Arenas get equal parts, so two devices
/// give twice what fits on the smaller one.
fn device_memory(request: &BuildRequest, sizing: &Sizing) -> u64 {
    let models = model_sizes(request);
    let known = &request.device_memory;
    let arenas = known.iter().map(|(device, vram)| {
        let on_device = models.on(*device, &request.encoders);
        arena_bytes(*vram, sizing.workers, on_device)
    });
    arenas.min().unwrap_or(0) * known.len() as u64
}

/// Return the memory limit of a worker in bytes; 0 if the machine does not report its memory.
fn memory_limit(request: &BuildRequest, sizing: &Sizing) -> u64 {
    match (request.worker_memory, platform::available_memory_bytes()) {
        (0, None) => 0,
        (0, Some(available)) => {
            (available / sizing.workers.max(1) as u64).max(MIN_MEMORY_LIMIT_BYTES)
        }
        (asked, _) => asked,
    }
}

fn task(prepared: &Prepared, plan: &Plan, shard: &ShardPlan, id: SegmentId) -> Option<SegmentTask> {
    let segment = plan.segment(id)?;
    let files = shard.segment_files(segment);
    let root = plan.roots.get(files.first()?.root as usize)?;
    let suspect = (0..).zip(files).filter(|(_, file)| {
        let change_times = prepared.change_times.as_ref();
        change_times.is_some_and(|times| times.is_suspect(&root.path, &file.entry))
    });
    let suspect = suspect.map(|(n, _)| n).collect();
    Some(SegmentTask {
        id,
        path: prepared.layout.segment(segment),
        shard_label: shard.label.clone(),
        root_label: root.label.clone(),
        root_path: root.path.clone(),
        files: files.iter().map(|file| file.entry.clone()).collect(),
        authored: prepared.survey.authored_of(&root.label, files),
        quarantined: Vec::new(),
        suspect,
        planned: None,
        careful: false,
    })
}

/// How many unchanged shards are searched for vectors. Only copies of their files find any there, and every search costs
/// time for each new text.
const MAX_UNCHANGED: usize = 64;

/// List the databases whose vectors may be reused: the shards that this build replaces, obsolete and retained shards,
/// some unchanged ones, and those of the indexes given with `--reuse-from`. With `--rebuild` only the last.
fn reuse(request: &BuildRequest, prepared: &Prepared, todo: &[&ShardPlan]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if !request.rebuild {
        let shard = |shard: &ShardPlan| prepared.layout.shard(&shard.label);
        let own: BTreeSet<PathBuf> = todo.iter().map(|it| shard(it)).collect();
        let plan = &prepared.survey.plan.shards;
        let planned: BTreeSet<PathBuf> = plan.iter().map(shard).collect();
        let earlier = || prepared.earlier_databases.iter();
        paths.extend(earlier().filter(|path| own.contains(*path)).cloned());
        paths.extend(earlier().filter(|path| !planned.contains(*path)).cloned());
        let unchanged = planned.difference(&own).take(MAX_UNCHANGED);
        paths.extend(unchanged.cloned());
    }
    for folder in &request.reuse_from {
        if let Ok(index) = locate::locate(folder) {
            paths.extend(index.databases().into_iter().map(|(_, path)| path));
        } else {
            tracing::warn!("--reuse-from {}: no index found there", folder.display());
        }
    }
    paths
}
