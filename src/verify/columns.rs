//! Columns of `genes` as values of their types, and the JSON shapes among them.

use super::fault::{FaultKind, Finder};
use crate::tag::IntentClass;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The format's `promoter`. All keys are always there.
#[derive(Default, Deserialize)]
pub struct Promoter {
    pub domains: Vec<String>,
    pub entities: Vec<String>,
    pub sequence_index: Option<u32>,
    #[serde(rename = "intent")]
    _intent: String,
    #[serde(rename = "intent_class")]
    _intent_class: IntentClass,
    #[serde(rename = "summary")]
    _summary: String,
    #[serde(rename = "metadata")]
    _metadata: serde_json::Map<String, serde_json::Value>,
}

/// The format's `epigenetics`. Servers rewrite it when they deliver the chunk, and then with all of its keys.
#[derive(Deserialize)]
pub struct Epigenetics {
    pub created_at: f64,
    last_accessed: f64,
    #[serde(default)]
    access_count: u64,
    #[serde(default = "undamped")]
    decay_score: f64,
    #[serde(default)]
    recent_accesses: Vec<f64>,
    #[serde(default)]
    co_activated_with: Vec<serde_json::Value>,
    #[serde(default)]
    typed_co_activated: Vec<serde_json::Value>,
}

fn undamped() -> f64 {
    1.0
}

impl Epigenetics {
    /// Return whether it says anything but what the builder writes.
    pub fn is_touched(&self) -> bool {
        self.access_count != 0
            || self.decay_score != 1.0
            || self.last_accessed != self.created_at
            || !self.recent_accesses.is_empty()
            || !self.co_activated_with.is_empty()
            || !self.typed_co_activated.is_empty()
    }
}

/// `None` for anything but text in UTF-8.
pub fn text<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a str> {
    row.get_ref(column).ok()?.as_str().ok()
}

/// `None` for anything but an integer.
pub fn integer(row: &Row<'_>, column: usize) -> Option<i64> {
    row.get_ref(column).ok()?.as_i64().ok()
}

/// Reads columns of one row; what is wrong becomes a fault.
pub struct Column<'a, 'row, 'stmt, 'f> {
    pub row: &'row Row<'stmt>,
    pub gene_id: &'a str,
    pub finder: &'a mut Finder<'f>,
}

impl Column<'_, '_, '_, '_> {
    pub fn required_text(&mut self, column: usize, name: &str) {
        if text(self.row, column).is_none() {
            self.fault(format!("{name} is not text"));
        }
    }

    pub fn json<T: DeserializeOwned>(&mut self, column: usize, name: &str) -> Option<T> {
        match serde_json::from_str(text(self.row, column).unwrap_or_default()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("{name} is not of its JSON shape: {error}"));
                None
            }
        }
    }

    /// Return a list of texts, NULL when there are none.
    pub fn optional_list(&mut self, column: usize, name: &str) -> Vec<String> {
        if matches!(self.row.get_ref(column), Ok(ValueRef::Null)) {
            return Vec::new();
        }
        let list: Vec<String> = self.json(column, name).unwrap_or_default();
        if list.iter().any(|entry| !entry.contains('=')) {
            self.fault(format!("{name} has an entry without ="));
        }
        list
    }

    fn fault(&mut self, what: String) {
        self.finder
            .fault(FaultKind::Column, "genes", self.gene_id, what);
    }
}
