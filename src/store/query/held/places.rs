//! At which places of which files the chunks of a shard lie.

use super::chunks::Chunks;
use super::top::Position;
use rusqlite::Connection;

/// Places by chunk. The table of places has no index by chunk; one walk over it, about 60 bytes a place, finds all.
pub struct Places {
    /// Chunk, file and number in the file, in this order.
    sorted: Vec<(Position, i64, i64)>,
}

impl Places {
    pub fn read(connection: &Connection, chunks: &Chunks) -> Result<Self, rusqlite::Error> {
        let mut statement =
            connection.prepare("SELECT gene_id, file_id, seq FROM build_sources")?;
        let mut rows = statement.query([])?;
        let mut sorted = Vec::with_capacity(chunks.len());
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_str()?;
            if let Some(position) = chunks.position(id) {
                sorted.push((position, row.get(1)?, row.get(2)?));
            }
        }
        sorted.sort_unstable();
        Ok(Self { sorted })
    }

    pub fn bytes(&self) -> usize {
        self.sorted.len() * size_of::<(Position, i64, i64)>()
    }

    /// Return file and number in the file of each place of a chunk, in canonical order.
    pub fn of(&self, position: Position) -> impl Iterator<Item = (i64, i64)> + '_ {
        let start = self.sorted.partition_point(|place| place.0 < position);
        let places = self.sorted[start..].iter();
        places
            .take_while(move |place| place.0 == position)
            .map(|place| (place.1, place.2))
    }
}
