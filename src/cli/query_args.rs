//! The arguments of `query`.

use super::ModelFlags;
use clap::builder::UnknownArgumentValueParser;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use std::borrow::Cow;
use std::path::PathBuf;

/// Most hits of a query: more than a person or a program reads.
const MOST_HITS: usize = 10_000;

/// Most lines around a snippet: a file is a better place to read more.
const MOST_CONTEXT: i64 = 1000;

fn hits(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MOST_HITS) => Ok(n),
        _ => Err(format!("expected a number from 1 to {MOST_HITS}")),
    }
}

#[derive(Args, Debug)]
pub struct QueryArgs {
    /// Index to read: a database, or the folder that holds it [default: the
    /// only one in the output folder]
    pub index: Option<PathBuf>,
    /// Text to search for
    pub text: Option<String>,
    /// More words, which only a text without quotes has
    #[arg(hide = true)]
    pub rest: Vec<String>,
    /// Answer each line of this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub queries: Option<PathBuf>,
    /// Search mode; `hybrid` combines the others and ranks the hits
    #[arg(long, default_value = "hybrid")]
    pub mode: QueryMode,
    /// Number of hits
    #[arg(short, long, default_value_t = 10, value_name = "N", value_parser = hits)]
    pub k: usize,
    /// What other programs call `-k`
    #[arg(
        short = 'n', long = "limit", aliases = ["top", "top-k", "count"], hide = true,
        value_parser = UnknownArgumentValueParser::suggest_arg("-k")
    )]
    pub other_k: Option<String>,
    /// Print one hit a file, each on one line
    #[arg(long)]
    pub files: bool,
    /// Print what each arm and each ranking rule gave a hit
    #[arg(long)]
    pub explain: bool,
    /// Order hybrid hits by their ranks in the other modes alone
    #[arg(long)]
    pub no_ranking: bool,
    /// Print this many lines around each snippet
    #[arg(long, value_name = "N", conflicts_with = "files", value_parser = clap::value_parser!(u32).range(..=MOST_CONTEXT))]
    pub context: Option<u32>,
    /// Search only files in this language, for example rust; repeatable
    #[arg(long, value_name = "LANGUAGE", value_delimiter = ',')]
    pub lang: Vec<String>,
    /// Search only files that match this pattern, as in profiles; repeatable
    #[arg(long, value_name = "GLOB")]
    pub path: Vec<String>,
    /// Search only this shard; repeatable
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    pub shard: Vec<String>,
    /// Search only the shards that a server would route the query to
    #[arg(long)]
    pub routed: bool,
    #[command(flatten)]
    pub models: ModelFlags,
}

impl QueryArgs {
    /// One argument is the text, unless the texts come from a file.
    pub(super) fn shift(&mut self) -> Result<(), (ErrorKind, String)> {
        if !self.rest.is_empty() {
            return Err((ErrorKind::UnknownArgument, self.needs_quotes()));
        }
        if self.queries.is_some() || self.text.is_some() {
            return Ok(());
        }
        let Some(only) = self.index.take() else {
            let text =
                "the text to search for is missing, as in helix-build query \"how do I ...\"";
            return Err((ErrorKind::MissingRequiredArgument, text.to_owned()));
        };
        let text = only.into_os_string().into_string();
        let not_a_text = |_| (ErrorKind::InvalidUtf8, "the text is not UTF-8".to_owned());
        self.text = Some(text.map_err(not_a_text)?);
        Ok(())
    }

    fn needs_quotes(&self) -> String {
        let index = self.index.iter().map(|index| index.to_string_lossy());
        let text = self.text.iter().map(|text| text.as_str().into());
        let rest = self.rest.iter().map(|word| word.as_str().into());
        let words: Vec<Cow<'_, str>> = index.chain(text).chain(rest).collect();
        let is_index = words[0].contains(['/', '\\']) || words[0].ends_with(".db");
        let quoted = match is_index {
            true => format!("{} \"{}\"", words[0], words[1..].join(" ")),
            false => format!("\"{}\"", words.join(" ")),
        };
        format!("a text of several words needs quotes: helix-build query {quoted}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryMode {
    Lexical,
    Sparse,
    Dense,
    Hybrid,
}
