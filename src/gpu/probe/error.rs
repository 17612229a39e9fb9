//! Why a probe has no reading, for people.

use std::process::ExitStatus;
use std::time::Duration;

/// Why there is no reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The message of the driver.
    #[error("{0}")]
    Driver(String),
    #[error("{used_bytes} of {total_bytes} bytes in use")]
    Impossible { used_bytes: u64, total_bytes: u64 },
    #[error("shell: {0}")]
    Shell(String),
    #[error("did not end within {0:?}")]
    CommandTimeout(Duration),
    #[error("{0}")]
    CommandFailed(ExitStatus),
    /// A process that the command started has left its process group.
    #[error("something that the command started still holds its output")]
    OutputHeld,
    #[error("its process does not end")]
    NotReaped,
    #[error("not \"USED TOTAL\": {0:?}")]
    Garbage(String),
    /// An error of the system.
    #[error("{0}")]
    Io(String),
}

impl ProbeError {
    pub(super) fn io(error: &std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}
