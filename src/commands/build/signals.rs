//! Signals: the first asks for an orderly pause, a second interrupt ends the process at once.
//!
//! The supervisor looks for it while workers are at work. Elsewhere something may hang that has no end: a folder on a
//! server that is gone, a library; and the supervisor itself hangs while nobody reads its standard error. Nothing is
//! lost then, so the process ends by itself after a while.

use crate::exit_code::ExitCode;
use crate::platform;
use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

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
    let flag = Arc::clone(&interrupted);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || end_what_hangs(&flag))
        .context("starting the thread that waits for signals")?;
    Ok(interrupted)
}

/// Longest that a signal waits for what is done before and after the workers' time: together with the look that finds
/// it less than the ten seconds after which service managers lose patience.
const PATIENCE: Duration = Duration::from_secs(8);

const LOOK: Duration = Duration::from_millis(100);

/// Who sees to signals.
enum Watch {
    Nobody,
    /// The supervisor; the number is how often its loop has turned.
    Supervisor(Arc<AtomicU64>),
    /// The publisher, which brings a shard into place however long that takes.
    Publisher,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch::Nobody);

/// While it lives, signals are the supervisor's business, as long as its loop turns.
pub struct Supervised(());

impl Supervised {
    pub fn begin(turns: Arc<AtomicU64>) -> Self {
        *watch() = Watch::Supervisor(turns);
        Self(())
    }

    /// The supervisor has ended, the publisher has not.
    pub fn publishing(&self) {
        *watch() = Watch::Publisher;
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        *watch() = Watch::Nobody;
    }
}

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end_what_hangs(interrupted: &AtomicBool) {
    let mut waited = Duration::ZERO;
    let mut seen = None;
    while waited < PATIENCE {
        thread::sleep(LOOK);
        let is_seen_to = match &*watch() {
            Watch::Nobody => false,
            Watch::Supervisor(turns) => {
                let turns = Some(turns.load(Ordering::Relaxed));
                std::mem::replace(&mut seen, turns) != turns
            }
            Watch::Publisher => true,
        };
        let waits = interrupted.load(Ordering::Relaxed) && !is_seen_to;
        waited = if waits { waited + LOOK } else { Duration::ZERO };
    }
    // Standard error may be closed, or be what hangs; the exit code says it then.
    let told = thread::spawn(|| {
        let mut errors = std::io::stderr();
        let _ = writeln!(
            errors,
            "paused while it waited for the system: the same command goes on"
        );
    });
    let mut left = LOOK;
    while !told.is_finished() && left > Duration::ZERO {
        left = left.saturating_sub(LOOK / 10);
        thread::sleep(LOOK / 10);
    }
    platform::exit_now(i32::from(ExitCode::Paused as u8));
}
