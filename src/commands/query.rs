//! `query`: from flags to [`SearchOptions`], from hits to words.
//!
//! [`search`](crate::search) does the work. Never writes.

use super::index_choice;
use super::output;
use super::settings;
use super::text_lines::{Lines, NOT_A_TEXT};
use crate::cli::{GlobalFlags, QueryArgs, QueryMode};
use crate::exit_code::{Exit, ExitCode};
use crate::failure::with_causes;
use crate::search::{
    Hit, LocateError, Mode, OpenIndex, Scope, SearchError, SearchOptions, StoreError,
};
use crate::store::locate::locate;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Warning about an index whose build has not finished.
const UNFINISHED: &str = "a build of this index is running or was stopped, so results may be missing; \
     run the build again to finish it";

/// Most labels that a warning lists.
const MOST_LABELS: usize = 12;

/// Characters of a hit's text that are printed for people.
const EXCERPT_CHARS: usize = 200;

/// Answer the query, or every line of `--queries`. A line that cannot be answered prints the reason, the others are still
/// answered, and the exit code is 3.
pub fn run(args: &QueryArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    if let (None, Some(text)) = (&args.index, &args.text) {
        refuse_index(text)?;
    }
    let path = index_choice::choose(args.index.as_deref(), "query")?;
    let index = locate(&path).map_err(not_located)?;
    let is_unfinished = index.surroundings().is_unfinished();
    if is_unfinished {
        tracing::warn!("{}: {UNFINISHED}", path.display());
    }
    let index = OpenIndex::open(&index).map_err(failed)?;
    if !index.skipped().is_empty() {
        tracing::warn!("{}", skipped(index.skipped()));
    }
    let options = SearchOptions {
        mode: mode(args.mode),
        encoders: settings::encoder_choice(&args.models)?,
    };
    let scope = match args.routed {
        true => Scope::Routed,
        false => Scope::Everywhere,
    };
    let mut search = index.load_encoders(options).map_err(failed)?;
    let mut answer = |text: &str| search.query(text, args.k, scope).map_err(failed);
    let Some(file) = &args.queries else {
        let text = args.text.as_deref().unwrap_or_default();
        let hits = answer(text)?;
        return output::text(|out| {
            if global.json {
                note_unfinished(out, is_unfinished)?;
                return print_json(out, None, &hits);
            }
            print_text(out, &hits)
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
                Ok(text) => answer(text).map_err(|error| format!("{error:#}")),
                Err(_) => Err(NOT_A_TEXT.to_owned()),
            };
            if !global.json {
                writeln!(out, "== {shown}")?;
            }
            match answered {
                Ok(hits) if global.json => print_json(out, Some(query), &hits)?,
                Ok(hits) => print_text(out, &hits)?,
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

/// Return the warning about registrations that cannot be searched.
fn skipped(labels: &[String]) -> String {
    let shown = labels.len().min(MOST_LABELS);
    let more = match labels.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "skipped, because another program registered it and it cannot be read as a shard: {}{more}",
        labels[..shown].join(", ")
    )
}

fn note_unfinished(out: &mut impl Write, is_unfinished: bool) -> io::Result<()> {
    match is_unfinished {
        true => output::json_line(out, "unfinished", &serde_json::json!({"what": UNFINISHED})),
        false => Ok(()),
    }
}

/// Give an error of the search its exit code, and advice in terms of flags.
fn failed(error: SearchError) -> anyhow::Error {
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
        SearchError::NoVectors { .. } => {
            (ExitCode::Usage, format!("{error}: ask with --mode lexical"))
        }
        SearchError::NoEncoder { kind } => {
            let text = format!("--mode {kind} needs an encoder: leave out --{kind}-model none");
            (ExitCode::Usage, text)
        }
        SearchError::EncoderUnavailable(error) => {
            let text = format!("{error}; --mode lexical needs no encoder");
            (ExitCode::Unavailable, text)
        }
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

fn mode(mode: QueryMode) -> Mode {
    match mode {
        QueryMode::Lexical => Mode::Lexical,
        QueryMode::Sparse => Mode::Sparse,
        QueryMode::Dense => Mode::Dense,
        QueryMode::Hybrid => Mode::Hybrid,
    }
}

#[derive(Serialize)]
struct HitLine<'a> {
    /// Position in the file of queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<usize>,
    #[serde(flatten)]
    hit: &'a Hit,
}

fn print_json(out: &mut impl Write, query: Option<usize>, hits: &[Hit]) -> io::Result<()> {
    hits.iter()
        .try_for_each(|hit| output::json_line(out, "hit", &HitLine { query, hit }))
}

fn print_text(out: &mut impl Write, hits: &[Hit]) -> io::Result<()> {
    if hits.is_empty() {
        return writeln!(out, "no hits");
    }
    for hit in hits {
        writeln!(
            out,
            "{:2}. {:.4}  {}  [{}]",
            hit.rank, hit.score, hit.path, hit.shard
        )?;
        let flat = hit.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let excerpt: String = flat.chars().take(EXCERPT_CHARS).collect();
        writeln!(out, "    {excerpt}")?;
    }
    Ok(())
}
