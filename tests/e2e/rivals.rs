//! Two workers with the same segment, two publications of the same shard: one valid result.

use crate::live::{DEADLINE, Dice, signal};
use crate::world::{World, count};
use helix_build::encode;
use helix_build::file::{FileEntry, RelPath};
use helix_build::ids::{Digest, SegmentId, ShardId, WorkerId};
use helix_build::profile::Limits;
use helix_build::profile::encoders::{EncoderChoice, ModelSource};
use helix_build::profile::recipe::{Recipe, encoder_fingerprint};
use helix_build::protocol::{
    FailureKind, FromWorker, SegmentTask, ToWorker, WorkerSetup, build_id, read_frame, write_frame,
};
use helix_build::publish::{ShardPublisher, register};
use helix_build::store::routing::{RoutingDb, registered_shards};
use helix_build::store::segment::SegmentReader;
use helix_build::store::shard::{Root, ShardHeader};
use helix_build::store::verify::{Level, verify};
use rustix::process::Signal;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a worker of this build is told.
fn setup() -> WorkerSetup {
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
            follow_links: false,
        },
        file_patience: Duration::from_secs(60),
        memory_limit: 0,
        reuse: Vec::new(),
    }
}

/// The files of `root0`, as a segment.
fn task(world: &World) -> SegmentTask {
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
        quarantined: Vec::new(),
        careful: false,
    }
}

/// A worker process that a test speaks to as a supervisor does.
struct Rival {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<Mutex<Vec<FromWorker>>>,
    reader: Option<JoinHandle<()>>,
    killed: bool,
}

impl Rival {
    fn start(failpoints: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_helix-build"))
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

    fn heard(&self, is_it: impl Fn(&FromWorker) -> bool) -> bool {
        self.heard.lock().expect("whole").iter().any(is_it)
    }

    fn is_ready(&self) -> bool {
        self.heard(|m| matches!(m, FromWorker::Ready { .. }))
    }

    fn is_done(&self) -> bool {
        self.heard(|m| matches!(m, FromWorker::Done { .. }))
    }

    fn give(&mut self, task: &SegmentTask) {
        let stdin = self.stdin.as_mut().expect("open");
        write_frame(stdin, &ToWorker::Segment(Box::new(task.clone()))).expect("sent");
    }

    fn kill(&mut self) {
        self.killed = true;
        signal(self.child.id(), Signal::KILL);
    }

    /// Waits until it has done its work, has given up, or is dead.
    fn wait(&mut self) {
        wait("a worker's answer", || {
            let answered =
                self.heard(|m| matches!(m, FromWorker::Done { .. } | FromWorker::Failed(_)));
            answered || matches!(self.child.try_wait(), Ok(Some(_)))
        });
    }

    /// Lets it go; what it said last, when it failed.
    fn end(&mut self) -> Option<(FailureKind, String)> {
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

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "waited for {what}");
        thread::sleep(Duration::from_micros(500));
    }
}

/// Publishes the segment, whoever else does, and returns the digest.
fn publish(folder: &Path, task: &SegmentTask) -> Digest {
    let setup = setup();
    let header = ShardHeader {
        label: task.shard_label.clone(),
        roots: vec![Root {
            label: task.root_label.clone(),
            path: task.root_path.to_string_lossy().into_owned(),
        }],
        fingerprint: setup.fingerprint,
        encoder_fingerprint: setup.encoder_fingerprint,
        tool_version: "test".to_owned(),
        encoder: "{}".to_owned(),
        recipe: "{}".to_owned(),
        // One build has one time, so that its attempts write the same bytes.
        epoch: 1.0,
        sorter_threads: 0,
    };
    let target = folder.join("shards/root0.genome.db");
    let paths: Vec<_> = task.files.iter().map(|f| f.path.clone()).collect();
    let mut publisher = ShardPublisher::begin(&target, header, Arc::default()).expect("begun");
    publisher.load(&task.path, 0, &paths).expect("loaded");
    let shard = publisher.finish().expect("published");
    let database = folder.join("main.genome.db");
    let mut routing = RoutingDb::open_or_create(&database, 1.0).expect("opens");
    register(&mut routing, &shard).expect("registered");
    shard.digest
}

/// What is published in `folder` is sound, whole and this.
fn check_published(folder: &Path, expected: Digest, context: &str) {
    let report = verify(&folder.join("main.genome.db"), Level::Full).expect("an index");
    assert!(report.is_sound(), "{context}: {report:?}");
    let shards = registered_shards(&folder.join("main.genome.db")).expect("listed");
    assert_eq!(shards.len(), 1, "{context}");
    assert_eq!(shards[0].build.expect("ours").digest, expected, "{context}");
    let mut files = crate::world::files_below(&folder.join("shards"));
    files.retain(|name| name != "root0.genome.db");
    assert!(files.is_empty(), "{context}: {files:?}");
}

/// The segment file holds every file.
fn is_whole(task: &SegmentTask) -> bool {
    let Ok(reader) = SegmentReader::open(&task.path) else {
        return false;
    };
    let ledger = reader.ledger().expect("readable");
    ledger.len() == task.files.len()
        && task
            .files
            .iter()
            .all(|file| ledger.iter().any(|record| record.entry == *file))
}

/// A commit for every file, and pauses of chance lengths where two could meet.
fn pauses(dice: &mut Dice) -> String {
    let mut failpoints = "sink::group=return(skip)".to_owned();
    for point in [
        "segment::open",
        "segment::clear",
        "segment::create",
        "segment::reopen",
        "segment::opened",
        "sink::finish",
        "sink::finished",
    ] {
        if dice.roll(2) == 0 {
            failpoints.push_str(&format!(";{point}=sleep({})", dice.roll(12)));
        }
    }
    if dice.roll(3) == 0 {
        failpoints.push_str(";sink::commit=sleep(1)");
    }
    failpoints
}

#[test]
fn two_workers_with_one_segment_give_one_valid_result() {
    let (mut dice, seed) = Dice::seeded(4_004);
    let world = World::corpus(1, 12);
    let out = world.path("out");
    let publish_to = |n: u32| -> PathBuf { world.path(&format!("published-{n}")) };
    let mut task = task(&world);
    let expected = {
        fs::create_dir_all(&out).expect("a folder");
        let mut worker = Rival::start("");
        worker.give(&task);
        worker.wait();
        assert!(worker.is_done() && worker.end().is_none());
        publish(&publish_to(0), &task)
    };
    check_published(&publish_to(0), expected, "alone");
    let rounds = count(40, 500);
    let (mut kills, mut refused, mut twice, mut redone) = (0, 0, 0, 0);
    for round in 1..=rounds {
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).expect("a folder");
        task.careful = dice.roll(5) == 0;
        let mut rivals = [
            Rival::start(&pauses(&mut dice)),
            Rival::start(&pauses(&mut dice)),
        ];
        wait("both to be ready", || rivals.iter().all(Rival::is_ready));
        // What each is told to do, and when, in microseconds.
        let mut deeds = vec![(0, 0, false), (dice.roll(2) * dice.roll(40_000), 1, false)];
        let context = format!("seed {seed}, round {round}");
        let first = dice.roll(2) as usize;
        if dice.roll(3) > 0 {
            deeds.push((dice.roll(50_000), first, true));
            if dice.roll(3) == 0 {
                deeds.push((dice.roll(50_000), 1 - first, true));
            }
        }
        deeds.sort_unstable();
        let began = Instant::now();
        for (at, rival, is_kill) in deeds {
            thread::sleep(Duration::from_micros(at).saturating_sub(began.elapsed()));
            if is_kill {
                kills += 1;
                rivals[rival].kill();
            } else if !rivals[rival].killed {
                rivals[rival].give(&task);
            }
        }
        // A supervisor loads a segment as soon as one worker says that it is done.
        wait("one to be done, or both to end", || {
            rivals.iter().any(Rival::is_done)
                || rivals
                    .iter_mut()
                    .all(|r| matches!(r.child.try_wait(), Ok(Some(_))))
        });
        let folder = publish_to(round);
        let n_done = rivals.iter().filter(|r| r.is_done()).count();
        if n_done > 0 {
            let found = publish(&folder, &task);
            assert_eq!(found, expected, "{context}");
        }
        for rival in &mut rivals {
            rival.wait();
        }
        let n_done = rivals.iter().filter(|r| r.is_done()).count();
        twice += u32::from(n_done == 2);
        for rival in &mut rivals {
            if let Some((kind, text)) = rival.end() {
                refused += 1;
                // Worth another try in a fresh process, which is what the supervisor gives it.
                assert_eq!(kind, FailureKind::Internal, "{context}: {text}");
                assert!(
                    text.contains("in use by another process"),
                    "{context}: {text}"
                );
            } else {
                assert!(rival.killed || rival.is_done(), "{context}");
            }
        }
        if n_done == 0 {
            redone += 1;
            let mut worker = Rival::start("");
            worker.give(&task);
            worker.wait();
            assert!(worker.is_done(), "{context}: {:?}", worker.heard);
            assert_eq!(worker.end(), None, "{context}");
        }
        assert!(is_whole(&task), "{context}: files are missing");
        let found = publish(&folder, &task);
        assert_eq!(found, expected, "{context}");
        check_published(&folder, expected, &context);
        let _ = fs::remove_dir_all(&folder);
    }
    println!(
        "seed {seed}: {rounds} interleavings, {kills} kills, both done {twice} times, refused {refused} times, begun again {redone} times"
    );
}

#[test]
fn a_segment_that_another_worker_keeps_is_refused_and_stays_as_it_is() {
    let world = World::corpus(1, 12);
    fs::create_dir_all(world.path("out")).expect("a folder");
    let task = task(&world);
    let opened = |rival: &Rival| rival.heard(|m| matches!(m, FromWorker::Opened { .. }));
    let mut keeper = Rival::start("worker::encode=sleep(20)");
    keeper.give(&task);
    wait("the segment to be opened", || opened(&keeper));
    signal(keeper.child.id(), Signal::STOP);
    let mut second = Rival::start("");
    second.give(&task);
    second.wait();
    assert!(!opened(&second) && !second.is_done());
    let (kind, text) = second.end().expect("refused");
    // Worth another try in a fresh process, which is what the supervisor gives it.
    assert_eq!(kind, FailureKind::Internal, "{text}");
    assert!(
        text.ends_with("out/0.seg: in use by another process"),
        "{text}"
    );
    signal(keeper.child.id(), Signal::CONT);
    keeper.wait();
    assert!(keeper.is_done() && keeper.end().is_none());
    assert!(is_whole(&task));
}

#[test]
fn two_publications_of_one_shard_give_one_valid_shard() {
    let (mut dice, seed) = Dice::seeded(5_005);
    let world = World::corpus(1, 12);
    fs::create_dir_all(world.path("out")).expect("a folder");
    let task = task(&world);
    let mut worker = Rival::start("");
    worker.give(&task);
    worker.wait();
    assert!(worker.is_done() && worker.end().is_none());
    let expected = publish(&world.path("alone"), &task);
    for round in 0..count(20, 500) {
        let folder = world.path("both");
        let context = format!("seed {seed}, round {round}");
        let delays = [0, dice.roll(20_000)];
        thread::scope(|scope| {
            for delay in delays {
                let (folder, task) = (&folder, &task);
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(delay));
                    publish(folder, task);
                });
            }
        });
        check_published(&folder, expected, &context);
        let _ = fs::remove_dir_all(&folder);
    }
}
