//! Parses the command line.
//!
//! The only module that uses `clap`. It only parses: `commands` reads files and applies defaults.

mod build_flags;
mod cluster_args;
mod eval_args;
mod manual;
mod models_args;
mod query_args;
mod serve_args;

pub use build_flags::{BuildFlags, OutputMode, ProgressStyle, ShardCategory};
pub use cluster_args::{
    CommitArgs, MissingArgs, PlanFile, PublishArgs, ScratchFlag, StatusArgs, TaskSize, WorkerArgs,
};
pub use eval_args::{Against, EvalArgs};
pub use manual::manual;
pub use models_args::{ModelsAction, ModelsCheck, ModelsFetch, ModelsPrepare, Quantization};
pub use query_args::{QueryArgs, QueryMode};
pub use serve_args::ServeArgs;

use crate::profile::nearest;
use crate::terminal;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(
    name = "helix-build",
    version,
    max_term_width = 80,
    about = "Builds hybrid (lexical, sparse, dense) search indexes from folders of code and text",
    after_help = "Without a command, helix-build builds:\n  helix-build ~/src/billing\n  helix-build --profile demo\n  helix-build --profile medium --mode sharded \\\n      --shard-workers 2 --shard-file-workers 3\n\nOn many machines: plan --out FILE, then worker, publish, missing, status, commit"
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
    /// Print results as JSON, one object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more; repeat for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Hide progress; repeat to hide warnings too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Also write the log to this file, at debug level
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Colour log messages and hits
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
    /// Build an index, or resume an interrupted build
    Build(BuildFlags),
    /// Show what a build would do, and why
    Plan {
        #[command(flatten)]
        build: BuildFlags,
        /// Show the rule that includes or skips this file
        #[arg(long, value_name = "PATH")]
        why: Option<PathBuf>,
        /// Write the plan to this file and begin a build over many machines
        #[arg(long, value_name = "FILE", conflicts_with = "why")]
        out: Option<PathBuf>,
    },
    /// Search an index
    Query(QueryArgs),
    /// Measure how well an index answers questions
    Eval(EvalArgs),
    /// Serve an index to Helix/Cymatix servers or to agents
    Serve(ServeArgs),
    /// Check an index for damage
    Verify(VerifyArgs),
    /// Rewrite the paths of an index that was moved, or whose sources were
    Relocate(RelocateArgs),
    /// Show a shard, a file or a chunk
    Inspect(InspectArgs),
    /// Print the vectors of a text, to search the database with SQL
    Encode(EncodeArgs),
    /// Write a profile for what a folder holds
    Init(InitArgs),
    /// List, show and check profiles
    Profile {
        #[command(subcommand)]
        action: ProfileAction,
    },
    /// List, check, shrink and download models
    Models {
        #[command(subcommand)]
        action: ModelsAction,
    },
    /// Check this machine: runtime, models, devices, folders
    Doctor(DoctorArgs),
    /// Print the version and the built-in components
    Version,
    /// Print a shell completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page of the program or of a command
    Man {
        /// Command to describe, for example `models prepare` [default: the program]
        command: Vec<String>,
    },
    /// Do segments of a plan: a task of a build over many machines
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Publish a shard of a plan once its segments are done
    #[command(hide = true)]
    Publish(PublishArgs),
    /// Complete a build over many machines: publish, register, check
    #[command(hide = true)]
    Commit(CommitArgs),
    /// Print the numbers of the tasks that are not done, for an array
    #[command(hide = true)]
    Missing(MissingArgs),
    /// Show how far a build over many machines is
    #[command(hide = true)]
    Status(StatusArgs),
    /// Open the encoders named on standard input, to test a device
    #[command(hide = true)]
    Probe,
}

impl Command {
    /// Return whether a build has started this process, which speaks its protocol on the standard streams.
    pub fn is_child(&self) -> bool {
        match self {
            Self::Worker(args) => args.plan.is_none(),
            Self::Probe => true,
            _ => false,
        }
    }
}

/// Flags that choose models.
#[derive(Args, Clone, Debug, Default)]
pub struct ModelFlags {
    /// Sparse encoder: a model directory, a server's URL, `embedded` or `none`
    #[arg(long, value_name = "MODEL", env = "HELIX_BUILD_SPARSE_MODEL")]
    pub sparse_model: Option<String>,
    /// Dense encoder: a model directory, a server's URL, `embedded` or `none`
    #[arg(long, value_name = "MODEL", env = "HELIX_BUILD_DENSE_MODEL")]
    pub dense_model: Option<String>,
    /// Use this ONNX Runtime library instead of the built-in one
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Index to read: a database, or the folder that holds it [default: the
    /// only one in the output folder]
    pub index: Option<PathBuf>,
    /// Check only structure, counts and invariants
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// Also check every row against the digests (the default)
    #[arg(long)]
    pub full: bool,
    #[command(flatten)]
    pub again: Reencode,
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Flags that encode chunks again and compare their vectors.
#[derive(Args, Clone, Debug, Default)]
pub struct Reencode {
    /// Encode this many random chunks again and compare their vectors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub reencode: Option<u64>,
    /// Seed that selects the chunks [default: random, printed]
    #[arg(long, value_name = "S", requires = "reencode")]
    pub seed: Option<u64>,
    /// Require bit-identical vectors
    #[arg(long, requires = "reencode")]
    pub exact: bool,
}

#[derive(Args, Debug)]
pub struct RelocateArgs {
    /// Index to rewrite: a database, or the folder that holds it
    pub index: PathBuf,
    /// Old and new place of sources, a root or a folder above roots;
    /// repeatable
    #[arg(long, value_name = "OLD=NEW", value_parser = map)]
    pub map: Vec<(PathBuf, PathBuf)>,
}

fn map(text: &str) -> Result<(PathBuf, PathBuf), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.into(), new.into())),
        _ => Err("expected OLD=NEW, two folders".to_owned()),
    }
}

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Index to read: a database, or the folder that holds it [default: the
    /// only one in the output folder]
    pub index: Option<PathBuf>,
    /// Shard label, file path (or its end) or chunk id [default: all shards]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub what: Option<String>,
}

#[derive(Args, Debug)]
pub struct EncodeArgs {
    /// Texts to encode, as queries
    #[arg(required_unless_present = "texts", value_name = "TEXT")]
    pub text: Vec<String>,
    /// Encode each line of this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub texts: Option<PathBuf>,
    /// Encode as a build encodes a chunk, instead of as a query
    #[arg(long)]
    pub passage: bool,
    #[command(flatten)]
    pub models: ModelFlags,
}

#[derive(Args, Debug)]
pub struct InitArgs {
    /// Folder to look at
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Name of the profile; the file is NAME.toml [default: the folder's name]
    #[arg(long, value_name = "NAME", conflicts_with = "stdout")]
    pub name: Option<String>,
    /// Print the profile instead of writing a file
    #[arg(long)]
    pub stdout: bool,
}

#[derive(Debug, Subcommand)]
pub enum ProfileAction {
    /// List the profiles that `--profile NAME` finds
    List,
    /// Show a profile as resolved on this machine
    Show { profile: String },
    /// Check a profile and report its first error
    Check { profile: String },
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub models: ModelFlags,
}

/// Parse the command line.
///
/// Build flags before another command are an error, since they would be ignored. (clap itself could refuse them, but then
/// would refuse `-v plan` as well.)
///
/// # Errors
/// clap's, also for `--help` and `--version`: pass it to [`refuse`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Command, GlobalFlags), clap::Error> {
    let mut parser = Cli::command();
    let matches = parser.try_get_matches_from_mut(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let Some(mut command) = cli.command else {
        choose_paths(&mut cli.build, &matches)?;
        return Ok((Command::Build(cli.build), cli.global));
    };
    if let (Command::Build(build) | Command::Plan { build, .. }, Some((_, matches))) =
        (&mut command, matches.subcommand())
    {
        choose_paths(build, matches)?;
    }
    if let Command::Query(query) = &mut command {
        query.shift().map_err(|(kind, text)| {
            // With the usage of the command.
            let of_query = parser.find_subcommand_mut("query");
            of_query.expect("it was parsed").error(kind, text)
        })?;
    }
    if let Some(flag) = misplaced(&parser, &matches) {
        let name = matches.subcommand_name().unwrap_or_default();
        let advice = match command {
            Command::Build(_) | Command::Plan { .. } => {
                format!("{flag} must follow the command: helix-build {name} {flag} ...")
            }
            _ => format!("{flag} is a flag of `build` and `plan`; `{name}` does not accept it"),
        };
        return Err(parser.error(ErrorKind::ArgumentConflict, advice));
    }
    Ok((command, cli.global))
}

/// Folders replace a profile that an environment variable names. One that a flag names is an error.
fn choose_paths(build: &mut BuildFlags, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
    let (Some(path), Some(profile)) = (build.paths.first(), &build.profile) else {
        return Ok(());
    };
    if matches.value_source("profile") == Some(ValueSource::CommandLine) {
        let text = format!(
            "--profile {profile} names its own folders, and {} is another: leave out one of them",
            path.display()
        );
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
    }
    build.profile = None;
    Ok(())
}

/// What people call commands elsewhere.
const OTHER_NAMES: [(&str, &str); 13] = [
    ("index", "build"),
    ("create", "build"),
    ("update", "build"),
    ("search", "query"),
    ("find", "query"),
    ("ask", "query"),
    ("grep", "query"),
    ("check", "verify"),
    ("show", "inspect"),
    ("embed", "encode"),
    ("evaluate", "eval"),
    ("move", "relocate"),
    ("measure", "eval"),
];

/// Return the command that a mistyped word resembles, or that other programs call by it.
pub fn similar_command(word: &str) -> Option<String> {
    if let Some((_, name)) = OTHER_NAMES.iter().find(|(other, _)| *other == word) {
        return Some((*name).to_owned());
    }
    let initial = word.chars().next();
    let others = OTHER_NAMES.iter().map(|(other, _)| *other);
    let others = others.filter(|other| other.chars().next() == initial);
    let commands = parser_names();
    let known = commands.iter().map(String::as_str).chain(others);
    if let Some(nearest) = nearest(word, known)
        && let Some((_, name)) = OTHER_NAMES.iter().find(|(other, _)| *other == nearest)
    {
        return Some((*name).to_owned());
    }
    // Without positional arguments the word can only be a command.
    let parser = Cli::command().mut_arg("paths", |argument| argument.long("paths"));
    let error = parser.try_get_matches_from(["helix-build", word]).err()?;
    match error.get(ContextKind::SuggestedSubcommand)? {
        // The most similar one is the last.
        ContextValue::Strings(names) => names.iter().rev().find(|name| is_command(name)).cloned(),
        ContextValue::String(name) => Some(name.clone()).filter(|name| is_command(name)),
        _ => None,
    }
}

fn parser_names() -> Vec<String> {
    let parser = Cli::command();
    let commands = parser.get_subcommands();
    commands
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// Return whether this is the name of a command that users may run.
pub fn is_command(word: &str) -> bool {
    let parser = Cli::command();
    parser
        .find_subcommand(word)
        .is_some_and(|command| !command.is_hide_set())
}

/// Print what [`parse`] has returned (help, the version, or an error) and end the process with exit code 0 or 2.
pub fn refuse(error: &clap::Error) -> ! {
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
    let plain = error.render().to_string();
    if plain.lines().all(|line| terminal::message(line) == line) {
        error.exit();
    }
    for line in plain.lines() {
        let _ = writeln!(std::io::stderr(), "{}", terminal::message(line));
    }
    std::process::exit(error.exit_code());
}

/// Return a build flag that was typed before the command.
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

/// Write the completion script for a shell.
pub fn completions(shell: clap_complete::Shell, to: &mut impl std::io::Write) {
    let mut command = Cli::command();
    clap_complete::generate(shell, &mut command, "helix-build", to);
}

#[cfg(test)]
mod tests;
