//! Where a chunk lies: files, lines and enclosing definitions.

use super::error::QueryError;
use super::shard::OpenShard;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Between the names of definitions.
const SEPARATOR: &str = " > ";

/// One place of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    pub shard: String,
    /// Absolute.
    pub path: String,
    /// From 1, both included; `None` for a chunk of a server or of another builder.
    pub line_start: Option<u32>,
    pub line_end: Option<u32>,
    /// Names of the definitions around the chunk, outermost first, between ` > `; `None` if there are none.
    pub symbol: Option<String>,
    /// Of the file, lower case; `None` if its name tells none.
    #[serde(skip)]
    pub language: Option<String>,
    /// `build_files.file_id`.
    #[serde(skip)]
    pub(super) file: Option<i64>,
}

const PLACE: &str = "
SELECT r.path, f.path, f.file_id, s.line_start, s.line_end, s.symbols, f.language
FROM build_sources AS s
JOIN build_files AS f ON f.file_id = s.file_id
JOIN build_roots AS r ON r.root_id = f.root_id
WHERE s.file_id = ?1 AND s.seq = ?2";

/// Return the places of chunks in one shard by chunk, each list in canonical order.
pub fn of_chunks(
    shard: &OpenShard,
    gene_ids: &[&str],
) -> Result<HashMap<String, Vec<Location>>, QueryError> {
    let mut found: HashMap<String, Vec<Location>> = HashMap::new();
    if !shard.has_build_tables() {
        return Ok(found);
    }
    shard.read_held(|connection, held| {
        let chunks = held.chunks(connection)?;
        let places = held.places(connection)?;
        let mut statement = connection.prepare_cached(PLACE)?;
        for gene_id in gene_ids {
            let Some(position) = chunks.position(gene_id) else {
                continue;
            };
            let places = places.of(position);
            let locations = places.filter_map(|at| {
                let found = statement.query_row(at, |row| place(row, &shard.label));
                found.optional().transpose()
            });
            found.insert((*gene_id).to_owned(), locations.collect::<Result<_, _>>()?);
        }
        Ok(found)
    })
}

/// Put one of the places of a chunk first: that in the file `first`, or without it that of the owner.
pub fn in_order(
    mut places: Vec<Location>,
    shard: &OpenShard,
    owner: &str,
    first: Option<i64>,
) -> Vec<Location> {
    let is_first = |place: &Location| match first {
        Some(file) => place.file == Some(file),
        None => place.path == owner,
    };
    match places.iter().position(is_first) {
        Some(at) => places[..=at].rotate_right(1),
        None => places.insert(
            0,
            Location {
                shard: shard.label.clone(),
                path: owner.to_owned(),
                line_start: None,
                line_end: None,
                symbol: None,
                language: None,
                file: None,
            },
        ),
    }
    places
}

/// Return the names around a chunk with the one that it defines.
pub fn with_own(around: Option<String>, own: Option<String>) -> Option<String> {
    match (around, own) {
        (Some(around), Some(own)) if around.rsplit(SEPARATOR).next() != Some(&own) => {
            Some(format!("{around}{SEPARATOR}{own}"))
        }
        (around, own) => around.or(own),
    }
}

fn place(row: &Row<'_>, shard: &str) -> rusqlite::Result<Location> {
    let (root, path): (String, String) = (row.get(0)?, row.get(1)?);
    let symbols: Vec<String> = serde_json::from_str(row.get_ref(5)?.as_str()?).unwrap_or_default();
    Ok(Location {
        shard: shard.to_owned(),
        path: format!("{}/{path}", root.trim_end_matches('/')),
        line_start: Some(row.get(3)?),
        line_end: Some(row.get(4)?),
        symbol: (!symbols.is_empty()).then(|| symbols.join(SEPARATOR)),
        language: row.get(6)?,
        file: Some(row.get(2)?),
    })
}

const CHUNKS: &str = "
SELECT s.line_start, s.line_end, g.content FROM build_sources AS s
JOIN genes AS g ON g.gene_id = s.gene_id
WHERE s.file_id = ?1 AND s.line_end >= ?2 AND s.line_start <= ?3 ORDER BY s.seq";

/// Return the lines `first` to `last` of a place's file, as far as the chunks of the index have them.
pub fn lines(
    connection: &Connection,
    place: &Location,
    (first, last): (u32, u32),
) -> rusqlite::Result<BTreeMap<u32, String>> {
    let mut found = BTreeMap::new();
    let mut statement = connection.prepare_cached(CHUNKS)?;
    let mut rows = statement.query((place.file, first, last))?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(2)?.as_str()?;
        for (line, text) in numbered(text, row.get(0)?, row.get(1)?)
            .into_iter()
            .flatten()
        {
            if (first..=last).contains(&line) {
                found.entry(line).or_insert_with(|| text.to_owned());
            }
        }
    }
    Ok(found)
}

/// Return the lines of a chunk with their numbers in the file; `None` if the text has not the lines of the file, for
/// example because the file is a notebook.
pub fn numbered(
    text: &str,
    line_start: u32,
    line_end: u32,
) -> Option<impl Iterator<Item = (u32, &str)>> {
    let n_lines = text.lines().count() as u64;
    let is_same = u64::from(line_end) + 1 == u64::from(line_start) + n_lines;
    is_same.then(|| (line_start..).zip(text.lines()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_definition_in_a_chunk_ends_its_symbol() {
        let of = |around: &str, own: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            with_own(given(around), given(own)).unwrap_or_default()
        };
        assert_eq!(of("a > b", "c"), "a > b > c");
        assert_eq!(of("a > b", "b"), "a > b");
        assert_eq!(of("", "c"), "c");
        assert_eq!(of("a", ""), "a");
        assert_eq!(of("", ""), "");
    }

    #[test]
    fn lines_are_numbered_if_the_text_has_as_many() {
        let of = |text, first, last| numbered(text, first, last).map(Iterator::collect::<Vec<_>>);
        assert_eq!(of("a\nb", 3, 4), Some(vec![(3, "a"), (4, "b")]));
        assert_eq!(of("a\nb\n", 3, 4), Some(vec![(3, "a"), (4, "b")]));
        assert_eq!(of("a\nb", 3, 5), None);
        assert_eq!(of("", 1, 1), None);
    }
}
