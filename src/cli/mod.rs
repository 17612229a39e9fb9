//! The command line, as typed.
//!
//! Only here is `clap` known. Nothing is resolved: no file is read, no default is looked up; that is
//! `commands`' work.

mod build_flags;
mod models_args;

pub use build_flags::{BuildFlags, OutputMode, ProgressStyle, ShardCategory};
pub use models_args::{ModelsAction, ModelsCheck, ModelsPrepare, Quantization};

use crate::terminal;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(
    name = "helix-build",
    version,
    about = "Turns trees of code and text into hybrid (lexical, sparse, dense) search indexes",
    after_help = "Without a command, `build` is meant:\n  helix-build --profile demo\n  helix-build --profile medium --mode sharded --shard-workers 2 --shard-file-workers 3"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub build: BuildFlags,
    #[command(flatten)]
    pub global: GlobalFlags,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Messages")]
pub struct GlobalFlags {
    /// One JSON object per line on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more (twice: even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Show no progress, only warnings and errors (twice: only errors)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Write the log to this file as well, in full
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Colours in messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an index, or go on with one that was interrupted
    Build(BuildFlags),
    /// Say what would be built and why, without building
    Plan {
        #[command(flatten)]
        build: BuildFlags,
        /// Name the rule that decides about this file
        #[arg(long, value_name = "PATH")]
        why: Option<PathBuf>,
    },
    /// Search an index
    Query(QueryArgs),
    /// Check an index
    Verify(VerifyArgs),
    /// Show a shard, a file or a chunk of an index
    Inspect(InspectArgs),
    /// Profiles: which there are, what they say, whether they are sound
    Profile {
        #[command(subcommand)]
        action: ProfileAction,
    },
    /// Models: which there are, whether one is sound, and how to make one smaller
    Models {
        #[command(subcommand)]
        action: ModelsAction,
    },
    /// What this machine offers: runtime, models, devices, folders; what is missing, and the fix
    Doctor(DoctorArgs),
    /// Print the version and what is built in
    Version,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
    /// A worker process of a build; speaks a binary protocol on stdin and stdout
    #[command(hide = true)]
    Worker,
    /// Opens the encoders that standard input names, to see whether their device works
    #[command(hide = true)]
    Probe,
}

#[derive(Args, Debug)]
pub struct QueryArgs {
    /// The index: a main.genome.db, a blob database, or a folder that holds one
    pub index: PathBuf,
    /// What to look for
    #[arg(required_unless_present = "queries")]
    pub text: Option<String>,
    /// Answer every line of this file (`-` for standard input) with one load
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub queries: Option<PathBuf>,
    /// How to search; `hybrid` fuses the others by reciprocal rank
    #[arg(long, default_value = "hybrid")]
    pub mode: QueryMode,
    /// Hits to print
    #[arg(short, long, default_value_t = 10, value_name = "N")]
    pub k: usize,
    /// Ask only the shards that a server's routing rule would ask
    #[arg(long)]
    pub routed: bool,
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Encoders other than those the index was built with cannot answer for it; these say where they are.
#[derive(Args, Clone, Debug, Default)]
pub struct ModelFlags {
    /// Directory of the sparse encoder, `embedded` or `none`
    #[arg(long, value_name = "MODEL", env = "HELIX_BUILD_SPARSE_MODEL")]
    pub sparse_model: Option<String>,
    /// Directory of the dense encoder, `embedded` or `none`
    #[arg(long, value_name = "MODEL", env = "HELIX_BUILD_DENSE_MODEL")]
    pub dense_model: Option<String>,
    /// ONNX Runtime library to use in place of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryMode {
    Lexical,
    Sparse,
    Dense,
    Hybrid,
}

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The index: a main.genome.db, a blob database, or a folder that holds one
    pub index: PathBuf,
    /// Structure, counts and invariants only
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// Every row against digests, and the databases' own integrity checks (the default)
    #[arg(long)]
    pub full: bool,
    #[command(flatten)]
    pub again: Reencode,
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Vectors made again, besides what the level checks.
#[derive(Args, Clone, Debug, Default)]
pub struct Reencode {
    /// Encode this many chunks again, picked at random, and compare their vectors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub reencode: Option<u64>,
    /// Picks the same chunks again; another number each time when left out, and printed
    #[arg(long, value_name = "S", requires = "reencode")]
    pub seed: Option<u64>,
    /// Let no rounding pass: for the machine and the runtime that built the index
    #[arg(long, requires = "reencode")]
    pub exact: bool,
}

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The index: a main.genome.db, a blob database, or a folder that holds one
    pub index: PathBuf,
    /// A shard's label, a file's path or the end of one, or a chunk id; all shards when left out
    pub what: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ProfileAction {
    /// The profiles that `--profile NAME` finds
    List,
    /// What a profile means on this machine
    Show { profile: String },
    /// Whether a profile is sound, with everything that is wrong with it
    Check { profile: String },
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Reads the command line. The error is clap's (its `exit` prints help, version or the mistake and
/// ends with 0 or 2).
///
/// Build flags typed before another command are a mistake: they would be ignored, so the error says
/// where they belong. (clap could refuse them itself, but then refuses `-v plan` as well.)
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Command, GlobalFlags), clap::Error> {
    let mut parser = Cli::command();
    let matches = parser.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let Some(command) = cli.command else {
        return Ok((Command::Build(cli.build), cli.global));
    };
    if let Some(flag) = misplaced(&parser, &matches) {
        let name = matches.subcommand_name().unwrap_or_default();
        let advice = match command {
            Command::Build(_) | Command::Plan { .. } => {
                format!("{flag} belongs behind the command: helix-build {name} {flag} ...")
            }
            _ => format!("{flag} is a flag of `build` and `plan`; `{name}` has no use for it"),
        };
        return Err(parser.error(ErrorKind::ArgumentConflict, advice));
    }
    Ok((command, cli.global))
}

/// Says what [`parse`] has to say (help, the version, or a mistake) and ends the process.
pub fn refuse(error: &clap::Error) -> ! {
    let plain = error.render().to_string();
    let is_harmless = plain.lines().all(|line| terminal::message(line) == line);
    if !error.use_stderr() {
        // Help and version are results.
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        if let Err(error) = printed
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            let _ = writeln!(
                std::io::stderr(),
                "error: writing to standard output: {error}"
            );
            std::process::exit(1);
        }
        std::process::exit(error.exit_code());
    }
    if is_harmless {
        error.exit();
    }
    for line in plain.lines() {
        let _ = writeln!(std::io::stderr(), "{}", terminal::message(line));
    }
    std::process::exit(error.exit_code());
}

/// A build flag typed at the top level.
fn misplaced(parser: &clap::Command, matches: &clap::ArgMatches) -> Option<String> {
    parser
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .find(|argument| {
            let source = matches.value_source(argument.get_id().as_str());
            source == Some(ValueSource::CommandLine)
        })
        .and_then(|argument| Some(format!("--{}", argument.get_long()?)))
}

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell, to: &mut impl std::io::Write) {
    let mut command = Cli::command();
    clap_complete::generate(shell, &mut command, "helix-build", to);
}

/// The manual page in roff.
pub fn manual(to: &mut impl std::io::Write) -> std::io::Result<()> {
    clap_mangen::Man::new(Cli::command()).render(to)
}

#[cfg(test)]
mod tests;
