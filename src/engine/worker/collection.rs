//! Prepared files that wait to be encoded together.

use super::file_pipeline::PreparedFile;
use super::items::Item;
use std::time::{Duration, Instant};

/// Most chunks in a collection. The last batch of each length is filled with blank rows, about three batches
/// of 8,192 tokens in all: a tenth of a thousand chunks. With twice as many, a kill loses twice the work and
/// a twentieth is gained.
const MOST_CHUNKS: usize = 1024;

/// Most text in a collection, since one file may have many chunks.
const MOST_BYTES: usize = 8 << 20;

/// How long a collection waits for files that are still being prepared while the sessions have nothing to do. Without the
/// wait a fifth of every batch was blank on an H200 with 16 cores, two fifths with 16-bit weights.
const COLLECT: Duration = Duration::from_millis(100);

/// The items in order, with what bounds them.
#[derive(Default)]
pub(super) struct Collection {
    items: Vec<Item<PreparedFile>>,
    chunks: usize,
    bytes: usize,
    /// From when on it is encoded, full or not, if the sessions have nothing to do; `None` while it is empty.
    deadline: Option<Instant>,
}

impl Collection {
    pub fn push(&mut self, item: Item<PreparedFile>) {
        if let Item::File(file) = &item {
            self.chunks += file.chunks.len();
            self.bytes += file.text_bytes();
        }
        self.deadline
            .get_or_insert_with(|| Instant::now() + COLLECT);
        self.items.push(item);
    }

    pub fn is_full(&self) -> bool {
        self.chunks >= MOST_CHUNKS || self.bytes >= MOST_BYTES
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Return the items and leave the collection empty.
    pub fn take(&mut self) -> Vec<Item<PreparedFile>> {
        std::mem::take(self).items
    }
}
