//! Where log lines go: standard error, and a file when asked.
//!
//! Log lines are for diagnosing; what the user came for is printed by `commands`, what runs is drawn
//! by `progress`.

use crate::cli::{ColorWhen, GlobalFlags};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::sync::Mutex;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Sets logging up for this process. `HELIX_BUILD_LOG` (for example `debug`, or
/// `helix_build::worker=trace`) overrides `-v` and `-q`.
pub fn start(flags: &GlobalFlags) -> anyhow::Result<()> {
    let level = match i32::from(flags.verbose) - i32::from(flags.quiet) {
        ..=-2 => LevelFilter::ERROR,
        -1 | 0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var("HELIX_BUILD_LOG")
        .from_env()
        .context("HELIX_BUILD_LOG is not a log filter: write for example `debug`")?;
    let stderr = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colors(flags.color))
        .with_target(false)
        .with_filter(filter);
    let file = match &flags.log_file {
        None => None,
        Some(path) => {
            let file = File::create(path)
                .with_context(|| format!("creating log file {}", path.display()))?;
            let layer = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false);
            Some(layer.with_filter(LevelFilter::DEBUG))
        }
    };
    tracing_subscriber::registry()
        .with(stderr)
        .with(file)
        .try_init()
        .context("starting the log")
}

/// Whether messages are coloured: as asked, else on a terminal unless `NO_COLOR` or a dumb terminal
/// forbid it; `CLICOLOR_FORCE` insists.
fn colors(when: ColorWhen) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if set("NO_COLOR") => false,
        ColorWhen::Auto if set("CLICOLOR_FORCE") => true,
        ColorWhen::Auto => {
            io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
