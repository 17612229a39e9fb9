//! The CUDA execution provider of ONNX Runtime: puts a session on a device, and checks that it is there.
//!
//! Registering the provider can fall back to the CPU silently, so the runtime is asked which provider runs the graph's nodes.
//!
//! Imports: `libraries` (what the provider needs, and where it is found) and `graph` (edits for a device) import neither
//! each other nor this file.

mod graph;
mod libraries;

pub(super) use graph::{Edited, Fusing, edited};
pub use libraries::{CudaError, LibraryPaths, find_runtime};

use super::error::{EncodeError, message};
use super::provider::{ExecutionProvider, ProviderOptions};
use super::runtime;
use crate::profile::encoders::{Device, EncoderChoice, Precision};
use ort::AsPointer as _;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use std::ffi::CStr;

/// The CUDA device `index`.
#[derive(Debug)]
pub(super) struct Cuda {
    pub index: u32,
}

impl ExecutionProvider for Cuda {
    /// # Errors
    /// `DeviceUnusable`, naming what is missing and how to install it; those of loading the runtime.
    fn load_libraries(&self, choice: &EncoderChoice) -> Result<(), EncodeError> {
        let runtime = runtime::runtime_info(choice)?;
        libraries::load(&runtime.path).map_err(|error| EncodeError::DeviceUnusable {
            device: Device::Cuda(self.index),
            reason: error.to_string(),
        })
    }

    fn register(
        &self,
        builder: SessionBuilder,
        options: ProviderOptions,
    ) -> ort::Result<SessionBuilder> {
        register(builder, self.index, options)
    }

    fn check_assignment(&self, session: &Session) -> Result<(), EncodeError> {
        check_assignment(session, Device::Cuda(self.index))
    }

    fn arena_name(&self) -> String {
        format!("gpu:{}", self.index)
    }
}

fn register(
    builder: SessionBuilder,
    index: u32,
    options: ProviderOptions,
) -> ort::Result<SessionBuilder> {
    let index = i32::try_from(index).map_err(|_| ort::Error::new("no device has this number"))?;
    let ProviderOptions {
        arena_bytes,
        precision,
    } = options;
    let mut provider = CUDA::default()
        .with_device_id(index)
        // The default doubles the arena, and the second doubling fills a small card.
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        // 10 bits of mantissa change the third digit of weights, so only on request.
        .with_tf32(precision == Precision::Tf32);
    if let Ok(limit) = usize::try_from(arena_bytes)
        && limit > 0
    {
        provider = provider.with_memory_limit(limit);
    }
    let builder = builder
        .with_execution_providers([provider.build().error_on_failure()])?
        // Weights stay outside the arena: it holds activations only and can shrink.
        .with_device_allocated_initializers()?
        // For `check_assignment`.
        .with_config_entry("session.record_ep_graph_assignment_info", "1")?;
    Ok(builder)
}

/// The provider's name in the runtime.
const PROVIDER: &str = "CUDAExecutionProvider";

/// Check that the graph runs on the device. A few nodes belong on the CPU (mostly shapes); with more than half of them
/// there, every run would copy back and forth.
///
/// # Errors
/// `DeviceUnusable` if the graph does not.
fn check_assignment(session: &Session, device: Device) -> Result<(), EncodeError> {
    let unusable = |reason: String| EncodeError::DeviceUnusable { device, reason };
    let nodes = assignment(session).map_err(|error| {
        unusable(format!(
            "it cannot be told where the graph runs: {}",
            message(&error)
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

/// Return the providers with the number of nodes that each runs. Empty unless the session records it.
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

    /// Every node is on the CPU, as after a fallback.
    #[test]
    fn a_graph_that_fell_back_to_the_cpu_is_refused() {
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
