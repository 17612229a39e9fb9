//! A worker process that a test drives as a supervisor does.

use crate::running_build::{DEADLINE, signal};
use crate::world::{World, without_cargos_library_folders};
use helix_build::encode;
use helix_build::failure::FailureKind;
use helix_build::file::{FileEntry, RelPath};
use helix_build::ids::{SegmentId, ShardId, WorkerId};
use helix_build::profile::Limits;
use helix_build::profile::encoders::{EncoderChoice, ModelSource};
use helix_build::profile::recipe::{Recipe, encoder_fingerprint};
use helix_build::protocol::{
    FromWorker, SegmentTask, ToWorker, WorkerSetup, build_id, read_frame, write_frame,
};
use rustix::process::Signal;
use std::fs;
use std::io::BufReader;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a worker of this build is told.
pub fn setup() -> WorkerSetup {
    let encoders = EncoderChoice {
        sparse: ModelSource::None,
        dense: ModelSource::None,
        ..EncoderChoice::default()
    };
    let hashes = encode::describe(&encoders).expect("none").hashes();
    let recipe = Recipe::default();
    WorkerSetup {
        worker: WorkerId(0),
        file_workers: 1,
        fingerprint: recipe.fingerprint(hashes),
        encoder_fingerprint: encoder_fingerprint(hashes),
        encoders,
        recipe,
        limits: Limits {
            min_file_bytes: 1,
            max_file_bytes: 1 << 20,
            ..Limits::default()
        },
        file_timeout: Duration::from_secs(60),
        memory_limit: 0,
        plays_device: false,
        reuse: Vec::new(),
    }
}

/// The files of `root0`, as a segment.
pub fn task(world: &World) -> SegmentTask {
    let root = world.path("root0");
    let mut files: Vec<_> = crate::world::files_below(&root)
        .iter()
        .map(|name| {
            let metadata = fs::metadata(root.join(name)).expect("a file");
            let time = metadata.modified().expect("a time");
            let since = time.duration_since(std::time::UNIX_EPOCH).expect("after");
            FileEntry {
                path: RelPath::from_spelling(name).expect("a path"),
                size: metadata.len(),
                mtime_ns: since.as_nanos() as i64,
            }
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    SegmentTask {
        id: SegmentId {
            shard: ShardId(0),
            index: 0,
        },
        path: world.path("out/0.seg"),
        shard_label: "root0".to_owned(),
        root_label: "root0".to_owned(),
        root_path: root,
        files,
        authored: Vec::new(),
        quarantined: Vec::new(),
        suspect: Vec::new(),
        planned: None,
        careful: false,
    }
}

/// A worker process that a test speaks to as a supervisor does.
pub struct ScriptedWorker {
    pub child: Child,
    stdin: Option<ChildStdin>,
    pub heard: Arc<Mutex<Vec<FromWorker>>>,
    reader: Option<JoinHandle<()>>,
    pub killed: bool,
}

impl ScriptedWorker {
    pub fn start(failpoints: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helix-build"));
        let mut child = without_cargos_library_folders(&mut command)
            .arg("worker")
            .env("FAILPOINTS", failpoints)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("piped");
        let hello = ToWorker::Hello {
            build_id: build_id(),
        };
        write_frame(&mut stdin, &hello).expect("sent");
        write_frame(&mut stdin, &ToWorker::Setup(Box::new(setup()))).expect("sent");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let reader = thread::spawn(move || {
            while let Ok(Some(message)) = read_frame::<FromWorker>(&mut stdout) {
                hears.lock().expect("whole").push(message);
            }
        });
        Self {
            child,
            stdin: Some(stdin),
            heard,
            reader: Some(reader),
            killed: false,
        }
    }

    pub fn heard(&self, is_it: impl Fn(&FromWorker) -> bool) -> bool {
        self.heard.lock().expect("whole").iter().any(is_it)
    }

    pub fn is_ready(&self) -> bool {
        self.heard(|m| matches!(m, FromWorker::Ready { .. }))
    }

    pub fn is_done(&self) -> bool {
        self.heard(|m| matches!(m, FromWorker::SegmentDone { .. }))
    }

    pub fn give(&mut self, task: &SegmentTask) {
        let stdin = self.stdin.as_mut().expect("open");
        write_frame(stdin, &ToWorker::Assign(Box::new(task.clone()))).expect("sent");
    }

    pub fn kill(&mut self) {
        self.killed = true;
        signal(self.child.id(), Signal::KILL);
    }

    /// Waits until it has done its work, has given up, or is dead.
    pub fn wait(&mut self) {
        wait("a worker's answer", || {
            let answered =
                self.heard(|m| matches!(m, FromWorker::SegmentDone { .. } | FromWorker::Failed(_)));
            answered || matches!(self.child.try_wait(), Ok(Some(_)))
        });
    }

    /// Lets it go; what it said last, when it failed.
    pub fn end(&mut self) -> Option<(FailureKind, String)> {
        self.stdin = None;
        wait("a worker's end", || {
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reads");
        }
        self.heard
            .lock()
            .expect("whole")
            .iter()
            .find_map(|m| match m {
                FromWorker::Failed(failure) => Some((failure.kind, failure.text.clone())),
                _ => None,
            })
    }
}

impl Drop for ScriptedWorker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "waited for {what}");
        thread::sleep(Duration::from_micros(500));
    }
}
