//! Failpoints: named places where a test can make the program fail.
//!
//! ```text
//! failpoint!("publish::rename", target.display());
//! if failpoint!("scan::list", root.label) { return Err(..) }
//! ```
//!
//! A test build (`cargo test`) reads `FAILPOINTS="NAME=ACTION;..."` from the environment, in the
//! notation of the `fail` crate, and passes it on to its workers. In any other build the macro is the
//! constant `false`, and its subject is never evaluated. Besides the actions of that crate
//! (`sleep(MS)`, `1*panic`, ...), `return(WHAT@PART)` does WHAT where the subject, a path or a label,
//! contains PART:
//!
//! | what | does |
//! |---|---|
//! | `panic` | panics |
//! | `abort` | ends the process at once, as `kill -9` and a failed assertion in C do |
//! | `overflow` | recurses until the stack is full |
//! | `spin` | never returns |
//! | `eat` | allocates memory without end, in steps of 16 MiB |
//! | `crawl` | takes 50 ms longer |
//! | `wait=FILE` | writes the subject to FILE and waits until the test removes it, for two minutes at most |
//! | `hold` | waits until the file `$FAILPOINT_TRACE.go` appears, for two minutes at most |
//! | `skip` | makes the macro `true`: the caller skips what comes next |
//!
//! With `FAILPOINT_TRACE=FILE` each failpoint that is reached appends a line `PID NAME SUBJECT` to that
//! file, and one that holds appends another with the name `held`, so that a test can follow a process.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longest time that a failpoint holds: a test that fails leaves no process behind.
const HOLD: Duration = Duration::from_secs(120);

/// Do what a test asked for at this failpoint. The subject is anything that can be displayed. The value is `true`
/// when the test asks the caller to skip what comes next (`return(skip@PART)`).
macro_rules! failpoint {
    ($name:literal) => {
        failpoint!($name, "")
    };
    ($name:literal, $subject:expr) => {
        $crate::failpoint::reach($name, || $subject.to_string())
    };
}
pub(crate) use failpoint;

/// Read the failpoints from the environment, in a test build. Call it once, while there is one thread.
pub fn start() {
    if fail::has_failpoints() {
        // Leaked: the failpoints stay as they are until the process ends.
        std::mem::forget(fail::FailScenario::setup());
    }
}

/// What [`failpoint!`] expands to. `has_failpoints` is a constant, so other builds compile none of this.
pub(crate) fn reach(point: &'static str, subject: impl FnOnce() -> String) -> bool {
    fail::has_failpoints() && act_at(point, &subject())
}

/// Return how long something took: `measured`, or in a test the milliseconds given at `point` (`return(MS)`), so that
/// a busy machine makes no difference. `return(MS|MS)` gives the second once the file that ends a `hold` is there.
pub(crate) fn duration(point: &'static str, measured: Duration) -> Duration {
    if !fail::has_failpoints() {
        return measured;
    }
    let Some(given) = action_at(point) else {
        return measured;
    };
    let given = match given.split_once('|') {
        Some((_, after)) if go_path().exists() => after,
        Some((before, _)) => before,
        None => &given,
    };
    match given.parse() {
        Ok(milliseconds) => Duration::from_millis(milliseconds),
        Err(_) => panic!("\"{given}\" is not a number of milliseconds"),
    }
}

fn act_at(point: &'static str, subject: &str) -> bool {
    trace(point, subject);
    let Some(action) = action_at(point) else {
        return false;
    };
    let (what, part) = action.split_once('@').unwrap_or((action.as_str(), ""));
    subject.contains(part) && act(what, point, subject)
}

/// The file in which a test follows its processes.
fn trace_path() -> Option<PathBuf> {
    std::env::var_os("FAILPOINT_TRACE").map(PathBuf::from)
}

fn trace(point: &str, subject: &str) {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = trace_path()?;
        File::options().append(true).create(true).open(path).ok()
    });
    if let Some(mut file) = file.as_ref() {
        // One call, so that lines of several processes do not mix.
        let line = format!("{} {point} {subject}\n", std::process::id());
        let _ = file.write_all(line.as_bytes());
    }
}

fn action_at(point: &'static str) -> Option<String> {
    fail::fail_point!(point, |action| action);
    // Unused without failpoints.
    let _ = point;
    None
}

fn act(what: &str, point: &str, subject: &str) -> bool {
    match what {
        "panic" => panic!("asked to panic"),
        "abort" => std::process::abort(),
        "overflow" => {
            overflow(&mut [0; 1024]);
        }
        "spin" => loop {
            std::thread::sleep(Duration::from_millis(10));
        },
        "eat" => eat(),
        "crawl" => std::thread::sleep(Duration::from_millis(50)),
        "hold" => hold(point),
        "skip" => return true,
        other => match other.strip_prefix("wait=") {
            Some(file) => wait(Path::new(file), subject),
            None => panic!("unknown action \"{other}\" of a failpoint"),
        },
    }
    false
}

/// Wait until the test, which reads the subject from the file, removes it.
fn wait(file: &Path, subject: &str) {
    std::fs::write(file, subject).expect("the test's folder can be written");
    wait_until(|| !file.exists());
}

fn hold(point: &str) {
    trace("held", point);
    let go = go_path();
    wait_until(|| go.exists());
}

/// The file with which a test ends all holds.
fn go_path() -> PathBuf {
    let Some(mut go) = trace_path() else {
        panic!("holding needs FAILPOINT_TRACE");
    };
    go.as_mut_os_string().push(".go");
    go
}

fn wait_until(is_over: impl Fn() -> bool) {
    let deadline = Instant::now() + HOLD;
    while !is_over() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn overflow(above: &mut [u8; 1024]) -> u8 {
    let mut here = [above[0].wrapping_add(1); 1024];
    if black_box(false) {
        return here[1];
    }
    let below = overflow(black_box(&mut here));
    below.wrapping_add(here[2])
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1u8; 16 << 20]));
        std::thread::sleep(Duration::from_millis(5));
    }
}
