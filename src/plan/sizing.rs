//! Chooses the number of workers.
//!
//! Pure: what the machine has goes in, counts and their reasons come out. The GPU rules are those of the Python builder,
//! whose published cases are tests.

/// Bytes of device memory that one worker's sessions need: the Python builder's figure.
pub const VRAM_PER_WORKER_BYTES: u64 = 4 * GIB;

/// Most workers that share a device, unless the user decides. One keeps an H200 busy: three of them ran SPLADE at 0.9
/// of its speed in 32 bits, two at 0.96 in 16 bits, and thirteen, as many as memory and cores hold, took 25 s for a build
/// that one does in 10. Three is what the Python builder's published runs had on a card of 12 GB.
pub const MAX_WORKERS_PER_DEVICE: usize = 3;

/// Workers that share encoder servers, unless the user decides: while one waits for the last requests of a batch, the other
/// goes on. More would only queue at the server.
const WORKERS_OF_SERVERS: usize = 2;

/// Main memory of a worker besides its models: the program, the runtime, texts in flight. Measured on source code:
/// 117 MiB with the embedded models and one file worker; three times that leaves room for long files and many
/// file workers. Twice as much would leave small machines half idle; half as much makes them swap.
const RAM_BASE_BYTES: u64 = 384 << 20;

/// Memory of a model on the CPU for each byte of its files: weights, their copies in the layout that the kernels
/// want, activations and output. Measured above 117 MiB: MiniLM's 86 MiB took 108, BERT-base's 418 MiB (logits)
/// 760, both 917. A model on a device takes its weights once while it is loaded.
const RAM_PER_MODEL_BYTE: u64 = 2;

/// Device memory of a process besides its weights: the context and workspaces of libraries.
const CONTEXT_BYTES: u64 = 512 << 20;

/// Part of the free memory that workers share. The rest is for what the driver rounds up.
const SHARED_PART: f64 = 0.92;

/// Least memory of an arena: one window of BERT-base in logits is 62 MB, with its activations 150.
const MIN_ARENA_BYTES: u64 = 256 << 20;

/// Device memory up to which dense vectors are encoded on the CPU if the sparse encoder is on the same device: with both
/// encoders, a 12 GB card spills and the build crawls.
pub const SMALL_DEVICE_BYTES: u64 = 12 * GIB;

const GIB: u64 = 1 << 30;

/// Part of a worker's memory that may be missing: cards of 12 GB report 11.99.
const ROUNDING_SLACK: f64 = 0.05;

/// What the machine has and what the user requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizingInput {
    /// Cores this process may use (the cgroup's share, not the machine's).
    pub cpus: usize,
    /// Available main memory. `None`: unknown.
    pub ram_bytes: Option<u64>,
    /// The devices of the encoders, as far as they report their memory.
    pub devices: Vec<DeviceCapacity>,
    /// As requested; 0: choose.
    pub workers: usize,
    /// As requested; 0: choose.
    pub file_workers: usize,
    /// Segments to build. More workers than segments would idle.
    pub n_segments: usize,
    /// See [`ram_per_worker`].
    pub ram_per_worker_bytes: u64,
    /// Servers encode, so that workers wait more than they compute.
    pub waits_for_servers: bool,
}

/// The memory of a device, and what each worker needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCapacity {
    pub vram: Vram,
    /// See [`vram_per_worker`].
    pub per_worker_bytes: u64,
}

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vram {
    pub total_bytes: u64,
    /// Not used by other processes. `None`: not reported.
    pub free_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Processes with encoder sessions. At least 1.
    pub workers: usize,
    /// Threads in each that read, chunk and tag. At least 1.
    pub file_workers: usize,
    /// For people: the reasons for the numbers.
    pub reasons: Vec<String>,
}

/// Choose the counts. A requested count is used as it is.
pub fn size_workers(input: &SizingInput) -> Sizing {
    let mut reasons = Vec::new();
    let workers = match input.workers {
        0 => auto_workers(input, &mut reasons),
        asked => {
            reasons.push(format!("workers: {asked}, as asked for"));
            asked
        }
    };
    let file_workers = match input.file_workers {
        0 => auto_file_workers(input, workers, &mut reasons),
        asked => {
            reasons.push(format!("file workers: {asked} each, as asked for"));
            asked
        }
    };
    Sizing {
        workers,
        file_workers,
        reasons,
    }
}

/// Return the main memory that one worker needs with models of so many bytes.
pub fn ram_per_worker(model_bytes: u64) -> u64 {
    RAM_BASE_BYTES.saturating_add(model_bytes.saturating_mul(RAM_PER_MODEL_BYTE))
}

/// Return the device memory that one worker needs with models of so many bytes on the device: the Python builder's figure,
/// which is for models of BERT's size, or what a larger model takes with 1.5 GiB for its activations.
pub fn vram_per_worker(model_bytes: u64) -> u64 {
    let activations = GIB + GIB / 2;
    VRAM_PER_WORKER_BYTES.max(CONTEXT_BYTES + activations + model_bytes)
}

/// Return the device memory for the arenas of each worker: its share of the free memory without context and weights.
pub fn arena_bytes(vram: Vram, workers: usize, model_bytes: u64) -> u64 {
    let free = vram.free_bytes.unwrap_or(vram.total_bytes);
    let share = (free as f64 * SHARED_PART) as u64 / workers.max(1) as u64;
    let taken = CONTEXT_BYTES.saturating_add(model_bytes);
    share.saturating_sub(taken).max(MIN_ARENA_BYTES)
}

/// Whether a device has room for both kinds of encoders: more than 12 GB. [`super::placement`] decides by it.
pub fn fits_both_kinds(vram: Vram) -> bool {
    let slack = (GIB as f64 * ROUNDING_SLACK) as u64;
    vram.total_bytes > SMALL_DEVICE_BYTES + slack
}

/// Return the smallest of all limits.
fn auto_workers(input: &SizingInput, reasons: &mut Vec<String>) -> usize {
    let mut limits = match input.devices.is_empty() {
        false => device_limits(input),
        true => vec![(input.cpus, format!("one per core of {}", input.cpus))],
    };
    if let Some(ram) = input.ram_bytes {
        let fit = ram.checked_div(input.ram_per_worker_bytes);
        let fit = fit.map_or(usize::MAX, |fit| usize::try_from(fit).unwrap_or(usize::MAX));
        limits.push((
            fit,
            format!(
                "{} of main memory, {} each",
                gib(ram),
                gib(input.ram_per_worker_bytes)
            ),
        ));
    }
    if input.waits_for_servers {
        let why = "encoders are servers, and each worker keeps several requests under way";
        limits.push((WORKERS_OF_SERVERS, why.to_owned()));
    }
    limits.push((input.n_segments, counted(input.n_segments, "segment")));
    let (limit, why) = limits
        .into_iter()
        .min_by_key(|(limit, _)| *limit)
        .expect("the number of segments is always a limit");
    let workers = limit.max(1);
    reasons.push(format!("workers: {workers} ({why})"));
    workers
}

/// Return the limits by devices. Every worker uses each device, so the tightest limit counts.
fn device_limits(input: &SizingInput) -> Vec<(usize, String)> {
    let headroom = cpu_headroom(input.cpus);
    let mut limits = Vec::new();
    for DeviceCapacity {
        vram,
        per_worker_bytes: need,
    } in &input.devices
    {
        let of = |bytes: u64, what: &str| {
            let why = format!("{} of device memory{what}, {} each", gib(bytes), gib(*need));
            (fitting(bytes, *need), why)
        };
        limits.push(of(vram.total_bytes, ""));
        limits.extend(vram.free_bytes.map(|free| of(free, " free")));
    }
    limits.push((
        headroom,
        format!("{headroom} of {} cores to spare", input.cpus),
    ));
    limits.push((
        MAX_WORKERS_PER_DEVICE,
        "more only get in each other's way on one device".to_owned(),
    ));
    limits
}

/// On a CPU, the encoder threads of the workers use the cores, so each worker has its share of them for reading. With a
/// device, the workers share the spare cores.
fn auto_file_workers(input: &SizingInput, workers: usize, reasons: &mut Vec<String>) -> usize {
    let cores = match input.devices.is_empty() {
        false => cpu_headroom(input.cpus),
        true => input.cpus,
    };
    let file_workers = (cores / workers.max(1)).max(1);
    reasons.push(format!(
        "file workers: {file_workers} each ({} over {})",
        counted(cores, "core"),
        counted(workers, "worker")
    ));
    file_workers
}

fn counted(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// Return the cores that are left without an eighth of them and one for the writer, at least two.
fn cpu_headroom(cpus: usize) -> usize {
    let reserved = (cpus.div_ceil(8) + 1).max(2);
    cpus.saturating_sub(reserved).max(1)
}

/// Return how often `need` fits into `bytes`, at least once.
fn fitting(bytes: u64, need: u64) -> usize {
    if need == 0 {
        return usize::MAX;
    }
    // Memory sizes are far below 2^53, where f64 is exact.
    ((bytes as f64 / need as f64 + ROUNDING_SLACK) as usize).max(1)
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / GIB as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(cpus: usize) -> SizingInput {
        SizingInput {
            cpus,
            n_segments: 1000,
            ram_per_worker_bytes: ram_per_worker(320 << 20),
            ..SizingInput::default()
        }
    }

    fn on_device(cpus: usize, total_gib: f64, free_gib: Option<f64>) -> SizingInput {
        let bytes = |gib: f64| (gib * GIB as f64) as u64;
        SizingInput {
            devices: vec![DeviceCapacity {
                vram: Vram {
                    total_bytes: bytes(total_gib),
                    free_bytes: free_gib.map(bytes),
                },
                per_worker_bytes: VRAM_PER_WORKER_BYTES,
            }],
            ..input(cpus)
        }
    }

    fn counts(input: &SizingInput) -> (usize, usize) {
        let sizing = size_workers(input);
        assert_eq!(sizing.reasons.len(), 2);
        (sizing.workers, sizing.file_workers)
    }

    #[test]
    fn servers_get_two_workers_unless_the_user_says_otherwise() {
        let servers = SizingInput {
            waits_for_servers: true,
            ..input(16)
        };
        let sizing = size_workers(&servers);
        assert_eq!((sizing.workers, sizing.file_workers), (2, 8));
        assert!(sizing.reasons[0].contains("encoders are servers"));
        let asked = SizingInput {
            workers: 5,
            ..servers
        };
        assert_eq!(size_workers(&asked).workers, 5);
    }

    /// The cases published with the Python builder, on its 8-core machine.
    #[test]
    fn the_published_cases_hold() {
        assert_eq!(counts(&on_device(8, 12.0, None)), (3, 2));
        assert_eq!(counts(&on_device(8, 11.99, None)), (3, 2));
        assert_eq!(counts(&on_device(8, 12.0, Some(8.5))), (2, 3));
        let two = SizingInput {
            workers: 2,
            ..on_device(8, 12.0, None)
        };
        assert_eq!(counts(&two), (2, 3));
        let three = SizingInput { workers: 3, ..two };
        assert_eq!(counts(&three), (3, 2));
    }

    /// A server beside the build keeps the memory that it uses.
    #[test]
    fn memory_of_other_processes_is_not_used() {
        assert_eq!(counts(&on_device(8, 24.0, Some(24.0))).0, 3);
        assert_eq!(counts(&on_device(8, 24.0, Some(8.0))).0, 2);
        assert_eq!(counts(&on_device(8, 24.0, Some(4.0))).0, 1);
        assert_eq!(counts(&on_device(8, 24.0, None)).0, 3, "nobody says so");
    }

    #[test]
    fn memory_follows_the_size_of_the_models() {
        // The embedded models; MiniLM, BERT-base and both, of which a worker was seen to take 225, 877 and 1,034 MiB.
        for (files_mib, least_mib, most_mib) in [
            (5, 117, 400),
            (86, 225, 600),
            (418, 877, 1300),
            (504, 1034, 1500),
        ] {
            let need = ram_per_worker(files_mib << 20) >> 20;
            assert!(
                (least_mib..=most_mib).contains(&need),
                "{files_mib}: {need}"
            );
        }
        assert_eq!(vram_per_worker(440 << 20), VRAM_PER_WORKER_BYTES);
        assert_eq!(vram_per_worker(6 * GIB), 8 * GIB);
        let mut large = on_device(8, 12.0, None);
        large.devices[0].per_worker_bytes = vram_per_worker(6 * GIB);
        assert_eq!(counts(&large).0, 1);
        let few = SizingInput {
            ram_bytes: Some(2 * GIB),
            ram_per_worker_bytes: ram_per_worker(504 << 20),
            ..input(8)
        };
        assert_eq!(counts(&few).0, 1);
    }

    #[test]
    fn arenas_share_what_is_free() {
        let vram = Vram {
            total_bytes: 12 * GIB,
            free_bytes: Some(10 * GIB),
        };
        let one = arena_bytes(vram, 1, GIB);
        assert!((7 * GIB..9 * GIB).contains(&one));
        let all = |workers: u64| {
            workers * (arena_bytes(vram, workers as usize, GIB) + GIB + CONTEXT_BYTES)
        };
        assert!(all(2) <= 10 * GIB && all(3) <= 10 * GIB);
        let none = Vram {
            free_bytes: Some(0),
            ..vram
        };
        assert_eq!(arena_bytes(none, 2, GIB), MIN_ARENA_BYTES);
    }

    #[test]
    fn a_device_is_limited_by_memory_and_cores() {
        assert_eq!(
            counts(&on_device(8, 11.7, None)).0,
            2,
            "less than rounding explains"
        );
        assert_eq!(counts(&on_device(4, 80.0, None)).0, 2, "cores to spare");
        assert_eq!(
            counts(&on_device(16, 140.0, None)),
            (MAX_WORKERS_PER_DEVICE, 4),
            "a large card is one card"
        );
        assert_eq!(counts(&on_device(2, 80.0, None)), (1, 1));
        assert_eq!(counts(&on_device(8, 12.0, Some(0.1))).0, 1, "never none");
    }

    #[test]
    fn each_device_limits_the_workers() {
        let two = |first, second| {
            let mut input = on_device(16, first, None);
            input.devices.extend(on_device(16, second, None).devices);
            counts(&input).0
        };
        assert_eq!(two(24.0, 24.0), 3);
        assert_eq!((two(24.0, 4.0), two(4.0, 24.0)), (1, 1));
        let mut uneven = on_device(16, 24.0, None);
        uneven.devices.extend(on_device(16, 12.0, None).devices);
        uneven.devices[0].per_worker_bytes = 20 * GIB;
        assert_eq!(counts(&uneven).0, 1, "what each needs is its own");
    }

    #[test]
    fn without_a_device_there_is_a_worker_per_core() {
        assert_eq!(counts(&input(8)), (8, 1));
        assert_eq!(counts(&input(1)), (1, 1));
        let asked = SizingInput {
            workers: 2,
            ..input(8)
        };
        assert_eq!(counts(&asked), (2, 4));
        let few = SizingInput {
            n_segments: 3,
            ..input(8)
        };
        assert_eq!(counts(&few), (3, 2));
        let poor = SizingInput {
            ram_bytes: Some(2 * GIB),
            ..input(8)
        };
        assert_eq!(counts(&poor), (2, 4));
    }

    #[test]
    fn requested_counts_are_used() {
        let asked = SizingInput {
            workers: 40,
            file_workers: 7,
            ..on_device(2, 4.0, Some(0.0))
        };
        assert_eq!(counts(&asked), (40, 7));
    }

    #[test]
    fn small_devices_keep_dense_vectors_off() {
        let vram = |total_bytes| Vram {
            total_bytes,
            free_bytes: None,
        };
        assert!(!fits_both_kinds(vram(8 * GIB)));
        assert!(!fits_both_kinds(vram(12 * GIB)));
        assert!(fits_both_kinds(vram(16 * GIB)));
    }

    proptest! {
        #[test]
        fn any_machine_gets_at_least_one_of_each(
            cpus in 0usize..300,
            ram_bytes in proptest::option::of(0u64..),
            total_bytes in 0u64..,
            free_bytes in proptest::option::of(0u64..),
            on_device: bool,
            need in 0u64..8 * GIB,
            n_segments in 0usize..5,
        ) {
            let vram = Vram { total_bytes, free_bytes };
            let room = DeviceCapacity { vram, per_worker_bytes: need };
            let devices = on_device.then_some(room).into_iter().collect();
            let sizing = size_workers(&SizingInput {
                cpus, ram_bytes, devices, n_segments,
                ram_per_worker_bytes: need, workers: 0, file_workers: 0,
                waits_for_servers: false,
            });
            prop_assert!(sizing.workers >= 1 && sizing.file_workers >= 1);
            prop_assert!(sizing.workers <= n_segments.max(1));
        }
    }
}
