//! Signals: the first asks for an orderly pause, a second interrupt ends the process at once.

use crate::exit_code::ExitCode;
use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that a first SIGINT, SIGTERM or SIGUSR1 sets. With it set, a second SIGINT exits with 130;
/// the workers see the end of their input and stop.
pub fn install() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
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
    Ok(interrupted)
}
