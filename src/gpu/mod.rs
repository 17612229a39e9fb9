//! NVIDIA devices as NVML reports them: names, memory, processes.
//!
//! Creates no CUDA context, so a query takes no device memory. A machine without NVML has no devices here. Every query has a
//! timeout, since a driver may hang.
//!
//! Imports: `error` is below both this file and [`probe`], neither of which imports the other.

mod error;
pub mod probe;

pub use error::GpuError;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gpu {
    /// As NVML counts: all devices, in the order of the PCI bus.
    pub index: u32,
    /// `GPU-` and a number that identifies the card.
    pub uuid: String,
    pub name: String,
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// Processes with a compute context on it; empty if the driver does not report them. In a container it reports other
    /// numbers.
    #[serde(skip)]
    pub processes: Vec<u32>,
}

/// Timeout of a query. The driver answers in milliseconds; waking a sleeping card takes two seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Least memory that a process takes on a device. A context alone takes 100 MiB and more.
const MIN_GROWTH: u64 = 32 << 20;

/// List the devices of this machine.
pub fn list() -> Result<Vec<Gpu>, GpuError> {
    with_timeout(TIMEOUT, query)
}

/// Return the device that CUDA calls `index`. CUDA counts the devices that `CUDA_VISIBLE_DEVICES` names, in that order;
/// `visible` is the value of that variable. It counts them by the bus, as NVML does, if `CUDA_DEVICE_ORDER` is `PCI_BUS_ID`:
/// see [`order_by_bus`].
pub fn cuda_device(index: u32, visible: Option<&str>) -> Result<Gpu, GpuError> {
    let gpus = list()?;
    pick(&gpus, visible, index).cloned()
}

/// Check that there is a device that CUDA calls `index`. `Ok` also if that is unknown: NVML does not answer, or the
/// devices are parts of cards (MIG), which NVML does not list.
pub fn check_index(index: u32, visible: Option<&str>) -> Result<(), GpuError> {
    let gpus = list().unwrap_or_default();
    if gpus.is_empty() || visible.is_some_and(|names| names.contains("MIG")) {
        return Ok(());
    }
    pick(&gpus, visible, index).map(|_| ())
}

/// Make CUDA count devices as NVML does, in this process and its children, unless the user has chosen an order. Call it in
/// `main`, while there is one thread.
pub fn order_by_bus() {
    const ORDER: &str = "CUDA_DEVICE_ORDER";
    if std::env::var_os(ORDER).is_none() {
        // SAFETY: the caller is `main`, before any other thread.
        unsafe { std::env::set_var(ORDER, "PCI_BUS_ID") };
    }
}

/// Whether a process uses the device, by its state before and after: it is among the device's processes, or memory was taken
/// in between.
pub fn is_in_use(before: &Gpu, after: &Gpu, process: u32) -> bool {
    after.processes.contains(&process)
        || before.free_bytes.saturating_sub(after.free_bytes) >= MIN_GROWTH
}

fn pick<'a>(gpus: &'a [Gpu], visible: Option<&str>, index: u32) -> Result<&'a Gpu, GpuError> {
    let position = index as usize;
    let absent = || GpuError::NoDevice {
        index,
        n_known: gpus.len(),
        visible: visible.map(str::to_owned),
    };
    let Some(visible) = visible else {
        return gpus.get(position).ok_or_else(absent);
    };
    let found = visible
        .split(',')
        .map(str::trim)
        // CUDA stops at the first invalid name.
        .map_while(|name| match name.parse::<usize>() {
            Ok(number) => gpus.get(number),
            Err(_) if name.is_empty() => None,
            Err(_) => gpus.iter().find(|gpu| gpu.uuid.starts_with(name)),
        })
        .nth(position);
    found.ok_or_else(absent)
}

fn with_timeout<T: Send + 'static>(
    timeout: Duration,
    query: impl FnOnce() -> Result<T, GpuError> + Send + 'static,
) -> Result<T, GpuError> {
    let (answer, answered) = channel();
    // A thread that hangs in the driver cannot be ended, so it is left behind.
    thread::Builder::new()
        .name("nvml".to_owned())
        .spawn(move || {
            // Nobody waits after the timeout.
            let _ = answer.send(query());
        })
        .map_err(GpuError::Thread)?;
    match answered.recv_timeout(timeout) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(GpuError::Timeout(timeout)),
        Err(RecvTimeoutError::Disconnected) => Err(GpuError::Panicked),
    }
}

fn query() -> Result<Vec<Gpu>, GpuError> {
    let nvml = Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) => GpuError::NoLibrary,
        other => GpuError::Nvml(other),
    })?;
    let count = nvml.device_count().map_err(GpuError::Nvml)?;
    let device = |index| {
        let described = describe(&nvml, index);
        described.map_err(|source| GpuError::Device { index, source })
    };
    (0..count).map(device).collect()
}

fn describe(nvml: &Nvml, index: u32) -> Result<Gpu, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory = device.memory_info()?;
    let processes = device.running_compute_processes().unwrap_or_default();
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name()?,
        total_bytes: memory.total,
        free_bytes: memory.free,
        processes: processes.iter().map(|process| process.pid).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: u32) -> Gpu {
        Gpu {
            index,
            uuid: format!("GPU-{index}{index}aa-bb"),
            free_bytes: 8 << 30,
            ..Gpu::default()
        }
    }

    #[test]
    fn devices_are_counted_as_cuda_counts_them() {
        let gpus = [gpu(0), gpu(1), gpu(2)];
        let picked = |visible, index| pick(&gpus, visible, index).map(|gpu| gpu.index).ok();
        assert_eq!(picked(None, 2), Some(2));
        assert_eq!(picked(None, 3), None);
        assert_eq!(picked(Some("2,0"), 0), Some(2));
        assert_eq!(picked(Some("2, 0"), 1), Some(0));
        assert_eq!(picked(Some("2,0"), 2), None);
        assert_eq!(picked(Some("GPU-11"), 0), Some(1));
        assert_eq!(picked(Some(""), 0), None, "all hidden");
        assert_eq!(
            picked(Some("0,-1,1"), 1),
            None,
            "nothing counts behind a -1"
        );
        assert_eq!(picked(Some("MIG-7"), 0), None);
    }

    #[test]
    fn a_process_on_a_device_is_recognized() {
        let before = gpu(0);
        let listed = Gpu {
            processes: vec![7],
            ..gpu(0)
        };
        let grown = Gpu {
            free_bytes: before.free_bytes - (300 << 20),
            ..gpu(0)
        };
        let freed = Gpu {
            free_bytes: before.free_bytes + 1,
            ..gpu(0)
        };
        assert!(is_in_use(&before, &listed, 7));
        assert!(!is_in_use(&before, &listed, 8));
        assert!(is_in_use(&before, &grown, 8));
        assert!(!is_in_use(&before, &freed, 8));
    }

    #[test]
    fn a_driver_that_hangs_is_not_waited_for() {
        let (hold, held) = channel::<()>();
        let hanging = move || {
            let _ = held.recv();
            Ok(())
        };
        let error = with_timeout(Duration::from_millis(1), hanging).expect_err("it hangs");
        assert!(error.to_string().contains("did not answer"), "{error}");
        drop(hold);
        assert_eq!(with_timeout(TIMEOUT, || Ok(5)).ok(), Some(5));
    }
}
