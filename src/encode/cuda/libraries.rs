//! The libraries that running on CUDA takes: where they are looked for, what is missing, and what installs it.
//!
//! Three layers: an ONNX Runtime built for CUDA (its provider is a library of its own beside it), NVIDIA's CUDA
//! libraries, and the driver. They are loaded here by path, in the order in which they need each other, before
//! the provider is: then the system finds them loaded, wherever they lie.

use libloading::Library;
use std::path::{Path, PathBuf};

/// The provider, beside the runtime.
#[cfg(not(windows))]
const PROVIDER: &str = "libonnxruntime_providers_cuda.so";
#[cfg(windows)]
const PROVIDER: &str = "onnxruntime_providers_cuda.dll";

/// The runtime itself, as pip installs it.
#[cfg(not(windows))]
const RUNTIME: &str = "libonnxruntime.so.1.31.1";
#[cfg(windows)]
const RUNTIME: &str = "onnxruntime.dll";

/// A library that the provider of ONNX Runtime 1.31 is linked with (its DT_NEEDED entries) or opens by itself.
struct Needed {
    file: &'static str,
    /// The package of PyPI that has it; none has the driver.
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

/// Whether the runtime at this path comes with the CUDA provider.
fn has_provider(runtime: &Path) -> bool {
    // A link elsewhere is followed by the loader as well.
    let real = runtime.canonicalize();
    let beside = |path: &Path| path.with_file_name(PROVIDER).is_file();
    beside(runtime) || real.is_ok_and(|path| beside(&path))
}

/// Loads what the provider of this runtime needs, for good.
///
/// # Errors
/// For people: what is missing, and the command that installs it.
pub(super) fn load(runtime: &Path) -> Result<(), String> {
    if !has_provider(runtime) {
        return Err(cpu_only(runtime));
    }
    let folders = wheel_folders(runtime);
    let missing: Vec<&Needed> = NEEDED
        .iter()
        .filter(|library| !load_from(&folders, library.file))
        .collect();
    let files: Vec<_> = missing.iter().map(|library| library.file).collect();
    let mut wheels: Vec<_> = missing.iter().filter_map(|library| library.wheel).collect();
    wheels.dedup();
    match (files.as_slice(), wheels.as_slice()) {
        ([], _) => Ok(()),
        (_, []) => Err(format!(
            "{} is missing: it comes with the NVIDIA driver, which is not installed here, or not passed into this \
             container",
            files.join(", ")
        )),
        (_, wheels) => Err(format!(
            "{} cannot be loaded; install {}: pip install {}",
            files.join(", "),
            match missing.iter().any(|library| library.wheel.is_none()) {
                true => "the NVIDIA driver, and beside the runtime",
                false => "beside the runtime",
            },
            wheels.join(" ")
        )),
    }
}

fn cpu_only(runtime: &Path) -> String {
    format!(
        "the ONNX Runtime {} is built for the CPU alone ({PROVIDER} is not beside it); {}",
        runtime.display(),
        install_runtime()
    )
}

/// What to do without a runtime for CUDA.
fn install_runtime() -> String {
    format!(
        "pip install \"onnxruntime-gpu[cuda,cudnn]==1.31.1\" has one, which is found in the active \
         virtual environment, or where --ort-lib names its onnxruntime/capi/{RUNTIME}"
    )
}

/// Loads a library and leaves it loaded: from one of the folders, else wherever the system finds it.
fn load_from(folders: &[PathBuf], file: &str) -> bool {
    let named = folders.iter().map(|folder| folder.join(file));
    let candidates = named
        .filter(|path| path.is_file())
        .chain([PathBuf::from(file)]);
    for path in candidates {
        // SAFETY: NVIDIA's libraries, which the provider would load in the same way; their initialisers set up
        // tables and start nothing.
        if let Ok(library) = unsafe { Library::new(&path) } {
            std::mem::forget(library);
            return true;
        }
    }
    false
}

/// Where pip puts NVIDIA's libraries, beside a runtime that pip has installed:
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

/// The runtime for a device: `named` if there is one, else what is found.
pub(super) fn choose(named: Option<&Path>) -> Result<PathBuf, String> {
    match named {
        Some(named) if has_provider(named) => Ok(named.to_owned()),
        Some(named) => Err(cpu_only(named)),
        None => find_runtime().ok_or_else(|| {
            let install = install_runtime();
            format!("the built-in ONNX Runtime is for the CPU alone; {install}")
        }),
    }
}

/// Where a runtime for CUDA is looked for when none is named: beside this program, in the active virtual or conda
/// environment, and among the packages that pip has installed for this user.
fn find_runtime() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let environments = [
        variable("VIRTUAL_ENV"),
        variable("CONDA_PREFIX"),
        variable("HOME").map(|home| home.join(".local")),
    ];
    let packages = environments.iter().flatten().flat_map(|environment| {
        let versions = entries(&environment.join("lib"));
        let unix = versions.into_iter().map(|v| v.join("site-packages"));
        unix.chain([environment.join("Lib").join("site-packages")])
    });
    // pip's folder of this user on Windows holds one for each version of Python.
    let users = variable("APPDATA").map(|data| entries(&data.join("Python")));
    let users = users.into_iter().flatten();
    let packages = packages.chain(users.map(|version| version.join("site-packages")));
    let wheels = packages.map(|folder| folder.join("onnxruntime").join("capi"));
    let mut folders = beside.map(Path::to_owned).into_iter().chain(wheels);
    folders.find_map(|folder| runtime_in(&folder))
}

/// The runtime of a folder that has the provider as well.
fn runtime_in(folder: &Path) -> Option<PathBuf> {
    let is_runtime = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.so") || name == "onnxruntime.dll"
    };
    let found = entries(folder).into_iter().find(is_runtime)?;
    has_provider(&found).then_some(found)
}

/// What a folder holds, sorted; nothing if it cannot be read.
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
        let packages = tempfile::tempdir().expect("a temporary directory");
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
    fn a_runtime_for_the_cpu_is_told_from_one_for_cuda() {
        let (_packages, runtime) = installed(false);
        assert!(!has_provider(&runtime));
        assert_eq!(runtime_in(runtime.parent().expect("a folder")), None);
        let error = load(&runtime).expect_err("there is no provider");
        assert!(error.contains("built for the CPU alone") && error.contains("pip install"));
        let (_packages, runtime) = installed(true);
        assert!(has_provider(&runtime));
        assert_eq!(
            runtime_in(runtime.parent().expect("a folder")),
            Some(runtime)
        );
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
    fn a_library_that_is_none_counts_as_missing() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        fs::write(folder.path().join("libno-such-library.so.1"), "text").expect("written");
        let folders = [folder.path().to_owned()];
        assert!(!load_from(&folders, "libno-such-library.so.1"));
    }
}
