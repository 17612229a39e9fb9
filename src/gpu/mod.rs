//! NVIDIA devices as NVML reports them: names and memory.
//!
//! Creates no CUDA context, so asking costs no device memory. A machine without NVML simply has no
//! devices here.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gpu {
    pub index: u32,
    pub name: String,
    pub total_bytes: u64,
    pub free_bytes: u64,
}

/// The devices of this machine. The error says, for people, why NVML cannot be asked.
pub fn list() -> Result<Vec<Gpu>, String> {
    let nvml = Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) => "no NVIDIA driver library (NVML) found".to_owned(),
        other => other.to_string(),
    })?;
    let count = nvml.device_count().map_err(|error| error.to_string())?;
    (0..count)
        .map(|index| describe(&nvml, index).map_err(|error| format!("device {index}: {error}")))
        .collect()
}

fn describe(nvml: &Nvml, index: u32) -> Result<Gpu, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory = device.memory_info()?;
    Ok(Gpu {
        index,
        name: device.name()?,
        total_bytes: memory.total,
        free_bytes: memory.free,
    })
}
