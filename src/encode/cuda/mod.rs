//! The CUDA provider of ONNX Runtime: how a session is put on a device, and whether it got there.
//!
//! Registering the provider can fall back to the CPU without a word, so nothing here believes it: the runtime is
//! asked where the graph's nodes went. Which libraries it needs is [`libraries`]' business.

mod graph;
mod libraries;

pub(super) use graph::{Edited, edited};

use super::error::{EncodeError, said};
use super::runtime;
use crate::failpoint::failpoint;
use crate::profile::encoders::{Device, EncoderChoice, Precision};
use ort::AsPointer as _;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use std::ffi::CStr;
use std::path::PathBuf;

/// The runtime library that a CUDA device takes: the one that was named, or one that is found where people install
/// it. Loads nothing.
///
/// # Errors
/// For people: that there is none, and how to get one.
pub fn cuda_runtime(choice: &EncoderChoice) -> Result<PathBuf, String> {
    libraries::choose(choice.ort_lib.as_deref())
}

/// Loads what the provider needs of NVIDIA's libraries, beside the runtime that is loaded already.
///
/// # Errors
/// `DeviceUnusable`, naming what is missing and how to install it; those of loading the runtime.
pub(super) fn load_libraries(choice: &EncoderChoice, device: Device) -> Result<(), EncodeError> {
    let runtime = runtime::runtime_info(choice)?;
    libraries::load(&runtime.path).map_err(|reason| EncodeError::DeviceUnusable { device, reason })
}

/// Makes this process's sessions run on a CUDA device, its arena bounded by `arena_bytes` (0: unbounded).
pub(super) fn register(
    builder: SessionBuilder,
    index: u32,
    arena_bytes: u64,
    precision: Precision,
) -> ort::Result<SessionBuilder> {
    let index = i32::try_from(index).map_err(|_| ort::Error::new("no device has this number"))?;
    let mut provider = CUDA::default()
        .with_device_id(index)
        // What was asked for and no more: the default doubles, and the second doubling fills a small card.
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        // 10 bits of mantissa move weights in their third digit, away from what the CPU gives: only if asked for.
        .with_tf32(precision == Precision::Tf32);
    if let Ok(limit) = usize::try_from(arena_bytes)
        && limit > 0
    {
        provider = provider.with_memory_limit(limit);
    }
    let builder = builder
        .with_execution_providers([provider.build().error_on_failure()])?
        // Weights outside the arena: it holds activations alone and can be shrunk.
        .with_device_allocated_initializers()?
        // For `check_assignment`.
        .with_config_entry("session.record_ep_graph_assignment_info", "1")?;
    Ok(builder)
}

/// As run options name the arena of a session on this device.
pub(super) fn arena_name(device: Device, hardware: Hardware) -> String {
    match (device, hardware) {
        (Device::Cuda(index), Hardware::Real) => format!("gpu:{index}"),
        (Device::Cuda(_), Hardware::Pretended) | (Device::Cpu, _) => "cpu:0".to_owned(),
    }
}

/// What stands behind a device's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    Real,
    /// The CPU, as a test asks; everything else is as on the device: shapes, names, errors.
    Pretended,
}

impl Hardware {
    pub fn of_this_process() -> Self {
        match failpoint!("encode::device") {
            true => Self::Pretended,
            false => Self::Real,
        }
    }
}

/// The provider's name in the runtime.
const PROVIDER: &str = "CUDAExecutionProvider";

/// Fails when the graph's nodes are not on the device. A few are meant to stay on the CPU (shapes, mostly); with
/// more than half of them there, every run would copy back and forth.
///
/// # Errors
/// `DeviceUnusable`.
pub(super) fn check_assignment(session: &Session, device: Device) -> Result<(), EncodeError> {
    let unusable = |reason: String| EncodeError::DeviceUnusable { device, reason };
    let nodes = assignment(session).map_err(|error| {
        unusable(format!(
            "it cannot be told where the graph runs: {}",
            said(&error)
        ))
    })?;
    let all: usize = nodes.iter().map(|(_, n)| n).sum();
    let on_device: usize = nodes
        .iter()
        .filter(|(provider, _)| provider == PROVIDER)
        .map(|(_, n)| n)
        .sum();
    if on_device * 2 > all {
        return Ok(());
    }
    Err(unusable(format!(
        "the provider fell back to the CPU: {on_device} of {all} nodes of the graph are on the device"
    )))
}

/// Names of the providers with the number of nodes that each runs. Empty unless the session was told to keep it.
fn assignment(session: &Session) -> ort::Result<Vec<(String, usize)>> {
    let api = ort::api();
    let mut found = Vec::new();
    let mut subgraphs = std::ptr::null();
    let mut n_subgraphs = 0;
    // SAFETY: the session is alive, the out pointers are to locals; what comes back belongs to the session and
    // is read before this function ends. Each pointer is read only after its call has succeeded.
    unsafe {
        let status = (api.Session_GetEpGraphAssignmentInfo)(
            session.ptr(),
            &raw mut subgraphs,
            &raw mut n_subgraphs,
        );
        ort::Error::result_from_status(status)?;
        for position in 0..n_subgraphs {
            let subgraph = *subgraphs.add(position);
            let mut name = std::ptr::null();
            let status = (api.EpAssignedSubgraph_GetEpName)(subgraph, &raw mut name);
            ort::Error::result_from_status(status)?;
            let mut nodes = std::ptr::null();
            let mut n_nodes = 0;
            let status =
                (api.EpAssignedSubgraph_GetNodes)(subgraph, &raw mut nodes, &raw mut n_nodes);
            ort::Error::result_from_status(status)?;
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            found.push((name, n_nodes));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a provider that fell back would look like: every node on the CPU.
    #[test]
    fn a_graph_on_the_cpu_is_found_out() {
        static SPARSE: &[u8] = include_bytes!("../../../assets/models/helix-sparse-mini.onnx");
        let environment = runtime::environment(None).expect("the embedded runtime loads");
        let session = Session::builder(&environment)
            .expect("a builder")
            .with_config_entry("session.record_ep_graph_assignment_info", "1")
            .expect("is set")
            .commit_from_memory(SPARSE)
            .expect("loads");
        let nodes = assignment(&session).expect("is told");
        assert!(nodes.iter().map(|(_, n)| n).sum::<usize>() > 5, "{nodes:?}");
        assert!(nodes.iter().all(|(name, _)| name == "CPUExecutionProvider"));
        let error = check_assignment(&session, Device::Cuda(0)).expect_err("it is not there");
        assert!(
            error.to_string().contains("fell back to the CPU"),
            "{error}"
        );
    }
}
