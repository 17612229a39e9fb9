//! Gathers what the worker count depends on: cores, memory, devices, models and the work left.
//!
//! Looks at the machine and the models; [`plan::sizing`](crate::plan::sizing) decides.

use crate::encode;
use crate::engine::request::BuildRequest;
use crate::ids::ShardId;
use crate::plan::sizing::{
    DeviceCapacity, Sizing, SizingInput, ram_per_worker, size_workers, vram_per_worker,
};
use crate::plan::{Pace, Plan};
use crate::platform;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::store::ledger::ShardLedger;
use std::collections::BTreeMap;

/// Choose how many workers a build gets. `unchanged` shards need none.
pub fn size(
    request: &BuildRequest,
    plan: &Plan,
    unchanged: &BTreeMap<ShardId, ShardLedger>,
) -> Sizing {
    let todo = plan
        .shards
        .iter()
        .filter(|s| !unchanged.contains_key(&s.id));
    let models = model_sizes(request);
    size_workers(&SizingInput {
        cpus: cores(),
        ram_bytes: platform::available_memory_bytes(),
        devices: device_capacities(request, models),
        workers: request.workers as usize,
        file_workers: request.file_workers as usize,
        n_segments: todo.map(|s| s.segments.len()).sum(),
        ram_per_worker_bytes: ram_per_worker(models.all()),
        waits_for_servers: waits_for_servers(&request.encoders),
    })
}

/// Return the memory of each encoder device and what one worker needs of it.
fn device_capacities(request: &BuildRequest, models: encode::ModelBytes) -> Vec<DeviceCapacity> {
    let known = request.device_memory.iter();
    known
        .map(|(device, vram)| DeviceCapacity {
            vram: *vram,
            per_worker_bytes: vram_per_worker(models.on(*device, &request.encoders)),
        })
        .collect()
}

/// Return the sizes of the models, or zeros if one cannot be read; opening it reports the error.
pub fn model_sizes(request: &BuildRequest) -> encode::ModelBytes {
    encode::model_bytes(&request.encoders).unwrap_or_default()
}

/// Return how many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whether workers mostly wait for servers: no model of the user takes the cores.
fn waits_for_servers(encoders: &EncoderChoice) -> bool {
    let is_directory = |source: &ModelSource| matches!(source, ModelSource::Directory(_));
    encoders.has_server() && !is_directory(&encoders.sparse) && !is_directory(&encoders.dense)
}

/// Return how fast these encoders are, which decides the length of segments. Only a user's model and servers are slow
/// enough for short segments to pay.
pub fn pace(encoders: &EncoderChoice) -> Pace {
    let is_slow =
        |source: &ModelSource| matches!(source, ModelSource::Directory(_) | ModelSource::Server(_));
    match is_slow(&encoders.sparse) || is_slow(&encoders.dense) {
        true => Pace::Slow,
        false => Pace::Quick,
    }
}
