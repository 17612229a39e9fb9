//! Python, its packages and the models, kept in the target folder.

use crate::world::{World, without_cargos_library_folders};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const GENERATOR: &str = "tools/make_models.py";

/// The models that the variants take from `tools/make_models.py`.
const MODELS: [&str; 9] = [
    "tiny",
    "tiny-pooled",
    "tiny-topk",
    "minilm",
    "bge-like",
    "typed",
    "e5-like",
    "modern-like",
    "qwen-like",
];

/// A Python with the packages of `tests/reference/requirements.txt`, and models made with it.
pub struct Tools {
    pub python: PathBuf,
    pub models: PathBuf,
}

impl Tools {
    /// Makes both where they are not there yet; they stay in the target folder. Holds a lock meanwhile:
    /// tests run side by side.
    pub fn ready() -> Result<Self, String> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference");
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let lock = File::create(folder.join("lock")).map_err(|e| e.to_string())?;
        lock.lock().map_err(|e| e.to_string())?;

        let requirements = repository.join("tests/reference/requirements.txt");
        let generator = repository.join(GENERATOR);
        let [packages, models] = [
            key(&[&requirements], &[]),
            key(&[&requirements, &generator], &MODELS),
        ];
        let venv = folder.join(format!("venv-{packages}"));
        let models = folder.join(format!("models-{models}"));
        remove_all_but(&folder, &[&venv, &models]);
        let python = venv.join(if cfg!(windows) {
            "Scripts/python.exe"
        } else {
            "bin/python"
        });
        // A venv rests on the Python that made it, which may be gone.
        if run(Command::new(&python).arg("--version")).is_err() {
            let _ = fs::remove_dir_all(&venv);
        }
        once(&venv, || {
            let system = system_python()?;
            run(Command::new(system).args(["-m", "venv"]).arg(&venv))?;
            let mut pip = Command::new(&python);
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ]);
            run(pip.arg(&requirements))
        })?;
        once(&models, || {
            run(Command::new(&python)
                .arg(&generator)
                .arg(&models)
                .args(MODELS))
        })?;
        Ok(Self { python, models })
    }

    /// A folder with the named model as it was made and `toml` besides what it says itself. The graph
    /// stays where it is, where links can be made.
    pub fn model(&self, world: &World, kind: &str, (name, toml): (&str, &str)) -> PathBuf {
        let made = self.models.join(name);
        if toml.is_empty() {
            return made;
        }
        let folder = world.path(&format!("{kind}-{name}"));
        for file in crate::world::files_below(&made) {
            let there = made.join(&file);
            #[cfg(unix)]
            if file.starts_with("model.onnx") {
                fs::create_dir_all(&folder).expect("made");
                std::os::unix::fs::symlink(&there, folder.join(&file)).expect("linked");
                continue;
            }
            let bytes = fs::read(there).expect("reads");
            world.write(&format!("{kind}-{name}/{file}"), bytes);
        }
        let path = folder.join("helix-model.toml");
        let stated = fs::read_to_string(&path).expect("reads");
        let given: Vec<&str> = toml.lines().filter_map(|l| l.split('=').next()).collect();
        let kept = stated
            .lines()
            .filter(|line| !given.iter().any(|key| line.starts_with(key)));
        let text = format!("{}\n{toml}\n", kept.collect::<Vec<_>>().join("\n"));
        fs::write(&path, text).expect("writes");
        folder
    }

    pub fn compare(&self, world: &World, arguments: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/compare.py");
        let output = without_cargos_library_folders(&mut Command::new(&self.python))
            .arg(script)
            .args(arguments)
            .current_dir(world.path(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Idle threads of the library spin, and glibc gives each large array back to the system at once.
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("MALLOC_MMAP_THRESHOLD_", "1073741824")
            .env("MALLOC_TRIM_THRESHOLD_", "4294967296")
            .output()
            .expect("starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
    }
}

/// A short hash of these files and names.
fn key(files: &[&Path], names: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for file in files {
        hash.update(&fs::read(file).expect("reads"));
    }
    hash.update(names.join(" ").as_bytes());
    hash.finalize().to_hex()[..12].to_owned()
}

/// Runs `make` unless it has once come to its end for this folder.
fn once(folder: &Path, make: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let done = folder.join("complete");
    if done.is_file() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(folder);
    make()?;
    fs::write(done, "").map_err(|e| e.to_string())
}

/// What earlier versions left.
fn remove_all_but(folder: &Path, kept: &[&PathBuf]) {
    for entry in fs::read_dir(folder).expect("lists").flatten() {
        if entry.path().is_dir() && !kept.contains(&&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Python 3.11 or later, by the names it has.
fn system_python() -> Result<&'static str, String> {
    const RECENT: &str = "import sys, venv; sys.exit(sys.version_info < (3, 11))";
    ["python3", "python"]
        .into_iter()
        .find(|name| run(Command::new(name).args(["-c", RECENT])).is_ok())
        .ok_or_else(|| "no Python 3.11 or later with the module venv".to_owned())
}

pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {errors}"))
}
