//! Finds the ONNX Runtime library and loads it, once per process.
//!
//! `ort` panics when it has to look for a library itself, so nothing of it is touched before
//! [`environment`] has succeeded.
//!
//! The library's telemetry is on by default, on Unix too since 1.29: creating an environment writes
//! a device id and an event store into the user's cache and sends process name and system to its
//! maker, before `with_telemetry(false)` can have an effect. Only a variable, read when the
//! environment is created, prevents that: see [`forbid_telemetry`].

use super::embedded;
use super::error::{EncodeError, said};
use crate::named_file;
use crate::profile::encoders::EncoderChoice;
use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the library came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeOrigin {
    /// Carried by this binary and unpacked into the user's cache.
    Embedded,
    /// Named by the user.
    Named,
}

/// The library in use, for people (`doctor`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    pub path: PathBuf,
    pub origin: RuntimeOrigin,
    /// As the library tells it, for instance `1.31.1`.
    pub version: String,
}

struct Loaded {
    environment: Environment,
    info: RuntimeInfo,
    /// As asked for: `None` is the embedded library.
    wanted: Option<PathBuf>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// Loads the library, if that has not been done yet, and says which one it is.
///
/// # Errors
/// The `Runtime*` variants of [`EncodeError`].
pub fn runtime_info(choice: &EncoderChoice) -> Result<RuntimeInfo, EncodeError> {
    with_loaded(choice.ort_lib.as_deref(), |loaded| loaded.info.clone())
}

/// The variable that keeps the runtime from collecting, storing and sending anything.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Switches the runtime's telemetry off for this process and its children. Call it first thing in
/// `main`, while there is one thread; loading the runtime does it again for those who did not.
pub fn forbid_telemetry() {
    if std::env::var_os(NO_TELEMETRY).is_some_and(|value| value == "1") {
        return;
    }
    // SAFETY: in `main` there is no other thread. Where loading comes here first (tests), threads of
    // ours read variables through the standard library only, which takes the same lock.
    unsafe { std::env::set_var(NO_TELEMETRY, "1") };
}

/// The process's one environment.
pub(super) fn environment(ort_lib: Option<&Path>) -> Result<Environment, EncodeError> {
    with_loaded(ort_lib, |loaded| loaded.environment.clone())
}

fn with_loaded<T>(
    ort_lib: Option<&Path>,
    read: impl FnOnce(&Loaded) -> T,
) -> Result<T, EncodeError> {
    // A panic while loading leaves `None`, which is a sound state.
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
            open_library(path).map_err(|reason| bad(path, reason))?;
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
        // Its own lines on standard error are coloured. What matters in them comes as an error as well.
        .with_logger(Arc::new(|level, _, _, _, text| {
            tracing::trace!(?level, "{text}");
        }))
        .build()
        .map_err(|error| bad(&path, said(&error)))?;
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

/// Maps the library into this process, where it stays, or says in the system's words why that cannot be.
fn open_library(path: &Path) -> Result<(), String> {
    named_file::open(path).map_err(|error| error.to_string())?;
    // SAFETY: the library is about to be used; its initialisers run now rather than a moment later.
    let library = unsafe { libloading::Library::new(path) };
    let library = library.map_err(|error| in_full(&error))?;
    // What is loaded twice is mapped once; unloading it would run its end and its beginning again.
    std::mem::forget(library);
    Ok(())
}

/// The error with its cause: the first says that loading failed, the second why.
fn in_full(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// On Unix a loaded library needs its name no more; Windows keeps the file until the process ends,
/// so it stays behind in the temporary directory.
fn remove_or_leave(private: tempfile::TempDir) {
    if cfg!(unix) {
        drop(private);
    } else {
        let _ = private.keep();
    }
}

/// `ort` resolves relative paths against the executable's directory; users mean the current one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The version that the loaded library states. `ort` reads it but does not hand it out.
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
