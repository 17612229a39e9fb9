//! `query`: the builder's own reading of an index.
//!
//! For checking an index and for people without a server; never writes.

use super::build::settings;
use super::output;
use crate::cli::{GlobalFlags, QueryArgs, QueryMode};
use crate::encode::{self, EncodeError, EncoderInfo, Encoders};
use crate::exit_code::{Exit, ExitCode};
use crate::profile::encoders::ModelSource;
use crate::profile::recipe::Recipe;
use crate::store::locate::{self, Index, LocateError};
use crate::store::query::{Hit, Mode, Query, Scope, Searcher};
use crate::store::verify;
use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead as _, Write};
use std::path::Path;

/// What there is to say of an index whose build has not come to its end.
const UNFINISHED: &str = "a build of this index is running or was stopped: what is not in it yet is not found; \
     run the build again to finish it";

/// Characters of a hit's text that are printed for people.
const EXCERPT_CHARS: usize = 200;

pub fn run(args: &QueryArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let index = open_index(&args.index)?;
    let is_unfinished = verify::is_unfinished(&index);
    if is_unfinished {
        tracing::warn!("{}: {UNFINISHED}", args.index.display());
    }
    let searcher = Searcher::open(&index)?;
    let mut encoders = encoders(args, &searcher)?;
    let queries = queries(args)?;
    let numbered = args.queries.is_some();
    let mut failed = None;
    output::text(|out| {
        if is_unfinished && global.json {
            let line = serde_json::json!({"what": UNFINISHED});
            output::json_line(out, "unfinished", &line)?;
        }
        for (n, text) in queries.iter().enumerate() {
            let hits = match answer(&searcher, encoders.as_mut(), args, text) {
                Ok(hits) => hits,
                Err(error) => {
                    failed = Some(error);
                    return Ok(());
                }
            };
            let query = numbered.then_some(n);
            if global.json {
                print_json(out, query, &hits)?;
            } else {
                print_text(out, query.map(|_| text.as_str()), &hits)?;
            }
        }
        Ok(())
    })?;
    failed.map_or(Ok(ExitCode::Success), Err)
}

/// Finds the index at `path`; none is exit code 10.
pub fn open_index(path: &Path) -> anyhow::Result<Index> {
    locate::locate(path).map_err(no_index)
}

/// Why there is no index, with its exit code.
pub fn no_index(error: LocateError) -> anyhow::Error {
    let code = match error {
        LocateError::NotFound { .. } | LocateError::NotADatabase { .. } => ExitCode::NoSuchOutput,
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

fn queries(args: &QueryArgs) -> anyhow::Result<Vec<String>> {
    let lines = match (&args.queries, &args.text) {
        (None, text) => return Ok(text.iter().cloned().collect()),
        (Some(file), _) if file == Path::new("-") => io::stdin().lock().lines().collect(),
        (Some(file), _) => {
            std::fs::File::open(file).and_then(|file| io::BufReader::new(file).lines().collect())
        }
    };
    lines.with_context(|| "reading --queries".to_owned())
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
    Ok(searcher.search(&query)?)
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

fn print_text(out: &mut impl Write, query: Option<&str>, hits: &[Hit]) -> io::Result<()> {
    if let Some(query) = query {
        writeln!(out, "== {query}")?;
    }
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
