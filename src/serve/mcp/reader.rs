//! Reads the index for the tools.

use super::arguments::{MOST_NAMED, lines_within, listed, quoted, within};
use super::values::{
    ChunkValue, GetArguments, GetResult, HitValue, LineValue, SearchArguments, SearchMode,
    SearchResult, ShardValue, StatusArguments, StatusResult, View,
};
use crate::encode::EncoderInfo;
use crate::failure::with_causes;
use crate::language;
use crate::profile::encoders::EncoderChoice;
use crate::search::{
    Filter, Hit, Mode, OpenIndex, PathFilter, Scope, Search, SearchError, SearchOptions,
};
use crate::serve::stamp::Stamp;
use crate::store::index::Index;
use crate::store::inspect::{ContentsView, FileView, inspect_contents, inspect_file, lines_of};
use crate::store::locate::locate;
use std::path::{Path, PathBuf};

/// Hits of a page, and hits in all: more than an agent reads.
const MOST_HITS: u32 = 50;
const MOST_OFFSET: u32 = 1000;

/// Characters of a hit's text: about 300 tokens, so that ten hits fit into any context.
const HIT_CHARS: u32 = 1200;
const MOST_CHARS: u32 = 20_000;

/// Lines, chunks and shards of a page.
const MOST_LINES: i64 = 400;
const MOST_CHUNKS: usize = 200;
const MOST_SHARDS: usize = 100;

/// The index, opened when it is first needed and again when a build has replaced it.
pub struct Reader {
    path: PathBuf,
    encoders: EncoderChoice,
    open: Option<Open>,
}

struct Open {
    index: Index,
    stamp: Stamp,
    /// One for each mode that was asked for: a mode decides which encoders are loaded.
    searches: Vec<(Mode, Search)>,
}

impl Reader {
    pub fn new(path: PathBuf, encoders: EncoderChoice) -> Self {
        Self {
            path,
            encoders,
            open: None,
        }
    }

    /// Return one page of hits.
    pub fn search(&mut self, asked: &SearchArguments) -> Result<SearchResult, String> {
        if asked.query.trim().is_empty() {
            return Err("`query` is blank".to_owned());
        }
        let limit = within("limit", asked.limit.unwrap_or(10), 1..=MOST_HITS)?;
        let offset = within("offset", asked.offset.unwrap_or(0), 0..=MOST_OFFSET)?;
        let filter = filter(asked)?;
        let most_chars = asked.max_chars.unwrap_or(HIT_CHARS);
        let most_chars = within("max_chars", most_chars, 0..=MOST_CHARS)? as usize;
        let mode = mode(asked.mode.unwrap_or(SearchMode::Hybrid));
        let is_unfinished = self.index()?.surroundings().is_unfinished();
        let search = self.search_in(mode)?;
        let unmatched = search.restrict(&filter).map_err(refused)?;
        // One more tells whether there is another page.
        let wanted = (offset + limit + 1) as usize;
        let hits = search
            .query(&asked.query, wanted, Scope::Everywhere)
            .map_err(refused)?;
        let more = hits.len() == wanted;
        let hits = hits.into_iter().skip(offset as usize).take(limit as usize);
        let mut notes = Vec::new();
        if !unmatched.paths.is_empty() {
            notes.push(format!(
                "no file matches {}; the folders are {}",
                listed(&unmatched.paths),
                listed(&unmatched.roots)
            ));
        }
        if is_unfinished {
            notes.push("a build of the index has not ended, so hits may be missing".to_owned());
        }
        Ok(SearchResult {
            hits: hits.map(|hit| shown(hit, most_chars)).collect(),
            next_offset: more.then_some(offset + limit),
            notes,
        })
    }

    /// Return lines or chunks of the only file of this path.
    pub fn get(&mut self, asked: &GetArguments) -> Result<GetResult, String> {
        let index = self.index()?;
        let found = inspect_file(index, &asked.path).map_err(|error| with_causes(&error))?;
        let file = only(found, &asked.path)?;
        let last_line = file.chunks.iter().map(|chunk| chunk.line_end);
        let last_line = last_line.max().unwrap_or(0);
        let (first, last) = lines_within(asked, last_line)?;
        let (mut lines, mut chunks) = (Vec::new(), Vec::new());
        let next_line;
        match asked.view.unwrap_or_default() {
            View::Lines => {
                let page_end = last.min(first.saturating_add(MOST_LINES - 1));
                let found = lines_of(index, &file, (first, page_end));
                let found = found.map_err(|error| with_causes(&error))?;
                lines = found
                    .into_iter()
                    .map(|(line, text)| LineValue { line, text })
                    .collect();
                next_line = (page_end < last).then_some(page_end + 1);
            }
            View::Chunks => {
                let mut asked = file.chunks.iter();
                let within = asked
                    .by_ref()
                    .filter(|c| c.line_end >= first && c.line_start <= last);
                let mut within = within.map(|chunk| ChunkValue {
                    chunk_id: chunk.gene_id.clone(),
                    first_line: chunk.line_start,
                    last_line: chunk.line_end,
                    symbols: chunk.symbols.clone(),
                    defines: chunk.defines.iter().take(MOST_NAMED).cloned().collect(),
                });
                chunks = within.by_ref().take(MOST_CHUNKS).collect();
                // Chunks of one line may follow each other; a page that begins with its own last line would never end.
                let end = chunks
                    .last()
                    .map_or(last, |chunk: &ChunkValue| chunk.last_line);
                next_line = within.find(|chunk| chunk.last_line > end).map(|_| end + 1);
            }
        }
        Ok(GetResult {
            path: file.path,
            language: file.language,
            shard: file.shard,
            bytes: file.size,
            last_line,
            lines,
            chunks,
            next_line,
        })
    }

    /// Return what the index holds, one page of its shards.
    pub fn status(&mut self, asked: &StatusArguments) -> Result<StatusResult, String> {
        let index = self.index()?;
        let shards = inspect_contents(index).map_err(|error| with_causes(&error))?;
        let meta = |name: &str| {
            shards
                .first()
                .and_then(|shard| shard.meta.get(name).cloned())
        };
        let encoders = meta("encoder")
            .and_then(|text| serde_json::from_str::<EncoderInfo>(text.as_str()?).ok());
        let name = |kind: fn(&EncoderInfo) -> &Option<crate::search::ModelInfo>| {
            let encoders = encoders.as_ref()?;
            kind(encoders).as_ref().map(|model| model.name.clone())
        };
        // A fraction of a second is kept there.
        let built_at = shards.iter().filter_map(|shard| {
            let epoch = shard.meta.get("epoch")?;
            epoch.as_f64().map(|seconds| seconds as i64)
        });
        let offset = asked.offset.unwrap_or(0) as usize;
        let page = shards.iter().skip(offset).take(MOST_SHARDS);
        let end = offset.saturating_add(MOST_SHARDS);
        Ok(StatusResult {
            index: index.database().display().to_string(),
            files: shards.iter().map(|shard| shard.files).sum(),
            chunks: shards.iter().map(|shard| shard.chunks).sum(),
            built_at: built_at.max(),
            sparse_encoder: name(|it| &it.sparse),
            dense_encoder: name(|it| &it.dense),
            is_unfinished: index.surroundings().is_unfinished(),
            shards: page.map(shard).collect(),
            next_offset: (end < shards.len()).then_some(end as u32),
        })
    }

    /// Return the index, found again if its files are others than before.
    fn index(&mut self) -> Result<&Index, String> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.stamp.is_outdated(&open.index))
        {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let index = locate(&self.path).map_err(|error| with_causes(&error))?;
                Open {
                    stamp: Stamp::of(&index),
                    index,
                    searches: Vec::new(),
                }
            }
        };
        Ok(&self.open.insert(open).index)
    }

    fn search_in(&mut self, mode: Mode) -> Result<&mut Search, String> {
        self.index()?;
        let open = self.open.as_mut().expect("the index was opened");
        let at = match open.searches.iter().position(|(known, _)| *known == mode) {
            Some(at) => at,
            None => {
                let options = SearchOptions {
                    mode,
                    encoders: self.encoders.clone(),
                };
                let opened = OpenIndex::open(&open.index);
                let search = opened.and_then(|index| index.load_encoders(options));
                open.searches.push((mode, search.map_err(refused)?));
                open.searches.len() - 1
            }
        };
        Ok(&mut open.searches[at].1)
    }
}

fn filter(asked: &SearchArguments) -> Result<Filter, String> {
    let path = |typed: &String| {
        let absolute: &[String] = match Path::new(typed).is_absolute() {
            true => std::slice::from_ref(typed),
            false => &[],
        };
        PathFilter::compile(typed, absolute).map_err(|error| format!("`paths`: {error}"))
    };
    let name = |typed: &String| {
        language::called(typed).map_or_else(|| typed.to_lowercase(), |it| it.name.to_owned())
    };
    Ok(Filter {
        shards: asked.shards.clone(),
        languages: asked.languages.iter().map(name).collect(),
        paths: asked.paths.iter().map(path).collect::<Result<_, _>>()?,
    })
}

fn mode(mode: SearchMode) -> Mode {
    match mode {
        SearchMode::Hybrid => Mode::Hybrid,
        SearchMode::Lexical => Mode::Lexical,
        SearchMode::Sparse => Mode::Sparse,
        SearchMode::Dense => Mode::Dense,
    }
}

/// Return the reason with advice in terms of the arguments.
fn refused(error: SearchError) -> String {
    match &error {
        SearchError::NoShard { label, known } => {
            let (label, known) = (quoted(label), listed(known));
            format!("the index has no shard `{label}`: it has {known}")
        }
        SearchError::NoLanguage { language, known } => {
            let (language, known) = (quoted(language), listed(known));
            format!("the index has no file in `{language}`: it has {known}")
        }
        SearchError::OtherEncoder(other) => {
            format!(
                "{error}: start the server with --{}-model, or search with mode lexical",
                other.kind
            )
        }
        SearchError::NoVectors { .. }
        | SearchError::UnknownEncoders
        | SearchError::EncoderUnavailable(_)
        | SearchError::NoQueryVector { .. } => {
            format!("{}; mode lexical needs no encoder", with_causes(&error))
        }
        _ => with_causes(&error),
    }
}

fn shown(hit: Hit, most_chars: usize) -> HitValue {
    let (text, is_cut) = cut(hit.text, most_chars);
    let mut also_in: Vec<String> = hit.locations.into_iter().map(|it| it.path).collect();
    also_in.retain(|path| *path != hit.path);
    also_in.dedup();
    also_in.truncate(MOST_NAMED);
    HitValue {
        rank: hit.rank,
        path: hit.path,
        first_line: hit.line_start,
        last_line: hit.line_end,
        symbol: hit.symbol,
        language: hit.language,
        shard: hit.shard,
        chunk_id: hit.chunk_id,
        text,
        is_cut,
        also_in,
    }
}

/// Cut a text to whole lines of at most `most_chars` characters in all; within a line if that is the first.
fn cut(mut text: String, most_chars: usize) -> (String, bool) {
    let Some((end, _)) = text.char_indices().nth(most_chars) else {
        return (text, false);
    };
    let end = text[..end].rfind('\n').unwrap_or(end);
    text.truncate(end);
    (text, true)
}

/// Return the only file of those found.
fn only(mut found: Vec<FileView>, path: &str) -> Result<FileView, String> {
    if let Some(at) = found.iter().position(|file| file.path == path) {
        return Ok(found.swap_remove(at));
    }
    match found.len() {
        0 => Err(format!(
            "the index has no file `{}`; `search` finds paths by their words",
            quoted(path)
        )),
        1 => Ok(found.remove(0)),
        n => {
            let paths: Vec<String> = found.into_iter().map(|file| file.path).collect();
            Err(format!(
                "{n} files end so; name more of the path: {}",
                listed(&paths)
            ))
        }
    }
}

fn shard(view: &ContentsView) -> ShardValue {
    ShardValue {
        label: view.label.clone(),
        roots: view.roots.iter().map(|root| root.path.clone()).collect(),
        files: view.files,
        chunks: view.chunks,
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn texts_are_cut_at_lines() {
        let of = |text: &str, chars| cut(text.to_owned(), chars);
        assert_eq!(of("ab\ncd", 5), ("ab\ncd".to_owned(), false));
        assert_eq!(of("ab\ncd", 4), ("ab".to_owned(), true));
        assert_eq!(of("äöü", 2), ("äö".to_owned(), true));
        assert_eq!(of("abc", 0), (String::new(), true));
    }
}
