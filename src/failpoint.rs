//! Named places where a test can make something go wrong.
//!
//! A test build (`cargo test`) reads `FAILPOINTS="NAME=ACTION;..."` from the environment, in the
//! `fail` crate's notation, and passes it on to its workers; a program built otherwise has no such
//! places. Besides that crate's own actions (`sleep(MS)`, `1*panic`, ...), `return(WHAT@PART)` does
//! WHAT where the subject at hand, a path or a label, contains PART:
//!
//! | what | does |
//! |---|---|
//! | `panic` | panics |
//! | `abort` | ends the process at once, as `kill -9` and a failed assertion in C do |
//! | `overflow` | recurses until the stack is full |
//! | `spin` | never comes back |
//! | `eat` | takes memory without end, in steps of 16 MiB |
//! | `crawl` | takes 50 ms longer |
//! | `wait=FILE` | writes the subject to FILE and waits until somebody removes it, for two minutes at most |
//! | `hold` | waits until the file `$FAILPOINT_TRACE.go` appears, for two minutes at most |
//! | `skip` | nothing itself: the caller leaves out what it was about to do |
//!
//! With `FAILPOINT_TRACE=FILE` every place that is reached is a line `PID NAME SUBJECT` of that file, and
//! a place that holds is one more with the name `held`, so that a test knows where a process is.
//!
//! Never decides anything in a program that users have.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a place holds at most: a test that fails leaves no process behind for ever.
const HOLD: Duration = Duration::from_secs(120);

/// Reads the environment, in a test build. Called once, while there is one thread.
pub fn start() {
    if fail::has_failpoints() {
        // Leaked: the places stay as they are until the process ends.
        std::mem::forget(fail::FailScenario::setup());
    }
}

/// Does here what a test asked for at `point` for this `subject`. Returns `true` when the caller
/// shall leave out what it was about to do (`return(skip@PART)`).
pub fn at(point: &'static str, subject: &str) -> bool {
    if !fail::has_failpoints() {
        return false;
    }
    trace(point, subject);
    let Some(asked) = asked(point) else {
        return false;
    };
    let (what, part) = asked.split_once('@').unwrap_or((asked.as_str(), ""));
    subject.contains(part) && act(what, point, subject)
}

/// How long something took: what was measured, or the milliseconds that a test says at `point`
/// (`return(MS)`), for which a busy machine makes no difference.
pub fn duration(point: &'static str, measured: Duration) -> Duration {
    if !fail::has_failpoints() {
        return measured;
    }
    let Some(asked) = asked(point) else {
        return measured;
    };
    match asked.parse() {
        Ok(played) => Duration::from_millis(played),
        Err(_) => panic!("no duration is \"{asked}\""),
    }
}

/// The file that tells a test where its processes are.
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

fn asked(point: &'static str) -> Option<String> {
    fail::fail_point!(point, |action| action);
    // Without failpoints nothing else reads it.
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
            None => panic!("no failpoint does \"{other}\""),
        },
    }
    false
}

/// A test that reads the file knows who is here, does what it came for, and removes it.
fn wait(file: &Path, subject: &str) {
    std::fs::write(file, subject).expect("the test's folder can be written");
    wait_until(|| !file.exists());
}

fn hold(point: &str) {
    trace("held", point);
    let Some(mut go) = trace_path() else {
        panic!("holding needs FAILPOINT_TRACE");
    };
    go.as_mut_os_string().push(".go");
    wait_until(|| go.exists());
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
