//! Searches a finished index: lexical, sparse, dense, or the three fused.
//!
//! ```no_run,standalone_crate
//! use helix_build::search::{Mode, Scope, Search, SearchOptions};
//! use std::path::Path;
//!
//! let options = SearchOptions::of(Mode::Hybrid);
//! let mut search = Search::open(Path::new("genomes-sharded/notes"), options)?;
//! for hit in search.query("how is a killed build resumed", 10, Scope::Everywhere)? {
//!     println!("{}. {} ({:.3})", hit.rank, hit.path, hit.score);
//! }
//! # Ok::<(), helix_build::search::SearchError>(())
//! ```
//!
//! The query is encoded by the encoders that the index was built with; others are refused, because their vectors do not
//! compare. The index is only read: no file appears beside it. Servers that mount an index rank with rules of their own,
//! so this module is for checking an index and for programs without a server.

mod error;

pub use crate::encode::{EncodeError, ModelInfo, OtherEncoder};
pub use crate::ranking::Why;
pub use crate::store::StoreError;
pub use crate::store::index::Index;
pub use crate::store::locate::LocateError;
pub use crate::store::query::{
    ArmPlace, ArmPlaces, Filter, Hit, HitUnit, IndexedFile, Location, Mode, PathFilter, Ranking,
    Scope, TierRanks, Unmatched,
};
pub use error::SearchError;

use crate::batch::EncoderKind;
use crate::encode::{BuiltWith, EncoderInfo, Encoders, MismatchError};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::store::locate::locate;
use crate::store::query::{Query, Reading, Searcher};
use std::collections::BTreeMap;
use std::path::Path;

/// How an index is searched.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    pub mode: Mode,
    /// The encoders of the query. They must be those that the index was built with; [`Mode::Lexical`] opens none.
    pub encoders: EncoderChoice,
}

impl SearchOptions {
    /// Return options for this mode with the embedded encoders, which an index has unless it was built with other models.
    pub fn of(mode: Mode) -> Self {
        Self {
            mode,
            encoders: EncoderChoice::default(),
        }
    }
}

/// An open index, before its encoders are loaded.
pub struct OpenIndex {
    searcher: Searcher,
}

impl OpenIndex {
    /// Open every database of the index read-only. Skips shards whose health is not `ok`.
    ///
    /// # Errors
    /// [`SearchError::Store`] when a database cannot be read or has another format.
    pub fn open(index: &Index) -> Result<Self, SearchError> {
        Ok(Self {
            searcher: Searcher::open(index)?,
        })
    }

    /// As [`Self::open`], for one query at once: a process that keeps it open dies if another program truncates a
    /// database.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn open_for_one_query(index: &Index) -> Result<Self, SearchError> {
        Ok(Self {
            searcher: Searcher::open_reading(index, Reading::Mapped)?,
        })
    }

    /// Return the labels under which other programs registered something that cannot be searched.
    pub fn skipped(&self) -> &[String] {
        self.searcher.skipped()
    }

    /// Answer all queries with chunks that pass `filter` only. Return the path filters that match no file.
    ///
    /// # Errors
    /// [`SearchError::NoShard`] and [`SearchError::NoLanguage`] for a name that the index does not have;
    /// [`SearchError::Store`].
    pub fn restrict(&mut self, filter: &Filter) -> Result<Unmatched, SearchError> {
        Ok(self.searcher.restrict(filter)?)
    }

    /// Return the files that the index has chunks of, in canonical order of each shard. Shards of other builders have none.
    ///
    /// # Errors
    /// [`SearchError::Store`].
    pub fn files(&self) -> Result<Vec<IndexedFile>, SearchError> {
        Ok(self.searcher.files()?)
    }

    /// Return whether the index has this chunk.
    ///
    /// # Errors
    /// [`SearchError::Store`].
    pub fn has_chunk(&self, chunk_id: &str) -> Result<bool, SearchError> {
        Ok(self.searcher.has_chunk(chunk_id)?)
    }

    /// Return the recipe of the index as JSON; `None` for an index of another builder.
    ///
    /// # Errors
    /// [`SearchError::Store`].
    pub(crate) fn recipe(&self) -> Result<Option<String>, SearchError> {
        let record = self.searcher.encoder_record()?;
        Ok(record.map(|record| record.recipe))
    }

    /// Load the encoders that the mode needs and the index has vectors of. Takes as long as the models take to load;
    /// [`Mode::Lexical`] loads none. [`Mode::Hybrid`] does without encoder servers that do not answer, and without those on
    /// other machines that only the index names, and logs a warning.
    ///
    /// # Errors
    /// The variants of [`SearchError`] about encoders, and [`SearchError::Store`].
    pub fn load_encoders(self, options: SearchOptions) -> Result<Search, SearchError> {
        let encoders = match options.mode {
            Mode::Lexical => None,
            Mode::Hybrid => Some(self.reachable_encoders(options.encoders)?),
            mode => Some(self.encoders(mode, options.encoders)?),
        };
        Ok(Search {
            searcher: self.searcher,
            encoders,
            mode: options.mode,
            ranking: Ranking::On,
        })
    }

    /// Return how the vectors of the index were made, and the encoders of `choice` that make them so. Loads no model.
    ///
    /// # Errors
    /// [`SearchError::UnknownEncoders`], also of an index of another builder; [`SearchError::OtherEncoder`],
    /// [`SearchError::EncoderUnavailable`] and [`SearchError::Store`].
    pub(crate) fn encoders_of(
        &self,
        choice: &EncoderChoice,
    ) -> Result<(EncoderInfo, EncoderChoice), SearchError> {
        let record = self.searcher.encoder_record()?;
        let record = record.ok_or(SearchError::UnknownEncoders)?;
        let built_with = BuiltWith::parse(&record.encoder, &record.recipe)
            .ok_or(SearchError::UnknownEncoders)?;
        let choice = select(&built_with, choice)?;
        Ok((built_with.encoders, choice))
    }

    /// Return the encoders of a hybrid search. Leave out servers that do not answer or that only the index names, with a warning.
    fn reachable_encoders(&self, mut choice: EncoderChoice) -> Result<Encoders, SearchError> {
        loop {
            let error = match self.encoders(Mode::Hybrid, choice.clone()) {
                Err(SearchError::EncoderUnavailable(error)) => error,
                opened => return opened,
            };
            let left_out = match &error {
                EncodeError::ServerAway { kind, .. } | EncodeError::ServerNotNamed { kind, .. } => {
                    match kind {
                        EncoderKind::Sparse => &mut choice.sparse,
                        EncoderKind::Dense => &mut choice.dense,
                    }
                }
                _ => return Err(SearchError::EncoderUnavailable(error)),
            };
            if *left_out == ModelSource::None {
                return Err(SearchError::EncoderUnavailable(error));
            }
            *left_out = ModelSource::None;
            warn_away(&error);
        }
    }

    fn encoders(&self, mode: Mode, mut choice: EncoderChoice) -> Result<Encoders, SearchError> {
        match mode {
            Mode::Sparse => choice.dense = ModelSource::None,
            Mode::Dense => choice.sparse = ModelSource::None,
            Mode::Hybrid | Mode::Lexical => {}
        }
        // Without a record another builder made the index, and the caller must know its encoders.
        if let Some(record) = self.searcher.encoder_record()? {
            let built_with = BuiltWith::parse(&record.encoder, &record.recipe)
                .ok_or(SearchError::UnknownEncoders)?;
            require(mode, &choice, &built_with)?;
            choice = select(&built_with, &choice)?;
        }
        Encoders::open(&choice).map_err(SearchError::EncoderUnavailable)
    }
}

/// Say why a server is not asked, so that its vectors take no part in the answer.
fn warn_away(error: &EncodeError) {
    tracing::warn!("{error}; searching without its vectors");
}

/// Return the encoders of `choice` that encode as those of the index did.
fn select(built_with: &BuiltWith, choice: &EncoderChoice) -> Result<EncoderChoice, SearchError> {
    built_with.select(choice).map_err(|error| match error {
        MismatchError::Other(other) => SearchError::OtherEncoder(other),
        MismatchError::Unreadable(error) => SearchError::EncoderUnavailable(error),
    })
}

/// Refuse a mode of one kind of vectors that the index or the choice lacks.
fn require(mode: Mode, choice: &EncoderChoice, built_with: &BuiltWith) -> Result<(), SearchError> {
    let encoders = &built_with.encoders;
    let (kind, recorded, source) = match mode {
        Mode::Sparse => (EncoderKind::Sparse, &encoders.sparse, &choice.sparse),
        Mode::Dense => (EncoderKind::Dense, &encoders.dense, &choice.dense),
        Mode::Hybrid | Mode::Lexical => return Ok(()),
    };
    if recorded.is_none() {
        let has = match (&encoders.sparse, &encoders.dense) {
            (Some(_), _) => Some(EncoderKind::Sparse),
            (_, Some(_)) => Some(EncoderKind::Dense),
            (None, None) => None,
        };
        return Err(SearchError::NoVectors { kind, has });
    }
    match source {
        ModelSource::None => Err(SearchError::NoEncoder { kind }),
        _ => Ok(()),
    }
}

/// An index ready for any number of queries. Equal queries give equal answers.
pub struct Search {
    searcher: Searcher,
    encoders: Option<Encoders>,
    mode: Mode,
    ranking: Ranking,
}

impl Search {
    /// Find the index at `path`, open it and load the encoders. `path` is a database, a folder that holds one, or the
    /// output folder of a build.
    ///
    /// # Errors
    /// See [`SearchError`]; nothing was written in any case.
    pub fn open(path: &Path, options: SearchOptions) -> Result<Self, SearchError> {
        OpenIndex::open(&locate(path)?)?.load_encoders(options)
    }

    /// Answer all later queries with chunks that pass `filter` only: see [`OpenIndex::restrict`].
    ///
    /// # Errors
    /// As there. The filter before stays.
    pub fn restrict(&mut self, filter: &Filter) -> Result<Unmatched, SearchError> {
        Ok(self.searcher.restrict(filter)?)
    }

    /// Return the modes for which encoders are loaded.
    pub fn modes(&self) -> Vec<Mode> {
        let encoders = self.encoders.as_ref();
        let has_sparse = encoders.is_some_and(Encoders::has_sparse);
        let has_dense = encoders.is_some_and(Encoders::has_dense);
        let all = [
            (Mode::Lexical, true),
            (Mode::Sparse, has_sparse),
            (Mode::Dense, has_dense),
            (Mode::Hybrid, true),
        ];
        let can = all.into_iter().filter(|(_, can)| *can);
        can.map(|(mode, _)| mode).collect()
    }

    /// Answer later queries in another of the [modes](Self::modes).
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Switch the ranking of later queries; it is on. Only [`Mode::Hybrid`] has it.
    pub fn set_ranking(&mut self, ranking: Ranking) {
        self.ranking = ranking;
    }

    /// Return the best `k` chunks for `text`, best first. A text that lies in several files is one hit with several
    /// [locations](Hit::locations).
    ///
    /// # Errors
    /// [`SearchError::Store`] when a database cannot be read, [`SearchError::Encoding`] when the text cannot be encoded,
    /// [`SearchError::NoQueryVector`], [`SearchError::NoWords`] and [`SearchError::NotRouted`]. Later queries may succeed after each of them.
    pub fn query(&mut self, text: &str, k: usize, scope: Scope) -> Result<Vec<Hit>, SearchError> {
        self.answer(text, k, scope, HitUnit::Chunk)
    }

    /// Return the best `k` files for `text`, best first, each with its best chunk.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn query_files(
        &mut self,
        text: &str,
        k: usize,
        scope: Scope,
    ) -> Result<Vec<Hit>, SearchError> {
        self.answer(text, k, scope, HitUnit::File)
    }

    /// Return the lines `first` to `last` (from 1, both included) of the file of a location, by number, as far as the chunks
    /// of the index have them.
    ///
    /// # Errors
    /// [`SearchError::Store`] when a database cannot be read.
    pub fn lines(
        &self,
        location: &Location,
        first: u32,
        last: u32,
    ) -> Result<BTreeMap<u32, String>, SearchError> {
        Ok(self.searcher.lines(location, first, last)?)
    }

    fn answer(
        &mut self,
        text: &str,
        k: usize,
        scope: Scope,
        unit: HitUnit,
    ) -> Result<Vec<Hit>, SearchError> {
        let encoded = match &mut self.encoders {
            Some(encoders) if self.mode != Mode::Lexical => match encoders.encode_query(text) {
                Err(error @ EncodeError::ServerAway { .. }) if self.mode == Mode::Hybrid => {
                    warn_away(&error);
                    Default::default()
                }
                encoded => encoded.map_err(SearchError::Encoding)?,
            },
            _ => Default::default(),
        };
        let query = Query {
            text,
            sparse: encoded.sparse.as_ref(),
            dense: encoded.dense.as_ref(),
            mode: self.mode,
            scope,
            unit,
            ranking: self.ranking,
            k,
        };
        Ok(self.searcher.search(&query)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_may_move_between_threads_and_be_shared() {
        fn is_shareable<T: Send + Sync>() {}
        is_shareable::<Search>();
        is_shareable::<OpenIndex>();
    }
}
