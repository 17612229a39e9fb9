//! Errors of queries to the NVIDIA driver, for people.

use nvml_wrapper::error::NvmlError;
use std::io;
use std::time::Duration;

/// Why NVML has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    #[error("no NVIDIA driver library (NVML) found")]
    NoLibrary,
    #[error("{0}")]
    Nvml(NvmlError),
    #[error("device {index}: {source}")]
    Device { index: u32, source: NvmlError },
    /// NVML knows no device at all.
    #[error("NVML knows no device")]
    NoDevices,
    /// CUDA has no device of this number.
    #[error("there is no device {index} among {}", among(.visible.as_deref(), *.n_known))]
    NoDevice {
        index: u32,
        n_known: usize,
        /// The value of `CUDA_VISIBLE_DEVICES`.
        visible: Option<String>,
    },
    #[error(
        "the NVIDIA driver (NVML) did not answer in {} s; nvidia-smi will hang as well",
        .0.as_secs()
    )]
    Timeout(Duration),
    #[error("asking NVML panicked")]
    Panicked,
    #[error("{0}")]
    Thread(io::Error),
}

fn among(visible: Option<&str>, n_known: usize) -> String {
    match visible {
        None => format!("{n_known} (NVML)"),
        Some(visible) => {
            format!("CUDA_VISIBLE_DEVICES={visible} (NVML knows {n_known} in all)")
        }
    }
}
