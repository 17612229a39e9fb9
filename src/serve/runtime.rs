//! The asynchronous runtime of the process, and the signals that end it.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// Return a runtime with one thread: parsing and printing is little work, and encoders and searches have threads of
/// their own.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Wait for SIGINT or SIGTERM (elsewhere: Ctrl-C). The handlers are in place when this returns the future.
#[cfg(unix)]
pub fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Wait for Ctrl-C.
#[cfg(not(unix))]
pub fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        let _ = interrupt.recv().await;
    })
}
