//! A folder for a test with a corpus and a profile, and a builder for command lines of the program.

use crate::test_folder;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A temporary folder, removed at the end of the test.
pub struct World {
    folder: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Flags of a build without encoders, which is fast and enough for most tests. See also [`Helix::bare`].
pub const BARE: [&str; 4] = ["--sparse-model", "none", "--dense-model", "none"];

impl World {
    pub fn new() -> Self {
        Self {
            folder: test_folder::create(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Write a file and create its folders.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the world")).expect("folders");
        fs::write(path, text).expect("written");
    }

    /// Write `p.toml` with these roots.
    pub fn profile(&self, roots: &[&str]) {
        let roots: Vec<_> = roots
            .iter()
            .map(|r| format!("{{ path = {r:?} }}"))
            .collect();
        self.write("p.toml", format!("roots = [{}]\n", roots.join(", ")));
    }

    /// Write `p.toml` with these roots and the compat rules, which skip large files.
    pub fn compat_profile(&self, roots: &[&str]) {
        let roots: Vec<_> = roots.iter().map(|root| format!("{root:?}")).collect();
        let roots = roots.join(", ");
        self.write("p.toml", format!("roots = [{roots}]\nrules = 'compat'\n"));
    }

    /// Create a corpus and its profile: `roots` folders with `files` files each, of various sizes and kinds, some of them
    /// equal.
    pub fn corpus(roots: usize, files: usize) -> Self {
        let world = Self::new();
        let names: Vec<_> = (0..roots).map(|r| format!("root{r}")).collect();
        for (r, name) in names.iter().enumerate() {
            for f in 0..files {
                world.write(&file_name(name, f), file_text(r, f));
            }
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        world.profile(&names);
        world
    }

    /// Begin a command line of the program.
    pub fn helix(&self) -> Helix<'_> {
        Helix {
            world: self,
            arguments: Vec::new(),
        }
    }

    /// Begin a build of `p.toml` into `out` without encoders, with JSON output.
    pub fn bare_build(&self, out: &str) -> Helix<'_> {
        self.helix().profile("p.toml").out(out).json().bare()
    }

    /// Begin a build of `p.toml` into `out` with the profile's encoders, with JSON output.
    pub fn encoded_build(&self, out: &str) -> Helix<'_> {
        self.helix().profile("p.toml").out(out).json()
    }

    /// Return a command that runs the program in this folder, without the caller's environment variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helix-build"));
        without_cargos_library_folders(&mut command)
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Resolving the names of a debug build takes more time than the run.
            .env("RUST_BACKTRACE", "0");
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("HELIX_BUILD_") || name_text == "SOURCE_DATE_EPOCH" {
                command.env_remove(&name);
            }
        }
        // Each is a process, and most tests are about something else: those of workers say how many.
        command.env("HELIX_BUILD_SHARD_WORKERS", "1");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("starts"))
    }

    /// Build `p.toml` into `out` without encoders and with these flags; return the summary.
    pub fn build(&self, out: &str, flags: &[&str]) -> Value {
        self.bare_build(out).args(flags).run().summary()
    }

    /// Verify an index in full, assert that it is sound, and return the verdict.
    pub fn verified(&self, index: &str) -> Value {
        let ran = self.run(&["verify", index, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.last_line()
    }
}

/// A command line of the program: `world.helix().profile("p.toml").out("o").bare().json().run()`.
#[derive(Clone)]
pub struct Helix<'w> {
    world: &'w World,
    arguments: Vec<OsString>,
}

impl Helix<'_> {
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub fn profile(self, profile: impl AsRef<OsStr>) -> Self {
        self.arg("--profile").arg(profile)
    }

    pub fn out(self, folder: impl AsRef<OsStr>) -> Self {
        self.arg("--out-dir").arg(folder)
    }

    /// Build without encoders.
    pub fn bare(self) -> Self {
        self.args(BARE)
    }

    pub fn json(self) -> Self {
        self.arg("--json")
    }

    /// Return the command, to add environment variables or to start it.
    pub fn command(self) -> Command {
        let mut command = self.world.command(&[]);
        command.args(self.arguments);
        command
    }

    /// Run the program to its end.
    pub fn run(self) -> Ran {
        finish(self.command().spawn().expect("starts"))
    }
}

/// Take the folders that Cargo adds to `LD_LIBRARY_PATH` out of a command's environment. There are forty, one for each
/// dependency with C code, and no library in them. With them the program tries to open 480 files that do not exist when it
/// starts, without them 24.
pub fn without_cargos_library_folders(command: &mut Command) -> &mut Command {
    const NAME: &str = "LD_LIBRARY_PATH";
    let Some(listed) = std::env::var_os(NAME) else {
        return command;
    };
    let of_cargo = Path::new(env!("CARGO_BIN_EXE_helix-build")).parent();
    let of_cargo = of_cargo.expect("the program is in a folder");
    let kept = std::env::split_paths(&listed).filter(|folder| !folder.starts_with(of_cargo));
    command.env(NAME, std::env::join_paths(kept).expect("they were joined"))
}

/// A generator of repeatable numbers (SplitMix64). Print the seed when a test fails.
pub struct Dice(pub u64);

impl Dice {
    /// Use the seed in `HELIX_TEST_SEED`, or this one. Return the seed too.
    pub fn seeded(default: u64) -> (Self, u64) {
        let asked = std::env::var("HELIX_TEST_SEED").ok();
        let seed = asked.and_then(|s| s.parse().ok()).unwrap_or(default);
        (Self(seed), seed)
    }

    /// Return the next number of 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Return a number from 0 to `below` - 1.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    // Only tests for Linux use it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len() as u64) as usize]
    }
}

/// Return how often a test repeats something: `long` if `HELIX_TEST_LONG=1`, otherwise `fast`.
pub fn count(fast: u32, long: u32) -> u32 {
    if std::env::var_os("HELIX_TEST_LONG").is_some_and(|v| v == "1") {
        long
    } else {
        fast
    }
}

pub fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().expect("ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// Parse the last line of standard output as JSON.
    pub fn last_line(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Return the summary of a build, and assert that it succeeded.
    pub fn summary(&self) -> Value {
        assert!(matches!(self.code, Some(0 | 3)), "{self:?}");
        let summary = self.last_line();
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["exit"], self.code.unwrap_or_default());
        summary
    }

    /// Parse all lines of standard output as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

fn file_name(root: &str, n: usize) -> String {
    let extension = ["rs", "py", "md", "toml", "js"][n % 5];
    format!("{root}/dir{}/file{n}.{extension}", n % 7)
}

/// Return text that differs between files, except for every ninth file.
fn file_text(root: usize, n: usize) -> String {
    let (root, n) = if n % 9 == 8 { (0, 8) } else { (root, n) };
    let mut text = String::new();
    for part in 0..1 + n % 11 {
        let id = root * 100_000 + n * 100 + part;
        match n % 5 {
            0 => text.push_str(&format!(
                "/// Computes the gadget number {id} of a frobnicator.\npub fn gadget_{id}(input: u64) -> u64 {{\n    let factor_{part} = {id};\n    input.wrapping_mul(factor_{part}) + {n}\n}}\n\n"
            )),
            1 => text.push_str(&format!(
                "def widget_{id}(value):\n    \"\"\"Return the widget {id} for a value.\"\"\"\n    limit = {id}\n    return min(value, limit) * {part}\n\n"
            )),
            2 => text.push_str(&format!(
                "## Section {id}\n\nThe frobnicator number {id} turns gadgets into widgets when the dial stands at {part}.\n\n- first\n- second {n}\n\n"
            )),
            3 => text.push_str(&format!(
                "[section_{id}]\nname = \"frob-{id}\"\nlimit = {part}\nenabled = true\n\n"
            )),
            _ => text.push_str(&format!(
                "export function handler{id}(event) {{\n  const total = event.count + {id};\n  return total * {part};\n}}\n\n"
            )),
        }
    }
    text
}

/// Create a FIFO, on systems that have them.
pub fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("runs").success());
}

/// List the files below `folder`: sorted relative paths.
pub fn files_below(folder: &Path) -> Vec<String> {
    fn visit(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("lists").flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, root, found);
            } else {
                let relative = path.strip_prefix(root).expect("below");
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    visit(folder, folder, &mut found);
    found.sort();
    found
}
