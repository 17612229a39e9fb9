//! Faults as values, and a bounded, ordered list of them.

use crate::store::error::in_words;
use crate::store::names::ROUTING_NAME;
use rusqlite::ErrorCode;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most faults that a report lists; it counts the rest. A page of them shows what is wrong, and a broken shard of a
/// million chunks has millions.
pub const MOST_LISTED: usize = 100;

/// What is wrong, one kind for each thing to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A registered database is not there.
    Missing,
    /// SQLite cannot read the database, or gave up in the middle.
    Unreadable,
    /// The database header is not what the format asks for.
    Header,
    /// Temporary files, logs or journals beside the database.
    LeftBeside,
    /// SQLite's own check of pages, trees and indexes.
    Structure,
    /// Another version of the builder wrote the database, in a format that this one does not know.
    Format,
    /// A table, index, view or trigger is missing or has another shape, or neither the builder nor a known server makes it.
    Schema,
    /// Counts of rows differ where they must agree.
    Counts,
    /// The full-text index does not match the rows.
    FullText,
    /// A chunk's id or hash does not match its text.
    ChunkId,
    /// A column has another type or another JSON shape.
    Column,
    /// Tags, entities, path keys or file stems differ from those that follow from the chunk.
    SideTable,
    /// A row names a chunk that does not exist.
    Orphan,
    /// A dense vector of another length, or not of unit length.
    DenseVector,
    /// Sparse terms that appear twice, have no weight, or are counted wrongly.
    SparseVector,
    /// Files, places and chunks do not cover each other.
    Ledger,
    /// The routing database and a shard disagree.
    Routing,
    /// A recomputed digest differs from the stored one.
    Digest,
    /// The file's bytes differ from those that were published.
    Bytes,
    /// The manifest was changed after it was written.
    Manifest,
    /// A server replaced a chunk's row.
    Replaced,
    /// Encoding a chunk's text again gives other vectors.
    Reencoded,
    /// The database was written while it was being read, or another process has it locked.
    Changed,
}

impl FaultKind {
    /// Of a database that could not be read for this reason.
    pub fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Changed,
            _ => Self::Unreadable,
        }
    }

    /// Return what to do next.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Missing => {
                "copy the file from where the index was, or run the build again, which builds what is missing; if the index was moved, run helix-build relocate on it afterwards"
            }
            Self::Unreadable | Self::Structure => {
                "copy the file again from a good copy, or delete it and run the build again; if it recurs, check the disk"
            }
            Self::Bytes => {
                "copy the file again from a good copy, or delete it and run the build again; if it recurs, check the disk; a server that compacted the file (VACUUM) causes this as well, and then nothing is damaged"
            }
            Self::Header => {
                "another program rewrote the database, or it is damaged: delete it and run the build again"
            }
            Self::LeftBeside => {
                "stop the server that has the index open, or delete the files when no process uses them"
            }
            Self::Format => {
                "run the version of helix-build that wrote it, or build the index again with --rebuild"
            }
            Self::FullText => {
                "delete the shard and run the build again; a server repairs missing rows but not wrong ones"
            }
            Self::Changed => {
                "run verify again while nothing writes to the index or holds it locked"
            }
            Self::Routing => {
                "delete main.genome.db, with its -wal and -shm, and run the build again: it registers the shards anew"
            }
            Self::Manifest => {
                "run the build of every profile in its folder again: that writes the manifest anew, and encodes nothing that is unchanged"
            }
            Self::Replaced => {
                "nothing is damaged: a server indexed the same text again or hides the chunk; run the build again, which restores the builder's row"
            }
            Self::Reencoded => {
                "build again with --rebuild, which reuses no vectors; if it recurs, another device or runtime made them: compare with doctor"
            }
            Self::Schema
            | Self::Counts
            | Self::ChunkId
            | Self::Column
            | Self::SideTable
            | Self::Orphan
            | Self::DenseVector
            | Self::SparseVector
            | Self::Ledger
            | Self::Digest => {
                "delete the shard and run the build again; a server that deleted, compacted, tombstoned or back-filled chunks of the builder causes this as well"
            }
        }
    }

    /// Return what to do next when the fault is in the routing database itself, which holds rows of others as well.
    pub fn advice_for_routing(self) -> &'static str {
        match self {
            Self::Missing
            | Self::LeftBeside
            | Self::Format
            | Self::Changed
            | Self::Routing
            | Self::Manifest
            | Self::Replaced
            | Self::Reencoded => self.advice(),
            Self::Bytes => {
                "move main.genome.db away and run the build again: it registers the shards anew; a server that compacted the file (VACUUM) causes this as well, and then nothing is damaged"
            }
            _ => {
                "move main.genome.db away, with its -wal and -shm, and run the build again: it registers the shards anew; what servers and other programs keep there stays in the file that you moved"
            }
        }
    }

    /// All kinds, in their order.
    pub const ALL: [Self; 23] = [
        Self::Missing,
        Self::Unreadable,
        Self::Header,
        Self::LeftBeside,
        Self::Structure,
        Self::Format,
        Self::Schema,
        Self::Counts,
        Self::FullText,
        Self::ChunkId,
        Self::Column,
        Self::SideTable,
        Self::Orphan,
        Self::DenseVector,
        Self::SparseVector,
        Self::Ledger,
        Self::Routing,
        Self::Digest,
        Self::Bytes,
        Self::Manifest,
        Self::Replaced,
        Self::Reencoded,
        Self::Changed,
    ];
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Label of the shard, or the routing database's file name.
    pub shard: String,
    pub kind: FaultKind,
    /// The table concerned; empty when it is the file.
    pub table: String,
    /// The row, by its id, path or name; empty when it is the whole table. Where no table is
    /// concerned, the file, or a place in it.
    pub row: String,
    pub what: String,
    pub advice: &'static str,
}

/// The first [`MOST_LISTED`] faults in order, and how many there are of each kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Faults {
    listed: BTreeSet<Fault>,
    counts: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        *self.counts.entry(fault.kind).or_default() += 1;
        self.listed.insert(fault);
        if self.listed.len() > MOST_LISTED {
            self.listed.pop_last();
        }
    }

    /// Take over another list, as if its faults had been added here. Its own bound is the same, so
    /// nothing that belongs into the joint list is missing from it.
    pub fn absorb(&mut self, other: Self) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        self.listed.extend(other.listed);
        while self.listed.len() > MOST_LISTED {
            self.listed.pop_last();
        }
    }

    /// By shard, kind, table and row.
    pub fn listed(&self) -> impl Iterator<Item = &Fault> {
        self.listed.iter()
    }

    /// Return all faults, by kind, those not listed included.
    pub fn counts(&self) -> &BTreeMap<FaultKind, u64> {
        &self.counts
    }

    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// The faults of one database: knows its label, so that checks need not.
pub struct Finder<'a> {
    pub shard: &'a str,
    pub faults: &'a mut Faults,
}

impl Finder<'_> {
    pub fn fault(
        &mut self,
        kind: FaultKind,
        table: &str,
        row: impl Into<String>,
        what: impl Into<String>,
    ) {
        let advice = match self.shard == ROUTING_NAME {
            true => kind.advice_for_routing(),
            false => kind.advice(),
        };
        self.advise(kind, (table, &row.into()), &what.into(), advice);
    }

    /// A fault in a table and a row, with advice of its own.
    pub fn advise(
        &mut self,
        kind: FaultKind,
        (table, row): (&str, &str),
        what: &str,
        advice: &'static str,
    ) {
        self.faults.add(Fault {
            shard: self.shard.to_string(),
            kind,
            table: table.to_string(),
            row: row.to_string(),
            what: what.to_string(),
            advice,
        });
    }

    /// Turn an error of SQLite into a fault: the check that met it could not be finished. A database that another
    /// process has locked is not damaged.
    pub fn on_error(&mut self, table: &str, result: Result<(), rusqlite::Error>) {
        if let Err(error) = result {
            self.fault(FaultKind::of(&error), table, "", in_words(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_kind_says_what_to_do() {
        let in_order: Vec<usize> = FaultKind::ALL.iter().map(|kind| *kind as usize).collect();
        assert_eq!(in_order, (0..FaultKind::ALL.len()).collect::<Vec<_>>());
        // The last of the enum: one that is added behind it must be added to the list as well.
        assert_eq!(FaultKind::ALL.last(), Some(&FaultKind::Changed));
        let verbs = ["run ", "build ", "delete ", "copy ", "stop "];
        for kind in FaultKind::ALL {
            let advice = kind.advice();
            assert!(
                verbs.iter().any(|verb| advice.contains(verb)),
                "{kind:?}: {advice}"
            );
        }
    }

    #[test]
    fn a_locked_database_is_not_damaged() {
        let mut faults = Faults::default();
        let mut finder = Finder {
            shard: "a",
            faults: &mut faults,
        };
        let failed = |code| Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        finder.on_error("genes", failed(ffi::SQLITE_BUSY));
        finder.on_error("genes", failed(ffi::SQLITE_CORRUPT));
        let kinds: Vec<_> = faults.counts().keys().copied().collect();
        assert_eq!(kinds, [FaultKind::Unreadable, FaultKind::Changed]);
    }

    #[test]
    fn the_list_is_the_head_of_the_order_and_the_count_is_of_all() {
        let mut faults = Faults::default();
        let mut finder = Finder {
            shard: "a",
            faults: &mut faults,
        };
        for n in (0..250).rev() {
            finder.fault(FaultKind::Orphan, "genes", format!("{n:03}"), "gone");
        }
        assert_eq!(faults.total(), 250);
        let rows: Vec<_> = faults.listed().map(|f| f.row.clone()).collect();
        assert_eq!(rows.len(), MOST_LISTED);
        assert_eq!((rows[0].as_str(), rows[99].as_str()), ("000", "099"));
    }
}
