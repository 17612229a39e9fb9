//! Signals: the first one requests a graceful pause, a second SIGINT ends the process at once.
//!
//! While workers run, the supervisor reacts to the request. Outside of that time, or if the supervisor itself is blocked,
//! the process may hang: in a folder on a dead network server, in a library, or on a standard error that nobody reads. No
//! work can be lost then, so the process exits after a few seconds.

use crate::engine::{BuildControl, Stage};
use crate::exit_code::ExitCode;
use crate::gpu::probe::end_commands;
use crate::platform;
use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Return a control that the first SIGINT, SIGTERM or SIGUSR1 stops. A second SIGINT exits with code 130; the workers see
/// the end of their input and stop.
pub fn install() -> anyhow::Result<BuildControl> {
    let control = BuildControl::new();
    let interrupted = control.stop_flag();
    let forced = i32::from(ExitCode::Forced as u8);
    // Register this first: the first signal must not see the flag that it sets itself.
    flag::register_conditional_shutdown(SIGINT, forced, Arc::clone(&interrupted))
        .context("handling SIGINT")?;
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    signals.push(signal_hook::consts::SIGUSR1);
    for signal in signals.drain(..) {
        flag::register(signal, Arc::clone(&interrupted))
            .with_context(|| format!("handling signal {signal}"))?;
    }
    let watched = control.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || exit_if_stuck(&watched))
        .context("starting the thread that waits for signals")?;
    Ok(control)
}

/// How long a stop request may go unanswered before the process exits. With the polling interval it stays below the ten
/// seconds that service managers wait.
const PATIENCE: Duration = Duration::from_secs(8);

/// Interval between checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

fn exit_if_stuck(control: &BuildControl) {
    let mut waited = Duration::ZERO;
    let mut seen = None;
    while waited < PATIENCE {
        thread::sleep(POLL_INTERVAL);
        let stage = control.stage();
        let is_responsive = match stage {
            Stage::Unsupervised => false,
            Stage::Supervising(_) => seen != Some(stage),
            Stage::Publishing => true,
        };
        seen = Some(stage);
        let waits = control.is_stopped() && !is_responsive;
        waited = if waits {
            waited + POLL_INTERVAL
        } else {
            Duration::ZERO
        };
    }
    // Print in a thread, since standard error may be what hangs. The exit code remains.
    let printed = thread::spawn(|| {
        let mut errors = std::io::stderr();
        let _ = writeln!(
            errors,
            "paused while the system did not respond; run the same command again to resume"
        );
    });
    let mut left = POLL_INTERVAL;
    while !printed.is_finished() && left > Duration::ZERO {
        left = left.saturating_sub(POLL_INTERVAL / 10);
        thread::sleep(POLL_INTERVAL / 10);
    }
    end_commands();
    platform::exit_now(i32::from(ExitCode::Paused as u8));
}
