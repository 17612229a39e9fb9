//! `query`: the builder's own reading of an index.
//!
//! For checking an index and for people without a server; never writes.

use super::output;
use super::settings;
use crate::cli::{GlobalFlags, QueryArgs, QueryMode};
use crate::encode::{self, EncodeError, EncoderInfo, Encoders};
use crate::exit_code::{Exit, ExitCode};
use crate::named_file;
use crate::profile::encoders::ModelSource;
use crate::profile::recipe::Recipe;
use crate::store::StoreError;
use crate::store::locate::{self, Index, LocateError};
use crate::store::query::{Hit, Mode, Query, QueryError, Scope, Searcher};
use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, Read as _, Write};
use std::path::Path;

/// What there is to say of an index whose build has not come to its end.
const UNFINISHED: &str = "a build of this index is running or was stopped: what is not in it yet is not found; \
     run the build again to finish it";

/// Labels that a warning lists.
const MOST_LABELS: usize = 12;

/// Characters of a hit's text that are printed for people.
const EXCERPT_CHARS: usize = 200;

/// Longest line of a file of queries, in bytes. What is longer is no question but another file.
const LONGEST_QUERY: u64 = 1 << 20;

/// Answers the query, or every line of `--queries`. A line that cannot be answered says why and the others go on:
/// exit code 3 then.
pub fn run(args: &QueryArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let index = open_index(&args.index)?;
    let is_unfinished = index.surroundings().is_unfinished();
    if is_unfinished {
        tracing::warn!("{}: {UNFINISHED}", args.index.display());
    }
    let searcher = Searcher::open(&index).map_err(unsearchable)?;
    if !searcher.skipped().is_empty() {
        tracing::warn!("{}", skipped(searcher.skipped()));
    }
    let mut encoders = encoders(args, &searcher)?;
    let mut answer = |text: &str| answer(&searcher, encoders.as_mut(), args, text);
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
    let mut lines = Lines::open(file)?;
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
                Err(_) => Err(NO_QUERY.to_owned()),
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
            // Whoever asks over a pipe waits for this answer before the next question.
            out.flush()?;
        }
        Ok(())
    })?;
    unread.map(|()| code)
}

/// What is said of registrations that cannot be searched.
fn skipped(labels: &[String]) -> String {
    let shown = labels.len().min(MOST_LABELS);
    let more = match labels.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "not searched, since another program registered it and it is no shard that can be read: {}{more}",
        labels[..shown].join(", ")
    )
}

fn note_unfinished(out: &mut impl Write, is_unfinished: bool) -> io::Result<()> {
    match is_unfinished {
        true => output::json_line(out, "unfinished", &serde_json::json!({"what": UNFINISHED})),
        false => Ok(()),
    }
}

/// An index of another format is exit code 12.
fn unsearchable(error: QueryError) -> anyhow::Error {
    match error {
        QueryError::Store(error @ StoreError::Format { .. }) => {
            Exit::error(ExitCode::FingerprintMismatch, error.to_string())
        }
        QueryError::Store(
            error @ (StoreError::Corrupt { .. } | StoreError::Sql { .. } | StoreError::Io { .. }),
        ) => told_by_verify(error),
        other => other.into(),
    }
}

/// An error of an index that may be damaged.
fn told_by_verify(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    anyhow::anyhow!(
        "{error:#}; helix-build verify says what is wrong with the index, and how to mend it"
    )
}

/// Why a line of `--queries` is none.
const NO_QUERY: &str = "the line is not UTF-8, or longer than 1 MiB";

/// The lines of `--queries`, one at a time.
struct Lines {
    from: Box<dyn BufRead>,
    name: String,
}

impl Lines {
    fn open(file: &Path) -> anyhow::Result<Self> {
        if file == Path::new("-") {
            return Ok(Self {
                from: Box::new(io::stdin().lock()),
                name: "standard input".to_owned(),
            });
        }
        let name = file.display().to_string();
        let unusable =
            |error: io::Error| Exit::error(ExitCode::Usage, format!("--queries {name}: {error}"));
        let opened = named_file::open_stream(file).map_err(unusable)?;
        Ok(Self {
            from: Box::new(io::BufReader::new(opened)),
            name,
        })
    }

    /// The next line without its end; `Err` inside for one that is no query, as far as it can be shown.
    fn next(&mut self) -> anyhow::Result<Option<Result<String, String>>> {
        let mut bytes = Vec::new();
        let mut read = |most: u64, bytes: &mut Vec<u8>| {
            let from = &mut self.from;
            from.by_ref()
                .take(most)
                .read_until(b'\n', bytes)
                .with_context(|| format!("reading --queries from {}", self.name))
        };
        if read(LONGEST_QUERY, &mut bytes)? == 0 {
            return Ok(None);
        }
        let is_whole = bytes.len() < LONGEST_QUERY as usize || bytes.ends_with(b"\n");
        let mut rest = Vec::new();
        let mut skipped = 0;
        while !is_whole && read(LONGEST_QUERY, &mut rest)? > 0 && !rest.ends_with(b"\n") {
            skipped += rest.len() as u64;
            anyhow::ensure!(
                skipped < named_file::MOST_LINE_BYTES,
                "--queries {}: a line of more than {} MiB; this is no file of queries",
                self.name,
                named_file::MOST_LINE_BYTES >> 20
            );
            rest.clear();
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(Some(match std::str::from_utf8(line) {
            Ok(text) if is_whole => Ok(text.to_owned()),
            _ => {
                let text = String::from_utf8_lossy(line);
                Err(text.chars().take(EXCERPT_CHARS).collect())
            }
        }))
    }
}

/// Finds the index at `path`; none is exit code 10.
pub fn open_index(path: &Path) -> anyhow::Result<Index> {
    locate::locate(path).map_err(|error| match error {
        error @ LocateError::Routing { .. } => told_by_verify(error),
        error => no_index(error),
    })
}

/// Why there is no index, with its exit code.
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
    Exit::error(code, format!("{:#}", anyhow::Error::new(error)))
}

/// The encoders that the mode needs and the index has; none for a lexical query. Others than those
/// that the index was built with are exit code 12: their answers would mean nothing.
fn encoders(args: &QueryArgs, searcher: &Searcher) -> anyhow::Result<Option<Encoders>> {
    let mut choice = settings::encoder_choice(&args.models)?;
    match args.mode {
        QueryMode::Lexical => return Ok(None),
        QueryMode::Sparse => choice.dense = ModelSource::None,
        QueryMode::Dense => choice.sparse = ModelSource::None,
        QueryMode::Hybrid => {}
    }
    let noted = searcher.noted()?;
    // How much of a text is encoded is part of the encoders' hashes.
    if let Some(recipe) = noted.as_ref().and_then(|n| parse::<Recipe>(&n.recipe)) {
        choice.coverage = recipe.coverage;
    }
    if let Some(built_with) = noted.and_then(|n| parse::<EncoderInfo>(&n.encoder)) {
        choice.precision = built_with.precision();
        let given = encode::describe(&choice).map_err(unavailable)?;
        let kinds = [
            (
                QueryMode::Sparse,
                "sparse",
                &mut choice.sparse,
                built_with.sparse,
                given.sparse,
            ),
            (
                QueryMode::Dense,
                "dense",
                &mut choice.dense,
                built_with.dense,
                given.dense,
            ),
        ];
        for (mode, kind, source, built_with, given) in kinds {
            match (built_with, given) {
                (None, _) if args.mode == mode => {
                    let text = format!("the index has no {kind} vectors: ask with --mode lexical");
                    return Err(Exit::error(ExitCode::Usage, text));
                }
                (_, None) if args.mode == mode => {
                    let text =
                        format!("--mode {kind} needs an encoder: leave out --{kind}-model none");
                    return Err(Exit::error(ExitCode::Usage, text));
                }
                (None, _) => *source = ModelSource::None,
                (Some(built_with), Some(given)) if built_with.hash != given.hash => {
                    let text = format!(
                        "the index was built with the {kind} encoder {} ({:.12}), not {} ({:.12}): name its directory with --{kind}-model",
                        built_with.name,
                        built_with.hash.to_string(),
                        given.name,
                        given.hash.to_string()
                    );
                    return Err(Exit::error(ExitCode::FingerprintMismatch, text));
                }
                _ => {}
            }
        }
    }
    Encoders::open(&choice).map(Some).map_err(unavailable)
}

/// `None` for what another version wrote in another form.
fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

fn unavailable(error: EncodeError) -> anyhow::Error {
    let text = format!("{error}; --mode lexical needs no encoder");
    Exit::error(ExitCode::Unavailable, text)
}

fn answer(
    searcher: &Searcher,
    encoders: Option<&mut Encoders>,
    args: &QueryArgs,
    text: &str,
) -> anyhow::Result<Vec<Hit>> {
    let encoded = encoders
        .map(|e| e.encode_query(text))
        .transpose()?
        .unwrap_or_default();
    let query = Query {
        text,
        sparse: encoded.sparse.as_ref(),
        dense: encoded.dense.as_ref(),
        mode: match args.mode {
            QueryMode::Lexical => Mode::Lexical,
            QueryMode::Sparse => Mode::Sparse,
            QueryMode::Dense => Mode::Dense,
            QueryMode::Hybrid => Mode::Hybrid,
        },
        scope: if args.routed {
            Scope::Routed
        } else {
            Scope::Everywhere
        },
        k: args.k,
    };
    searcher.search(&query).map_err(unsearchable)
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
