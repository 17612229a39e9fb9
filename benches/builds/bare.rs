//! Measures ONNX Runtime alone: one session, one thread, one token sequence at a time, outputs ignored. This is the upper
//! limit for an encoder.
//!
//! Runs in a child process, since a process can have only one runtime environment, and the benchmark's belongs to the
//! library.

use anyhow::Context as _;
use helix_build::platform::process_cpu_time;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The flag with which the benchmark starts itself as a child process.
pub const FLAG: &str = "--bare-session";

/// A model and the token sequences to run it on.
pub struct BareRun<'a> {
    /// The runtime library.
    pub runtime: &'a Path,
    pub graph: PathBuf,
    /// A JSON list of lists of token ids.
    pub sequences: PathBuf,
}

impl BareRun<'_> {
    /// CPU time of all runs, without loading.
    pub fn measure(&self) -> anyhow::Result<Duration> {
        let output = Command::new(std::env::current_exe()?)
            .arg(FLAG)
            .args([self.runtime, &self.graph, &self.sequences])
            .stderr(Stdio::inherit())
            .output()?;
        anyhow::ensure!(output.status.success(), "the bare session failed");
        let text = String::from_utf8(output.stdout)?;
        let seconds: f64 = text
            .trim()
            .parse()
            .context("reading the bare session's time")?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// The process that [`BareRun::measure`] starts: prints CPU seconds.
pub fn run(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut next = || arguments.next().context("an argument is missing");
    let (runtime, graph, sequences) = (next()?, next()?, next()?);
    let sequences: Vec<Vec<i64>> = serde_json::from_slice(&fs::read(sequences)?)?;
    // As the program does.
    helix_build::encode::forbid_telemetry();
    let environment = ort::init_from(runtime)
        .map_err(|error| anyhow::anyhow!("{error:?}"))?
        .with_telemetry(false)
        .build()?;
    let mut session = open(&environment, Path::new(&graph))?;
    let inputs: Vec<String> = session
        .inputs()
        .iter()
        .map(|input| input.name().to_owned())
        .collect();
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let (ones, zeros) = (vec![1_i64; longest], vec![0_i64; longest]);
    // The first run allocates the arena.
    let warm_up = sequences.iter().max_by_key(|ids| ids.len());
    let mut spent = Duration::ZERO;
    for (n, ids) in warm_up.into_iter().chain(&sequences).enumerate() {
        let before = process_cpu_time();
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        for name in &inputs {
            let numbers = match name.as_str() {
                "input_ids" => ids,
                "attention_mask" => &ones[..ids.len()],
                _ => &zeros[..ids.len()],
            };
            let tensor = TensorRef::from_array_view(([1, ids.len()], numbers))?;
            values.push((Cow::Borrowed(name), tensor.into()));
        }
        std::hint::black_box(session.run(values)?);
        if n > 0 {
            spent += process_cpu_time() - before;
        }
    }
    println!("{}", spent.as_secs_f64());
    Ok(())
}

/// Open a session with the options that the program uses.
fn open(environment: &Environment, graph: &Path) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_memory_pattern(false)?
        .commit_from_file(graph)
}
