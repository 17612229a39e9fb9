//! The records of a segment file: how they lie on the disk, and what they say.
//!
//! Each is a checksum, a length and a payload. Whatever a kill or a power cut leaves, the records up to the first that is
//! short or does not match its checksum are as they were written. Bytes and values only; nothing here opens a file.

use super::SegmentHeader;
use super::chunk_row::{self, EncodedChunk};
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read};

/// Bytes before a payload: its checksum, then its length in bytes as little-endian u64.
pub(super) const FRAME_BYTES: u64 = (CHECKSUM_BYTES + size_of::<u64>()) as u64;

/// Half of a BLAKE3 hash, over length and payload.
const CHECKSUM_BYTES: usize = 16;

/// What a segment file was made for, its first record.
#[derive(Debug, Serialize, Deserialize)]
struct HeaderRecord {
    layout: u32,
    fingerprint: [u8; 32],
    identity: String,
}

/// What a later record says. The chunks of a file follow in the same payload.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    /// The following files are encoded there.
    Device(String),
    /// A file is done. Replaces an earlier record of the same path.
    File(FileRecord),
    /// What was said of the file no longer counts.
    Forget(RelPath),
    /// Nothing is missing, and the rows were encoded there. Counts only as the last record.
    Complete(String),
}

/// Append the header's record to `bytes`.
pub(super) fn write_header(bytes: &mut Vec<u8>, layout: u32, header: &SegmentHeader) {
    let record = HeaderRecord {
        layout,
        fingerprint: header.fingerprint.0,
        identity: header.identity.clone(),
    };
    frame(bytes, |bytes| put(bytes, &record));
}

/// Return the header that a first payload says; `None` for another layout.
pub(super) fn read_header(payload: &[u8], layout: u32) -> Option<SegmentHeader> {
    let record: HeaderRecord = postcard::from_bytes(payload).ok()?;
    (record.layout == layout).then_some(SegmentHeader {
        fingerprint: Digest(record.fingerprint),
        identity: record.identity,
    })
}

/// Append a record without chunks to `bytes`.
pub(super) fn write(bytes: &mut Vec<u8>, record: &Record) {
    frame(bytes, |bytes| put(bytes, record));
}

/// Append the record of a file with its chunks to `bytes`.
pub(super) fn write_file(bytes: &mut Vec<u8>, file: &FileRecord, chunks: &[EncodedChunk<'_>]) {
    frame(bytes, |bytes| {
        put(bytes, &Record::File(file.clone()));
        for chunk in chunks {
            chunk_row::write(bytes, chunk);
        }
    });
}

/// Read the record that a payload begins with, and return what follows it. `None` if it does not decode.
pub(super) fn read(payload: &[u8]) -> Option<(Record, &[u8])> {
    postcard::take_from_bytes(payload).ok()
}

/// Append a value to `bytes`.
pub(super) fn put<T: Serialize>(bytes: &mut Vec<u8>, value: &T) {
    postcard::to_io(value, bytes).expect("our records have lengths, and memory takes all bytes");
}

fn frame(bytes: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let begin = bytes.len();
    let body = begin + FRAME_BYTES as usize;
    bytes.resize(body, 0);
    payload(bytes);
    let length = (bytes.len() - body) as u64;
    bytes[begin + CHECKSUM_BYTES..body].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&bytes[begin + CHECKSUM_BYTES..]);
    bytes[begin..begin + CHECKSUM_BYTES].copy_from_slice(&checksum);
}

fn checksum(length_and_payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake3::hash(length_and_payload);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hash.as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

/// What follows in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// A whole record, with a payload of that many bytes, which lies behind [`FRAME_BYTES`].
    Record(u64),
    /// Nothing more, or nothing that counts: it is cut short, or does not match its checksum.
    End,
}

/// Read the next record of `file`, of which `left` bytes are left, into `buffer`, the payload behind its length.
pub(super) fn next(file: &mut impl Read, left: u64, buffer: &mut Vec<u8>) -> io::Result<Next> {
    let Some(most) = left.checked_sub(FRAME_BYTES) else {
        return Ok(Next::End);
    };
    let mut head = [0; FRAME_BYTES as usize];
    if !fill(file, &mut head)? {
        return Ok(Next::End);
    }
    let (expected, length) = head.split_at(CHECKSUM_BYTES);
    let n_bytes = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    if n_bytes > most {
        return Ok(Next::End);
    }
    buffer.clear();
    buffer.extend_from_slice(length);
    buffer.resize(length.len() + n_bytes as usize, 0);
    if !fill(file, &mut buffer[length.len()..])? || checksum(buffer) != *expected {
        return Ok(Next::End);
    }
    Ok(Next::Record(n_bytes))
}

/// Return the payload that [`next`] left in `buffer`.
pub(super) fn payload(buffer: &[u8]) -> &[u8] {
    &buffer[size_of::<u64>()..]
}

/// Fill `bytes`; `false` if the file ends before.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
