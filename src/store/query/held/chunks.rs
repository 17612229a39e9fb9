//! The chunks of a shard by position: ids, rows, and whether they may be answered.

use super::top::Position;
use rusqlite::{Connection, OptionalExtension as _};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of an id that is a text of 16 bytes, with its reference and the allocator's part.
const BYTES_OF_A_TEXT: usize = 48;

/// Chunks in the order of their ids.
pub struct Chunks {
    ids: Ids,
    rowids: Vec<i64>,
    /// Rows with their chunks, in the order of rows.
    by_row: Vec<(i64, Position)>,
    /// Whether a chunk is hot: one of the constants below.
    hot: Vec<AtomicU8>,
}

/// Sorted ids.
enum Ids {
    /// As builds make them: 16 hexadecimal digits.
    Numbers(Vec<u64>),
    /// As other programs may write them.
    Texts(Vec<Box<str>>),
}

const NOT_LOOKED_UP: u8 = 0;
const HOT: u8 = 1;
const COLD: u8 = 2;

/// Where a search for ascending rows or ids has come.
#[derive(Default)]
pub struct Cursor(usize);

impl Chunks {
    /// Read the ids out of their index.
    pub fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let mut chunks = Self {
            ids: Ids::Numbers(Vec::new()),
            rowids: Vec::new(),
            by_row: Vec::new(),
            hot: Vec::new(),
        };
        let mut statement =
            connection.prepare("SELECT gene_id, rowid FROM genes ORDER BY gene_id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Ok(id) = row.get_ref(0)?.as_str() else {
                continue;
            };
            chunks.ids.push(id);
            let position = chunks.rowids.len() as Position;
            let rowid = row.get(1)?;
            chunks.rowids.push(rowid);
            chunks.by_row.push((rowid, position));
        }
        chunks.by_row.sort_unstable();
        let unknown = || AtomicU8::new(NOT_LOOKED_UP);
        chunks.hot.resize_with(chunks.rowids.len(), unknown);
        Ok(chunks)
    }

    pub fn len(&self) -> usize {
        self.rowids.len()
    }

    pub fn bytes(&self) -> usize {
        let ids = match &self.ids {
            Ids::Numbers(_) => size_of::<u64>(),
            Ids::Texts(_) => BYTES_OF_A_TEXT,
        };
        let others = size_of::<i64>() + size_of::<(i64, Position)>() + size_of::<AtomicU8>();
        self.len() * (ids + others)
    }

    pub fn id(&self, position: Position) -> Cow<'_, str> {
        match &self.ids {
            Ids::Numbers(ids) => format!("{:016x}", ids[position as usize]).into(),
            Ids::Texts(ids) => Cow::Borrowed(&ids[position as usize]),
        }
    }

    /// Return the position of a chunk.
    pub fn position(&self, id: &str) -> Option<Position> {
        let found = match &self.ids {
            Ids::Numbers(ids) => ids.binary_search(&number(id)?),
            Ids::Texts(ids) => ids.binary_search_by(|known| (**known).cmp(id)),
        };
        Some(found.ok()? as Position)
    }

    /// Return the position of a chunk. Quick if the last one looked for comes shortly before it.
    pub fn position_after(&self, id: &str, cursor: &mut Cursor) -> Option<Position> {
        let found = match &self.ids {
            Ids::Numbers(ids) => {
                let id = number(id)?;
                find(ids, cursor, |known| known.cmp(&id))
            }
            Ids::Texts(ids) => find(ids, cursor, |known| (**known).cmp(id)),
        };
        Some(found? as Position)
    }

    /// Return the position of the chunk in a row. Quick if the last row looked for comes shortly before it.
    pub fn position_of_row(&self, rowid: i64, cursor: &mut Cursor) -> Option<Position> {
        let at = find(&self.by_row, cursor, |(known, _)| known.cmp(&rowid))?;
        Some(self.by_row[at].1)
    }

    /// Return the rows of one of `n_shares` equal shares of the chunks. Together they are all rows there can be.
    pub fn rows_of_share(&self, share: usize, n_shares: usize) -> RangeInclusive<i64> {
        let bound = |share: usize| match share {
            0 => i64::MIN,
            _ => {
                let at = self.by_row.get(self.len() * share / n_shares);
                at.map_or(i64::MAX, |(row, _)| *row)
            }
        };
        let end = match share + 1 == n_shares {
            true => i64::MAX,
            false => bound(share + 1).saturating_sub(1),
        };
        bound(share)..=end
    }

    /// Note that a chunk is hot.
    pub fn note_hot(&self, position: Position) {
        self.hot[position as usize].store(HOT, Ordering::Relaxed);
    }

    /// Return whether servers answer with this chunk (`chromatin < 2`).
    pub fn is_hot(
        &self,
        position: Position,
        connection: &Connection,
    ) -> Result<bool, rusqlite::Error> {
        let at = position as usize;
        let known = self.hot[at].load(Ordering::Relaxed);
        if known != NOT_LOOKED_UP {
            return Ok(known == HOT);
        }
        let mut statement =
            connection.prepare_cached("SELECT 1 FROM genes WHERE rowid = ?1 AND chromatin < 2")?;
        let row: Option<i64> = statement
            .query_row([self.rowids[at]], |row| row.get(0))
            .optional()?;
        let is_hot = row.is_some();
        self.hot[at].store(if is_hot { HOT } else { COLD }, Ordering::Relaxed);
        Ok(is_hot)
    }
}

impl Ids {
    /// Add an id that sorts after all others.
    fn push(&mut self, id: &str) {
        match (&mut *self, number(id)) {
            (Self::Numbers(ids), Some(number)) => ids.push(number),
            (Self::Texts(ids), _) => ids.push(id.into()),
            (Self::Numbers(ids), None) => {
                let texts = ids.iter().map(|id| format!("{id:016x}").into());
                *self = Self::Texts(texts.chain([id.into()]).collect());
            }
        }
    }
}

/// Read an id of ours, which sorts as its number does.
fn number(id: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_ours = id.len() == 16 && id.bytes().all(is_digit);
    is_ours.then(|| u64::from_str_radix(id, 16).ok())?
}

/// Find the item for which `compare` says equal, in doubling steps from the cursor, which then stands there.
fn find<T>(
    sorted: &[T],
    cursor: &mut Cursor,
    compare: impl Fn(&T) -> std::cmp::Ordering,
) -> Option<usize> {
    let is_before = |item: &T| compare(item).is_lt();
    let mut low = match sorted.get(cursor.0) {
        Some(item) if compare(item).is_le() => cursor.0,
        _ => 0,
    };
    let mut step = 1;
    let mut high = low;
    while sorted.get(high).is_some_and(is_before) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    let high = high.min(sorted.len());
    let at = low + sorted[low..high].partition_point(is_before);
    cursor.0 = at;
    sorted
        .get(at)
        .filter(|item| compare(item).is_eq())
        .map(|_| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_of_any_form_are_found() {
        let found = |ids: &[&str]| {
            let mut known = Ids::Numbers(Vec::new());
            ids.iter().for_each(|id| known.push(id));
            let chunks = Chunks {
                ids: known,
                rowids: (0..ids.len() as i64).collect(),
                by_row: Vec::new(),
                hot: Vec::new(),
            };
            let mut cursor = Cursor::default();
            ids.iter().enumerate().all(|(at, id)| {
                let position = Some(at as Position);
                let after = chunks.position_after(id, &mut cursor);
                chunks.position(id) == position
                    && after == position
                    && chunks.id(at as Position) == *id
            }) && chunks.position("0000000000000001").is_none()
        };
        assert!(found(&["00000000000000ff", "a000000000000000"]));
        assert!(found(&["00000000000000ff", "a", "a000000000000000"]));
        assert!(found(&["00000000000000FF"]));
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_share(
            rows in proptest::collection::btree_set(any::<i64>(), 0..40), others in proptest::collection::vec(any::<i64>(), 4), n_shares in 1usize..20,
        ) {
            let by_row: Vec<(i64, Position)> = rows.iter().map(|row| (*row, 0)).collect();
            let chunks = Chunks {
                ids: Ids::Numbers(Vec::new()),
                rowids: rows.iter().copied().collect(),
                by_row,
                hot: Vec::new(),
            };
            for row in rows.iter().chain(&others).chain([&i64::MIN, &i64::MAX]) {
                let holders = (0..n_shares).filter(|share| chunks.rows_of_share(*share, n_shares).contains(row));
                prop_assert_eq!(holders.count(), 1, "{}", row);
            }
        }

        #[test]
        fn keys_are_found_from_any_cursor(
            sorted in proptest::collection::btree_set(0u8..60, 0..30), keys in proptest::collection::vec(0u8..60, 0..40),
        ) {
            let sorted: Vec<u8> = sorted.into_iter().collect();
            let mut cursor = Cursor::default();
            for key in keys {
                let found = find(&sorted, &mut cursor, |item| item.cmp(&key));
                prop_assert_eq!(found, sorted.iter().position(|item| *item == key));
            }
        }
    }
}
