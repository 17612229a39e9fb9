//! Writes the log to standard error and, with `--log-file`, to a file.
//!
//! `commands` prints results and `progress` draws what is running; the log is for diagnosis.

use crate::cli::{ColorWhen, Command, GlobalFlags};
use crate::credential::{self, Style};
use crate::exit_code::{Exit, ExitCode};
use crate::named_file::{self, Target};
pub use crate::report::LOG_ONLY;
use crate::report::marks;
use crate::terminal;
use anyhow::Context as _;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Start logging, and write the command line to the log file. A worker appends to the file of its supervisor.
/// `HELIX_BUILD_LOG` (for example `debug`, or `helix_build::engine::worker=trace`) overrides `-v` and `-q`.
pub fn start(command: &Command, flags: &GlobalFlags) -> anyhow::Result<()> {
    let is_worker = command.is_child();
    let level = match i32::from(flags.verbose) - i32::from(flags.quiet) {
        ..=-2 => LevelFilter::ERROR,
        -1 | 0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var("HELIX_BUILD_LOG")
        .from_env()
        .context("HELIX_BUILD_LOG is not a valid log filter: set it to `debug`, for example")?;
    let stderr = fmt::layer()
        .fmt_fields(fields())
        .with_writer(io::stderr)
        .with_ansi(colors(flags.color, &io::stderr()))
        .with_target(false)
        .with_filter(filter.and(filter_fn(|metadata| metadata.target() != LOG_ONLY)));
    let file = match &flags.log_file {
        None => None,
        Some(path) => {
            let file = open_log(path, is_worker);
            // A worker also works without the log file.
            let file = if is_worker { file.ok() } else { Some(file?) };
            file.map(|file| {
                let layer = fmt::layer()
                    .fmt_fields(fields())
                    .with_writer(Mutex::new(Log::new(
                        file,
                        path,
                        is_worker || flags.quiet > 1,
                    )))
                    .with_ansi(false);
                layer.with_filter(LevelFilter::DEBUG)
            })
        }
    };
    tracing_subscriber::registry()
        .with(stderr)
        .with(file)
        .try_init()
        .context("starting the log")?;
    // Only the log file has this line, and finding credentials in it takes a millisecond.
    if !is_worker && flags.log_file.is_some() {
        let version = env!("CARGO_PKG_VERSION");
        let folder = std::env::current_dir().unwrap_or_default();
        tracing::info!(
            target: LOG_ONLY,
            "helix-build {version}, process {}, in {folder:?}: {}",
            std::process::id(),
            arguments()
        );
    }
    Ok(())
}

/// Open the log for appending, since workers write to the same file, one line per call. Replaces an earlier log of this
/// program, and writes to a stream directly.
///
/// # Errors
/// Exit code 2 for any other file.
fn open_log(path: &Path, is_worker: bool) -> anyhow::Result<File> {
    let refused = |why: &str| {
        let text = format!("--log-file {}: {why}", path.display());
        Exit::error(ExitCode::Usage, text)
    };
    let file = match named_file::target(path).map_err(|error| refused(&error.to_string()))? {
        Target::Stream(file) => return Ok(file),
        Target::File(file) => file,
    };
    let create = || -> io::Result<File> {
        if !is_worker {
            File::create(&file)?;
        }
        File::options().append(true).create(true).open(&file)
    };
    match named_file::head(&file, marks::HEAD_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(head) if head.is_empty() || marks::is_log(&head) => {}
        Err(error) => return Err(refused(&error.to_string())),
        Ok(_) => {
            return Err(refused(
                "not a log of this program, and it would be overwritten: choose another file",
            ));
        }
    }
    create().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            refused("its folder does not exist: create it, or choose another file")
        }
        _ => refused(&error.to_string()),
    })
}

/// A log file. The first failed write prints a warning on standard error; the line is lost, and the program continues.
struct Log {
    file: File,
    /// As the user named it.
    name: PathBuf,
    /// No warning is printed: it was printed already, or the supervisor of this worker prints it.
    is_silent: bool,
}

impl Log {
    fn new(file: File, name: &Path, is_silent: bool) -> Self {
        let name = name.to_path_buf();
        Self {
            file,
            name,
            is_silent,
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes)
            && !self.is_silent
        {
            self.is_silent = true;
            let why = named_file::unwritten(&error);
            let text = format!(
                "warning: --log-file {}: {why}; some lines are missing",
                self.name.display()
            );
            // Not through the log, which calls this function.
            let _ = writeln!(io::stderr(), "{}", terminal::line(&text));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Return the command line without credentials, quoted as for a shell.
fn arguments() -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@%+".contains(c);
    let words = std::env::args_os().map(|word| match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        // Redact before quoting, which escapes the quotes around credentials.
        Some(text) => format!("{:?}", credential::redact(text, Style::Any).0),
        None => format!("{word:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Format the fields of an event on one line, whatever they contain.
fn fields() -> impl for<'w> FormatFields<'w> {
    let field = |to: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(to, "{}", terminal::message(&text)),
            // With the name, which may indicate a credential.
            name => write!(to, "{}", terminal::message(&format!("{name}={text}"))),
        }
    };
    fmt::format::debug_fn(field).delimited(" ")
}

/// Return whether to colour what is written to `stream`. `auto` follows `NO_COLOR`, then `CLICOLOR_FORCE`, then whether it
/// is a terminal with colours.
pub fn colors(when: ColorWhen, stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if set("NO_COLOR") => false,
        ColorWhen::Auto if set("CLICOLOR_FORCE") => true,
        ColorWhen::Auto => {
            stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
