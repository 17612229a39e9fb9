//! A build that a test observes and disturbs while it runs.

use crate::world::{BARE, Ran, World};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Every wait of a test ends after this, with a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(1);

/// A place that a process of the build has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub pid: u32,
    pub point: String,
    pub subject: String,
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        Some(Self {
            pid: words.next()?.parse().ok()?,
            point: words.next()?.to_owned(),
            subject: words.next().unwrap_or_default().to_owned(),
        })
    }
}

/// A running build. Its processes are ended with it.
pub struct RunningBuild {
    child: Child,
    trace: PathBuf,
    known: RefCell<Known>,
    ended: bool,
}

/// What has been read of the record of steps: a test looks every millisecond.
#[derive(Default)]
struct Known {
    bytes: u64,
    steps: Arc<[Step]>,
}

/// `build p.toml` into `out` with these flags, without encoders unless `encoders`.
pub fn arguments<'a>(out: &'a str, encoders: bool, flags: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--profile", "p.toml", "--out-dir", out, "--json"];
    if !encoders {
        all.extend(BARE);
    }
    all.extend(flags);
    all
}

impl RunningBuild {
    /// Starts the program in `world`, with something going wrong in it.
    pub fn start(world: &World, arguments: &[&str], failpoints: &str) -> Self {
        Self::start_with(world, arguments, failpoints, |_| {})
    }

    pub fn start_with(
        world: &World,
        arguments: &[&str],
        failpoints: &str,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let trace = world.path(&format!("trace-{n}"));
        let mut command = world.command(arguments);
        // Files, not pipes: a test that does not read must not stop the program.
        command
            .env("FAILPOINTS", failpoints)
            .env("FAILPOINT_TRACE", &trace)
            .stdout(File::create(with(&trace, ".out")).expect("created"))
            .stderr(File::create(with(&trace, ".err")).expect("created"));
        change(&mut command);
        let child = command.spawn().expect("starts");
        Self {
            child,
            trace,
            known: RefCell::default(),
            ended: false,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the processes have reached so far, in order.
    pub fn steps(&self) -> Arc<[Step]> {
        let mut known = self.known.borrow_mut();
        let text = read_from(&self.trace, known.bytes).unwrap_or_default();
        let n_whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        if n_whole > 0 {
            known.bytes += n_whole as u64;
            let text = String::from_utf8_lossy(&text[..n_whole]);
            let new = text.lines().filter_map(Step::parse);
            known.steps = known.steps.iter().cloned().chain(new).collect();
        }
        known.steps.clone()
    }

    /// How far it has come, in bytes of the record of its steps.
    pub fn distance(&self) -> u64 {
        fs::metadata(&self.trace).map_or(0, |m| m.len())
    }

    /// The process that is held at a place.
    pub fn held(&self) -> Option<u32> {
        let steps = self.steps();
        steps.iter().find(|s| s.point == "held").map(|s| s.pid)
    }

    /// Waits for a process to be held; `None` when the build ends without.
    pub fn wait_held(&mut self) -> Option<u32> {
        self.wait("a place that holds", |live| match live.held() {
            Some(pid) => Some(Some(pid)),
            None if live.has_ended() => Some(live.held()),
            None => None,
        })
    }

    /// Waits for a process to reach `point`.
    pub fn wait_step(&mut self, point: &str) -> Step {
        self.wait(point, |live| {
            live.steps().iter().find(|s| s.point == point).cloned()
        })
    }

    /// Lets go whoever is held, now and later.
    pub fn go(&self) {
        fs::write(with(&self.trace, ".go"), "").expect("written");
    }

    /// Looks until there is an answer.
    pub fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        poll(|late| {
            let found = look(self);
            assert!(
                found.is_some() || !late,
                "waited for {what}: {:?}, steps {:?}",
                self.said(),
                self.steps()
            );
            found
        })
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Standard output and standard error so far.
    pub fn said(&self) -> (String, String) {
        let read = |suffix: &str| {
            let text = fs::read(with(&self.trace, suffix)).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        };
        (read(".out"), read(".err"))
    }

    /// The workers alive now.
    pub fn workers(&self) -> Vec<u32> {
        workers_of(self.pid())
    }

    /// Every process of this build, orphans included: they share its environment.
    pub fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").expect("lists").flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| self.is_ours(*pid))
            .collect()
    }

    /// Whether a process of this build has this number. One that is gone, or a zombie, has no environment.
    fn is_ours(&self, pid: u32) -> bool {
        let mark = self.trace.as_os_str().as_encoded_bytes();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|b| *b == 0)
            .any(|variable| variable.strip_prefix(b"FAILPOINT_TRACE=".as_slice()) == Some(mark))
    }

    /// Waits until no process of the build is left.
    pub fn wait_gone(&mut self) {
        // Reaped, so that it does not count.
        self.wait("the supervisor's end", |live| {
            live.has_ended().then_some(())
        });
        // A look at every process of the machine takes milliseconds: those that were found must end before the next.
        let mut found = Vec::new();
        self.wait("the end of every process", |live| {
            found.retain(|pid| live.is_ours(*pid));
            if found.is_empty() {
                found = live.processes();
            }
            found.is_empty().then_some(())
        });
    }

    /// Waits for the end of it, workers included.
    pub fn finish(mut self) -> (Ran, Arc<[Step]>) {
        self.wait_gone();
        self.ended = true;
        let status = self.child.wait().expect("ended");
        let (stdout, stderr) = self.said();
        let ran = Ran {
            code: status.code(),
            stdout,
            stderr,
        };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        let steps = self.steps();
        for suffix in ["", ".out", ".err", ".go"] {
            let _ = fs::remove_file(with(&self.trace, suffix));
        }
        (ran, steps)
    }
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        if !self.ended {
            signal(self.pid(), Signal::KILL);
            for pid in self.processes() {
                signal(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

/// The children of a process that are alive now.
pub fn workers_of(supervisor: u32) -> Vec<u32> {
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let text = fs::read_to_string(children).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Looks until there is an answer, where no build is watched.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    poll(|late| {
        let found = look();
        assert!(found.is_some() || !late, "waited for {what}");
        found
    })
}

/// Calls `look` until it finds something. It is passed whether the deadline is over, and fails the test then.
fn poll<T>(mut look: impl FnMut(bool) -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look(began.elapsed() >= DEADLINE) {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}

/// Sends a signal; a process that is gone already needs none.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// What the file holds from this byte on.
fn read_from(path: &Path, start: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
