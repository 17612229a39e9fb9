//! The vocabulary of the built-in encoders, compiled in: parsing `tokenizer.json` takes longer than a query.

use super::vocabulary_file::{SLOTS, first_slot};

/// Written by `build.rs` from `assets/models/tokenizer.json`.
static FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vocabulary.bin"));

pub(in crate::encode) static VOCABULARY: Vocabulary = Vocabulary::new(FILE);

/// Terms by id and ids by term.
pub(in crate::encode) struct Vocabulary {
    n_terms: usize,
    offsets: &'static [u8],
    kept: &'static [u8],
    slots: &'static [u8],
    text: &'static [u8],
}

impl Vocabulary {
    /// Split the file into its parts.
    const fn new(file: &'static [u8]) -> Self {
        let (n_terms, rest) = file.split_at(4);
        let n_terms = u32::from_le_bytes([n_terms[0], n_terms[1], n_terms[2], n_terms[3]]) as usize;
        let (offsets, rest) = rest.split_at(4 * (n_terms + 1));
        let (kept, rest) = rest.split_at(n_terms);
        let (slots, text) = rest.split_at(2 * SLOTS);
        Self {
            n_terms,
            offsets,
            kept,
            slots,
            text,
        }
    }

    /// Number of terms; ids are below it.
    pub const fn len(&self) -> usize {
        self.n_terms
    }

    /// Return the term of an id below [`Self::len`].
    pub fn term(&self, id: usize) -> &'static str {
        std::str::from_utf8(self.bytes(id)).unwrap_or_default()
    }

    /// Whether the term may appear in a sparse vector. `false` beyond the vocabulary.
    pub fn is_kept(&self, id: usize) -> bool {
        self.kept.get(id) == Some(&1)
    }

    /// Return the id of a term.
    pub fn id(&self, term: &[u8]) -> Option<u32> {
        let mut slot = first_slot(term);
        loop {
            let id = u16::from_le_bytes([self.slots[2 * slot], self.slots[2 * slot + 1]]);
            let id = usize::from(id).checked_sub(1)?;
            if self.bytes(id) == term {
                return u32::try_from(id).ok();
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    fn bytes(&self, id: usize) -> &'static [u8] {
        &self.text[self.offset(id)..self.offset(id + 1)]
    }

    fn offset(&self, n: usize) -> usize {
        let bytes = &self.offsets[4 * n..];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
    }
}
