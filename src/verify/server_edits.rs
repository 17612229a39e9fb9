//! Tells what a server wrote into columns of the builder's rows from damage.
//!
//! While no server has written to a shard, the hash of its file shows every damaged bit. A server may
//! change some columns, and then the hash says nothing; so a value counts as a server's only when a
//! server would have written it so. Each of these columns has one value that the builder writes: a
//! value one bit away from it is damage, as is one of another type or out of range. Servers date what
//! they do to links; a link that differs from the builder's under the builder's own date is damage.

use super::columns;
use super::fault::{FaultKind, Finder};
use crate::named_file;
use crate::store::error::StoreError;
use crate::store::schema::PAGE_BYTES;
use crate::store::shard::epigenetics;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Seconds since 1970 that are believed: until the year 2106.
const TIMES: std::ops::Range<f64> = 0.0..4_294_967_296.0;

/// Who wrote a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Builder,
    Server,
    Damage,
}

/// Checks the columns of one shard that a server may write.
pub struct ServerEdits {
    epoch: f64,
    epigenetics: String,
    /// Rows and columns that a server wrote, so far.
    pub found: u64,
}

impl ServerEdits {
    /// `epoch` is the build's time.
    pub fn new(epoch: f64) -> Self {
        Self {
            epoch,
            epigenetics: epigenetics(epoch),
            found: 0,
        }
    }

    /// The columns of a row of `genes`: `epigenetics`, `last_verified_at`, `last_seen` and
    /// `live_truth_score` at the positions given.
    pub fn gene(
        &mut self,
        row: &Row<'_>,
        gene_id: &str,
        columns: [usize; 4],
        finder: &mut Finder<'_>,
    ) {
        let names = [
            "epigenetics",
            "last_verified_at",
            "last_seen",
            "live_truth_score",
        ];
        for (n, (column, name)) in columns.into_iter().zip(names).enumerate() {
            let origin = match (n, row.get_ref(column)) {
                (0, _) => self.history(columns::text(row, column)),
                (3, Ok(value)) => score(value),
                (_, Ok(value)) => time(value, self.epoch),
                (_, Err(_)) => Origin::Damage,
            };
            let what =
                || format!("{name} is neither the build's value nor one that a server writes");
            self.note(origin, "genes", gene_id, what, finder);
        }
    }

    /// All links: relations and the harmonic graph.
    pub fn relations(
        &mut self,
        connection: &Connection,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        self.table(
            connection,
            "gene_relations",
            "SELECT gene_id_a, gene_id_b, updated_at, relation IS 5 FROM gene_relations
             WHERE relation IS NOT 5 OR updated_at IS NOT ?1",
            finder,
        )?;
        self.table(
            connection,
            "harmonic_links",
            "SELECT gene_id_a, gene_id_b, updated_at, 0 FROM harmonic_links
             WHERE source IS NOT 'seeded' OR co_count IS NOT 0 OR miss_count IS NOT 0.0
                OR weight IS NOT 1.0 OR updated_at IS NOT ?1 OR created_at IS NOT ?1",
            finder,
        )
    }

    /// The files that a server follows: those of the build are compared with the ledger elsewhere.
    pub fn files(
        &mut self,
        connection: &Connection,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        self.table(
            connection,
            "sync_tracked",
            "SELECT path, '', synced_at, 0 FROM sync_tracked WHERE synced_at IS NOT ?1",
            finder,
        )
    }

    /// Rows that differ from the builder's, with their time and whether that alone makes them so.
    fn table(
        &mut self,
        connection: &Connection,
        table: &str,
        sql: &str,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([self.epoch])?;
        while let Some(row) = rows.next()? {
            let origin = match time(row.get_ref(2)?, self.epoch) {
                Origin::Builder if row.get(3)? => Origin::Builder,
                Origin::Builder => Origin::Damage,
                other => other,
            };
            let end = |at| columns::text(row, at).unwrap_or("?").to_owned();
            let link = format!("{} {}", end(0), end(1));
            let what = || {
                "differs from the builder's link, and its time is not one that a server writes"
                    .to_owned()
            };
            self.note(origin, table, &link, what, finder);
        }
        Ok(())
    }

    fn note(
        &mut self,
        origin: Origin,
        table: &str,
        row: &str,
        what: impl FnOnce() -> String,
        finder: &mut Finder<'_>,
    ) {
        match origin {
            Origin::Builder => {}
            Origin::Server => self.found += 1,
            Origin::Damage => finder.fault(FaultKind::Column, table, row, what()),
        }
    }

    /// Return who wrote the text of `epigenetics`. A server writes the whole text anew.
    fn history(&self, text: Option<&str>) -> Origin {
        match text {
            Some(text) if text == self.epigenetics => Origin::Builder,
            Some(text) if !one_bit(text.as_bytes(), self.epigenetics.as_bytes()) => Origin::Server,
            _ => Origin::Damage,
        }
    }
}

fn time(value: ValueRef<'_>, ours: f64) -> Origin {
    let ValueRef::Real(found) = value else {
        return Origin::Damage;
    };
    // SQLite keeps whole numbers as integers.
    let whole = |n: f64| (n.trunc() == n && TIMES.contains(&n)).then_some(n as u64);
    let as_integers = match (whole(found), whole(ours)) {
        (Some(found), Some(ours)) => one_bit(&found.to_le_bytes(), &ours.to_le_bytes()),
        _ => false,
    };
    if found == ours {
        Origin::Builder
    } else if as_integers
        || one_bit(&found.to_le_bytes(), &ours.to_le_bytes())
        || !TIMES.contains(&found)
    {
        Origin::Damage
    } else {
        Origin::Server
    }
}

/// 1.0 is kept as the integer 1, so that a damaged bit makes it 0 or nothing at all.
fn score(value: ValueRef<'_>) -> Origin {
    match value {
        ValueRef::Real(1.0) => Origin::Builder,
        ValueRef::Real(score) if score > 0.0 && score < 1.0 => Origin::Server,
        _ => Origin::Damage,
    }
}

fn one_bit(a: &[u8], b: &[u8]) -> bool {
    let different = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones());
    a.len() == b.len() && different.sum::<u32>() == 1
}

/// Rows in tables that only a server fills.
pub fn server_rows(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let counted = [
        "health_log",
        "okf_links",
        "genome_calibration",
        "parties",
        "participants",
        "agents",
        "gene_attribution",
        "hitl_events",
        "cwola_log",
        "session_delivery_log",
        "bed_provenance WHERE id <> 1",
        "sync_lock",
        "symbol_defs",
        "sqlite_sequence",
        "orgs WHERE org_id <> 'local'",
    ];
    let counts = counted.map(|table| format!("(SELECT count(*) FROM {table})"));
    connection.query_row(&format!("SELECT {}", counts.join(" + ")), [], |row| {
        row.get(0)
    })
}

/// Return whether a server has held the lease of the folders that it follows, and given it back: it inserts a row into
/// `sync_lock` and deletes it, and what pointed to the row stays in the page. One bit there that is not zero is damage.
pub fn held_lease(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'sync_lock'";
    let root: u32 = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    let mut page = vec![0; PAGE_BYTES as usize];
    let mut file = named_file::open(path).map_err(StoreError::io(path))?;
    file.seek(SeekFrom::Start(
        u64::from(root.saturating_sub(1)) * u64::from(PAGE_BYTES),
    ))
    .and_then(|_| file.read_exact(&mut page))
    .map_err(StoreError::io(path))?;
    Ok(is_emptied_leaf(&page))
}

/// A leaf of a table (SQLite file format, section 1.6) without cells, in which there were some.
fn is_emptied_leaf(page: &[u8]) -> bool {
    let bits = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
    page.starts_with(&[0x0d, 0, 0, 0, 0]) && bits(&page[8..]) > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_away_from_the_builders_value_is_damage() {
        for ours in [1_700_000_000.25, 1_700_000_000.0, 0.0] {
            assert_eq!(time(ValueRef::Real(ours), ours), Origin::Builder);
            for bit in 0..64 {
                let found = f64::from_bits(ours.to_bits() ^ 1 << bit);
                // Minus zero is zero.
                if found != ours {
                    assert_eq!(time(ValueRef::Real(found), ours), Origin::Damage, "{found}");
                }
            }
            let later = ValueRef::Real(ours + 86_400.5);
            assert_eq!(time(later, ours), Origin::Server);
        }
        for bit in 0..31 {
            let found = f64::from(1_700_000_000_u32 ^ 1 << bit);
            assert_eq!(time(ValueRef::Real(found), 1.7e9), Origin::Damage, "{bit}");
        }
        for odd in [
            ValueRef::Null,
            ValueRef::Integer(9),
            ValueRef::Real(-1.0),
            ValueRef::Real(1e300),
        ] {
            assert_eq!(time(odd, 5.0), Origin::Damage);
        }
    }

    #[test]
    fn a_history_is_the_builders_a_servers_or_damaged() {
        let edits = ServerEdits::new(1_700_000_000.25);
        let ours = edits.epigenetics.clone();
        assert_eq!(edits.history(Some(&ours)), Origin::Builder);
        let delivered = ours.replace('}', ",\"access_count\":12}");
        assert_eq!(edits.history(Some(&delivered)), Origin::Server);
        let flipped = ours.replace("\"last_accessed\":1", "\"last_accessed\":3");
        assert_eq!(edits.history(Some(&flipped)), Origin::Damage);
        assert_eq!(edits.history(None), Origin::Damage);
    }

    #[test]
    fn a_page_that_held_rows_is_told_from_a_damaged_bit() {
        let mut page = vec![0; PAGE_BYTES as usize];
        page[..8].copy_from_slice(&[0x0d, 0, 0, 0, 0, 0x10, 0, 0]);
        assert!(!is_emptied_leaf(&page));
        page[8] = 0x08;
        assert!(!is_emptied_leaf(&page), "one bit");
        page[8..10].copy_from_slice(&[0x0f, 0xed]);
        assert!(is_emptied_leaf(&page));
        page[4] = 1;
        assert!(!is_emptied_leaf(&page), "a row is there");
    }

    #[test]
    fn a_score_is_a_share() {
        assert_eq!(score(ValueRef::Real(1.0)), Origin::Builder);
        assert_eq!(score(ValueRef::Real(0.5)), Origin::Server);
        for odd in [
            ValueRef::Real(0.0),
            ValueRef::Real(1.5),
            ValueRef::Real(f64::NAN),
            ValueRef::Null,
        ] {
            assert_eq!(score(odd), Origin::Damage);
        }
    }
}
