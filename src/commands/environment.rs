//! What the environment says about devices and libraries, read once for the engine, which reads no environment.

use crate::encode::LibraryPaths;
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
