//! Finds and loads the libraries that CUDA needs, and says what is missing and how to install it.
//!
//! There are three layers: an ONNX Runtime built for CUDA, whose provider is a separate library beside it, NVIDIA's CUDA
//! libraries, and the driver. They are loaded by path, in the order of their dependencies, before the provider is: then the
//! system's loader has them, wherever they lie.

use libloading::Library;
use std::path::{Path, PathBuf};

/// The provider, beside the runtime.
#[cfg(not(windows))]
const PROVIDER: &str = "libonnxruntime_providers_cuda.so";
#[cfg(windows)]
const PROVIDER: &str = "onnxruntime_providers_cuda.dll";

/// The runtime, as pip installs it.
#[cfg(all(test, not(windows)))]
const RUNTIME: &str = "libonnxruntime.so.1.31.1";
#[cfg(all(test, windows))]
const RUNTIME: &str = "onnxruntime.dll";

/// How to install a runtime for CUDA.
#[cfg(not(windows))]
const INSTALL_RUNTIME: &str = "run pip install \"onnxruntime-gpu[cuda,cudnn]==1.31.1\" in the active virtual environment, or \
    name its onnxruntime/capi/libonnxruntime.so.1.31.1 with --ort-lib";
#[cfg(windows)]
const INSTALL_RUNTIME: &str = "run pip install \"onnxruntime-gpu[cuda,cudnn]==1.31.1\" in the active virtual environment, or \
    name its onnxruntime/capi/onnxruntime.dll with --ort-lib";

/// A library that the provider of ONNX Runtime 1.31 is linked with (its DT_NEEDED entries) or opens itself.
struct Needed {
    file: &'static str,
    /// The package of PyPI that has it; `None`: the driver has it.
    wheel: Option<&'static str>,
}

/// In the order of loading.
#[cfg(not(windows))]
const NEEDED: [Needed; 7] = [
    needed("libcudart.so.13", Some("nvidia-cuda-runtime~=13.0")),
    needed("libnvrtc.so.13", Some("nvidia-cuda-nvrtc~=13.0")),
    needed("libcublasLt.so.13", Some("nvidia-cublas~=13.0")),
    needed("libcublas.so.13", Some("nvidia-cublas~=13.0")),
    needed("libcurand.so.10", Some("nvidia-curand~=10.0")),
    needed("libcudnn.so.9", Some("nvidia-cudnn-cu13~=9.0")),
    needed("libcuda.so.1", None),
];
#[cfg(windows)]
const NEEDED: [Needed; 7] = [
    needed("cudart64_13.dll", Some("nvidia-cuda-runtime~=13.0")),
    needed("nvrtc64_130_0.dll", Some("nvidia-cuda-nvrtc~=13.0")),
    needed("cublasLt64_13.dll", Some("nvidia-cublas~=13.0")),
    needed("cublas64_13.dll", Some("nvidia-cublas~=13.0")),
    needed("curand64_10.dll", Some("nvidia-curand~=10.0")),
    needed("cudnn64_9.dll", Some("nvidia-cudnn-cu13~=9.0")),
    needed("nvcuda.dll", None),
];

const fn needed(file: &'static str, wheel: Option<&'static str>) -> Needed {
    Needed { file, wheel }
}

/// Whether the runtime at this path has the CUDA provider.
fn has_provider(runtime: &Path) -> bool {
    // The loader follows links as well.
    let real = runtime.canonicalize();
    let beside = |path: &Path| path.with_file_name(PROVIDER).is_file();
    beside(runtime) || real.is_ok_and(|path| beside(&path))
}

/// Why a runtime for CUDA cannot be used, and what to install.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// The runtime lacks the provider.
    #[error(
        "the ONNX Runtime {} is built for the CPU alone ({PROVIDER} is not beside it); {INSTALL_RUNTIME}",
        .runtime.display()
    )]
    NoProvider { runtime: PathBuf },
    /// No runtime was named, and none with the provider was found.
    #[error("the built-in ONNX Runtime is for the CPU alone; {INSTALL_RUNTIME}")]
    NoRuntime,
    /// Libraries that no package has are missing.
    #[error(
        "{} is missing: it comes with the NVIDIA driver, which is not installed here, or not passed into this container",
        .files.join(", ")
    )]
    NoDriver { files: Vec<&'static str> },
    /// Other libraries are missing, perhaps those of the driver as well.
    #[error(
        "{} cannot be loaded; install {}: pip install {}",
        .files.join(", "),
        if *.without_driver { "the NVIDIA driver, and beside the runtime" } else { "beside the runtime" },
        .packages.join(" ")
    )]
    NoLibraries {
        files: Vec<&'static str>,
        without_driver: bool,
        /// Of PyPI.
        packages: Vec<&'static str>,
    },
}

/// Load the libraries that the provider of this runtime needs. They stay loaded.
pub(super) fn load(runtime: &Path) -> Result<(), CudaError> {
    if !has_provider(runtime) {
        let runtime = runtime.to_owned();
        return Err(CudaError::NoProvider { runtime });
    }
    let folders = wheel_folders(runtime);
    let missing: Vec<&Needed> = NEEDED
        .iter()
        .filter(|library| !load_from(&folders, library.file))
        .collect();
    let files: Vec<_> = missing.iter().map(|library| library.file).collect();
    let mut packages: Vec<_> = missing.iter().filter_map(|library| library.wheel).collect();
    packages.dedup();
    match (files.is_empty(), packages.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(CudaError::NoDriver { files }),
        (false, false) => Err(CudaError::NoLibraries {
            files,
            without_driver: missing.iter().any(|library| library.wheel.is_none()),
            packages,
        }),
    }
}

/// Load a library from one of the folders, else from where the system finds it. It stays loaded.
fn load_from(folders: &[PathBuf], file: &str) -> bool {
    let named = folders.iter().map(|folder| folder.join(file));
    let candidates = named
        .filter(|path| path.is_file())
        .chain([PathBuf::from(file)]);
    for path in candidates {
        // SAFETY: these are NVIDIA's libraries, which the provider would load in the same way. Their initialisers set up
        // tables and start nothing.
        if let Ok(library) = unsafe { Library::new(&path) } {
            std::mem::forget(library);
            return true;
        }
    }
    false
}

/// Return the folders in which pip installs NVIDIA's libraries, beside a runtime that pip has installed:
/// `site-packages/onnxruntime/capi/RUNTIME` and `site-packages/nvidia/PART/lib`.
fn wheel_folders(runtime: &Path) -> Vec<PathBuf> {
    let real = runtime
        .canonicalize()
        .unwrap_or_else(|_| runtime.to_owned());
    let Some(packages) = real.ancestors().nth(3) else {
        return Vec::new();
    };
    let parts = entries(&packages.join("nvidia"));
    let inside = |part: PathBuf| [part.join("lib"), part.join("bin"), part.join("bin/x86_64")];
    let folders = parts.into_iter().flat_map(inside);
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Where to look for a runtime if none is named. The caller reads these from its environment.
#[derive(Clone, Debug, Default)]
pub struct LibraryPaths {
    /// The folder of this program.
    pub program: Option<PathBuf>,
    /// Python environments, of which each has its packages below `lib` or `Lib`: the active virtual or conda environment,
    /// and the folder of the user's own packages.
    pub python: Vec<PathBuf>,
    /// On Windows, the folder with one folder of the user's own packages for each version of Python.
    pub python_versions: Option<PathBuf>,
}

/// Find a runtime with the CUDA provider: `named`, else in `paths`. Load nothing.
///
/// # Errors
/// `NoProvider` if `named` lacks it, `NoRuntime` if there is none in `paths`.
pub fn find_runtime(named: Option<&Path>, paths: &LibraryPaths) -> Result<PathBuf, CudaError> {
    match named {
        Some(named) if has_provider(named) => Ok(named.to_owned()),
        Some(named) => Err(CudaError::NoProvider {
            runtime: named.to_owned(),
        }),
        None => paths.runtime().ok_or(CudaError::NoRuntime),
    }
}

impl LibraryPaths {
    fn runtime(&self) -> Option<PathBuf> {
        let packages = self.python.iter().flat_map(|environment| {
            let versions = entries(&environment.join("lib"));
            let unix = versions.into_iter().map(|v| v.join("site-packages"));
            unix.chain([environment.join("Lib").join("site-packages")])
        });
        let versions = self.python_versions.iter().flat_map(|path| entries(path));
        let packages = packages.chain(versions.map(|version| version.join("site-packages")));
        let wheels = packages.map(|folder| folder.join("onnxruntime").join("capi"));
        let mut folders = self.program.clone().into_iter().chain(wheels);
        folders.find_map(|folder| runtime_in(&folder))
    }
}

/// Return the runtime in a folder, if it has the provider.
fn runtime_in(folder: &Path) -> Option<PathBuf> {
    let is_runtime = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.so") || name == "onnxruntime.dll"
    };
    let found = entries(folder).into_iter().find(is_runtime)?;
    has_provider(&found).then_some(found)
}

/// Return the entries of a folder, sorted; none if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder laid out as pip does.
    fn installed(with_provider: bool) -> (tempfile::TempDir, PathBuf) {
        let packages = crate::test_folder::create();
        let capi = packages.path().join("onnxruntime/capi");
        fs::create_dir_all(&capi).expect("folders");
        let runtime = capi.join(RUNTIME);
        fs::write(&runtime, "a library").expect("written");
        if with_provider {
            fs::write(capi.join(PROVIDER), "a library").expect("written");
        }
        (packages, runtime)
    }

    #[test]
    fn a_runtime_without_the_provider_is_refused() {
        let (_packages, runtime) = installed(false);
        assert!(!has_provider(&runtime));
        assert_eq!(runtime_in(runtime.parent().expect("a folder")), None);
        let error = load(&runtime)
            .expect_err("there is no provider")
            .to_string();
        assert!(error.contains("built for the CPU alone") && error.contains("pip install"));
        let (_packages, runtime) = installed(true);
        assert!(has_provider(&runtime));
        assert_eq!(
            runtime_in(runtime.parent().expect("a folder")),
            Some(runtime)
        );
    }

    #[test]
    fn a_runtime_is_found_in_a_python_environment() {
        let environment = crate::test_folder::create();
        let capi = environment
            .path()
            .join("lib/python3.11/site-packages/onnxruntime/capi");
        fs::create_dir_all(&capi).expect("folders");
        fs::write(capi.join(RUNTIME), "a library").expect("written");
        let paths = LibraryPaths {
            python: vec![PathBuf::from("none"), environment.path().to_owned()],
            ..LibraryPaths::default()
        };
        assert!(matches!(
            find_runtime(None, &paths),
            Err(CudaError::NoRuntime)
        ));
        fs::write(capi.join(PROVIDER), "a library").expect("written");
        let found = find_runtime(None, &paths).expect("both are there");
        assert_eq!(found, capi.join(RUNTIME));
    }

    #[test]
    fn nvidias_wheels_are_found_beside_the_runtime() {
        let (packages, runtime) = installed(true);
        let folder = packages.path().join("nvidia/cu13/lib");
        fs::create_dir_all(&folder).expect("folders");
        fs::create_dir_all(packages.path().join("nvidia/cudnn")).expect("folders");
        let found = wheel_folders(&runtime);
        let expected = folder.canonicalize().expect("is there");
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_file_that_is_no_library_counts_as_missing() {
        let folder = crate::test_folder::create();
        fs::write(folder.path().join("libno-such-library.so.1"), "text").expect("written");
        let folders = [folder.path().to_owned()];
        assert!(!load_from(&folders, "libno-such-library.so.1"));
    }
}
