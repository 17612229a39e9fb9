//! One chunk in a segment file.

use super::record::put;
use crate::chunk::{Chunk, Place};
use crate::ids::ContentHash;
use crate::store::chromatin;
use crate::tag::{TaggedChunk, Tags};
use crate::vector::{DenseVector, SparseVector, Vectors};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A chunk with everything that the index keeps of it. Its text is borrowed when it was read from a
/// segment.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedChunk<'a> {
    pub tagged: TaggedChunk<'a>,
    /// Tokens of the text that the encoders saw, without special and padding tokens.
    pub n_tokens: u32,
    pub vectors: Vectors,
}

/// A chunk but for its lists and vectors, which follow one by one, the dense vector as bytes.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    sequence: u32,
    text: &'a str,
    sha256: [u8; 32],
    is_fragment: bool,
    n_tokens: u32,
    chromatin: u8,
    /// `None`: no dense vector.
    dense_bytes: Option<u32>,
}

/// Append a chunk to `bytes`.
pub(super) fn write(bytes: &mut Vec<u8>, encoded: &EncodedChunk<'_>) {
    let TaggedChunk {
        chunk,
        tags,
        visibility,
    } = &encoded.tagged;
    let vectors = &encoded.vectors;
    let dense = vectors.dense.as_ref().map(DenseVector::to_le_bytes);
    let row = Row {
        sequence: chunk.sequence,
        text: &chunk.text,
        sha256: chunk.hash.0,
        is_fragment: chunk.is_fragment,
        n_tokens: encoded.n_tokens,
        chromatin: chromatin::of(*visibility),
        dense_bytes: dense.as_ref().map(|dense| dense.len() as u32),
    };
    put(bytes, &row);
    put(bytes, &chunk.place);
    put(bytes, tags);
    put(bytes, &vectors.route_words);
    put(bytes, &vectors.sparse);
    bytes.extend(dense.unwrap_or_default());
}

/// Read the chunk that `bytes` begins with, and return what follows it. `None` if it does not decode.
pub(super) fn read(bytes: &[u8]) -> Option<(EncodedChunk<'_>, &[u8])> {
    let (row, bytes) = take::<Row<'_>>(bytes)?;
    let (place, bytes) = take::<Place>(bytes)?;
    let (tags, bytes) = take::<Tags>(bytes)?;
    let (route_words, bytes) = take::<Vec<String>>(bytes)?;
    let (sparse, bytes) = take::<Option<SparseVector>>(bytes)?;
    let (dense, bytes) = match row.dense_bytes {
        None => (None, bytes),
        Some(length) => {
            let (dense, rest) = bytes.split_at_checked(length as usize)?;
            (Some(DenseVector::from_le_bytes(dense)?), rest)
        }
    };
    let chunk = Chunk {
        sequence: row.sequence,
        text: Cow::Borrowed(row.text),
        hash: ContentHash(row.sha256),
        is_fragment: row.is_fragment,
        place,
    };
    let encoded = EncodedChunk {
        tagged: TaggedChunk {
            chunk,
            tags,
            visibility: chromatin::parse(row.chromatin)?,
        },
        n_tokens: row.n_tokens,
        vectors: Vectors {
            sparse,
            dense,
            route_words,
        },
    };
    Some((encoded, bytes))
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    postcard::take_from_bytes(bytes).ok()
}
