//! Loads the ONNX Runtime library, once per process.
//!
//! `ort` panics if it has to look for a library itself, so nothing of it is used before [`environment`] has succeeded.
//!
//! The library's telemetry is on by default, on Unix too since 1.29: creating an environment writes a device id and an
//! event store into the user's cache and sends process name and system to its maker, before `with_telemetry(false)` can
//! have an effect. Only an environment variable, read when the environment is created, prevents that: see
//! [`forbid_telemetry`].
//!
//! Of the process's environment, this module reads that variable; [`embedded`] asks the platform for the user's folders
//! of cached and temporary files. Imports, from the bottom: `embedded`, this file.

mod embedded;

pub use embedded::embedded_runtime;

use super::error::{EncodeError, message};
use crate::named_file;
use crate::profile::encoders::EncoderChoice;
use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeOrigin {
    /// Contained in this binary and unpacked into the user's cache.
    Embedded,
    /// Named by the user.
    Named,
}

/// The library in use, for people (`doctor`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    pub path: PathBuf,
    pub origin: RuntimeOrigin,
    /// As the library reports it, for instance `1.31.1`.
    pub version: String,
}

struct Loaded {
    environment: Environment,
    info: RuntimeInfo,
    /// As requested: `None` is the embedded library.
    wanted: Option<PathBuf>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// Load the library, unless it is loaded, and return which one it is.
///
/// # Errors
/// The `Runtime*` variants of [`EncodeError`].
pub fn runtime_info(choice: &EncoderChoice) -> Result<RuntimeInfo, EncodeError> {
    with_loaded(choice.ort_lib.as_deref(), |loaded| loaded.info.clone())
}

/// The variable that stops the runtime from collecting, storing and sending data.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Turn the runtime's telemetry off for this process and its children. Call it first in `main`, while there is one thread.
/// Loading the runtime does it for programs that did not.
pub fn forbid_telemetry() {
    if std::env::var_os(NO_TELEMETRY).is_some_and(|value| value == "1") {
        return;
    }
    // SAFETY: in `main` there is no other thread. If loading the runtime comes here first (tests), our threads read
    // variables through the standard library only, which takes the same lock.
    unsafe { std::env::set_var(NO_TELEMETRY, "1") };
}

/// Return the one environment of this process.
pub(super) fn environment(ort_lib: Option<&Path>) -> Result<Environment, EncodeError> {
    with_loaded(ort_lib, |loaded| loaded.environment.clone())
}

fn with_loaded<T>(
    ort_lib: Option<&Path>,
    read: impl FnOnce(&Loaded) -> T,
) -> Result<T, EncodeError> {
    // A panic while loading leaves `None`, which is valid.
    let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = ort_lib.map(absolute);
    match &*slot {
        Some(loaded) if loaded.wanted == wanted => Ok(read(loaded)),
        Some(loaded) => Err(EncodeError::RuntimeTaken {
            loaded: loaded.info.path.display().to_string(),
            wanted: wanted.map_or("the embedded one".to_owned(), |p| p.display().to_string()),
        }),
        None => Ok(read(slot.insert(load(wanted)?))),
    }
}

fn load(wanted: Option<PathBuf>) -> Result<Loaded, EncodeError> {
    forbid_telemetry();
    let (path, origin, private) = match &wanted {
        Some(path) => {
            open_library(path).map_err(|error| bad(path, error.to_string()))?;
            (path.clone(), RuntimeOrigin::Named, None)
        }
        None => {
            let library = embedded::embedded().ok_or(EncodeError::RuntimeMissing)?;
            let (unpacked, ()) = library.unpack(open_library)?;
            (unpacked.path, RuntimeOrigin::Embedded, unpacked.private)
        }
    };
    let environment = ort::init_from(&path)
        .map_err(|error| bad(&path, error.to_string()))?
        .with_name("helix-build")
        .with_telemetry(false)
        // Its own lines on standard error are coloured, and repeat what errors say.
        .with_logger(Arc::new(|level, _, _, _, text| {
            tracing::trace!(?level, "{text}");
        }))
        .build()
        .map_err(|error| bad(&path, message(&error)))?;
    let info = RuntimeInfo {
        version: version(&path).map_err(|error| bad(&path, error.to_string()))?,
        path: path.clone(),
        origin,
    };
    if let Some(private) = private {
        remove_or_leave(private);
    }
    Ok(Loaded {
        environment,
        info,
        wanted,
    })
}

fn bad(path: &Path, reason: String) -> EncodeError {
    EncodeError::RuntimeBad {
        path: path.to_owned(),
        reason,
    }
}

/// A library that cannot be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// The first part says that loading failed, the second why.
    #[error("{0}{cause}", cause = cause(.0))]
    Refused(libloading::Error),
}

fn cause(error: &libloading::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}

/// Load the library into this process, where it stays.
fn open_library(path: &Path) -> Result<(), LoadError> {
    named_file::open(path).map_err(LoadError::Unreadable)?;
    // SAFETY: the library is about to be used; its initialisers run now rather than a moment later.
    let library = unsafe { libloading::Library::new(path) };
    let library = library.map_err(LoadError::Refused)?;
    // Unloading it would run its finalisers, and its initialisers again when `ort` loads it.
    std::mem::forget(library);
    Ok(())
}

/// Remove a private copy. Windows keeps the file of a loaded library until the process ends, so it stays in the temporary
/// directory there.
fn remove_or_leave(private: tempfile::TempDir) {
    if cfg!(unix) {
        drop(private);
    } else {
        let _ = private.keep();
    }
}

/// Resolve a path against the current directory, where `ort` would use that of the executable.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Return the version that the loaded library reports. `ort` reads it but does not return it.
fn version(path: &Path) -> Result<String, libloading::Error> {
    // SAFETY: this library is loaded already, so no initialiser runs. `OrtGetApiBase` and the table
    // it returns are its stable C interface, which `ort` has just used; the version is a static,
    // NUL-terminated string.
    unsafe {
        let library = libloading::Library::new(path)?;
        let base: libloading::Symbol<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase")?;
        let text = ((*base()).GetVersionString)();
        Ok(std::ffi::CStr::from_ptr(text)
            .to_string_lossy()
            .into_owned())
    }
}
