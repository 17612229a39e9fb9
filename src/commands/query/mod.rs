//! `query`: from flags to [`SearchOptions`], from hits to words.
//!
//! [`search`](crate::search) does the work. Never writes.

mod filter;
mod hits;
mod paint;
mod snippet;

use super::index_choice;
use super::output;
use super::settings;
use super::text_lines::{Lines, NOT_A_TEXT};
use crate::cli::{GlobalFlags, QueryArgs, QueryMode};
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::search::{
    LocateError, Mode, OpenIndex, Ranking, Scope, Search, SearchError, SearchOptions, StoreError,
};
use crate::store::locate::locate;
use hits::{Answer, Printer, print_json};
use paint::Paint;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Warning about an index whose build has not finished.
const UNFINISHED: &str = "a build of this index is running or was stopped, so results may be missing; \
     run the build again to finish it";

/// Most labels that a warning lists.
const MOST_LABELS: usize = 12;

/// Answer the query, or every line of `--queries`. A line that cannot be answered prints the reason, the others are still
/// answered, and the exit code is 3.
pub fn run(args: &QueryArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    if let (None, Some(text)) = (&args.index, &args.text) {
        refuse_index(text)?;
    }
    let path = index_choice::choose(args.index.as_deref(), "query INDEX TEXT")?;
    let index = locate(&path).map_err(|error| not_at(&path, args, error))?;
    let is_unfinished = index.surroundings().is_unfinished();
    if is_unfinished {
        tracing::warn!("{}: {UNFINISHED}", path.display());
    }
    let opened = match args.queries {
        None => OpenIndex::open_for_one_query(&index),
        Some(_) => OpenIndex::open(&index),
    };
    let mut index = opened.map_err(failed)?;
    if !index.skipped().is_empty() {
        tracing::warn!("{}", skipped(index.skipped()));
    }
    let unmatched = index.restrict(&filter::filter(args)?).map_err(failed)?;
    if let Some(warning) = filter::unmatched(&unmatched, args) {
        tracing::warn!("{warning}");
    }
    let options = SearchOptions {
        mode: mode(args.mode),
        encoders: settings::encoder_choice(&args.models)?,
    };
    let mut search = index.load_encoders(options).map_err(failed)?;
    if args.no_ranking {
        search.set_ranking(Ranking::Off);
    }
    let mut asking = Asking { search, args };
    let printer = Printer::new(Paint::of_stdout(global.color), args.context.unwrap_or(0));
    let has_context = args.context.is_some();
    let Some(file) = &args.queries else {
        let text = args.text.as_deref().unwrap_or_default();
        let answers = asking.answer(text)?;
        return output::text(|out| {
            if global.json {
                note_unfinished(out, is_unfinished)?;
                return print_json(out, None, &answers, has_context);
            }
            printer.print(out, text, &answers)
        });
    };
    let mut lines = Lines::open("--queries", file)?;
    let mut code = ExitCode::Success;
    let mut unread = Ok(());
    output::text(|out| {
        if global.json {
            note_unfinished(out, is_unfinished)?;
        }
        for query in 0.. {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    unread = Err(error);
                    break;
                }
            };
            let shown = line.clone().unwrap_or_else(|unusable| unusable);
            let answered = match &line {
                Ok(text) => asking.answer(text).map_err(|error| format!("{error:#}")),
                Err(_) => Err(NOT_A_TEXT.to_owned()),
            };
            if !global.json {
                writeln!(out, "== {shown}")?;
            }
            match answered {
                Ok(answers) if global.json => {
                    print_json(out, Some(query), &answers, has_context)?;
                }
                Ok(answers) => printer.print(out, &shown, &answers)?,
                Err(error) => {
                    code = ExitCode::Incomplete;
                    if global.json {
                        let line = serde_json::json!({"query": query, "error": error});
                        output::json_line(out, "unanswered", &line)?;
                    } else {
                        writeln!(out, "not answered: {error}")?;
                    }
                }
            }
            // A program at the other end of a pipe waits for this answer before it sends the next query.
            out.flush()?;
        }
        Ok(())
    })?;
    unread.map(|()| code)
}

/// A search and how it is asked.
struct Asking<'a> {
    search: Search,
    args: &'a QueryArgs,
}

impl Asking<'_> {
    fn answer(&mut self, text: &str) -> anyhow::Result<Vec<Answer>> {
        let Self { search, args } = self;
        let scope = match args.routed {
            true => Scope::Routed,
            false => Scope::Everywhere,
        };
        let hits = match args.files {
            true => search.query_files(text, args.k, scope),
            false => search.query(text, args.k, scope),
        };
        let mut answers = Vec::new();
        for hit in hits.map_err(failed)? {
            let lines = hit.line_start.zip(hit.line_end).zip(args.context);
            let context = match (lines, hit.locations.first()) {
                (Some(((first, last), n)), Some(place)) => {
                    let (first, last) = (first.saturating_sub(n), last.saturating_add(n));
                    search.lines(place, first, last).map_err(failed)?
                }
                _ => BTreeMap::new(),
            };
            answers.push(Answer {
                hit,
                context,
                is_explained: args.explain,
            });
        }
        Ok(answers)
    }
}

/// Refuse a single argument that names an index: the text is missing.
fn refuse_index(text: &str) -> anyhow::Result<()> {
    let path = Path::new(text);
    if !path.exists() || locate(path).is_err() {
        return Ok(());
    }
    let text = format!(
        "{text} is an index, and the text to search for is missing: helix-build query {text} \"how do I ...\""
    );
    Err(Exit::error(ExitCode::Usage, text))
}

/// Explain why there is no index at `path`. The arguments may be swapped, or all of them be the text.
fn not_at(path: &Path, args: &QueryArgs, error: LocateError) -> anyhow::Error {
    if matches!(error, LocateError::Routing { .. }) {
        return told_by_verify(error);
    }
    let (Some(named), Some(text)) = (&args.index, &args.text) else {
        return index_choice::not_found(path, error);
    };
    let named = named.display();
    if locate(Path::new(text)).is_ok() {
        let text = format!("the index comes before the text: helix-build query {text} \"{named}\"");
        return Exit::error(ExitCode::Usage, text);
    }
    let is_nothing = matches!(&error, LocateError::NotFound { found, .. } if found.0.is_empty());
    let is_word = path.components().count() == 1 && is_nothing;
    let error = index_choice::not_found(path, error);
    match is_word && !error.to_string().ends_with('?') {
        true => {
            let text = format!(
                "{error}; if it belongs to the text, use quotes: helix-build query \"{named} {text}\""
            );
            Exit::error(ExitCode::NoSuchOutput, text)
        }
        false => error,
    }
}

/// Return the warning about registrations that cannot be searched.
fn skipped(labels: &[String]) -> String {
    format!(
        "skipped, because another program registered it and it cannot be read as a shard: {}",
        listed(labels)
    )
}

/// Return names for a message, not too many.
fn listed(names: &[String]) -> String {
    let shown = names.len().min(MOST_LABELS);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..shown].join(", "))
}

fn note_unfinished(out: &mut impl Write, is_unfinished: bool) -> io::Result<()> {
    match is_unfinished {
        true => output::json_line(out, "unfinished", &serde_json::json!({"what": UNFINISHED})),
        false => Ok(()),
    }
}

/// Give an error of the search its exit code, and advice in terms of flags.
pub fn failed(error: SearchError) -> anyhow::Error {
    let (code, text) = match error {
        SearchError::NoIndex(error) => return not_located(error),
        SearchError::Store(
            error @ (StoreError::Corrupt { .. } | StoreError::Sql { .. } | StoreError::Io { .. }),
        ) => return told_by_verify(error),
        SearchError::Store(error @ StoreError::Format { .. }) => {
            (ExitCode::FingerprintMismatch, error.to_string())
        }
        SearchError::OtherEncoder(other) => {
            let text = format!("{other}: name its directory with --{}-model", other.kind);
            (ExitCode::FingerprintMismatch, text)
        }
        SearchError::UnknownEncoders => {
            let text = format!("{error}: ask with --mode lexical, or build the index again");
            (ExitCode::FingerprintMismatch, text)
        }
        SearchError::NoVectors { has, .. } => {
            let modes = match has {
                Some(kind) => format!("lexical, {kind} or hybrid"),
                None => "lexical".to_owned(),
            };
            (ExitCode::Usage, format!("{error}: ask with --mode {modes}"))
        }
        SearchError::NoWords => (ExitCode::Usage, error.to_string()),
        SearchError::NoEncoder { kind } => {
            let text = format!("--mode {kind} needs an encoder: leave out --{kind}-model none");
            (ExitCode::Usage, text)
        }
        SearchError::EncoderUnavailable(error) => {
            let text = format!("{error}; --mode lexical needs no encoder");
            (ExitCode::Unavailable, text)
        }
        SearchError::NoShard { ref known, .. } => (
            ExitCode::Usage,
            format!("{error}: it has {}", listed(known)),
        ),
        SearchError::NoLanguage { ref known, .. } => (
            ExitCode::Usage,
            format!("{error}: it has {}", listed(known)),
        ),
        other => return other.into(),
    };
    Exit::error(code, text)
}

/// Add the advice to verify an index that may be damaged.
fn told_by_verify(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    anyhow::anyhow!(
        "{error:#}; run helix-build verify to see what is wrong with the index and how to repair it"
    )
}

/// [`no_index`], with the advice to verify an index that may be damaged.
fn not_located(error: LocateError) -> anyhow::Error {
    match error {
        error @ LocateError::Routing { .. } => told_by_verify(error),
        error => no_index(error),
    }
}

/// Give the reason why there is no index its exit code.
pub fn no_index(error: LocateError) -> anyhow::Error {
    let code = match error {
        LocateError::NotFound { .. }
        | LocateError::NotADatabase { .. }
        | LocateError::Odd { .. }
        | LocateError::Foreign { .. }
        | LocateError::OfAnotherBuilder { .. } => ExitCode::NoSuchOutput,
        LocateError::Ambiguous { .. } => ExitCode::Usage,
        _ => ExitCode::Failure,
    };
    Exit::error(code, with_causes(&error))
}

pub fn mode(mode: QueryMode) -> Mode {
    match mode {
        QueryMode::Lexical => Mode::Lexical,
        QueryMode::Sparse => Mode::Sparse,
        QueryMode::Dense => Mode::Dense,
        QueryMode::Hybrid => Mode::Hybrid,
    }
}
