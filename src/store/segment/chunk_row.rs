//! The row of one chunk in a segment file.

use crate::chunk::Chunk;
use crate::ids::ContentHash;
use crate::store::chromatin;
use crate::tag::TaggedChunk;
use crate::vector::{DenseVector, Vectors};
use rusqlite::{Row, Statement, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
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

pub(super) const INSERT: &str = "
INSERT INTO chunks
    (chunk_no, text, sha256, is_fragment, n_tokens, chromatin, tags, route_words, sparse, dense, place)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// All chunks of a file, in sequence, for [`read`]. `?1` is the number of the file's first chunk, `?2` that
/// of the next file's.
pub(super) const SELECT: &str = "
SELECT chunk_no - ?1, text, sha256, is_fragment, n_tokens, chromatin, tags, route_words, sparse, dense, place
FROM chunks WHERE chunk_no >= ?1 AND chunk_no < ?2 ORDER BY chunk_no";

/// Run [`INSERT`] for a chunk of the file whose first chunk has the number `first_chunk_no`.
pub(super) fn insert(
    insert: &mut Statement<'_>,
    first_chunk_no: i64,
    encoded: &EncodedChunk<'_>,
) -> rusqlite::Result<()> {
    let TaggedChunk {
        chunk,
        tags,
        visibility,
    } = &encoded.tagged;
    let vectors = &encoded.vectors;
    insert.execute(params![
        first_chunk_no + i64::from(chunk.sequence),
        chunk.text,
        chunk.hash.0,
        chunk.is_fragment,
        encoded.n_tokens,
        chromatin::of(*visibility),
        encode(tags)?,
        encode(&vectors.route_words)?,
        vectors.sparse.as_ref().map(encode).transpose()?,
        vectors.dense.as_ref().map(DenseVector::to_le_bytes),
        encode(&chunk.place)?,
    ])?;
    Ok(())
}

/// Read a row of [`SELECT`]. `None` when a value does not decode.
pub(super) fn read<'a>(row: &'a Row<'_>) -> rusqlite::Result<Option<EncodedChunk<'a>>> {
    let tags = decode(row.get_ref(6)?.as_blob()?);
    let route_words = decode(row.get_ref(7)?.as_blob()?);
    let sparse = row.get_ref(8)?.as_blob_or_null()?.map(decode).transpose();
    let place = decode(row.get_ref(10)?.as_blob()?);
    let (Ok(tags), Ok(route_words), Ok(sparse), Ok(place)) = (tags, route_words, sparse, place)
    else {
        return Ok(None);
    };
    let dense = match row.get_ref(9)?.as_blob_or_null()? {
        None => None,
        Some(bytes) => match DenseVector::from_le_bytes(bytes) {
            None => return Ok(None),
            some => some,
        },
    };
    let Some(visibility) = chromatin::parse(row.get(5)?) else {
        return Ok(None);
    };
    let chunk = Chunk {
        sequence: row.get(0)?,
        text: Cow::Borrowed(row.get_ref(1)?.as_str()?),
        hash: ContentHash(row.get(2)?),
        is_fragment: row.get(3)?,
        place,
    };
    Ok(Some(EncodedChunk {
        tagged: TaggedChunk {
            chunk,
            tags,
            visibility,
        },
        n_tokens: row.get(4)?,
        vectors: Vectors {
            sparse,
            dense,
            route_words,
        },
    }))
}

fn encode<T: Serialize>(value: &T) -> rusqlite::Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    postcard::from_bytes(bytes)
}
