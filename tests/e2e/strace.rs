//! Runs the program under `strace`, to inject faults into its system calls and to read their order.
//!
//! The parser is strict: a line that it does not understand fails the test.

use crate::world::{Ran, World, finish};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Stands for the process id of the program in arguments of [`run`]: temporary names contain it.
pub const PID: &str = "$$";

/// The calls that change an output.
pub const WRITING: &str = "write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,fallocate,openat,\
                           mkdir,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink";

/// A call as `strace` saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// Of the file descriptor that is the first argument, then those spelled out, in order.
    pub paths: Vec<String>,
    /// `O_CREAT` and its like, as printed.
    pub arguments: String,
    pub failed: bool,
    pub injected: bool,
    /// Lines of the trace at which it began and ended.
    pub began: usize,
    pub ended: usize,
}

/// Whether `strace` can trace here; prints why not.
pub fn available(test: &str) -> bool {
    let world = World::new();
    let mut command = shell(
        &world,
        "exec strace -D -f --seccomp-bpf -o probe -e trace=execve true",
    );
    let why = match command.spawn() {
        Ok(child) => {
            let ran = finish(child);
            match fs::read_to_string(world.path("probe")) {
                Ok(text) if ran.code == Some(0) && text.contains("execve(") => return true,
                _ => ran.stderr.trim().to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    println!("{test} is skipped: strace cannot be used here: {why}");
    false
}

fn shell(world: &World, script: &str) -> Command {
    // `command` gives the folder and the environment; only the program is another one.
    let like = world.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .current_dir(world.path(""))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs the program with `arguments` below `strace` with `options`; also what was traced. The tracer is the program's grandchild, so that the process id is known to the shell beforehand.
pub fn run(world: &World, options: &[String], arguments: &[&str]) -> (Ran, Vec<Call>) {
    let mut script = "exec strace -D -f --seccomp-bpf -y -s 0 -e signal=none -o trace".to_owned();
    let program = env!("CARGO_BIN_EXE_helix-build");
    let arguments = arguments.iter().map(|a| (*a).to_owned());
    for word in options
        .iter()
        .cloned()
        .chain([program.to_owned()])
        .chain(arguments)
    {
        assert!(!word.contains(['"', '`', '\\']), "cannot be quoted: {word}");
        script.push_str(&format!(" \"{word}\""));
    }
    let child = shell(world, &script).spawn().expect("a shell");
    let process = child.id();
    let ran = within_deadline(child);
    (ran, read(&world.path("trace"), process))
}

/// No build here takes a second; one that takes this long hangs.
const DEADLINE: Duration = Duration::from_secs(60);

fn within_deadline(mut child: Child) -> Ran {
    let deadline = Instant::now() + DEADLINE;
    // What a build prints fits a pipe, so nobody waits for a reader.
    while child.try_wait().expect("can be waited for").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("can be killed");
            panic!("hangs: {:?}", finish(child));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    finish(child)
}

/// Reads the trace of a process that has ended. The tracer may still be writing its last lines, so this
/// waits for the one that says so.
fn read(path: &Path, process: u32) -> Vec<Call> {
    let deadline = Instant::now() + DEADLINE;
    let is_end = |line: &str| {
        let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
        thread == process.to_string() && rest.trim_start().starts_with("+++ ")
    };
    loop {
        let text = fs::read_to_string(path).expect("a trace");
        if text.ends_with('\n') && text.lines().any(is_end) {
            return parse(&text);
        }
        assert!(Instant::now() < deadline, "the trace has no end: {text}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn parse(text: &str) -> Vec<Call> {
    let mut open: Vec<(u32, String, usize)> = Vec::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (thread, rest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("line {number}: {line}"));
        let thread: u32 = thread
            .parse()
            .unwrap_or_else(|_| panic!("line {number}: {line}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++ ") {
            continue;
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            open.push((thread, begun.trim_end().to_owned(), number));
            continue;
        }
        let (whole, began) = match rest.strip_prefix("<... ") {
            None => (rest.to_owned(), number),
            Some(resumed) => {
                let at = open
                    .iter()
                    .position(|(of, ..)| *of == thread)
                    .unwrap_or_else(|| panic!("line {number} resumes nothing: {line}"));
                let (_, begun, began) = open.remove(at);
                let (name, tail) = resumed
                    .split_once(" resumed>")
                    .unwrap_or_else(|| panic!("line {number}: {line}"));
                assert!(begun.starts_with(&format!("{name}(")), "{begun} / {line}");
                (format!("{begun}{tail}"), began)
            }
        };
        calls.push(call(thread, &whole, began, number));
    }
    // A thread that is killed inside a call leaves it open; none of those that matter may be.
    calls.sort_by_key(|call| call.ended);
    calls
}

/// `name(arguments) = result`
fn call(thread: u32, text: &str, began: usize, ended: usize) -> Call {
    let not_understood = || -> ! { panic!("line {ended} is not understood: {text}") };
    let Some((name, rest)) = text.split_once('(') else {
        not_understood()
    };
    let Some((arguments, result)) = rest.rsplit_once(") ").and_then(|(arguments, result)| {
        // The reason of a failure is in brackets too: `= -1 ENOENT (No such file or directory)`.
        match result.trim_start().strip_prefix("= ") {
            Some(result) => Some((arguments.to_owned(), result.to_owned())),
            None => rest.rsplit_once(" = ").and_then(|(a, r)| {
                Some((a.trim_end().strip_suffix(')')?.to_owned(), r.to_owned()))
            }),
        }
    }) else {
        not_understood()
    };
    if !(result.starts_with(|c: char| c.is_ascii_digit() || c == '?') || result.starts_with("-1 E"))
    {
        not_understood()
    }
    Call {
        thread,
        name: name.to_owned(),
        paths: paths(&arguments),
        failed: result.starts_with('-'),
        injected: result.ends_with("(INJECTED)"),
        arguments,
        began,
        ended,
    }
}

/// `3</a/b>, ""..., 4` and `AT_FDCWD</c>, "/a/b", O_RDONLY` both name `/a/b`.
fn paths(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    if arguments.starts_with(|c: char| c.is_ascii_digit()) {
        let path = arguments
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        found.extend(path.map(|(path, _)| path.to_owned()));
    }
    let quoted = arguments.split('"').skip(1).step_by(2);
    found.extend(quoted.filter(|path| !path.is_empty()).map(str::to_owned));
    found
}

impl Call {
    /// Whether it ended before the other began.
    pub fn is_before(&self, other: &Self) -> bool {
        self.ended < other.began
    }

    pub fn first_path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }

    pub fn writes(&self) -> bool {
        matches!(
            self.name.as_str(),
            "write" | "pwrite64" | "writev" | "pwritev" | "ftruncate" | "fallocate"
        )
    }

    pub fn syncs(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    pub fn renames(&self) -> bool {
        self.name.starts_with("rename")
    }

    pub fn removes(&self) -> bool {
        self.name.starts_with("unlink")
    }
}

#[test]
fn the_lines_of_a_trace_are_understood() {
    let text = "\
7 openat(AT_FDCWD</w>, \"/o/a.tmp-7-0\", O_RDWR|O_CREAT, 0644) = 5</o/a.tmp-7-0>
7 pwrite64(5</o/a.tmp-7-0>, \"\"..., 4096, 0 <unfinished ...>
8 unlink(\"/o/b\") = -1 ENOENT (No such file or directory)
7 <... pwrite64 resumed>) = 4096
7 fsync(5</o/a.tmp-7-0>)     = -1 EIO (Input/output error) (INJECTED)
7 rename(\"/o/a.tmp-7-0\", \"/o/a\") = 0
7 unlinkat(6</o>, \"c (d) = 1\", 0) = 0
8 +++ exited with 0 +++
7 +++ exited with 0 +++
";
    let calls = parse(text);
    let seen: Vec<_> = calls
        .iter()
        .map(|c| (c.name.as_str(), c.paths.join(" "), c.failed, c.injected))
        .collect();
    assert_eq!(
        seen,
        [
            ("openat", "/o/a.tmp-7-0".to_owned(), false, false),
            ("unlink", "/o/b".to_owned(), true, false),
            ("pwrite64", "/o/a.tmp-7-0".to_owned(), false, false),
            ("fsync", "/o/a.tmp-7-0".to_owned(), true, true),
            ("rename", "/o/a.tmp-7-0 /o/a".to_owned(), false, false),
            ("unlinkat", "/o c (d) = 1".to_owned(), false, false),
        ]
    );
    // The write began before the unlink ended: neither is before the other.
    assert!(!calls[2].is_before(&calls[1]) && !calls[1].is_before(&calls[2]));
    assert!(calls[0].is_before(&calls[1]) && calls[2].is_before(&calls[3]));
    let nonsense = std::panic::catch_unwind(|| parse("7 rename(\"/a\", \"/b\") maybe\n"));
    assert!(nonsense.is_err());
}
