//! What the environment says about devices and libraries, read once for the engine, which reads no environment.

use crate::encode::LibraryPaths;
use crate::exit_code::{Exit, ExitCode};
use std::path::{Path, PathBuf};

/// Output folder of builds, relative to the working directory.
pub const DEFAULT_OUT_DIR: &str = "genomes";

/// Return where to look for a runtime for CUDA: beside this program, in the active virtual or conda environment, and among
/// the packages that pip has installed for this user.
pub fn library_paths() -> LibraryPaths {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let python = [
        variable("VIRTUAL_ENV"),
        variable("CONDA_PREFIX"),
        variable("HOME").map(|home| home.join(".local")),
    ];
    LibraryPaths {
        program: program
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned),
        python: python.into_iter().flatten().collect(),
        python_versions: variable("APPDATA").map(|data| data.join("Python")),
    }
}

/// Return the devices that CUDA counts; `None`: all.
pub fn visible_devices() -> Option<String> {
    std::env::var("CUDA_VISIBLE_DEVICES").ok()
}

/// Return the output folder that builds use unless a flag names another.
pub fn out_dir() -> PathBuf {
    let set = std::env::var_os("HELIX_BUILD_OUT_DIR").filter(|set| !set.is_empty());
    PathBuf::from(set.unwrap_or_else(|| DEFAULT_OUT_DIR.into()))
}

/// Return the key that encoder servers ask for, from `HELIX_BUILD_ENCODER_KEY`; `None` if it is not set or empty.
pub fn encoder_key() -> anyhow::Result<Option<String>> {
    let Some(key) = std::env::var_os("HELIX_BUILD_ENCODER_KEY") else {
        return Ok(None);
    };
    let key = key.to_str().map(str::trim).unwrap_or("\u{fffd}");
    match key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(key.to_owned()).filter(|key| !key.is_empty())),
        false => Err(Exit::error(
            ExitCode::Usage,
            "HELIX_BUILD_ENCODER_KEY holds a character that no key has: set it to the key alone, or unset it",
        )),
    }
}
