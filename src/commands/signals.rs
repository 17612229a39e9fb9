//! Signals: the first asks for an orderly pause, a second interrupt ends the process at once.
//!
//! The supervisor looks for it while workers are at work. Elsewhere something may hang that has no end: a folder on a
//! server that is gone, a library; and the supervisor itself hangs while nobody reads its standard error. Nothing is
//! lost then, so the process ends by itself after a while.

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

/// A control that a first SIGINT, SIGTERM or SIGUSR1 stops. Once it is, a second SIGINT exits with 130;
/// the workers see the end of their input and stop.
pub fn install() -> anyhow::Result<BuildControl> {
    let control = BuildControl::new();
    let interrupted = control.stop_flag();
    let forced = i32::from(ExitCode::Forced as u8);
    // The order matters: the check must come before the flag is set by the same signal.
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
        .spawn(move || end_what_hangs(&watched))
        .context("starting the thread that waits for signals")?;
    Ok(control)
}

/// Longest that a signal waits for what is done before and after the workers' time: together with the look that finds
/// it less than the ten seconds after which service managers lose patience.
const PATIENCE: Duration = Duration::from_secs(8);

const LOOK: Duration = Duration::from_millis(100);

fn end_what_hangs(control: &BuildControl) {
    let mut waited = Duration::ZERO;
    let mut seen = None;
    while waited < PATIENCE {
        thread::sleep(LOOK);
        let stage = control.stage();
        let is_seen_to = match stage {
            Stage::Alone => false,
            Stage::Supervising(_) => seen != Some(stage),
            Stage::Publishing => true,
        };
        seen = Some(stage);
        let waits = control.is_stopped() && !is_seen_to;
        waited = if waits { waited + LOOK } else { Duration::ZERO };
    }
    // Standard error may be closed, or be what hangs; the exit code says it then.
    let told = thread::spawn(|| {
        let mut errors = std::io::stderr();
        let _ = writeln!(
            errors,
            "paused while waiting for the system; the same command resumes"
        );
    });
    let mut left = LOOK;
    while !told.is_finished() && left > Duration::ZERO {
        left = left.saturating_sub(LOOK / 10);
        thread::sleep(LOOK / 10);
    }
    end_commands();
    platform::exit_now(i32::from(ExitCode::Paused as u8));
}
