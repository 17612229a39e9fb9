//! NVIDIA devices as NVML reports them: names, memory, who uses them.
//!
//! Creates no CUDA context, so asking costs no device memory. A machine without NVML simply has no
//! devices here. Every question has a deadline: a driver that hangs must not take us with it.

pub mod probe;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gpu {
    /// As NVML counts: all devices, in the order of their bus.
    pub index: u32,
    /// `GPU-` and a number that stays with the card.
    pub uuid: String,
    pub name: String,
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// Processes with a compute context on it; empty where the driver does not tell (in a container it
    /// tells other numbers).
    #[serde(skip)]
    pub processes: Vec<u32>,
}

/// Longest wait for the driver. It answers in milliseconds; waking up a card that sleeps takes two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory that a process on a device takes at least: its context alone is 100 MiB and more.
const LEAST_GROWTH: u64 = 32 << 20;

/// The devices of this machine. The error says, for people, why NVML cannot be asked.
pub fn list() -> Result<Vec<Gpu>, String> {
    within(PATIENCE, ask)
}

/// The device that CUDA calls `index`: it counts those that `CUDA_VISIBLE_DEVICES` names, in that order.
/// (By the bus, as NVML does, if `CUDA_DEVICE_ORDER` is `PCI_BUS_ID`; see [`order_by_bus`].)
pub fn cuda_device(index: u32) -> Result<Gpu, String> {
    let gpus = list()?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    pick(&gpus, visible.as_deref(), index).cloned()
}

/// Why there is no device that CUDA calls `index`. `None` when there is one, and when it cannot be told: without an
/// answer of NVML, or with parts of cards (MIG), which NVML does not list.
pub fn why_absent(index: u32) -> Option<String> {
    let gpus = list().ok().filter(|gpus| !gpus.is_empty())?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    if visible
        .as_deref()
        .is_some_and(|names| names.contains("MIG"))
    {
        return None;
    }
    pick(&gpus, visible.as_deref(), index).err()
}

/// Makes CUDA, in this process and its children, count devices as NVML does, unless the user has chosen an
/// order. Call it in `main`, while there is one thread.
pub fn order_by_bus() {
    const ORDER: &str = "CUDA_DEVICE_ORDER";
    if std::env::var_os(ORDER).is_none() {
        // SAFETY: the caller is `main`, before any other thread.
        unsafe { std::env::set_var(ORDER, "PCI_BUS_ID") };
    }
}

/// Whether this process is on the device, judging by its report from before and after: it is named among those
/// that use it, or memory was taken meanwhile.
pub fn is_in_use(before: &Gpu, after: &Gpu, process: u32) -> bool {
    after.processes.contains(&process)
        || before.free_bytes.saturating_sub(after.free_bytes) >= LEAST_GROWTH
}

fn pick<'a>(gpus: &'a [Gpu], visible: Option<&str>, index: u32) -> Result<&'a Gpu, String> {
    let position = index as usize;
    let Some(visible) = visible else {
        let known = || format!("there is no device {index} among {} (NVML)", gpus.len());
        return gpus.get(position).ok_or_else(known);
    };
    let found = visible
        .split(',')
        .map(str::trim)
        // CUDA stops at the first name that is none.
        .map_while(|name| match name.parse::<usize>() {
            Ok(number) => gpus.get(number),
            Err(_) if name.is_empty() => None,
            Err(_) => gpus.iter().find(|gpu| gpu.uuid.starts_with(name)),
        })
        .nth(position);
    found.ok_or_else(|| {
        format!("there is no device {index} among CUDA_VISIBLE_DEVICES={visible} (NVML knows {} in all)", gpus.len())
    })
}

fn within<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (answer, answered) = channel();
    // Left behind if it hangs: a thread in a driver cannot be ended.
    thread::Builder::new()
        .name("nvml".to_owned())
        .spawn(move || {
            // Nobody waits any more after the deadline.
            let _ = answer.send(ask());
        })
        .map_err(|error| error.to_string())?;
    match answered.recv_timeout(patience) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "the NVIDIA driver (NVML) did not answer in {} s; nvidia-smi will hang as well",
            patience.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err("asking NVML panicked".to_owned()),
    }
}

fn ask() -> Result<Vec<Gpu>, String> {
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
    fn a_process_on_a_device_shows() {
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
        let error = within(Duration::from_millis(1), hanging).expect_err("it hangs");
        assert!(error.contains("did not answer"), "{error}");
        drop(hold);
        assert_eq!(within(PATIENCE, || Ok(5)), Ok(5));
    }
}
