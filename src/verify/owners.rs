//! Which file owns each chunk: the first in canonical order that holds its text.
//!
//! Reads the rows of `build_sources` side by side with the chunks in the order of `build_routes`, which is that of their owners.

use super::fault::{FaultKind, Finder};
use rusqlite::{Connection, OptionalExtension as _, Rows, Statement};

/// Every chunk of every file, in canonical order.
pub const SOURCES: &str = "
SELECT s.gene_id, s.seq, s.is_fragment, f.path, f.mtime_ns, r.label, r.path
FROM build_sources AS s JOIN build_files AS f ON f.file_id = s.file_id
JOIN build_roots AS r ON r.root_id = f.root_id ORDER BY s.file_id, s.seq";

/// The file that owns a chunk, and where the chunk stands in it.
#[derive(Clone, Debug, Default)]
pub struct ChunkOwner {
    gene_id: String,
    /// Position of the chunk in the file, from 0.
    pub sequence: i64,
    pub is_fragment: bool,
    /// Below the root, with `/`.
    pub path: String,
    pub mtime_ns: i64,
    pub root_label: String,
    pub root_path: String,
}

/// The place of a chunk in the order of `build_routes`; of one that is not there, before all others.
const PLACE: &str = "
SELECT coalesce(r.rowid, 0) FROM genes AS g LEFT JOIN build_routes AS r ON r.gene_id = g.gene_id
WHERE g.gene_id = ?1";

/// Finds the owners of chunks in the order of `build_routes`.
pub struct Owners<'a> {
    sources: Rows<'a>,
    next: Option<ChunkOwner>,
    place: Statement<'a>,
}

impl<'a> Owners<'a> {
    /// `sources` are the rows of [`SOURCES`].
    pub fn new(connection: &'a Connection, sources: Rows<'a>) -> Result<Self, rusqlite::Error> {
        let mut owners = Self {
            sources,
            next: None,
            place: connection.prepare(PLACE)?,
        };
        owners.advance()?;
        Ok(owners)
    }

    /// Return the owner of the chunk at `place` of `build_routes`. Skips repeats of earlier chunks before it.
    pub fn of(
        &mut self,
        gene_id: &str,
        place: i64,
        finder: &mut Finder<'_>,
    ) -> Result<Option<ChunkOwner>, rusqlite::Error> {
        while let Some(source) = &self.next {
            if source.gene_id == gene_id {
                let source = self.next.take();
                self.advance()?;
                return Ok(source);
            }
            match self.place_of(&source.gene_id.clone())? {
                Some(earlier) if earlier < place => self.advance()?,
                Some(_) => return Ok(None),
                None => self.missing(finder)?,
            }
        }
        Ok(None)
    }

    /// Check the sources behind the last row: all of them must repeat earlier chunks.
    pub fn rest(&mut self, finder: &mut Finder<'_>) -> Result<(), rusqlite::Error> {
        while let Some(source) = &self.next {
            match self.place_of(&source.gene_id.clone())? {
                Some(_) => self.advance()?,
                None => self.missing(finder)?,
            }
        }
        Ok(())
    }

    fn place_of(&mut self, gene_id: &str) -> Result<Option<i64>, rusqlite::Error> {
        self.place.query_row([gene_id], |row| row.get(0)).optional()
    }

    fn missing(&mut self, finder: &mut Finder<'_>) -> Result<(), rusqlite::Error> {
        if let Some(source) = &self.next {
            let what = format!(
                "chunk {} of {} is not in genes",
                source.sequence, source.path
            );
            finder.fault(FaultKind::Ledger, "build_sources", &source.gene_id, what);
        }
        self.advance()
    }

    fn advance(&mut self) -> Result<(), rusqlite::Error> {
        self.next = match self.sources.next()? {
            None => None,
            Some(row) => Some(ChunkOwner {
                gene_id: row.get(0)?,
                sequence: row.get(1)?,
                is_fragment: row.get(2)?,
                path: row.get(3)?,
                mtime_ns: row.get(4)?,
                root_label: row.get(5)?,
                root_path: row.get(6)?,
            }),
        };
        Ok(())
    }
}
