//! Describes the machine of a measurement.

use std::fs;

/// Processor, cores, system and program.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "Machine: {}, {cores} cores, {} {}. helix-build {}.",
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION"),
    )
}

/// Return the load averages over 1, 5 and 15 minutes, to show other load.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let figures: Vec<_> = text.split_whitespace().take(3).collect();
    match figures.as_slice() {
        [] => "unknown".to_owned(),
        figures => figures.join(", "),
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name")?;
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(model)) => Some(format!("{name} (family {family}, model {model})")),
        _ => Some(name),
    }
}
