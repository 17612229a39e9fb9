//! The rows of one file and of one chunk.

use super::genes::{GeneRow, GeneWriter};
use super::{Root, ShardHeader, State};
use crate::chunk::Chunk;
use crate::file::FileRecord;
use crate::ids::ContentHash;
use crate::store::error::StoreError;
use crate::store::paths::{filename_stem, keys_of, path_tokens};
use crate::store::root::below_root;
use crate::store::segment::EncodedChunk;
use crate::store::{chromatin, fts, ledger_row};
use crate::tag::{TaggedChunk, Tags};
use crate::vector::DenseVector;
use rusqlite::{Connection, OptionalExtension as _, Statement};
use serde::Serialize;
use std::path::Path;

/// Prepared statements, and values that all rows of a segment share.
pub struct Rows<'conn> {
    conn: &'conn Connection,
    database: &'conn Path,
    root_id: u32,
    /// The root's path with a separator at its end.
    source_prefix: String,
    label: &'conn str,
    roots: &'conn [Root],
    epoch: f64,
    /// Of the last file that was written.
    source: Source,
    file: Statement<'conn>,
    gene: GeneWriter<'conn>,
    place: Statement<'conn>,
    route: Statement<'conn>,
    tag: Statement<'conn>,
    token: Statement<'conn>,
    key: Statement<'conn>,
    stem: Statement<'conn>,
    relation: Statement<'conn>,
}

/// Values of a file's path, computed once for all of its chunks.
#[derive(Default)]
struct Source {
    file_id: i64,
    source_id: String,
    /// As the full-text index has it: the root's label and the path below it.
    searched: String,
    stem: Option<String>,
    /// Seconds since 1970.
    mtime: f64,
}

const INSERT_FILE: &str = "
INSERT INTO build_files
    (file_id, root_id, path, size, mtime_ns, blake3, chunks, skip_reason, detail, encoding, language, sha256)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const INSERT_PLACE: &str = "
INSERT INTO temp.packed_build_sources
    (file_id, seq, gene_id, is_fragment, byte_start, byte_end, line_start, line_end, symbols)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// The first file with a text owns the row. The rows tell the order of the chunks.
const INSERT_ROUTE: &str = "
INSERT INTO build_routes VALUES (?1, ?2, ?3, ?4) ON CONFLICT (gene_id) DO NOTHING";

const INSERT_RELATION: &str = "
INSERT INTO build_relations (gene_id_a, gene_id_b, relation, confidence, updated_at)
VALUES (?1, ?2, 5, ?3, ?4)";

impl<'conn> Rows<'conn> {
    pub fn prepare(
        conn: &'conn Connection,
        database: &'conn Path,
        header: &'conn ShardHeader,
        root_id: u32,
        root: &'conn Root,
    ) -> Result<Self, StoreError> {
        let prepare = || -> rusqlite::Result<Self> {
            Ok(Self {
                conn,
                database,
                root_id,
                source_prefix: format!("{}/", root.path.trim_end_matches('/')),
                label: &root.label,
                roots: &header.roots,
                epoch: header.epoch,
                source: Source::default(),
                file: conn.prepare(INSERT_FILE)?,
                gene: GeneWriter::prepare(conn, header.epoch)?,
                place: conn.prepare(INSERT_PLACE)?,
                route: conn.prepare(INSERT_ROUTE)?,
                tag: conn.prepare("INSERT INTO promoter_index VALUES (?1, ?2, ?3)")?,
                token: conn.prepare("INSERT INTO build_path_tokens VALUES (?1, ?2)")?,
                key: conn.prepare("INSERT INTO build_keys VALUES (?1, ?2, ?3)")?,
                stem: conn.prepare("INSERT INTO temp.packed_filename_index VALUES (?1, ?2)")?,
                relation: conn.prepare(INSERT_RELATION)?,
            })
        };
        prepare().map_err(StoreError::sql(database))
    }

    /// Write the ledger row of the next file. Its chunks follow.
    pub fn file(&mut self, state: &mut State, record: &FileRecord) -> Result<(), StoreError> {
        state.loaded.files += 1;
        let path = &record.entry.path;
        let spelling = path.spelling();
        // The root's own path is the same for all of its files, so it tells none of them apart.
        let tokens = path_tokens(&format!("{}/{spelling}", self.label));
        let source_id = format!("{}{spelling}", self.source_prefix);
        self.source = Source {
            file_id: state.loaded.files as i64,
            searched: searched_source(self.roots, &source_id),
            source_id,
            stem: filename_stem(&String::from_utf8_lossy(path.file_name())),
            mtime: record.entry.mtime_ns as f64 / 1e9,
        };
        let mut write = || -> rusqlite::Result<()> {
            self.file.raw_bind_parameter(1, self.source.file_id)?;
            self.file.raw_bind_parameter(2, self.root_id)?;
            ledger_row::bind(&mut self.file, 3, record)?;
            self.file.raw_execute()?;
            for token in &tokens {
                self.token.execute((self.source.file_id, token))?;
            }
            Ok(())
        };
        write().map_err(StoreError::sql(self.database))
    }

    /// Write a chunk of the last file.
    pub fn chunk(
        &mut self,
        state: &mut State,
        encoded: &EncodedChunk<'_>,
    ) -> Result<(), StoreError> {
        let chunk = &encoded.tagged.chunk;
        let gene_id = chunk.hash.chunk_id().to_string();
        let failed = StoreError::sql(self.database);
        self.place(chunk, &gene_id).map_err(&failed)?;
        state.places += 1;
        if !self.routes(&gene_id, encoded).map_err(&failed)? {
            return self.check_same_text(state, &gene_id, chunk.hash);
        }
        state.loaded.chunks += 1;
        self.side_rows(state, &gene_id, encoded).map_err(&failed)
    }

    fn side_rows(
        &mut self,
        state: &mut State,
        gene_id: &str,
        encoded: &EncodedChunk<'_>,
    ) -> rusqlite::Result<()> {
        let TaggedChunk {
            chunk,
            tags,
            visibility,
        } = &encoded.tagged;
        let domains: Vec<String> = tags.domains.iter().map(|tag| tag.to_lowercase()).collect();
        let mut entities: Vec<String> =
            tags.entities.iter().map(|tag| tag.to_lowercase()).collect();
        self.tags(gene_id, "domain", &domains)?;
        self.tags(gene_id, "entity", &entities)?;
        let tag_values = [domains, entities.clone()].concat();
        if let Some(sparse) = &encoded.vectors.sparse {
            let id = chunk.hash.chunk_id();
            state.postings.add(self.conn, id, sparse)?;
        }
        self.path_keys(gene_id, tags)?;
        let gene = self.gene_row(gene_id, &tag_values, encoded);
        if let Some((rowid, next)) = state.waiting.exchange(gene) {
            self.gene.write(rowid, &next)?;
        }
        entities.sort_unstable();
        entities.dedup();
        for link in state
            .entity_relations
            .next(chunk.hash.chunk_id(), &entities)
        {
            let to = link.to.to_string();
            self.relation
                .execute((gene_id, to, link.confidence, self.epoch))?;
        }
        state
            .seed_pairs
            .next(chunk.hash.chunk_id(), tags, *visibility);
        Ok(())
    }

    fn place(&mut self, chunk: &Chunk<'_>, gene_id: &str) -> rusqlite::Result<()> {
        let place = &chunk.place;
        // SQLite's integers are signed; no file has 2^63 bytes.
        let bytes = place.bytes.as_ref();
        let bytes = bytes.map(|bytes| (bytes.start as i64, bytes.end as i64));
        self.place
            .execute((
                self.source.file_id,
                chunk.sequence,
                gene_id,
                chunk.is_fragment,
                bytes.map(|(start, _)| start),
                bytes.map(|(_, end)| end),
                place.lines.0,
                place.lines.1,
                json(&place.symbols),
            ))
            .map(drop)
    }

    fn gene_row(
        &self,
        gene_id: &str,
        tag_values: &[String],
        encoded: &EncodedChunk<'_>,
    ) -> GeneRow {
        let TaggedChunk {
            chunk,
            tags,
            visibility,
        } = &encoded.tagged;
        let indexed = fts::Indexed {
            source: &self.source.searched,
            tag_values,
            content: &chunk.text,
            unwritten: &tags.unwritten,
        };
        let dense = encoded.vectors.dense.as_ref();
        GeneRow {
            gene_id: gene_id.to_owned(),
            searched: fts::spell(&indexed),
            text: chunk.text.to_string(),
            complement: tags.extract.clone(),
            codons: json(&tags.labels),
            promoter: promoter(tags, chunk.sequence),
            chromatin: chromatin::of(*visibility),
            is_fragment: chunk.is_fragment,
            source_id: self.source.source_id.clone(),
            path_bytes: self.source.source_id.len() - self.source_prefix.len(),
            mtime: self.source.mtime,
            hash: chunk.hash,
            key_values: (!tags.key_values.is_empty()).then(|| json(&tags.key_values)),
            dense: dense.map(DenseVector::to_le_bytes),
        }
    }

    /// Compare the whole hash of a known id. The id is 64 bits of it, so different texts may collide.
    fn check_same_text(
        &self,
        state: &State,
        gene_id: &str,
        hash: ContentHash,
    ) -> Result<(), StoreError> {
        if state.waiting.hash_of(gene_id) == Some(hash) {
            return Ok(());
        }
        let stored: Option<String> = self
            .conn
            .prepare_cached("SELECT content_hash FROM genes WHERE gene_id = ?1")
            .and_then(|mut query| query.query_row([gene_id], |row| row.get(0)).optional())
            .map_err(StoreError::sql(self.database))?;
        if stored == Some(hash.to_hex()) {
            return Ok(());
        }
        Err(StoreError::IdCollision {
            path: self.database.to_path_buf(),
            gene_id: gene_id.to_owned(),
        })
    }

    fn tags(&mut self, gene_id: &str, kind: &str, values: &[String]) -> rusqlite::Result<()> {
        self.tag.raw_bind_parameter(1, gene_id)?;
        self.tag.raw_bind_parameter(2, kind)?;
        for value in values {
            self.tag.raw_bind_parameter(3, value)?;
            self.tag.raw_execute()?;
        }
        Ok(())
    }

    fn path_keys(&mut self, gene_id: &str, tags: &Tags) -> rusqlite::Result<()> {
        if let Some(stem) = &self.source.stem {
            self.stem.execute((stem, gene_id))?;
        }
        for key in keys_of(&tags.key_values) {
            self.key.execute((self.source.file_id, key, gene_id))?;
        }
        Ok(())
    }

    /// Write the routing words: the encoder's first, since later builds reuse them with its vectors, then the tagger's;
    /// each once, ignoring ASCII case. Return whether the chunk is new.
    fn routes(&mut self, gene_id: &str, encoded: &EncodedChunk<'_>) -> rusqlite::Result<bool> {
        let mut words = Vec::new();
        add_words(&mut words, &encoded.vectors.route_words);
        let n_of_encoder = words.len() as i64;
        add_words(&mut words, &encoded.tagged.tags.route_words);
        self.route
            .execute((
                gene_id,
                json(&words),
                n_of_encoder,
                &encoded.tagged.tags.unwritten,
            ))
            .map(|rows| rows == 1)
    }
}

/// Return a file's source as the view spells it: the label of the innermost root that holds it, and the path below that.
fn searched_source(roots: &[Root], source_id: &str) -> String {
    match below_root(roots, source_id) {
        Some((label, path)) => format!("{label}/{path}"),
        None => source_id.to_owned(),
    }
}

fn add_words<'a>(words: &mut Vec<&'a str>, more: &'a [String]) {
    for word in more {
        if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            words.push(word);
        }
    }
}

/// Return the format's JSON of a chunk's tags. All keys are always present.
fn promoter(tags: &Tags, sequence: u32) -> String {
    #[derive(Serialize)]
    struct Promoter<'a> {
        domains: &'a [String],
        entities: &'a [String],
        intent: &'a str,
        intent_class: &'static str,
        summary: &'a str,
        sequence_index: u32,
        metadata: Empty,
    }
    #[derive(Serialize)]
    struct Empty {}
    json(&Promoter {
        domains: &tags.domains,
        entities: &tags.entities,
        intent: &tags.intent,
        intent_class: tags.intent_class.as_str(),
        summary: &tags.summary,
        sequence_index: sequence,
        metadata: Empty {},
    })
}

/// Return the format's JSON of a chunk's access statistics, the same for all chunks of a build. What is left out counts as
/// zero, empty, or 1 (`decay_score`). The times are there, since readers replace a missing one by the current time at
/// every parse.
pub fn epigenetics(epoch: f64) -> String {
    #[derive(Serialize)]
    struct Epigenetics {
        created_at: f64,
        last_accessed: f64,
    }
    json(&Epigenetics {
        created_at: epoch,
        last_accessed: epoch,
    })
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists always have a JSON form")
}
