//! A hash over fields, each with its kind and length, so that no two rows read the same.

use crate::ids::Digest;
use rusqlite::types::ValueRef;

/// Bytes gathered before they are hashed: BLAKE3 runs over many small pieces at a fraction of its
/// speed over long ones.
const BUFFER_BYTES: usize = 64 << 10;

pub struct Fields {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Fields {
    pub fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.field(b'b', bytes);
    }

    pub fn integer(&mut self, value: i64) {
        self.field(b'i', &value.to_le_bytes());
    }

    pub fn value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.field(b'n', &[]),
            ValueRef::Integer(value) => self.integer(value),
            ValueRef::Real(value) => self.field(b'r', &value.to_bits().to_le_bytes()),
            ValueRef::Text(text) => self.field(b't', text),
            ValueRef::Blob(bytes) => self.bytes(bytes),
        }
    }

    pub fn finish(mut self) -> Digest {
        self.take()
    }

    /// Return the hash so far; starts over with nothing hashed.
    pub fn take(&mut self) -> Digest {
        if self.hasher.count() == 0 {
            // In one step, which is faster for a few bytes.
            let digest = Digest(blake3::hash(&self.buffer).into());
            self.buffer.clear();
            return digest;
        }
        self.hasher.update(&self.buffer);
        let digest = Digest(self.hasher.finalize().into());
        self.hasher.reset();
        self.buffer.clear();
        digest
    }

    fn field(&mut self, kind: u8, bytes: &[u8]) {
        self.buffer.push(kind);
        self.buffer
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        if bytes.len() >= BUFFER_BYTES {
            self.hasher.update(&self.buffer);
            self.hasher.update(bytes);
            self.buffer.clear();
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(write: impl FnOnce(&mut Fields)) -> Digest {
        let mut fields = Fields::new();
        write(&mut fields);
        fields.finish()
    }

    #[test]
    fn fields_do_not_run_together() {
        let apart = hash(|f| ["ab", "c"].iter().for_each(|s| f.bytes(s.as_bytes())));
        let moved = hash(|f| ["a", "bc"].iter().for_each(|s| f.bytes(s.as_bytes())));
        assert_ne!(apart, moved);
        let null = hash(|f| f.value(ValueRef::Null));
        let empty = hash(|f| f.value(ValueRef::Text(b"")));
        assert_ne!(null, empty);
    }

    #[test]
    fn long_fields_are_hashed_like_short_ones() {
        let long = vec![7; BUFFER_BYTES * 2];
        let mut expected = blake3::Hasher::new();
        for part in [b"x".as_slice(), &long, b"y"] {
            expected.update(b"b");
            expected.update(&(part.len() as u64).to_le_bytes());
            expected.update(part);
        }
        let found = hash(|f| {
            [b"x".as_slice(), &long, b"y"]
                .iter()
                .for_each(|s| f.bytes(s))
        });
        assert_eq!(found, Digest(expected.finalize().into()));
    }
}
